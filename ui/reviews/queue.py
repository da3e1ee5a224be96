"""The queue as a person goes through it: filter, place in it, neighbours."""

from dataclasses import dataclass

from flows.ledger.ledger import Ledger
from flows.ledger.review_pages import Entry, Filter

BEFORE, AFTER = 2, 6
"""Numbers of neighbours that are shown."""

STATES = {
    "All": "",
    "Open": "open",
    "Accepted": "accepted",
    "Fixed": "fixed",
    "Rejected": "rejected",
    "Not judged by me": "mine",
}
"""Words to `Filter.state`."""
REASONS = {"All": "", "Uncertain": "band", "Random sample": "audit"}
"""Words to `Filter.reason`."""
WORDS = {"": "Open", "accepted": "Accepted", "corrected": "Fixed", "rejected": "Rejected"}
"""Verdicts in words."""


@dataclass(frozen=True)
class Place:
    """Where a find is in the queue.

    Attributes:
        number: From 1; of a find that the filter leaves out, that of the one before it.
        total: Number of finds that the filter lets through.
        neighbours: Finds around it, itself among them, in order.
    """

    number: int
    total: int
    neighbours: tuple[Entry, ...]


class Queue:
    """Ways through the queue of a run. Only a few finds are read at a time.

    Args:
        ledger: Of the run.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._pages = ledger.review.pages

    def entry(self, number: int) -> Entry | None:
        """Return a find; None where it is not in the queue any more."""
        return self._pages.entry(number)

    def first(self, which: Filter) -> Entry | None:
        """Return the first find that is open, or else the first."""
        unjudged = self._pages.after(None, _open(which)) if which.state in ("", "open", "mine") else []
        return self._one(unjudged) or self._one(self._pages.after(None, which))

    def next(self, entry: Entry, which: Filter) -> Entry | None:
        """Return the find after one; None at the end."""
        return self._one(self._pages.after(entry, which))

    def previous(self, entry: Entry, which: Filter) -> Entry | None:
        """Return the find before one; None at the beginning."""
        return self._one(self._pages.before(entry, which))

    def next_open(self, entry: Entry, which: Filter) -> Entry | None:
        """Return the next open find, from the beginning again where there is none after this one."""
        found = self._one(self._pages.after(entry, _open(which))) or self._one(self._pages.after(None, _open(which)))
        return None if found is not None and found.id == entry.id else found

    def place(self, entry: Entry, which: Filter) -> Place:
        """Return where a find is."""
        before = self._pages.before(entry, which, BEFORE)
        after = self._pages.after(entry, which, AFTER)
        number = self._pages.position(entry, which) + self._pages.matches(entry, which)
        return Place(number, self._pages.count(which), (*reversed(before), entry, *after))

    def labels(self) -> list[str]:
        """Return all labels in the queue."""
        return self._pages.labels()

    @staticmethod
    def _one(found: list[Entry]) -> Entry | None:
        return found[0] if found else None


def _open(which: Filter) -> Filter:
    """Return the filter for finds without a verdict; of a person who looks at those of others, without theirs."""
    state = which.state if which.state == "mine" else "open"
    return Filter(which.label, which.reason, state, which.least, which.most, which.who)
