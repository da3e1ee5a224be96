"""A new ledger from the readable rows of a damaged one, without rows that cannot be right."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from flows.ledger import schema
from flows.ledger.keys import work_key
from flows.ledger.ledger import Ledger
from flows.ledger.review_queue import PERSON
from flows.ledger.rows import SqlValue, parse_refs
from tools.storage.salvage import Row, Salvage
from tools.storage.store import Ref, as_list

_NAME = re.compile("[a-z_]{1,40}")
# An item with only its number left: the next scan adds its file and keeps the number.
_NAMED = "INSERT OR IGNORE INTO items (name, id, address, size, stamp, scan) VALUES (?, ?, x'', -1, '', 0)"
_STATES = ("new", "done", "failed", "gone")


class RepairedLedger(Ledger):
    """A ledger under repair; no other process has it open."""

    def salvage(self, file: Path) -> None:
        """Insert the rows of a damaged ledger that can be read."""
        salvage = Salvage(file, self._db)
        with self.writing():
            for table in sorted(schema.NAMES):
                self._insert(table, (row for row in salvage.rows(table) if _is_valid(table, row)))
            for table, row in salvage.strays():
                if _is_valid(table, row):
                    self._insert(table, [row])
            # The numbers of items whose rows are lost, so that verdicts on them stay theirs.
            names = (
                entry for entry in salvage.index("sqlite_autoindex_items_1") if list(map(type, entry)) == [str, int]
            )
            self._db.executemany(_NAMED, names)
            self._db.execute(schema.LATEST_VERDICTS)

    def _insert(self, table: str, rows: Iterable[Row]) -> int:
        width = len(self._columns(table))
        sql = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * width)})"
        return self._db.executemany(sql, (row for row in rows if len(row) == width)).rowcount

    def _columns(self, table: str) -> list[str]:
        return [row[1] for row in self._db.execute(f"PRAGMA table_info({table})")]

    def remove_invalid_rows(self) -> list[str]:
        """Delete rows that cannot be right or belong to no item; return in words what was deleted."""
        faults = []
        with self.writing():
            for table in sorted(schema.NAMES):
                unfit = [row for row in self._db.execute(f"SELECT * FROM {table}") if not _is_valid(table, row)]
                if unfit:
                    faults.append(f"{len(unfit)} rows of {table} cannot be read")
                    names, keys = self._columns(table), _KEYS[table].split(", ")
                    marks = ", ".join("?" * len(keys))
                    self._db.executemany(
                        f"DELETE FROM {table} WHERE ({_KEYS[table]}) = ({marks})",
                        [[row[names.index(key)] for key in keys] for row in unfit],
                    )
                if table == "items":  # verdicts on them stay theirs
                    self._db.executemany(_NAMED, [(row[1], row[0]) for row in unfit if row[1]])
            for table in ("steps", "review"):
                strayed = self._db.execute(f"DELETE FROM {table} WHERE item NOT IN (SELECT id FROM items)").rowcount
                if strayed:
                    faults.append(f"{strayed} rows of {table} belong to no item")
            strayed = self._db.execute("DELETE FROM verdicts WHERE find NOT IN (SELECT id FROM review)").rowcount
            if strayed:
                faults.append(f"{strayed} verdicts are on no find")
        return faults

    def values(self) -> Iterator[tuple[str, list[Ref]]]:
        """Key and results of each finished call."""
        for key, text in self._db.execute("SELECT key, refs FROM works"):
            yield key, as_list(parse_refs(text) or [])

    def remove_works(self, keys: Iterable[str]) -> None:
        """Delete finished calls, so that they are run again."""
        with self.writing():
            self._db.executemany("DELETE FROM works WHERE key = ?", [(key,) for key in keys])

    def reopen_incomplete(self) -> int:
        """Have done items worked again that lack their content or a step's result; return their number."""
        with self.writing():
            steps = [] if self.fact("plan") is None else [step.id for step in self.plan.steps]
            whole = (
                "SELECT item FROM steps JOIN works ON key = work WHERE steps.state = 'finished' "
                "AND step IN (SELECT value FROM json_each(?1)) GROUP BY item HAVING count(*) = json_array_length(?1)"
            )
            return self._db.execute(
                f"UPDATE items SET state = 'new', signature = '' WHERE state = 'done' AND signature = ?2 "
                f"AND (ref IS NULL OR id NOT IN ({whole}))",
                (json.dumps(steps), self._signature),
            ).rowcount

    def forget_plan(self) -> None:
        """Delete a plan that cannot be read, and its request."""
        with self.writing():
            self._db.execute("DELETE FROM facts WHERE name IN ('plan', 'request')")

    def commonest_signature(self) -> str | None:
        """The signature for which most items are done; None when none is."""
        row = self._db.execute(
            "SELECT signature FROM items WHERE state = 'done' GROUP BY 1 ORDER BY count(*) DESC"
        ).fetchone()
        return None if row is None else row[0]

    def results(self) -> Iterator[tuple[str, str, list[Ref]]]:
        """Item's name, step, and the step's results."""
        for name, step, text in self._db.execute(
            "SELECT name, step, refs FROM steps JOIN works ON key = work JOIN items ON id = item"
        ):
            yield name, step, as_list(parse_refs(text) or [])

    def restore_verdict(self, item: str, find: tuple[SqlValue, ...], shape: str = "") -> bool:
        """Insert a verdict that was lost, and its item where that is lost, too.

        Args:
            item: its name.
            find: step, sha256, place, label, score, reason, verdict, correct label, who and time.
            shape: what the person changed besides the label, as JSON, or "".

        Returns:
            False when the find is in the queue already, or cannot be right.
        """
        if not _is_valid("review", (None, 0, *find)):
            return False
        with self.writing():
            self._db.execute(_NAMED, (item, None))
            (number,) = self._db.execute("SELECT id FROM items WHERE name = ?", (item,)).fetchone()
            if self._insert("review", [(None, number, *find)]) == 0:
                return False
            (new,) = self._db.execute("SELECT last_insert_rowid()").fetchone()
            *_, verdict, correct, who, time = find
            row = (new, who, verdict, correct, shape, time)
            if _is_valid("verdicts", row):
                self._insert("verdicts", [row])
            return True


