"""What a person decides about finds, kept in the ledger at once, and taken back step by step."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from flows.batch.corrections import Correction
from flows.batch.review import ReviewError, now
from flows.ledger.ledger import Ledger
from flows.ledger.review_pages import Entry
from flows.ledger.review_queue import FindKey, PersonalVerdict
from tools.values import Detections, Poses, Transcript
from ui.reviews.corrections import label_of, verdict

_STEPS = 500


@dataclass
class _Step:
    """Verdicts of the person before and after something was done at a find.

    Attributes:
        find: Number of the find.
        before: Verdict by find; None for none.
        after: Verdict by find; None for none.
        closed: Whether a verdict ended the work at this find.
    """

    find: int
    before: dict[FindKey, PersonalVerdict | None] = field(default_factory=dict)
    after: dict[FindKey, PersonalVerdict | None] = field(default_factory=dict)
    closed: bool = False


class Decisions:
    """Decisions of one person in one run.

    Args:
        ledger: Of the run.
        who: Name of the person.
    """

    def __init__(self, ledger: Ledger, who: str) -> None:
        self._ledger, self._who = ledger, who
        self._past: list[_Step] = []
        self._future: list[_Step] = []
        self._labels: dict[FindKey, tuple[str, float]] = {}  # of finds that are in the table only while changed

    def accept(self, entry: Entry) -> str:
        """Say that a find is right, as it is shown: where it was corrected, the correction.

        Returns:
            The verdict: "accepted" or "corrected".
        """
        key = key_of(entry)
        theirs = self._ledger.review.verdict_of(entry.id, entry.who) if entry.verdict == "corrected" else None
        with self._step(entry.id, [key], closes=True):
            if theirs is None:
                self._write(key, "accepted", "", "")
            else:
                self._write(key, theirs.verdict, theirs.correct, theirs.shape)
        return "accepted" if theirs is None else "corrected"

    def reject(self, entry: Entry) -> None:
        """Say that nothing is there."""
        key = key_of(entry)
        with self._step(entry.id, [key], closes=True):
            self._write(key, "rejected", "", "")

    def correct(
        self, entry: Entry, value: Detections | Poses | Transcript, changes: Mapping[int, Correction | None]
    ) -> None:
        """Keep changes of finds in the value of a find; those that are again as they were found are withdrawn."""
        keys = {place: key_of(entry)._replace(place=place) for place in changes}
        with self._step(entry.id, keys.values(), closes=False):
            for place, one in changes.items():
                key = keys[place]
                if one is not None:
                    self._labels[key] = label_of(value, place, one)
                    self._write(key, *verdict(one))
                elif self._mine(key) is not None:
                    self._withdraw(key)
                else:  # another person's: the find is right as it was, or what they added is not there
                    self._write(key, "accepted" if place >= 0 else "rejected", "", "")

    def changed(self, entry: Entry) -> bool:
        """Return whether something was changed at this find since the last decision."""
        return bool(self._past) and self._past[-1].find == entry.id and not self._past[-1].closed

    def undo(self) -> int | None:
        """Take the last step back; return the number of its find, or None when there is none."""
        return self._travel(self._past, self._future, back=True)

    def redo(self) -> int | None:
        """Do the last step that was taken back again; return the number of its find, or None when there is none."""
        return self._travel(self._future, self._past, back=False)

    @contextmanager
    def _step(self, find: int, keys: Iterable[FindKey], closes: bool) -> Iterator[None]:
        """Note the verdicts before and after what is done inside the block, which is one transaction."""
        keys = list(keys)
        with self._ledger.writing():
            before = {key: self._mine(key) for key in keys}
            yield
            after = {key: self._mine(key) for key in keys}
        last = self._past[-1] if self._past else None
        if last is None or last.find != find or last.closed:
            last = _Step(find)
            self._past = [*self._past[1 - _STEPS :], last]
        last.before = before | last.before
        last.after |= after
        last.closed = closes
        self._future.clear()
        if not closes and all(_same(last.before[key], last.after[key]) for key in last.before):
            self._past.pop()

    def _travel(self, here: list[_Step], there: list[_Step], back: bool) -> int | None:
        if not here:
            return None
        step = here[-1]
        with self._ledger.writing():
            for key, one in (step.before if back else step.after).items():
                if one is None:
                    self._withdraw(key)
                else:
                    self._write(key, one.verdict, one.correct, one.shape)
        there.append(here.pop())
        return step.find

    def _mine(self, key: FindKey) -> PersonalVerdict | None:
        number = self._ledger.review.number_of(key)
        return None if number is None else self._ledger.review.verdict_of(number, self._who)

    def _write(self, key: FindKey, *said: str) -> None:
        review = self._ledger.review
        number = review.number_of(key)
        if number is None:
            if key not in self._labels:
                raise ReviewError("This find is no longer in the queue", "Open the run again")
            number = review.add_by_person(key, *self._labels[key])
        what, label, shape = said
        review.decide(number, what, label, self._who, now(), shape)

    def _withdraw(self, key: FindKey) -> None:
        number = self._ledger.review.number_of(key)
        if number is not None:
            self._ledger.review.withdraw(number, self._who)


def key_of(entry: Entry) -> FindKey:
    """Return where a find is."""
    return FindKey(entry.item, entry.step, entry.sha256, entry.place)


def _same(one: PersonalVerdict | None, other: PersonalVerdict | None) -> bool:
    return (one and one[:3]) == (other and other[:3])
