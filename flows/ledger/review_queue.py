"""The review queue in the ledger: one row for each find that people should look at, with their verdicts."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from flows.ledger.review_pages import QueuePages
from tools.storage.database import Database

_FINDS = "review JOIN items ON items.id = item"
_LATEST = f"{_FINDS} LEFT JOIN verdicts ON find = review.id AND verdicts.who = review.who"
_CHANGED = "review.verdict IN ('rejected', 'corrected')"
PERSON = "person"
"""Reason of a find that is in the table only because a person added or changed it."""


class QueuedFind(NamedTuple):
    """One find in the queue; `item` is the item's name, `correct` and `shape` what a person gave instead."""

    id: int
    item: str
    step: str
    label: str
    score: float
    reason: str
    verdict: str
    correct: str
    shape: str = ""


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


class FindKey(NamedTuple):
    """Where a find is: number of the item, step, sha256 of the value, and position within it.

    Positions below 0 are those of what people added.
    """

    item: int
    step: str
    sha256: str
    place: int


class PersonalVerdict(NamedTuple):
    """Verdict of one person on a find; `shape` is what they changed besides the label, as JSON, or ""."""

    verdict: str
    correct: str
    shape: str
    who: str
    time: str


class Change(NamedTuple):
    """A find that people rejected or corrected, after the latest verdict."""

    item: int
    step: str
    sha256: str
    place: int
    verdict: str
    correct: str
    shape: str


