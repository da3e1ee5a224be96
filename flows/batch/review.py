"""Review by people: finds with a doubtful score, and a random sample of all, which measures precision.

A find is a detection, a pose, or a segment of a transcript that has a score.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from pydantic import JsonValue

from agents.examples.use import Examples
from agents.planners.base import Demonstration
from flows.batch.corrections import PERSON, REVIEWED, TEXT, Shape
from flows.batch.reading import DoneItem, Reading
from flows.ledger.ledger import Ledger
from flows.ledger.review_queue import QueuedFind
from tools.core.errors import SuperlinkError
from tools.storage.store import Store
from tools.values import Detections, Poses, Transcript, Value

Verdict = Literal["accepted", "rejected", "corrected"]
_Z = 1.959963984540054  # of the normal distribution, for 95 %


class ReviewError(SuperlinkError):
    """A verdict or a routing that cannot be right."""


@dataclass(frozen=True)
class ReviewRouting:
    """Which detections go to the review queue.

    Attributes:
        band: doubtful scores, from the first up to below the second.
        bands: label to its own band.
        audit: share of all detections that is reviewed whatever their score, between 0 and 1.
        seed: of the random sample.
    """

    band: tuple[float, float] = (0.25, 0.5)
    bands: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    audit: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that bands and share lie between 0 and 1.

        Raises:
            ReviewError: they do not.
        """
        for low, high in (self.band, *self.bands.values()):
            if not 0 <= low <= high <= 1:
                raise ReviewError(f"{low}:{high} is no band of scores", "Give LOW:HIGH between 0 and 1")
        if not 0 <= self.audit <= 1:
            raise ReviewError(f"{self.audit} is no share of finds", "Give a number between 0 and 1")

    def to_json(self) -> dict[str, JsonValue]:
        """All fields, as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "ReviewRouting":
        """A routing from what `to_json` returned."""
        bands = {label: (float(low), float(high)) for label, (low, high) in facts["bands"].items()}
        low, high = facts["band"]
        return cls((float(low), float(high)), bands, facts["audit"], facts["seed"])

    def reason(self, sha256: str, place: int, label: str, score: float) -> str:
        """Why a find goes to the queue: "audit", "band", or "" when it does not."""
        # By content, so that a run that was cut short draws the same sample when it goes on.
        drawn = hashlib.sha256(f"{self.seed}:{sha256}:{place}".encode()).digest()
        if int.from_bytes(drawn[:8], "big") < self.audit * 2**64:
            return "audit"
        low, high = self.bands.get(label, self.band)
        return "band" if low <= score < high else ""


class Precision(NamedTuple):
    """Precision of a label, from its audited detections: how many are right, their number, the 95 % interval."""

    label: str
    right: int
    audited: int
    low: float
    high: float


class Agreement(NamedTuple):
    """Number of finds on which several people gave a verdict, and on which all of them gave the same."""

    judged: int
    same: int


def enqueue(ledger: Ledger, store: Store, routing: ReviewRouting, rows: Iterable[DoneItem]) -> int:
    """Put doubtful and sampled detections in the queue; those that are there stay as they are.

    Open ones in values that the plan no longer has go: no export has them.

    Args:
        ledger: of the run.
        store: where values are.
        routing: which detections go to the queue.
        rows: items whose detections may go there.

    Returns:
        Number of detections that go there.
    """
    readings = [Reading(ledger, store, (kind,)) for kind in REVIEWED]
    values: dict[int, set[tuple[str, str]]] = {}
    doubts: list[tuple[int, str, str, int, str, float, str]] = []
    for row in rows:
        read = values.setdefault(row.entry.id, set())
        for step, _, ref in (found for reading in readings for found in reading.refs(row)):
            read.add((step, ref["sha256"]))
            if ref["summary"].get("count") == 0:
                continue
            for place, label, score in _finds(store.get(ref)):
                reason = routing.reason(ref["sha256"], place, label, score)
                if reason:
                    doubts.append((row.entry.id, step, ref["sha256"], place, label, score, reason))
    with ledger.writing():
        ledger.review.keep_open(values)
        ledger.review.add(doubts)
    return len(doubts)


def _finds(value: Value) -> Iterator[tuple[int, str, float]]:
    """Position, label and score of each find in a value."""
    if isinstance(value, Detections):
        yield from ((place, one.label, one.score) for place, one in enumerate(value))
    elif isinstance(value, Poses):
        yield from ((place, PERSON, float(score)) for place, score in enumerate(value.scores))
    elif isinstance(value, Transcript):
        for place, segment in enumerate(value.segments):
            if segment.score is not None:
                yield place, TEXT, segment.score


def queue(
    ledger: Ledger, label: str = "", reason: str = "", everything: bool = False, limit: int = -1
) -> Iterator[QueuedFind]:
    """Detections that wait for a verdict, the least certain first.

    Args:
        ledger: of the run.
        label: of the detections; "" for all.
        reason: "band" or "audit"; "" for both.
        everything: include detections that have a verdict.
        limit: maximum number; -1 for all.
    """
    return ledger.review.queue(label, reason, everything, limit)


def resolve(
    ledger: Ledger, number: int, verdict: Verdict, correct: str = "", who: str = "", shape: Shape | None = None
) -> None:
    """Write a person's verdict on a find; it replaces the same person's earlier one, and counts as the latest.

    Args:
        ledger: of the run.
        number: `QueuedFind.id`.
        verdict: "accepted", "rejected" (nothing is there) or "corrected" (it is something else, or elsewhere).
        correct: the right label, when corrected; "" for the same where a shape is given.
        who: name of the person.
        shape: what is right besides the label, when corrected.

    Raises:
        ReviewError: there is no such find, or a corrected one has neither label nor shape, or another one has one.
    """
    changed = "" if shape is None else shape.dumps()
    if verdict not in ("accepted", "rejected", "corrected") or (verdict == "corrected") != bool(
        correct.strip() or changed
    ):
        raise ReviewError(
            f"{verdict!r} with the label {correct!r} is no verdict", "Accept, reject, or correct with the right label"
        )
    with ledger.writing():
        if not ledger.review.decide(number, verdict, correct.strip(), who, now(), changed):
            raise ReviewError(f"There is nothing with the number {number} in the queue", "superlink review lists it")


def now() -> str:
    """The time as verdicts have it: in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def precision(ledger: Ledger) -> list[Precision]:
    """Precision of each label, from the random sample alone: doubtful detections would bias it."""
    return [
        Precision(label, right, audited, *wilson(right, audited))
        for label, right, audited in ledger.review.audit_counts()
    ]


