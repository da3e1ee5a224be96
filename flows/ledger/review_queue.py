"""The review queue in the ledger: one row for each find that people should look at, and what they say of it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tools.storage.database import Database

_FINDS = "review JOIN items ON items.id = item"
_CHANGED = "verdict IN ('rejected', 'corrected')"


class ReviewTable:
    """The table `review` of an open ledger, as `Ledger.review`; rows come out as tuples.

    Args:
        db: of the ledger.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, finds: Iterable[tuple[int, str, str, int, str, float, str]]) -> None:
        """Put finds in the queue, within the transaction at hand; those there already stay as they are.

        Args:
            finds: item, step, sha256 of the value, place within it, label, score and reason of each.
        """
        self._db.executemany(
            "INSERT OR IGNORE INTO review (item, step, sha256, place, label, score, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
            finds,
        )

    def decide(self, number: int, verdict: str, correct: str, who: str, time: str) -> bool:
        """Note a verdict on a find, within the transaction at hand; return whether there is such a find."""
        done = self._db.execute(
            "UPDATE review SET verdict = ?, correct = ?, who = ?, time = ? WHERE id = ?",
            (verdict, correct, who, time, number),
        )
        return done.rowcount > 0

    def queue(self, label: str, reason: str, everything: bool, limit: int) -> Iterator[tuple[Any, ...]]:
        """Number, item, step, label, score, reason, verdict and right label of finds, the least certain first.

        Args:
            label: only this one; "" for all.
            reason: only "band" or "audit"; "" for both.
            everything: with finds that have a verdict.
            limit: so many at most; -1 for all.
        """
        return self._db.execute(
            f"SELECT review.id, name, step, label, score, reason, verdict, correct FROM {_FINDS} "
            "WHERE items.state = 'done' AND (? OR verdict = '') AND (? = '' OR label = ?) AND (? = '' OR reason = ?) "
            "ORDER BY score, review.id LIMIT ?",
            (everything, label, label, reason, reason, limit),
        )

    def count(self, ids: Sequence[int]) -> int:
        """How many finds of these items are in the queue, with a verdict or without."""
        marks = ",".join("?" * len(ids))
        return int(self._db.execute(f"SELECT count(*) FROM review WHERE item IN ({marks})", list(ids)).fetchone()[0])

    def waiting(self) -> int:
        """How many finds have no verdict, on items that are done."""
        sql = f"SELECT count(*) FROM {_FINDS} WHERE items.state = 'done' AND verdict = ''"
        return int(self._db.execute(sql).fetchone()[0])

    def decided(self) -> int:
        """How many finds have a verdict."""
        return int(self._db.execute("SELECT count(*) FROM review WHERE verdict != ''").fetchone()[0])

    def by_verdict(self) -> list[tuple[str, str, int]]:
        """Reason, verdict, and how many finds have both, on items that are done."""
        return self._db.execute(
            f"SELECT reason, verdict, count(*) FROM {_FINDS} WHERE items.state = 'done' GROUP BY 1, 2"
        ).fetchall()

    def audited(self) -> list[tuple[str, int, int]]:
        """Label, how many of its audited finds were accepted, and how many were audited, in order of label."""
        return self._db.execute(
            "SELECT label, sum(verdict = 'accepted'), count(*) FROM review WHERE reason = 'audit' AND verdict != '' "
            "GROUP BY label ORDER BY label"
        ).fetchall()

    def changes(self) -> list[tuple[str, str, str, float, str]]:
        """Item's name, step, label, score and right label ("" where rejected) of finds that people changed."""
        return self._db.execute(
            f"SELECT name, step, label, score, correct FROM {_FINDS} WHERE {_CHANGED} ORDER BY name, step, place"
        ).fetchall()

    def verdicts(self) -> Iterator[tuple[int, str, str, int, str, str]]:
        """Item, step, sha256, place, verdict and right label of finds that people changed."""
        return self._db.execute(f"SELECT item, step, sha256, place, verdict, correct FROM review WHERE {_CHANGED}")

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Item, step, sha256, place, label, score, reason, verdict, right label, who and time of each find, by place."""
        return self._db.execute(
            "SELECT item, step, sha256, place, label, score, reason, verdict, correct, who, time FROM review ORDER BY place"
        )
