"""The ledger: every item, and every step of the plan on it, in one SQLite file beside the results.

Work is kept apart from items: a row of `works` is one finished call of a tool, found by what went in, so that two items
with the same content share it and a changed plan finds again what it has in common with the one before.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from agents.plan import Plan
from agents.state import Refs
from flows.source import Item
from tools.errors import SuperlinkError
from tools.store import Ref

FILE = "ledger.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- state: new, done, failed, gone (no longer in the source). signature: of the plan for which it is done or failed.
CREATE TABLE items (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, address BLOB NOT NULL, size INTEGER NOT NULL, stamp TEXT NOT NULL,
    scan INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'new', signature TEXT NOT NULL DEFAULT '',
    sha256 TEXT, ref TEXT, error TEXT NOT NULL DEFAULT '', hint TEXT NOT NULL DEFAULT '');
CREATE INDEX items_state ON items (state, signature);
CREATE TABLE steps (
    item INTEGER NOT NULL REFERENCES items (id), step TEXT NOT NULL, state TEXT NOT NULL, work TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '', hint TEXT NOT NULL DEFAULT '', seconds REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (item, step)) WITHOUT ROWID;
-- base: of tool, version, arguments and inputs. key: of these and the weights that were used. roles: which roles pointed
-- to these weights. refs: what came out, with its provenance.
CREATE TABLE works (
    key TEXT PRIMARY KEY, base TEXT NOT NULL, tool TEXT NOT NULL, weights TEXT NOT NULL, roles TEXT NOT NULL,
    refs TEXT NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX works_base ON works (base);
-- One thing that was found, for a person to look at. sha256 and place: of the value and within it.
CREATE TABLE review (
    id INTEGER PRIMARY KEY, item INTEGER NOT NULL, step TEXT NOT NULL, sha256 TEXT NOT NULL, place INTEGER NOT NULL,
    label TEXT NOT NULL, score REAL NOT NULL, reason TEXT NOT NULL, verdict TEXT NOT NULL DEFAULT '',
    correct TEXT NOT NULL DEFAULT '', who TEXT NOT NULL DEFAULT '', time TEXT NOT NULL DEFAULT '',
    UNIQUE (item, step, sha256, place));
CREATE INDEX review_open ON review (verdict, reason);
"""


class LedgerError(SuperlinkError):
    """The ledger cannot be read or written."""


class Entry(NamedTuple):
    """An item as the ledger has it; `ref` is None before it was opened."""

    id: int
    name: str
    address: str
    size: int
    stamp: str
    state: str
    ref: Ref | None


class Work(NamedTuple):
    """A finished call of a tool; `refs` is what came out."""

    key: str
    base: str
    tool: str
    weights: str
    roles: str
    refs: Refs
    seconds: float


class StepRow(NamedTuple):
    """How a step came out on an item; `work` is the key of its work, or its base where it failed."""

    item: int
    step: str
    state: str
    work: str
    error: str = ""
    hint: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Taken:
    """What a scan changed: how many items there are, and how many are new, changed, and gone."""

    items: int
    new: int
    changed: int
    gone: int


