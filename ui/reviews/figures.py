"""Figures of a review: precision of each label, pace of a person, and how often people agree."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flows.batch.review import Agreement, Precision, agreement, precision
from flows.ledger.ledger import Ledger
from ui.reviews.queue import WORDS

_MINUTES = 5


@dataclass(frozen=True)
class Figures:
    """What is known so far.

    Attributes:
        states: State in words to number of finds.
        judged: Number of finds with a verdict.
        total: Number of finds in the queue.
        precision: Of each label, from the random sample, with its 95 % interval after Wilson.
        pace: Finds a minute of this person over the last minutes; None where not known.
        agreement: Of several people on the same finds.
    """

    states: dict[str, int]
    judged: int
    total: int
    precision: list[Precision]
    pace: float | None
    agreement: Agreement


def figures(ledger: Ledger, who: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Figures:
    """Return the figures of a run.

    Args:
        ledger: Of the run.
        who: Whose pace.
        clock: Returns the time, in UTC.
    """
    found = ledger.review.pages.states()
    states = {word: found.get(verdict, 0) for verdict, word in WORDS.items()}
    since = (clock() - timedelta(minutes=_MINUTES)).isoformat(timespec="seconds")
    count, first, last = ledger.review.pace(who, since)
    # Times are to the second: of two finds within one, no pace can be told.
    seconds = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() if count > 1 else 0.0
    total = sum(states.values())
    return Figures(
        states,
        total - states[WORDS[""]],
        total,
        precision(ledger),
        60 * (count - 1) / seconds if seconds else None,
        agreement(ledger),
    )
