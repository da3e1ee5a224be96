"""The ledger: every item, and every step of the plan on it, in one SQLite file beside the results.

A row of `works` is one finished call of a tool, with a key over what went in. Items with the same content share it, and
a changed plan reuses the calls that it has in common with the plan before.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from flows.items.addresses import absolute_address, common_folder, relative_address
from flows.items.run_files import LEDGER
from flows.items.source import SourceItem
from flows.ledger import schema
from flows.ledger.file import LedgerError, LedgerFile, OtherLayout
from flows.ledger.review_queue import ReviewTable
from flows.ledger.rows import (
    FailedItem,
    FinishedCall,
    ItemFault,
    LedgerItem,
    Rows,
    ScanChanges,
    SqlValue,
    StepCost,
    StepRow,
    compact_json,
    parse_item,
    parse_json,
    parse_refs,
)
from tools.core.errors import SuperlinkError
from tools.storage.store import Ref, Refs, as_list


class Ledger(LedgerFile):
    """An open ledger.

    Attributes:
        review: the review queue.

    Args:
        file: the SQLite file; made when missing, with its folder.
        read_only: the file is there, and is neither written nor migrated.

    Raises:
        LedgerError: it cannot be opened, is damaged, or is of a later version.
    """

    def __init__(self, file: Path, read_only: bool = False) -> None:
        """Open or make the file."""
        super().__init__(file, read_only)
        self.review = ReviewTable(self._db)

    @classmethod
    def open_existing(cls, folder: Path, read_only: bool = False) -> "Ledger":
        """Open the ledger of a folder where a run has been.

        Args:
            folder: of the run.
            read_only: for those who look on while a run works; a ledger of an earlier version is first brought up to
                date.

        Raises:
            LedgerError: there is none.
        """
        if not (folder / LEDGER).is_file():
            raise LedgerError(f"There is no {LEDGER} in {folder}", "Give the folder that superlink annotate wrote to")
        if not read_only:
            return cls(folder / LEDGER)
        try:
            return cls(folder / LEDGER, read_only=True)
        except OtherLayout:
            cls(folder / LEDGER).close()
            return cls(folder / LEDGER, read_only=True)

    def record_scan(self, items: Sequence[SourceItem], source: str = "") -> ScanChanges:
        """Write the items of a scan. Those with the size and stamp of before keep their results, wherever they are now.

        Args:
            items: that were found.
            source: absolute path or URL; its folder may later be moved together with the run's.
        """
        root = source if os.path.isdir(source) else common_folder(items)
        with self.writing():
            before = {
                row[0]: row[1:] for row in self._db.execute("SELECT name, address, size, stamp, state FROM items")
            }
            before_scan = self.fact("scan")
            scan = before_scan + 1 if isinstance(before_scan, int) else 1
            self._write_facts({"scan": scan, "root": root, "out": os.path.abspath(self.file.parent)})
            new = changed = 0
            rows: list[tuple[str, bytes, int, str, int]] = []
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
                "INSERT INTO items (name, address, size, stamp, scan) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET address = excluded.address, size = excluded.size, "
                "stamp = excluded.stamp, scan = excluded.scan, "
                "state = 'new', signature = '', sha256 = NULL, ref = NULL, error = '', hint = ''",
                rows,
            )
            self._db.executemany("UPDATE items SET address = ? WHERE name = ?", moved)
            gone = [(name,) for name, was in before.items() if was[3] != "gone"]
            self._db.executemany("UPDATE items SET state = 'gone', signature = '' WHERE name = ?", gone)
        return ScanChanges(len(items), new, changed, len(gone))

    def pending(self, signature: str, retry_failed: bool = False) -> list[int]:
        """Numbers of the items to work on, in order of name: those not settled for a signature.

        Args:
            signature: of plan, tools and weights.
            retry_failed: only the items that failed for this signature.
        """
        settled = "state IN ('done', 'failed') AND signature = ?"
        where = "state = 'failed' AND signature = ?" if retry_failed else f"state != 'gone' AND NOT ({settled})"
        return [row[0] for row in self._db.execute(f"SELECT id FROM items WHERE {where} ORDER BY name", (signature,))]

    def items(self, ids: Sequence[int]) -> list[LedgerItem]:
        """Items by number, in the given order.

        Raises:
            LedgerError: one of them is missing.
        """
        marks = ",".join("?" * len(ids))
        root = self.root
        found = {
            row[0]: parse_item(row, root)
            for row in self._db.execute(
                f"SELECT id, name, address, size, stamp, state, ref FROM items WHERE id IN ({marks})", list(ids)
            )
        }
        if lost := set(ids) - found.keys():
            raise self._db.damage_error(f"it lacks the item {min(lost)}")
        return [found[number] for number in ids]

    def set_content(self, refs: Mapping[int, Ref]) -> None:
        """Write the content of items that were opened, by number."""
        with self.writing():
            self._db.executemany(
                "UPDATE items SET sha256 = ?, ref = ? WHERE id = ?",
                [(ref["sha256"], compact_json(ref), number) for number, ref in refs.items()],
            )

    def candidates(self, bases: Sequence[str]) -> dict[str, list[FinishedCall]]:
        """Finished calls by base, whatever weights they used; rows that cannot be read are left out."""
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
        """Write finished calls and states of steps, in one transaction.

        A call with a known key was run again because its results were lost, so it replaces the old one.
        """
        with self.writing():
            self._db.executemany(
                "INSERT OR REPLACE INTO works VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (*work[:5], compact_json(work.refs), work.seconds, sum(ref["bytes"] for ref in as_list(work.refs)))
                    for work in works
                ],
            )
            self._db.executemany("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", list(steps))

    def settle(self, outcomes: Iterable[tuple[int, str, str, str]], signature: str) -> None:
        """Set items to "done" or "failed" for a signature.

        Failed items are opened again when they are retried, as their content may be at fault.

        Args:
            outcomes: number, state, error and hint of each item.
            signature: of plan, tools and weights.
        """
        with self.writing():
            self._db.executemany(
                "UPDATE items SET state = ?1, error = ?2, hint = ?3, signature = ?4, "
                "ref = iif(?1 = 'failed', NULL, ref), sha256 = iif(?1 = 'failed', NULL, sha256) WHERE id = ?5",
                [(state, error, hint, signature, number) for number, state, error, hint in outcomes],
            )

    def reopen(self, damaged: Mapping[int, SuperlinkError]) -> None:
        """Have done items worked again, by number, as a value of theirs is damaged or lost."""
        with self.writing():
            self._db.executemany(
                "UPDATE items SET state = 'new', error = ?, hint = ? WHERE id = ?",
                [(error.message, error.hint, number) for number, error in damaged.items()],
            )

    def reopened_items(self) -> dict[int, ItemFault]:
        """Items that were reopened and not worked since, by number, in order of name."""
        return {
            row[0]: ItemFault(*row[1:])
            for row in self._db.execute(
                "SELECT id, name, error, hint FROM items WHERE state = 'new' AND error != '' ORDER BY name"
            )
        }

    def counts(self) -> dict[str, int]:
        """Numbers of items: "done" and "failed" for the run's signature, "left", and "gone" from the source."""
        return dict(
            self._db.execute(
                "SELECT CASE WHEN state = 'gone' THEN state WHEN state = 'new' OR signature != ? THEN 'left' "
                "ELSE state END AS stands, count(*) FROM items GROUP BY stands",
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
        return [(row.name, row.address, row.reason, row.hint) for row in self.failed_items()]

    def failed_items(self) -> Iterator[FailedItem]:
        """Failed items, in order of name."""
        root = self.root
        rows = self._db.execute(
            "SELECT id, name, address, error, hint FROM items WHERE state = 'failed' AND signature = ? ORDER BY name",
            (self._signature,),
        )
        return (FailedItem(row[0], row[1], absolute_address(row[2], root), *row[3:]) for row in rows)

    def done(self, ids: Sequence[int] | None = None) -> Iterator[tuple[LedgerItem, dict[str, Refs]]]:
        """Done items in order of name, each with the results of its steps.

        Args:
            ids: numbers of the items; None for all.

        Raises:
            LedgerError: content or results of an item cannot be read.
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
                        raise self._db.damage_error(f"what step {step} gave for item {item} cannot be read")
                    refs.setdefault(item, {})[step] = read
            for entry in self.items(part):
                if entry.ref is None:
                    raise self._db.damage_error(f"the content of {entry.name} cannot be read")
                yield entry, refs.get(entry.id, {})

    def media_kinds(self) -> set[str]:
        """Kinds of the done items ("Image", "Audio", "Video")."""
        return {
            row[0]
            for row in self._db.execute(
                "SELECT DISTINCT json_extract(ref, '$.kind') FROM items "
                "WHERE state = 'done' AND signature = ? AND json_valid(ref)",
                (self._signature,),
            )
        }

    def multi_page_items(self) -> list[str]:
        """Names of the done items of several pages or frames, in order."""
        return [
            row[0]
            for row in self._db.execute(
                "SELECT name FROM items WHERE state = 'done' AND json_extract(ref, '$.summary.pages') > 1 ORDER BY name"
            )
        ]

    def sample(self, step: str) -> list[Ref]:
        """Results of a step on one item, any that has some; empty when there is none."""
        row = self._db.execute(
            "SELECT refs FROM steps JOIN works ON key = work WHERE step = ? AND refs != '[]' LIMIT 1", (step,)
        ).fetchone()
        return [] if row is None else as_list(parse_refs(row[0]) or [])

    def finished_steps(self) -> Iterator[tuple[str, str]]:
        """Item's name and step of every finished step, also on items that are not done."""
        return self._db.execute(
            "SELECT name, step FROM steps JOIN items ON items.id = item WHERE steps.state = 'finished'"
        )

    def work_counts(self) -> tuple[int, int]:
        """Number of finished calls, and of distinct bases among them."""
        works, bases = self._db.execute("SELECT count(*), count(DISTINCT base) FROM works").fetchone()
        return works, bases

    def value_bytes(self, ids: Sequence[int] | None = None) -> int:
        """Bytes of the results of finished calls; a value that several calls gave counts for each.

        Args:
            ids: numbers of the items whose calls count; None for all.
        """
        sql = "SELECT coalesce(sum(bytes), 0) FROM works"
        if ids is not None:
            sql += f" WHERE key IN (SELECT work FROM steps WHERE item IN ({','.join('?' * len(ids))}))"
        return int(self._db.execute(sql, list(ids or ())).fetchone()[0])

    def step_cost(self, step: str, tool: str) -> StepCost:
        """What a step took on the items that are done or failed.

        Args:
            step: of the plan.
            tool: of the step. A row of another tool is of an earlier plan, on an item that failed before this step.
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
        """Plain rows, to `insert` into another ledger.

        Args:
            ids: numbers of the items that go with their finished calls; None for all rows of all tables.
        """
        if ids is None:
            return {table: self._rows(table) for table in schema.COPIED}
        some = f"({','.join(map(str, ids))})"
        return {
            "items": self._rows("items", f"id IN {some}"),
            "works": self._rows("works", f"key IN (SELECT work FROM steps WHERE item IN {some})"),
        }

    def _rows(self, table: str, where: str = "1") -> list[tuple[SqlValue, ...]]:
        return self._db.execute(f"SELECT {schema.COPIED[table]} FROM {table} WHERE {where}").fetchall()

    def insert(self, rows: Rows) -> None:
        """Insert what `rows` returned, within the open transaction; detections that are there keep their verdicts."""
        for table, some in rows.items():
            verb = "IGNORE" if table == "review" else "REPLACE"
            columns = schema.COPIED[table]
            marks = ", ".join("?" * len(columns.split(",")))
            self._db.executemany(f"INSERT OR {verb} INTO {table} ({columns}) VALUES ({marks})", some)

    @property
    def _signature(self) -> str:
        return self.text("signature")