class Ledger:
    """An open ledger; several processes may have it open.

    Args:
        file: the SQLite file; made when missing, with its folder.

    Raises:
        LedgerError: when it cannot be opened, or is of another version.
    """

    def __init__(self, file: Path) -> None:
        """Open or make the file."""
        self.file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(file, timeout=60, isolation_level=None, check_same_thread=False)
            # A killed process loses nothing; a power cut may lose the last moments, which are then worked again.
            self.db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4000;")
            with self.writing():
                version = self.db.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    for statement in _SCHEMA.split(";"):
                        self.db.execute(statement)
                    self.db.execute(f"PRAGMA user_version = {_VERSION}")
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(f"The ledger {file} cannot be opened: {error}",
                              "Check the folder's permissions and the space left") from error  # fmt: skip
        if version not in (0, _VERSION):
            raise LedgerError(f"The ledger {file} is of version {version}, not {_VERSION}", "Use another folder")

    @classmethod
    def existing(cls, folder: Path) -> "Ledger":
        """Open the ledger of a folder where a run has been.

        Raises:
            LedgerError: when there is none.
        """
        if not (folder / FILE).is_file():
            raise LedgerError(f"There is no {FILE} in {folder}", "Give the folder that superlink annotate wrote to")
        return cls(folder / FILE)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make what is written inside the block one transaction: all of it is there, or nothing.

        Raises:
            LedgerError: when the disk is full or the file cannot be written.
        """
        try:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise LedgerError(f"The ledger {self.file} cannot be written: {error}",
                              "Free some space and give the same command again; it goes on where it stopped"
                              ) from error  # fmt: skip

    def fact(self, name: str) -> Any:
        """A fact of the run ("plan", "signature", "source", "review", …), or None."""
        row = self.db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def note(self, **facts: Any) -> None:
        """Set facts of the run."""
        with self.writing():
            self.db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)",
                                [(name, json.dumps(value, sort_keys=True)) for name, value in facts.items()])  # fmt: skip

    @property
    def plan(self) -> Plan:
        """The plan of the last run.

        Raises:
            LedgerError: when nothing ran yet.
        """
        plan = self.fact("plan")
        if plan is None:
            raise LedgerError(f"The ledger {self.file} has no plan yet", "Run superlink annotate first")
        return Plan.load(plan)

    def take(self, items: Iterable[Item]) -> Taken:
        """Take in a scan. Items whose size and stamp are as before keep what was done on them."""
        with self.writing():
            before = {row[0]: row[1:] for row in self.db.execute("SELECT name, size, stamp, state FROM items")}
            scan = int(self.fact("scan") or 0) + 1
            self.db.execute("INSERT OR REPLACE INTO facts VALUES ('scan', ?)", (str(scan),))
            count = new = changed = 0
            rows = []
            for item in items:
                count += 1
                known = before.get(item.name)
                same = known is not None and known == (item.size, item.stamp, known[2]) and known[2] != "gone"
                if not same:
                    new, changed = new + (known is None), changed + (known is not None)
                    rows.append((item.name, _packed(item.address), item.size, item.stamp, scan))
                before.pop(item.name, None)
            self.db.executemany(
                "INSERT INTO items (name, address, size, stamp, scan) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET address = excluded.address, size = excluded.size, stamp = excluded.stamp, scan = excluded.scan, "
                "state = 'new', signature = '', sha256 = NULL, ref = NULL, error = '', hint = ''", rows)  # fmt: skip
            gone = [(name,) for name, facts in before.items() if facts[2] != "gone"]
            self.db.executemany("UPDATE items SET state = 'gone', signature = '' WHERE name = ?", gone)
        return Taken(count, new, changed, len(gone))

    def pending(self, signature: str, retry_failed: bool = False) -> list[int]:
        """Numbers of the items to work on, in order of name: all that are not settled for this signature.

        Args:
            signature: of plan, tools and weights.
            retry_failed: instead, only those that failed for it.
        """
        settled = "state IN ('done', 'failed') AND signature = ?"
        where = "state = 'failed' AND signature = ?" if retry_failed else f"state != 'gone' AND NOT ({settled})"
        return [row[0] for row in self.db.execute(f"SELECT id FROM items WHERE {where} ORDER BY name", (signature,))]

    def entries(self, ids: Sequence[int]) -> list[Entry]:
        """Items by number, in that order."""
        marks = ",".join("?" * len(ids))
        found = {row[0]: _entry(row) for row in self.db.execute(
            f"SELECT id, name, address, size, stamp, state, ref FROM items WHERE id IN ({marks})", list(ids))}  # fmt: skip
        return [found[number] for number in ids]

    def opened(self, refs: Mapping[int, Ref]) -> None:
        """Note the content of items."""
        with self.writing():
            self.db.executemany("UPDATE items SET sha256 = ?, ref = ? WHERE id = ?",
                                [(ref["sha256"], _json(ref), number) for number, ref in refs.items()])  # fmt: skip

    def candidates(self, bases: Sequence[str]) -> dict[str, list[Work]]:
        """Finished work with these bases, whatever weights were used."""
        marks = ",".join("?" * len(bases))
        found: dict[str, list[Work]] = {}
        for row in self.db.execute(
            f"SELECT key, base, tool, weights, roles, refs, seconds FROM works WHERE base IN ({marks})", list(bases)
        ):
            key, base, tool, weights, roles, refs, seconds = row
            found.setdefault(base, []).append(Work(key, base, tool, weights, roles, json.loads(refs), seconds))
        return found

    def record(self, works: Iterable[Work], steps: Iterable[StepRow]) -> None:
        """Write finished work, and how steps came out, at once."""
        with self.writing():
            self.db.executemany(
                "INSERT OR IGNORE INTO works VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(*work[:5], _json(work.refs), work.seconds, sum(ref["bytes"] for ref in listed(work.refs)))
                 for work in works])  # fmt: skip
            self.db.executemany("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", list(steps))

    def settle(self, outcomes: Iterable[tuple[int, str, str, str]], signature: str) -> None:
        """Note that items are "done" or "failed" for a signature: number, state, error, hint of each."""
        with self.writing():
            self.db.executemany("UPDATE items SET state = ?, error = ?, hint = ?, signature = ? WHERE id = ?",
                                [(state, error, hint, signature, number) for number, state, error, hint in outcomes])  # fmt: skip

    def counts(self) -> dict[str, int]:
        """How many items are "done" and "failed" for the run's signature, "left", and "gone" from the source."""
        return dict(self.db.execute(
            "SELECT CASE WHEN state = 'gone' THEN state WHEN state = 'new' OR signature != ? THEN 'left' ELSE state END "
            "AS stands, count(*) FROM items GROUP BY stands", (self._signature,)).fetchall())  # fmt: skip

    def failures(self, limit: int = -1) -> list[tuple[str, str, str]]:
        """Name, reason and hint of failed items, in order of name."""
        return self.db.execute(
            "SELECT name, error, hint FROM items WHERE state = 'failed' AND signature = ? ORDER BY name LIMIT ?",
            (self._signature, limit)).fetchall()  # fmt: skip

    def done(self, ids: Sequence[int] | None = None) -> Iterator[tuple[Entry, dict[str, Refs]]]:
        """Each item that is done, in order of name, with what its steps gave.

        Args:
            ids: only these.
        """
        chosen = [row[0] for row in self.db.execute(
            "SELECT id FROM items WHERE state = 'done' AND signature = ?1 "
            "AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2))) ORDER BY name",
            (self._signature, None if ids is None else json.dumps(list(ids))))]  # fmt: skip
        names = {step.id for step in self.plan.steps}
        for at in range(0, len(chosen), 256):
            part = chosen[at:at + 256]  # fmt: skip
            marks = ",".join("?" * len(part))
            refs: dict[int, dict[str, Refs]] = {}
            for item, step, found in self.db.execute(
                f"SELECT item, step, refs FROM steps JOIN works ON key = work WHERE item IN ({marks})", part
            ):
                if step in names:
                    refs.setdefault(item, {})[step] = json.loads(found)
            for entry in self.entries(part):
                yield entry, refs.get(entry.id, {})

    @property
    def _signature(self) -> str:
        return str(self.fact("signature") or "")


def listed(refs: Refs) -> list[Ref]:
    """What came out as a list, whether it is one or not."""
    return refs if isinstance(refs, list) else [refs]


def _entry(row: tuple[Any, ...]) -> Entry:
    number, name, address, size, stamp, state, ref = row
    return Entry(number, name, bytes(address).decode("utf-8", "surrogateescape"), size, stamp, state,
                 None if ref is None else json.loads(ref))  # fmt: skip


def _packed(address: str) -> bytes:
    return address.encode("utf-8", "surrogateescape")


def _json(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