def agreement(ledger: Ledger) -> Agreement:
    """How often people who looked at the same find gave the same verdict and label."""
    return Agreement(*ledger.review.agreement())


def withdraw(ledger: Ledger, number: int, who: str) -> None:
    """Take a person's verdict back; the latest of other people's counts again.

    Raises:
        ReviewError: this person gave none.
    """
    with ledger.writing():
        if ledger.review.verdict_of(number, who) is None:
            raise ReviewError(f"There is no verdict of {who} on {number}", "superlink review --all lists the verdicts")
        ledger.review.withdraw(number, who)


def is_taught(ledger: Ledger, examples: Examples | None) -> bool:
    """Whether the plan of a run is an example of a person's own.

    Args:
        ledger: of the run.
        examples: of the person; None where they are switched off.

    Raises:
        ReviewError: it cannot be one.
        SuperlinkError: the examples cannot be read.
    """
    examples, shown = _teachable(ledger, examples)
    return examples.holds(shown)


def teach(ledger: Ledger, examples: Examples | None, wanted: bool = True) -> None:
    """Keep the plan of a run as an example for later plans, as the person who judged its finds wants it, or no longer.

    Args:
        ledger: of the run.
        examples: of the person; None where they are switched off.
        wanted: whether it is kept; False removes the person's own.

    Raises:
        ReviewError: it cannot be one.
        SuperlinkError: the examples cannot be written.
    """
    examples, shown = _teachable(ledger, examples)
    if wanted:
        examples.teach(shown, "reviewed")
    elif examples.holds(shown):
        examples.forget(shown)


def _teachable(ledger: Ledger, examples: Examples | None) -> tuple[Examples, Demonstration]:
    if examples is None:
        raise ReviewError("Examples are switched off", "superlink examples on")
    if ledger.example is None:
        raise ReviewError(
            "The plan of this run cannot be an example: it has no request, or names values that planners cannot",
            'Add one by hand: superlink examples add "…" --plan plan.json',
        )
    return examples, ledger.example


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of right / count after Wilson (1927), "Probable inference, the law of succession"."""
    if not count:
        return 0.0, 1.0
    share, z2 = right / count, _Z**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)
