"""The ledger: every item, and every step of the plan on it, in one SQLite file beside the results.

Work is kept apart from items: a row of `works` is one finished call of a tool, found by what went in, so that two items
with the same content share it and a changed plan finds again what it has in common with the one before.
"""

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.plan.plan import Plan
from agents.session.state import Refs, listed
from flows.items.addresses import absolute_address, common_folder, relative_address
from flows.items.run_files import LEDGER, RESULTS
from flows.items.source import SourceItem
from flows.ledger import schema
from flows.ledger.review_queue import ReviewTable
from flows.ledger.rows import (
    FinishedCall,
    ItemFault,
    LedgerItem,
    Rows,
    ScanChanges,
    StepCost,
    StepRow,
    compact_json,
    parse_item,
    parse_json,
    parse_refs,
)
from tools.core.errors import SuperlinkError
from tools.storage.database import Database, connect
from tools.storage.store import Ref


class LedgerError(SuperlinkError):
    """The ledger cannot be read or written."""


class Ledger:
    """An open ledger; several processes may have it open.

    Attributes:
        file: the SQLite file.
        review: the review queue.

    Args:
        file: the SQLite file; made when missing, with its folder.

    Raises:
        LedgerError: when it cannot be opened, or is of another version.
    """

    def __init__(self, file: Path) -> None:
        """Open or make the file."""
        self.file = file
        self._db: Database = connect(
            file, "The ledger", f"superlink repair {shlex.quote(str(file.parent))}", LedgerError
        )
        try:
            self._db.execute("PRAGMA cache_size = -4000")
            if schema.version(self._db) != schema.VERSION:
                with self.writing():  # another process may be about to do the same
                    schema.bring_up_to_date(self._db, self._is_beside_results)
            if missing := schema.NAMES - schema.tables(self._db):
                raise self._db.damaged(f"its table {min(missing)} is missing")
        except BaseException:
            self._db.close()
            raise
        self.review = ReviewTable(self._db)
        self._plan: tuple[str | None, Plan] | None = None  # with the text that it was parsed from

    def _is_beside_results(self) -> bool:
        return str(self.file) != ":memory:" and any(any(self.file.parent.glob(pattern)) for pattern in RESULTS)

    @classmethod
    def open_existing(cls, folder: Path) -> "Ledger":
        """Open the ledger of a folder where a run has been.

        Raises:
            LedgerError: when there is none.
        """
        if not (folder / LEDGER).is_file():
            raise LedgerError(f"There is no {LEDGER} in {folder}", "Give the folder that superlink annotate wrote to")
        return cls(folder / LEDGER)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make what is written inside the block one transaction: all of it is there, or nothing.

        Raises:
            LedgerError: when the disk is full or the file cannot be written.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk ends it by itself
                self._db.execute("ROLLBACK")
            raise

    def fact(self, name: str) -> Any:
        """A fact of the run ("plan", "signature", "source", "review", …), or None."""
        return self._fact_in(name, self._fact_text(name))

    def _fact_text(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _fact_in(self, name: str, text: str | None) -> Any:
        try:
            return None if text is None else json.loads(text)
        except ValueError as error:
            raise self._db.damaged(f"its fact {name!r} is no JSON") from error

    def set_facts(self, **facts: Any) -> None:
        """Set facts of the run."""
        with self.writing():
            self._set(facts)

    @property
    def plan(self) -> Plan:
        """The plan of the last run; parsed once, until another run notes a different one.

        Raises:
            LedgerError: when nothing ran yet.
        """
        text = self._fact_text("plan")
        if self._plan is None or self._plan[0] != text:
            plan = self._fact_in("plan", text)
            if plan is None:
                raise LedgerError(f"The ledger {self.file} has no plan yet", "Run superlink annotate first")
            try:
                self._plan = text, Plan.load(plan)
            except SuperlinkError as error:
                raise self._db.damaged(f"its plan is none: {error.message}") from error
        return self._plan[1]

    @property
    def root(self) -> str:
        """The folder that addresses of items are relative to, wherever it was moved together with the run; "" for none."""
        root = str(self.fact("root") or "")
        return root if not root or os.path.exists(root) else self.after_move(root)

    def after_move(self, path: str) -> str:
        """Where a path would be now, had it been moved together with the run's folder since the last scan."""
        before, now = self.fact("out"), os.path.abspath(self.file.parent)
        if not before or before == now or not os.path.isabs(path):
            return path
        there = os.path.normpath(os.path.join(now, os.path.relpath(path, before)))
        return there if os.path.exists(there) else path

    def record_scan(self, items: Sequence[SourceItem], source: str = "") -> ScanChanges:
        """Take in a scan. Items whose size and stamp are as before keep what was done on them, wherever they are now.

        Args:
            items: that were found.
            source: where; its folder may later be moved together with the run's.
        """
        root = source if os.path.isdir(source) else common_folder(items)
        with self.writing():
            before = {
                row[0]: row[1:] for row in self._db.execute("SELECT name, address, size, stamp, state FROM items")
            }
            scan = int(self.fact("scan") or 0) + 1
            facts = {"scan": scan, "root": root, "out": os.path.abspath(self.file.parent)}
            self._set(facts)
            new = changed = 0
            rows: list[tuple[Any, ...]] = []
            moved: list[tuple[bytes, str]] = []
            for item in items:
                known = before.pop(item.name, None)
                address = relative_address(item.address, root)
                if known is None or known[1:3] != (item.size, item.stamp) or known[3] == "gone":
                    new, changed = new + (known is None), changed + (known is not None)
                    rows.append((item.name, address, item.size, item.stamp, scan))
                elif known[0] != address:
                    moved.append((address, item.name))
            self._db.executemany(
                "INSERT INTO items (name, address, size, stamp, scan) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET address = excluded.address, size = excluded.size, stamp = excluded.stamp, scan = excluded.scan, "
                "state = 'new', signature = '', sha256 = NULL, ref = NULL, error = '', hint = ''",
                rows,
            )
            self._db.executemany("UPDATE items SET address = ? WHERE name = ?", moved)
            gone = [(name,) for name, was in before.items() if was[3] != "gone"]
            self._db.executemany("UPDATE items SET state = 'gone', signature = '' WHERE name = ?", gone)
        return ScanChanges(len(items), new, changed, len(gone))

    def pending(self, signature: str, retry_failed: bool = False) -> list[int]:
        """Numbers of the items to work on, in order of name: all that are not settled for this signature.

        Args:
            signature: of plan, tools and weights.
            retry_failed: instead, only those that failed for it.
        """
        settled = "state IN ('done', 'failed') AND signature = ?"
        where = "state = 'failed' AND signature = ?" if retry_failed else f"state != 'gone' AND NOT ({settled})"
        return [row[0] for row in self._db.execute(f"SELECT id FROM items WHERE {where} ORDER BY name", (signature,))]

    def items(self, ids: Sequence[int]) -> list[LedgerItem]:
        """Items by number, in that order."""
        marks = ",".join("?" * len(ids))
        root = self.root
        found = {
            row[0]: parse_item(row, root)
            for row in self._db.execute(
                f"SELECT id, name, address, size, stamp, state, ref FROM items WHERE id IN ({marks})", list(ids)
            )
        }
        if lost := set(ids) - found.keys():
            raise self._db.damaged(f"it lacks the item {min(lost)}")
        return [found[number] for number in ids]

    def set_content(self, refs: Mapping[int, Ref]) -> None:
        """Note the content of items."""
        with self.writing():
            self._db.executemany(
                "UPDATE items SET sha256 = ?, ref = ? WHERE id = ?",
                [(ref["sha256"], compact_json(ref), number) for number, ref in refs.items()],
            )

    def candidates(self, bases: Sequence[str]) -> dict[str, list[FinishedCall]]:
        """Finished work with these bases, whatever weights were used; what cannot be read counts as never done."""
        marks = ",".join("?" * len(bases))
        found: dict[str, list[FinishedCall]] = {}
        for row in self._db.execute(
            f"SELECT key, base, tool, weights, roles, refs, seconds FROM works WHERE base IN ({marks})", list(bases)
        ):
            key, base, tool, weights, roles, refs, seconds = row
            read = parse_refs(refs)
            if read is not None and all(parse_json(text) is not None for text in (weights, roles)):
                found.setdefault(base, []).append(FinishedCall(key, base, tool, weights, roles, read, seconds))
        return found

    def record(self, works: Iterable[FinishedCall], steps: Iterable[StepRow]) -> None:
        """Write finished work, and how steps came out, at once.

        Work of a known key was done again because what came out was lost, so it takes the place of the old.
        """
        with self.writing():
            self._db.executemany(
                "INSERT OR REPLACE INTO works VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (*work[:5], compact_json(work.refs), work.seconds, sum(ref["bytes"] for ref in listed(work.refs)))
                    for work in works
                ],
            )
            self._db.executemany("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", list(steps))

    def settle(self, outcomes: Iterable[tuple[int, str, str, str]], signature: str) -> None:
        """Note that items are "done" or "failed" for a signature: number, state, error, hint of each.

        What failed is opened anew when it is tried again, in case its noted content is at fault.
        """
        with self.writing():
            self._db.executemany(
                "UPDATE items SET state = ?1, error = ?2, hint = ?3, signature = ?4, ref = iif(?1 = 'failed', NULL, ref), "
                "sha256 = iif(?1 = 'failed', NULL, sha256) WHERE id = ?5",
                [(state, error, hint, signature, number) for number, state, error, hint in outcomes],
            )

    def reopen(self, damaged: Mapping[int, SuperlinkError]) -> None:
        """Note of items that were done that a value of theirs is damaged or lost, and why; they are to be worked again."""
        with self.writing():
            self._db.executemany(
                "UPDATE items SET state = 'new', error = ?, hint = ? WHERE id = ?",
                [(error.message, error.hint, number) for number, error in damaged.items()],
            )

    def reopened(self) -> dict[int, ItemFault]:
        """The items that were reopened and not worked since, by number, in order of name."""
        return {
            row[0]: ItemFault(*row[1:])
            for row in self._db.execute(
                "SELECT id, name, error, hint FROM items WHERE state = 'new' AND error != '' ORDER BY name"
            )
        }

    def counts(self) -> dict[str, int]:
        """How many items are "done" and "failed" for the run's signature, "left", and "gone" from the source."""
        return dict(
            self._db.execute(
                "SELECT CASE WHEN state = 'gone' THEN state WHEN state = 'new' OR signature != ? THEN 'left' ELSE state END "
                "AS stands, count(*) FROM items GROUP BY stands",
                (self._signature,),
            ).fetchall()
        )

    def failures(self, limit: int = -1) -> list[ItemFault]:
        """Failed items, in order of name; at most `limit` of them, unless it is negative."""
        rows = self._db.execute(
            "SELECT name, error, hint FROM items WHERE state = 'failed' AND signature = ? ORDER BY name LIMIT ?",
            (self._signature, limit),
        )
        return [ItemFault(*row) for row in rows]

    def failed_addresses(self) -> list[tuple[str, str, str, str]]:
        """Name, path or URL, reason and hint of failed items, in order of name."""
        root = self.root
        rows = self._db.execute(
            "SELECT name, address, error, hint FROM items WHERE state = 'failed' AND signature = ? ORDER BY name",
            (self._signature,),
        )
        return [(name, absolute_address(address, root), error, hint) for name, address, error, hint in rows]

    def done(self, ids: Sequence[int] | None = None) -> Iterator[tuple[LedgerItem, dict[str, Refs]]]:
        """Each item that is done, in order of name, with what its steps gave.

        Args:
            ids: only these.
        """
        chosen = [
            row[0]
            for row in self._db.execute(
                "SELECT id FROM items WHERE state = 'done' AND signature = ?1 "
                "AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2))) ORDER BY name",
                (self._signature, None if ids is None else json.dumps(list(ids))),
            )
        ]
        names = {step.id for step in self.plan.steps}
        for at in range(0, len(chosen), 256):
            part = chosen[at : at + 256]
            marks = ",".join("?" * len(part))
            refs: dict[int, dict[str, Refs]] = {}
            for item, step, found in self._db.execute(
                f"SELECT item, step, refs FROM steps JOIN works ON key = work WHERE item IN ({marks})", part
            ):
                if step in names:
                    read = parse_refs(found)
                    if read is None:
                        raise self._db.damaged(f"what step {step} gave for item {item} cannot be read")
                    refs.setdefault(item, {})[step] = read
            for entry in self.items(part):
                if entry.ref is None:
                    raise self._db.damaged(f"the content of {entry.name} cannot be read")
                yield entry, refs.get(entry.id, {})

    def media_kinds(self) -> set[str]:
        """Kinds of the items that are done ("Image", "Audio", "Video")."""
        return {
            row[0]
            for row in self._db.execute(
                "SELECT DISTINCT json_extract(ref, '$.kind') FROM items WHERE state = 'done' AND signature = ? AND json_valid(ref)",
                (self._signature,),
            )
        }

    def multi_page_items(self) -> list[str]:
        """Names of the items that are done and have several pages or frames, in order of name."""
        return [
            row[0]
            for row in self._db.execute(
                "SELECT name FROM items WHERE state = 'done' AND json_extract(ref, '$.summary.pages') > 1 ORDER BY name"
            )
        ]

    def sample(self, step: str) -> list[Ref]:
        """What a step gave on some item; empty when it gave nothing on any."""
        row = self._db.execute(
            "SELECT refs FROM steps JOIN works ON key = work WHERE step = ? AND refs != '[]' LIMIT 1", (step,)
        ).fetchone()
        return [] if row is None else listed(parse_refs(row[0]) or [])

    def finished_steps(self) -> Iterator[tuple[str, str]]:
        """Item's name and step, wherever a step is finished, also on items that are not done."""
        return self._db.execute(
            "SELECT name, step FROM steps JOIN items ON items.id = item WHERE steps.state = 'finished'"
        )

    def work_counts(self) -> tuple[int, int]:
        """How many finished calls there are, and how many when those that differ in their weights alone are one."""
        works, bases = self._db.execute("SELECT count(*), count(DISTINCT base) FROM works").fetchone()
        return works, bases

    def value_bytes(self, ids: Sequence[int] | None = None) -> int:
        """Bytes of the values that finished calls gave, those shared by several calls counted for each.

        Args:
            ids: only of calls for these items.
        """
        sql = "SELECT coalesce(sum(bytes), 0) FROM works"
        if ids is not None:
            sql += f" WHERE key IN (SELECT work FROM steps WHERE item IN ({','.join('?' * len(ids))}))"
        return int(self._db.execute(sql, list(ids or ())).fetchone()[0])

    def step_cost(self, step: str, tool: str) -> StepCost:
        """What a step took, on the items that are done or failed.

        Args:
            step: of the plan.
            tool: of the step. A row of another tool is left from an earlier plan, on an item that failed before it came
                to this step.
        """
        own = (
            "FROM steps JOIN items ON items.id = item LEFT JOIN works ON key = work WHERE step = ? AND "
            "items.signature = ? AND items.state IN ('done', 'failed') "
        )
        values = (step, self._signature)
        items, calls = self._db.execute(
            f"SELECT count(*), count(DISTINCT key) {own} AND tool = ?", (*values, tool)
        ).fetchone()
        (failed,) = self._db.execute(f"SELECT count(*) {own} AND steps.state = 'failed'", values).fetchone()
        (seconds,) = self._db.execute(
            f"SELECT coalesce(sum(seconds), 0) FROM works WHERE key IN (SELECT work {own} AND tool = ?)",
            (*values, tool),
        ).fetchone()
        return StepCost(items, failed, calls, seconds)

    def rows(self, ids: Sequence[int] | None = None) -> Rows:
        """Plain rows, for `insert` of another ledger.

        Args:
            ids: only these items and the work that is finished on them; by default all items, works, steps and finds.
        """
        if ids is None:
            return {table: self._rows(table) for table in schema.COPIED}
        some = f"({','.join(map(str, ids))})"
        return {
            "items": self._rows("items", f"id IN {some}"),
            "works": self._rows("works", f"key IN (SELECT work FROM steps WHERE item IN {some})"),
        }

    def _rows(self, table: str, where: str = "1") -> list[tuple[Any, ...]]:
        return self._db.execute(f"SELECT {schema.COPIED[table]} FROM {table} WHERE {where}").fetchall()

    def insert(self, rows: Rows) -> None:
        """Put in what `rows` gave, within the transaction at hand; verdicts that are there stay as they are."""
        for table, some in rows.items():
            verb = "IGNORE" if table == "review" else "REPLACE"
            columns = schema.COPIED[table]
            marks = ", ".join("?" * len(columns.split(",")))
            self._db.executemany(f"INSERT OR {verb} INTO {table} ({columns}) VALUES ({marks})", some)

    @property
    def _signature(self) -> str:
        return str(self.fact("signature") or "")

    def _set(self, facts: Mapping[str, Any]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO facts VALUES (?, ?)",
            [(name, json.dumps(value, sort_keys=True)) for name, value in facts.items()],
        )
