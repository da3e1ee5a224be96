"""Repairs the folder of a run: its ledger, and what the ledger says of values that are lost or damaged.

Nothing is changed in place. A new ledger is made of what can be read, checked row by row, and takes the place of the damaged
one, which is kept beside it. What cannot be recovered is run again by the next `superlink annotate`.
"""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows import schema
from flows.annotate import held
from flows.keys import work_key
from flows.ledger import FILE, RESULTS, Ledger, LedgerError, listed, refs_in
from tools.atomic import write_error
from tools.database import examine, put_in_place
from tools.errors import SuperlinkError
from tools.salvage import Row, Salvage
from tools.settings import settings
from tools.store import Store

_NAME = re.compile("[a-z_]{1,40}")
_EDIT = ("place", "label", "score", "verdict", "correct", "who", "time")
# An item of which no more is known: the next scan finds its file, and leaves it its number.
_NAMED = "INSERT OR IGNORE INTO items (name, id, address, size, stamp, scan) VALUES (?, ?, x'', -1, '', 0)"
_STATES = ("new", "done", "failed", "gone")


@dataclass
class Repair:
    """What a repair found and did.

    Attributes:
        faults: in words; none when everything is sound.
        kept: where the damaged ledger is now, if there was one.
        items: in the ledger.
        works: finished calls of tools.
        verdicts: of people.
        refound: how many of these were lost and are taken from the exports.
        again: how many items will be looked at again by the next run; their finished calls are not run again.
    """

    faults: list[str] = field(default_factory=list)
    kept: Path | None = None
    items: int = 0
    works: int = 0
    verdicts: int = 0
    refound: int = 0
    again: int = 0


def repair(folder: Path) -> Repair:
    """Repair the ledger of a run, and have it run again what is lost or damaged.

    Args:
        folder: of the run.

    Raises:
        LedgerError: when no run has been there, or the ledger is locked, of a newer version, or cannot be read.
        AnnotateError: when a run is working there.
        WriteError: when the new ledger cannot be written; the old one is untouched.
    """
    file = folder / FILE
    log = file.with_name(f"{FILE}-wal")
    if not file.exists() and not log.exists() and not any(any(folder.glob(pattern)) for pattern in RESULTS):
        raise LedgerError(f"There is no run in {folder}", "Give the folder that superlink annotate wrote to")
    draft = folder / ".repair"
    try:
        with held(folder):
            shutil.rmtree(draft, ignore_errors=True)
            try:
                return _repaired(folder, file, draft / FILE)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise write_error(error, file, f"A new ledger for {folder}") from error


def _repaired(folder: Path, file: Path, draft: Path) -> Repair:
    found = Repair(examine(file, "The ledger"))
    if not found.faults:
        try:
            Ledger(file).close()  # a newer version, another program's database: nothing to repair
        except LedgerError as error:
            _, damaged, reason = error.message.partition(" is damaged (")
            if not damaged:
                raise
            found.faults.append(reason.removesuffix(")"))
    draft.parent.mkdir()
    if found.faults:
        ledger = Ledger(draft)
        _salvage(file, ledger)
    else:
        with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(draft)) as new:
            old.backup(new)
        ledger = Ledger(draft)
    try:
        found.faults += _mend(ledger, folder)
        if found.faults:
            found.refound = _verdicts_of_exports(ledger, folder)
        counts = ledger.counts()
        found.items = sum(counts.values()) - counts.get("gone", 0)
        found.again = counts.get("left", 0)
        found.works = _count(ledger, "works")
        found.verdicts = _count(ledger, "review WHERE verdict != ''")
    finally:
        ledger.close()
    if found.faults:
        found.kept = put_in_place(draft, file)
    return found


