"""The review queue in parts: what comes before and after a find, without reading all of it.

The order is: doubtful finds, then the random sample; within each by score, the lowest first.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from tools.storage.database import Database

State = Literal["", "open", "accepted", "fixed", "rejected", "mine"]
"""State of a find: "" for any; "mine" where the person has not given a verdict, whatever others said."""

_COLUMNS = "review.id, item, name, step, review.sha256, place, label, score, reason, verdict, correct, who"
_FROM = "FROM review JOIN items ON items.id = item WHERE items.state = 'done' AND reason IN ('band', 'audit')"
# Numbers of items that are not done are few; looking each item up would take longer than all the rest.
_COUNTED = (
    "FROM review WHERE item NOT IN (SELECT id FROM items WHERE state IN ('new', 'failed', 'gone')) "
    "AND reason IN ('band', 'audit')"
)
_VERDICTS = {"open": "", "accepted": "accepted", "fixed": "corrected", "rejected": "rejected"}
_AFTER = "(reason < :reason OR (reason = :reason AND (score, review.id) > (:score, :id)))"
_BEFORE = "(reason > :reason OR (reason = :reason AND (score, review.id) < (:score, :id)))"
_FORWARD = "ORDER BY reason DESC, score, review.id"
_BACKWARD = "ORDER BY reason, score DESC, review.id DESC"


@dataclass(frozen=True)
class Filter:
    """Which finds of the queue are shown.

    Attributes:
        label: as the tool gave it; "" for all.
        reason: "band" or "audit"; "" for both.
        state: see `State`.
        least: lowest score.
        most: highest score.
        who: the person who looks, for the state "mine".
    """

    label: str = ""
    reason: str = ""
    state: State = ""
    least: float = 0.0
    most: float = 1.0
    who: str = ""

    def sql(self) -> tuple[str, dict[str, Any]]:
        """Condition and its values."""
        parts, values = [], {"label": self.label, "only": self.reason, "least": self.least, "most": self.most}
        if self.label:
            parts.append("label = :label")
        if self.reason:
            parts.append("reason = :only")
        if self.least > 0 or self.most < 1:
            parts.append("score BETWEEN :least AND :most")
        if self.state == "mine":
            parts.append("NOT EXISTS (SELECT 1 FROM verdicts WHERE find = review.id AND verdicts.who = :who)")
            values["who"] = self.who
        elif self.state:
            parts.append("verdict = :verdict")
            values["verdict"] = _VERDICTS[self.state]
        return "".join(f" AND {part}" for part in parts), values


class Entry(NamedTuple):
    """A find of the queue; `item` is the item's number and `name` its name, `who` gave the latest verdict."""

    id: int
    item: int
    name: str
    step: str
    sha256: str
    place: int
    label: str
    score: float
    reason: str
    verdict: str
    correct: str
    who: str


class QueuePages:
    """The queue of an open ledger, as `ReviewTable.pages`.

    Args:
        db: of the ledger.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def entry(self, number: int) -> Entry | None:
        """A find by its number; None where it is not in the queue, or its item is not done."""
        return self._first(f"SELECT {_COLUMNS} {_FROM} AND review.id = ?", (number,))

    def after(self, entry: Entry | None, which: Filter, count: int = 1) -> list[Entry]:
        """The next finds after one, or the first of the queue."""
        return self._part(entry, which, count, _AFTER, _FORWARD)

    def before(self, entry: Entry | None, which: Filter, count: int = 1) -> list[Entry]:
        """The finds before one, the nearest first, or the last of the queue."""
        return self._part(entry, which, count, _BEFORE, _BACKWARD)

    def position(self, entry: Entry, which: Filter) -> int:
        """Number of finds before one."""
        where, values = which.sql()
        return self._number(f"SELECT count(*) {_COUNTED}{where} AND {_BEFORE}", {**entry._asdict(), **values})

    def count(self, which: Filter) -> int:
        """Number of finds."""
        where, values = which.sql()
        return self._number(f"SELECT count(*) {_COUNTED}{where}", values)

    def matches(self, entry: Entry, which: Filter) -> bool:
        """Whether a find is among those that are shown."""
        where, values = which.sql()
        return self._number(f"SELECT count(*) {_FROM}{where} AND review.id = :id", {**values, "id": entry.id}) > 0

    def labels(self) -> list[str]:
        """All labels in the queue, sorted."""
        return [row[0] for row in self._db.execute(f"SELECT DISTINCT label {_COUNTED} ORDER BY label")]

    def states(self) -> dict[str, int]:
        """Verdict ("" for none) to number of finds."""
        return dict(self._db.execute(f"SELECT verdict, count(*) {_COUNTED} GROUP BY verdict").fetchall())

    def _part(self, entry: Entry | None, which: Filter, count: int, side: str, order: str) -> list[Entry]:
        where, values = which.sql()
        if entry is not None:
            where, values = f"{where} AND {side}", {**entry._asdict(), **values}
        rows = self._db.execute(f"SELECT {_COLUMNS} {_FROM}{where} {order} LIMIT :count", {**values, "count": count})
        return [Entry(*row) for row in rows]

    def _first(self, sql: str, values: Any) -> Entry | None:
        row = self._db.execute(sql, values).fetchone()
        return None if row is None else Entry(*row)

    def _number(self, sql: str, values: Any) -> int:
        return int(self._db.execute(sql, values).fetchone()[0])
