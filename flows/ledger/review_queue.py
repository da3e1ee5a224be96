"""The review queue in the ledger: one row for each find that people should look at, with their verdict."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tools.storage.database import Database

_FINDS = "review JOIN items ON items.id = item"
_CHANGED = "verdict IN ('rejected', 'corrected')"


class QueuedFind(NamedTuple):
    """One find in the queue; `item` is the item's name, `correct` the label that a person gave."""

    id: int
    item: str
    step: str
    label: str
    score: float
    reason: str
    verdict: str
    correct: str


class FindRow(NamedTuple):
    """One row of `review`; `item` is the item's number, `place` the position of the find within its value."""

    item: int
    step: str
    sha256: str
    place: int
    label: str
    score: float
    reason: str
    verdict: str
    correct: str
    who: str
    time: str


class ReviewTable:
    """The table `review` of an open ledger, as `Ledger.review`; rows come out as tuples.

    Args:
        db: of the ledger.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, finds: Iterable[tuple[int, str, str, int, str, float, str]]) -> None:
        """Put detections in the queue, within the open transaction; those that are there stay as they are.

        Args:
            finds: item, step, sha256 of the value, place within it, label, score and reason of each.
        """
        self._db.executemany(
            "INSERT OR IGNORE INTO review (item, step, sha256, place, label, score, reason) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            finds,
        )

    def decide(self, number: int, verdict: str, correct: str, who: str, time: str) -> bool:
        """Set the verdict on a find, within the open transaction; return whether there is such a find."""
        done = self._db.execute(
            "UPDATE review SET verdict = ?, correct = ?, who = ?, time = ? WHERE id = ?",
            (verdict, correct, who, time, number),
        )
        return done.rowcount > 0

    def queue(self, label: str, reason: str, everything: bool, limit: int) -> Iterator[QueuedFind]:
        """Detections on items that are done, the least certain first.

        Args:
            label: of the detections; "" for all.
            reason: "band" or "audit"; "" for both.
            everything: include detections that have a verdict.
            limit: maximum number; -1 for all.
        """
        rows = self._db.execute(
            f"SELECT review.id, name, step, label, score, reason, verdict, correct FROM {_FINDS} "
            "WHERE items.state = 'done' AND (? OR verdict = '') AND (? = '' OR label = ?) AND (? = '' OR reason = ?) "
            "ORDER BY score, review.id LIMIT ?",
            (everything, label, label, reason, reason, limit),
        )
        return (QueuedFind(*row) for row in rows)

    def count(self, ids: Sequence[int]) -> int:
        """Number of detections of these items, with a verdict or without."""
        marks = ",".join("?" * len(ids))
        return int(self._db.execute(f"SELECT count(*) FROM review WHERE item IN ({marks})", list(ids)).fetchone()[0])

    def waiting(self) -> int:
        """Number of detections without a verdict, on items that are done."""
        sql = f"SELECT count(*) FROM {_FINDS} WHERE items.state = 'done' AND verdict = ''"
        return int(self._db.execute(sql).fetchone()[0])

    def decided_count(self) -> int:
        """Number of detections with a verdict."""
        return int(self._db.execute("SELECT count(*) FROM review WHERE verdict != ''").fetchone()[0])

    def by_verdict(self) -> list[tuple[str, str, int]]:
        """Reason, verdict, and number of detections with both, on items that are done."""
        return self._db.execute(
            f"SELECT reason, verdict, count(*) FROM {_FINDS} WHERE items.state = 'done' GROUP BY 1, 2"
        ).fetchall()

    def audit_counts(self) -> list[tuple[str, int, int]]:
        """Label, number of its audited detections that were accepted, and number audited, in order of label."""
        return self._db.execute(
            "SELECT label, sum(verdict = 'accepted'), count(*) FROM review WHERE reason = 'audit' AND verdict != '' "
            "GROUP BY label ORDER BY label"
        ).fetchall()

    def changes(self) -> list[tuple[str, str, str, float, str]]:
        """Item's name, step, label, score and correct label ("" where rejected) of detections that people changed."""
        return self._db.execute(
            f"SELECT name, step, label, score, correct FROM {_FINDS} WHERE {_CHANGED} ORDER BY name, step, place"
        ).fetchall()

    def verdicts(self) -> Iterator[tuple[int, str, str, int, str, str]]:
        """Item, step, sha256, place, verdict and correct label of detections that people changed."""
        return self._db.execute(f"SELECT item, step, sha256, place, verdict, correct FROM review WHERE {_CHANGED}")

    def rows(self) -> Iterator[FindRow]:
        """All detections, in order of place."""
        rows = self._db.execute(f"SELECT {', '.join(FindRow._fields)} FROM review ORDER BY place")
        return (FindRow(*row) for row in rows)