def _count(ledger: Ledger, table: str) -> int:
    return int(ledger.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _salvage(file: Path, ledger: Ledger) -> None:
    """Fill a new ledger with the rows of a damaged one that can be read."""
    salvage = Salvage(file, ledger.db)
    with ledger.writing():
        for table in sorted(schema.NAMES):
            _insert(ledger, table, (row for row in salvage.rows(table) if _fits(table, row)))
        for table, row in salvage.strays():
            if _fits(table, row):
                _insert(ledger, table, [row])
        # The numbers of items whose rows are lost, so that verdicts on them stay theirs.
        names = (entry for entry in salvage.index("sqlite_autoindex_items_1") if list(map(type, entry)) == [str, int])
        ledger.db.executemany(_NAMED, names)


def _insert(ledger: Ledger, table: str, rows: Iterable[Row]) -> None:
    width = len(ledger.db.execute(f"PRAGMA table_info({table})").fetchall())
    ledger.db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * width)})",
                          (row for row in rows if len(row) == width))  # fmt: skip


def _fits(table: str, row: Row) -> bool:
    """Whether a row can be right. SQLite does not notice a changed byte in a text, and strays may be of another table."""
    try:
        return _FITS[table](*row)
    except (ValueError, TypeError, KeyError):
        return False


def _fact_fits(name: str, value: str) -> bool:
    json.loads(value)
    return _NAME.fullmatch(name) is not None


def _item_fits(number: int, name: str, address: bytes, size: int, stamp: str, scan: int, state: str, signature: str,
               sha256: str | None, ref: str | None, error: str, hint: str) -> bool:  # fmt: skip
    return bool(name) and state in _STATES and (ref is None or isinstance(refs_in(ref), dict))


def _step_fits(item: int, step: str, state: str, work: str, error: str, hint: str, seconds: float) -> bool:
    return state in ("finished", "failed")


def _work_fits(key: str, base: str, tool: str, weights: str, roles: str, refs: str, seconds: float, size: int) -> bool:
    return key == work_key(base, json.loads(weights)) and isinstance(json.loads(roles), dict) and refs_in(refs) is not None


def _review_fits(number: int, item: int, step: str, sha256: str, place: int, label: str, score: float, reason: str,
                 verdict: str, correct: str, who: str, time: str) -> bool:  # fmt: skip
    return reason in ("band", "audit") and verdict in ("", "accepted", "rejected", "corrected") and 0 <= score <= 1


_FITS: dict[str, Callable[..., bool]] = {"facts": _fact_fits, "items": _item_fits, "steps": _step_fits, "works": _work_fits,
                                         "review": _review_fits}  # fmt: skip
_KEYS = {"facts": "name", "items": "id", "steps": "item, step", "works": "key", "review": "id"}


def _mend(ledger: Ledger, folder: Path) -> list[str]:
    """Take out what cannot be right, and have items looked at again that lack something; say what was wrong."""
    faults = []
    with ledger.writing():
        for table in sorted(schema.NAMES):
            unfit = [row for row in ledger.db.execute(f"SELECT * FROM {table}") if not _fits(table, row)]
            if unfit:
                faults.append(f"{len(unfit)} rows of {table} cannot be read")
                names = [row[1] for row in ledger.db.execute(f"PRAGMA table_info({table})")]
                keys = _KEYS[table].split(", ")
                ledger.db.executemany(f"DELETE FROM {table} WHERE ({_KEYS[table]}) = ({', '.join('?' * len(keys))})",
                                      [[row[names.index(key)] for key in keys] for row in unfit])  # fmt: skip
            if table == "items":  # verdicts on them stay theirs
                ledger.db.executemany(_NAMED, [(row[1], row[0]) for row in unfit if row[1]])
        for table in ("steps", "review"):
            strayed = ledger.db.execute(f"DELETE FROM {table} WHERE item NOT IN (SELECT id FROM items)").rowcount
            if strayed:
                faults.append(f"{strayed} rows of {table} belong to no item")
    faults += _mend_facts(ledger, folder)
    lost = _lost_values(ledger)
    if lost:
        faults.append(f"{len(lost)} values of finished calls are missing or damaged in the store")
        with ledger.writing():
            ledger.db.executemany("DELETE FROM works WHERE key = ?", [(key,) for key in lost])
    with ledger.writing():
        steps = _steps(ledger)
        whole = ("SELECT item FROM steps JOIN works ON key = work WHERE steps.state = 'finished' AND step IN (SELECT value FROM "
                 "json_each(?1)) GROUP BY item HAVING count(*) = json_array_length(?1)")  # fmt: skip
        again = ledger.db.execute(
            f"UPDATE items SET state = 'new', signature = '' WHERE state = 'done' AND signature = ?2 AND (ref IS NULL OR "
            f"id NOT IN ({whole}))", (json.dumps(steps), ledger.fact("signature") or "")).rowcount  # fmt: skip
    if again:
        faults.append(f"{again} items lack a result")
    return faults


