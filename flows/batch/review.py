"""What people should look at: finds with a doubtful score, and a random sample of all, which says how good they are."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from flows.batch.reading import DoneItem, Reading
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError
from tools.storage.store import Store
from tools.values import Detections

Verdict = Literal["accepted", "rejected", "corrected"]
_Z = 1.959963984540054  # of the normal distribution, for 95 %


class ReviewError(SuperlinkError):
    """A verdict that cannot be noted."""


@dataclass(frozen=True)
class ReviewRouting:
    """Which finds are put in the queue.

    Attributes:
        band: scores from the first up to below the second are doubtful.
        bands: the same for single labels.
        audit: share of all finds that is looked at whatever their score.
        seed: another one draws another sample.
    """

    band: tuple[float, float] = (0.25, 0.5)
    bands: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    audit: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse bands and shares outside of 0 and 1."""
        for low, high in (self.band, *self.bands.values()):
            if not 0 <= low <= high <= 1:
                raise ReviewError(f"{low}:{high} is no band of scores", "Give LOW:HIGH between 0 and 1")
        if not 0 <= self.audit <= 1:
            raise ReviewError(f"{self.audit} is no share of finds", "Give a number between 0 and 1")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "ReviewRouting":
        """From what `to_json` gave."""
        bands = {label: (float(low), float(high)) for label, (low, high) in facts["bands"].items()}
        low, high = facts["band"]
        return cls((float(low), float(high)), bands, facts["audit"], facts["seed"])

    def reason(self, sha256: str, place: int, label: str, score: float) -> str:
        """Why a find is put in the queue: "audit", "band", or "" when it is not."""
        # By content, so that a run that was cut short draws the same sample when it goes on.
        drawn = hashlib.sha256(f"{self.seed}:{sha256}:{place}".encode()).digest()
        if int.from_bytes(drawn[:8], "big") < self.audit * 2**64:
            return "audit"
        low, high = self.bands.get(label, self.band)
        return "band" if low <= score < high else ""


class QueuedFind(NamedTuple):
    """One find in the queue."""

    id: int
    item: str
    step: str
    label: str
    score: float
    reason: str
    verdict: str
    correct: str
    box: tuple[float, ...] = ()


class Precision(NamedTuple):
    """Of a label's audited finds, how many were right, and the 95 % interval of that share."""

    label: str
    right: int
    audited: int
    low: float
    high: float


def enqueue(ledger: Ledger, store: Store, routing: ReviewRouting, rows: Iterable[DoneItem]) -> int:
    """Put doubtful and sampled finds in the queue; those there already stay as they are.

    Returns:
        How many the items have in the queue now.
    """
    reading = Reading(ledger, store, ("Detections",))
    doubts: list[tuple[int, str, str, int, str, float, str]] = []
    for row in rows:
        for step, _, ref in reading.refs(row):
            if not ref["summary"]["count"]:
                continue
            found = store.get(ref)
            assert isinstance(found, Detections)
            for place, one in enumerate(found):
                reason = routing.reason(ref["sha256"], place, one.label, one.score)
                if reason:
                    doubts.append((row.entry.id, step, ref["sha256"], place, one.label, one.score, reason))
    with ledger.writing():
        ledger.review.add(doubts)
    return len(doubts)


def queue(
    ledger: Ledger, label: str = "", reason: str = "", everything: bool = False, limit: int = -1
) -> Iterator[QueuedFind]:
    """What waits for a verdict, the least certain first.

    Args:
        ledger: of the run.
        label: only this one.
        reason: only "band" or "audit".
        everything: with what has a verdict.
        limit: so many at most.
    """
    for row in ledger.review.queue(label, reason, everything, limit):
        yield QueuedFind(*row)


def resolve(ledger: Ledger, number: int, verdict: Verdict, correct: str = "", who: str = "") -> None:
    """Note what a person says of a find; a later verdict replaces an earlier one.

    Args:
        ledger: of the run.
        number: `QueuedFind.id`.
        verdict: "accepted", "rejected" (nothing is there) or "corrected" (it is something else).
        correct: the right label, when corrected.
        who: decided.

    Raises:
        ReviewError: when there is no such find, or a label is missing or too many.
    """
    if verdict not in ("accepted", "rejected", "corrected") or (verdict == "corrected") != bool(correct.strip()):
        raise ReviewError(
            f"{verdict!r} with the label {correct!r} is no verdict", "Accept, reject, or correct with the right label"
        )
    time = datetime.now(UTC).isoformat(timespec="seconds")
    with ledger.writing():
        if not ledger.review.decide(number, verdict, correct.strip(), who, time):
            raise ReviewError(f"There is nothing with the number {number} in the queue", "superlink review lists it")


def precision(ledger: Ledger) -> list[Precision]:
    """How good the finds of each label are, from the random sample alone: the doubtful ones would say too little."""
    return [
        Precision(label, right, audited, *wilson(right, audited)) for label, right, audited in ledger.review.audited()
    ]


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share after Wilson (1927), "Probable inference, the law of succession"."""
    if not count:
        return 0.0, 1.0
    share, z2 = right / count, _Z**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)