def _is_valid(table: str, row: Row) -> bool:
    """Whether a row can be right: SQLite does not notice a changed byte, and a stray row may be of another table."""
    try:
        return _VALIDATORS[table](*row)
    except (ValueError, TypeError, KeyError):
        return False


def _is_valid_fact(name: str, value: str) -> bool:
    json.loads(value)
    return _NAME.fullmatch(name) is not None


def _is_valid_item(
    number: int,
    name: str,
    address: bytes,
    size: int,
    stamp: str,
    scan: int,
    state: str,
    signature: str,
    sha256: str | None,
    ref: str | None,
    error: str,
    hint: str,
) -> bool:
    return bool(name) and state in _STATES and (ref is None or isinstance(parse_refs(ref), dict))


def _is_valid_step(item: int, step: str, state: str, work: str, error: str, hint: str, seconds: float) -> bool:
    return state in ("finished", "failed")


def _is_valid_work(
    key: str, base: str, tool: str, weights: str, roles: str, refs: str, seconds: float, size: int
) -> bool:
    return (
        key == work_key(base, json.loads(weights))
        and isinstance(json.loads(roles), dict)
        and parse_refs(refs) is not None
    )


def _is_valid_find(
    number: int,
    item: int,
    step: str,
    sha256: str,
    place: int,
    label: str,
    score: float,
    reason: str,
    verdict: str,
    correct: str,
    who: str,
    time: str,
) -> bool:
    return (
        reason in ("band", "audit", PERSON) and verdict in ("", "accepted", "rejected", "corrected") and 0 <= score <= 1
    )


def _is_valid_verdict(find: int, who: str, verdict: str, correct: str, shape: str, time: str) -> bool:
    return verdict in ("accepted", "rejected", "corrected") and isinstance(json.loads(shape or "{}"), dict)


_VALIDATORS: dict[str, Callable[..., bool]] = {
    "facts": _is_valid_fact,
    "items": _is_valid_item,
    "steps": _is_valid_step,
    "works": _is_valid_work,
    "review": _is_valid_find,
    "verdicts": _is_valid_verdict,
}
_KEYS = {"facts": "name", "items": "id", "steps": "item, step", "works": "key", "review": "id", "verdicts": "find, who"}