def _steps(ledger: Ledger) -> list[str]:
    return [] if ledger.fact("plan") is None else [step.id for step in ledger.plan.steps]


def _mend_facts(ledger: Ledger, folder: Path) -> list[str]:
    """Find plan and signature again where they are lost."""
    faults = []
    try:
        ledger.plan  # noqa: B018 -- raises when it cannot be read
    except LedgerError:
        if _count(ledger, "items"):
            faults.append("its plan is lost")
        with ledger.writing():
            ledger.db.execute("DELETE FROM facts WHERE name IN ('plan', 'request')")
        for made in _provenances(folder):
            ledger.note(plan=made["plan"], request=str(made.get("request") or ""))
            break
    if ledger.fact("signature") is None:
        row = ledger.db.execute(
            "SELECT signature FROM items WHERE state = 'done' GROUP BY 1 ORDER BY count(*) DESC").fetchone()  # fmt: skip
        if row is not None:
            faults.append("the signature of its plan is lost")
            ledger.note(signature=row[0])
    return faults


def _verdicts_of_exports(ledger: Ledger, folder: Path) -> int:
    """Take the verdicts that are lost from what the exports say of them; return how many."""
    values = dict(_values_of_exports(folder))
    for item, step, text in ledger.db.execute(
        "SELECT name, step, refs FROM steps JOIN works ON key = work JOIN items ON id = item"
    ):
        values[item, step] = [ref["sha256"] for ref in listed(refs_in(text) or [])]
    before = _count(ledger, "review")
    for made in _provenances(folder):
        for edit in made.get("human_edits") or ():
            try:
                item, found = edit["item"], values.get((edit["item"], edit["step"]), ())
                # Of several values it is not known which one was meant.
                said = [edit[name] for name in _EDIT]
                row = (None, 0, edit["step"], *found, *said[:3], "band", *said[3:])
            except (KeyError, TypeError):
                continue
            if len(found) == 1 and _fits("review", row):
                with ledger.writing():
                    ledger.db.execute(_NAMED, (item, None))
                    (number,) = ledger.db.execute("SELECT id FROM items WHERE name = ?", (item,)).fetchone()
                    _insert(ledger, "review", [(None, number, *row[2:])])
    return _count(ledger, "review") - before


def _values_of_exports(folder: Path) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """Item and step, and the sha256 of what it gave, as an export as JSON lines has them."""
    for file in folder.glob("*/items.jsonl"):
        try:
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                for step, found in row["results"].items():
                    yield (row["item"], step), [one["sha256"] for one in found]
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _provenances(folder: Path) -> Iterator[dict[str, Any]]:
    """What the exports in a folder say of themselves, the latest first, where their plan is one."""
    from agents.plan import Plan

    found = [file for pattern in RESULTS if pattern.endswith(".json") for file in folder.glob(pattern)]
    files = sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files:
        try:
            made: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            Plan.load(made["plan"])
        except (OSError, ValueError, KeyError, TypeError, SuperlinkError):
            continue
        yield made


def _lost_values(ledger: Ledger) -> set[str]:
    """Keys of finished work of which the store lacks a value, or has it damaged."""
    store = Store(str(ledger.fact("store") or settings().store_url))
    checked: dict[str, bool] = {}
    lost: set[str] = set()
    if not store.exists():
        return lost  # moved or not mounted, which annotate tells: nothing can be said of its values
    store.check()
    for key, text in ledger.db.execute("SELECT key, refs FROM works"):
        for ref in listed(refs_in(text) or []):
            if ref["sha256"] not in checked:
                checked[ref["sha256"]] = store.sound(ref)
            if not checked[ref["sha256"]]:
                lost.add(key)
    return lost