class ReviewTable:
    """The tables `review` and `verdicts` of an open ledger, as `Ledger.review`; rows come out as tuples.

    Attributes:
        pages: the queue in parts.

    Args:
        db: of the ledger.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self.pages = QueuePages(db)

    def add(self, finds: Iterable[tuple[int, str, str, int, str, float, str]]) -> None:
        """Put finds in the queue, within the open transaction; those that are there stay as they are.

        Args:
            finds: item, step, sha256 of the value, place within it, label, score and reason of each.
        """
        self._db.executemany(
            "INSERT INTO review (item, step, sha256, place, label, score, reason) VALUES (?, ?, ?, ?, ?, ?, ?) "
            f"ON CONFLICT DO UPDATE SET reason = excluded.reason WHERE reason = '{PERSON}'",
            finds,
        )

    def keep_open(self, values: Mapping[int, AbstractSet[tuple[str, str]]]) -> None:
        """Remove the open finds of items, except those in these values, within the open transaction.

        Args:
            values: number of an item to step and sha256 of its values.
        """
        rows = self._db.execute(
            "SELECT id, item, step, sha256 FROM review WHERE verdict = '' AND item IN (SELECT value FROM json_each(?))",
            (json.dumps(list(values)),),
        ).fetchall()
        gone = [(number,) for number, item, step, sha256 in rows if (step, sha256) not in values[item]]
        self._db.executemany("DELETE FROM review WHERE id = ?", gone)

    def decide(self, number: int, verdict: str, correct: str, who: str, time: str, shape: str = "") -> bool:
        """Set a person's verdict on a find, within the open transaction; return whether there is such a find."""
        done = self._db.execute(
            "UPDATE review SET verdict = ?, correct = ?, who = ?, time = ? WHERE id = ?",
            (verdict, correct, who, time, number),
        )
        if done.rowcount > 0:
            values = (number, who, verdict, correct, shape, time)
            self._db.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", values)
        return done.rowcount > 0

    def withdraw(self, number: int, who: str) -> None:
        """Remove a person's verdict, within the open transaction; the latest of the others counts again."""
        self._db.execute("DELETE FROM verdicts WHERE find = ? AND who = ?", (number, who))
        self._db.execute(
            "UPDATE review SET (verdict, correct, who, time) = "
            "(SELECT verdict, correct, who, time FROM verdicts WHERE find = ?1 "
            "UNION ALL SELECT '', '', '', '' ORDER BY time DESC LIMIT 1) WHERE id = ?1",
            (number,),
        )
        self._db.execute(f"DELETE FROM review WHERE id = ? AND reason = '{PERSON}' AND verdict = ''", (number,))

    def add_by_person(self, key: FindKey, label: str, score: float) -> int:
        """Put a find in the table because a person added or changed it, within the open transaction.

        Returns:
            Its number; that of before where it is there already.
        """
        self._db.execute(
            "INSERT OR IGNORE INTO review (item, step, sha256, place, label, score, reason) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, label, score, PERSON),
        )
        number = self.number_of(key)
        assert number is not None
        return number

    def free_place(self, key: FindKey) -> int:
        """A position below 0 within a find's value at which nothing was added yet."""
        (least,) = self._db.execute(
            "SELECT min(place) FROM review WHERE (item, step, sha256) = (?, ?, ?)", key[:3]
        ).fetchone()
        return min(0, least or 0) - 1

    def number_of(self, key: FindKey) -> int | None:
        """The number of a find; None where it is not in the table."""
        row = self._db.execute("SELECT id FROM review WHERE (item, step, sha256, place) = (?, ?, ?, ?)", key).fetchone()
        return None if row is None else int(row[0])

    def key_of(self, number: int) -> FindKey | None:
        """Where a find is; None where there is no such number."""
        row = self._db.execute("SELECT item, step, sha256, place FROM review WHERE id = ?", (number,)).fetchone()
        return None if row is None else FindKey(*row)

    def verdict_of(self, number: int, who: str) -> PersonalVerdict | None:
        """The verdict of a person on a find; None where there is none."""
        row = self._db.execute(
            "SELECT verdict, correct, shape, who, time FROM verdicts WHERE find = ? AND who = ?", (number, who)
        ).fetchone()
        return None if row is None else PersonalVerdict(*row)

    def queue(self, label: str, reason: str, everything: bool, limit: int) -> Iterator[QueuedFind]:
        """Detections on items that are done, the least certain first.

        Args:
            label: of the detections; "" for all.
            reason: "band", "audit" or "person"; "" for all.
            everything: include detections that have a verdict.
            limit: maximum number; -1 for all.
        """
        rows = self._db.execute(
            "SELECT review.id, name, step, label, score, reason, review.verdict, review.correct, coalesce(shape, '') "
            f"FROM {_LATEST} WHERE items.state = 'done' AND (? OR review.verdict = '') "
            "AND (? = '' OR label = ?) AND (? = '' OR reason = ?) "
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

    def agreement(self) -> tuple[int, int]:
        """Number of finds on which two or more people gave a verdict, and on which all of these were the same."""
        several, same = self._db.execute(
            "SELECT count(*), coalesce(sum(kinds = 1), 0) FROM "
            "(SELECT count(DISTINCT verdicts.verdict || ' ' || verdicts.correct) AS kinds "
            f"FROM verdicts JOIN review ON review.id = find WHERE reason != '{PERSON}' "
            "GROUP BY find HAVING count(*) > 1)"
        ).fetchone()
        return int(several), int(same)

    def pace(self, who: str, since: str) -> tuple[int, str, str]:
        """Number of a person's verdicts on finds of the queue since a time, and times of the first and the last."""
        count, first, last = self._db.execute(
            "SELECT count(*), coalesce(min(verdicts.time), ''), coalesce(max(verdicts.time), '') "
            "FROM verdicts JOIN review ON review.id = find "
            f"WHERE verdicts.who = ? AND verdicts.time >= ? AND reason != '{PERSON}'",
            (who, since),
        ).fetchone()
        return int(count), str(first), str(last)

    def changes(self) -> list[tuple[str, str, str, float, str]]:
        """Item's name, step, label, score and correct label ("" where rejected) of detections that people changed."""
        return self._db.execute(
            f"SELECT name, step, label, score, correct FROM {_FINDS} WHERE {_CHANGED} ORDER BY name, step, place"
        ).fetchall()

    def corrections(self, item: int | None = None) -> Iterator[Change]:
        """Finds that people changed, after the latest verdict; of one item or of all."""
        rows = self._db.execute(
            "SELECT item, step, review.sha256, place, review.verdict, review.correct, coalesce(shape, '') "
            f"FROM {_LATEST} WHERE {_CHANGED} AND (?1 IS NULL OR item = ?1) ORDER BY place < 0, abs(place)",
            (item,),
        )
        return (Change(*row) for row in rows)

    def rows(self) -> Iterator[FindRow]:
        """All detections, in order of place."""
        rows = self._db.execute(f"SELECT {', '.join(FindRow._fields)} FROM review ORDER BY place")
        return (FindRow(*row) for row in rows)
