"""Repair of a run's folder: its ledger, and the ledger's rows about values that are lost or damaged.

A new ledger is made from the readable rows, each of them checked. It replaces the damaged one, which is kept beside it.
What cannot be recovered is run again by the next `superlink annotate`.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.batch.folder_lock import lock_folder
from flows.items.run_files import LEDGER, RESULTS
from flows.ledger.file import LedgerError
from flows.ledger.ledger import Ledger
from flows.ledger.repair import RepairedLedger
from flows.ledger.review_queue import PERSON
from flows.ledger.rows import compact_json
from tools.core.errors import SuperlinkError
from tools.core.settings import settings
from tools.storage.atomic import write_error
from tools.storage.database import examine, put_in_place
from tools.storage.store import Store

_EDIT = ("place", "label", "score", "verdict", "correct", "who", "time")


@dataclass
class RepairReport:
    """What a repair found and did.

    Attributes:
        faults: in words; empty when there are none.
        kept: new path of the damaged ledger; None when there were no faults.
        items: number of items in the ledger.
        works: number of finished calls of tools.
        verdicts: number of people's verdicts.
        refound: number of these that were lost, and restored from the exports.
        again: number of items that the next run works again; their finished calls are not run again.
    """

    faults: list[str] = field(default_factory=list)
    kept: Path | None = None
    items: int = 0
    works: int = 0
    verdicts: int = 0
    refound: int = 0
    again: int = 0


def repair(folder: Path) -> RepairReport:
    """Repair the ledger of a run, and have it run again what is lost or damaged.

    Args:
        folder: of the run.

    Raises:
        LedgerError: no run has been there, or the ledger is locked, of a newer version, or cannot be read.
        AnnotateError: a run is working there.
        WriteError: the new ledger cannot be written; the old one is untouched.
    """
    file = folder / LEDGER
    log = file.with_name(f"{LEDGER}-wal")
    if not file.exists() and not log.exists() and not any(any(folder.glob(pattern)) for pattern in RESULTS):
        raise LedgerError(f"There is no run in {folder}", "Give the folder that superlink annotate wrote to")
    draft = folder / ".repair"
    try:
        with lock_folder(folder):
            shutil.rmtree(draft, ignore_errors=True)
            try:
                return _repair(folder, file, draft / LEDGER)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise write_error(error, file, f"A new ledger for {folder}") from error


def _repair(folder: Path, file: Path, draft: Path) -> RepairReport:
    found = RepairReport(examine(file, "The ledger"))
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
        ledger = RepairedLedger(draft)
        ledger.salvage(file)
    else:
        with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(draft)) as new:
            old.backup(new)
        ledger = RepairedLedger(draft)
    try:
        found.faults += _remove_faults(ledger, folder)
        if found.faults:
            found.refound = _restore_verdicts(ledger, folder)
        counts = ledger.counts()
        found.items = sum(counts.values()) - counts.get("gone", 0)
        found.again = counts.get("left", 0)
        found.works = ledger.work_counts()[0]
        found.verdicts = ledger.review.decided_count()
    finally:
        ledger.close()
    if found.faults:
        found.kept = put_in_place(draft, file)
    return found


def _remove_faults(ledger: RepairedLedger, folder: Path) -> list[str]:
    """Delete what cannot be right, and reopen items that lack something; return the faults in words."""
    faults = ledger.remove_invalid_rows() + _restore_facts(ledger, folder)
    if lost := _lost_values(ledger):
        faults.append(f"{len(lost)} values of finished calls are missing or damaged in the store")
        ledger.remove_works(lost)
    if again := ledger.reopen_incomplete():
        faults.append(f"{again} items lack a result")
    return faults


def _restore_facts(ledger: RepairedLedger, folder: Path) -> list[str]:
    """Restore plan and signature if they are lost; return the faults in words."""
    faults = []
    try:
        ledger.plan  # noqa: B018 -- raises when it cannot be read
    except LedgerError:
        if ledger.counts():
            faults.append("its plan is lost")
        ledger.forget_plan()
        for record in _provenances(folder):
            ledger.set_facts(plan=record["plan"], request=str(record.get("request") or ""))
            break
    if ledger.fact("signature") is None:
        found = ledger.commonest_signature()
        if found is not None:
            faults.append("the signature of its plan is lost")
            ledger.set_facts(signature=found)
    return faults


def _restore_verdicts(ledger: RepairedLedger, folder: Path) -> int:
    """Restore lost verdicts from the provenance of the exports; return their number."""
    values = dict(_exported_values(folder))
    for item, step, refs in ledger.results():
        values[item, step] = [ref["sha256"] for ref in refs]
    restored = 0
    for record in _provenances(folder):
        for edit in record.get("human_edits") or ():
            try:
                item, found = edit["item"], values.get((edit["item"], edit["step"]), ())
                # Of several values it is not known which one was meant.
                values_of_find = [edit[name] for name in _EDIT]
                reason = PERSON if edit["place"] < 0 else "band"
                find = (edit["step"], *found, *values_of_find[:3], reason, *values_of_find[3:])
                shape = compact_json(edit["shape"]) if edit.get("shape") else ""
            except (KeyError, TypeError):
                continue
            if len(found) == 1:
                restored += ledger.restore_verdict(item, find, shape)
    return restored


def _exported_values(folder: Path) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """Item and step with the sha256 of the results, from an export as JSON lines."""
    for file in folder.glob("*/items.jsonl"):
        try:
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                for step, found in row["results"].items():
                    yield (row["item"], step), [one["sha256"] for one in found]
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _provenances(folder: Path) -> Iterator[dict[str, Any]]:
    """Provenance of the exports in a folder, the latest first, if its plan can be read."""
    from agents.plan.plan import Plan

    found = [file for pattern in RESULTS if pattern.endswith(".json") for file in folder.glob(pattern)]
    files = sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files:
        try:
            record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            Plan.load(record["plan"])
        except (OSError, ValueError, KeyError, TypeError, SuperlinkError):
            continue
        yield record


def _lost_values(ledger: RepairedLedger) -> set[str]:
    """Keys of finished calls with a value that is missing or damaged in the store."""
    store = Store(ledger.text("store") or settings().store_url)
    checked: dict[str, bool] = {}
    lost: set[str] = set()
    if not store.exists():
        return lost  # moved or not mounted: its values cannot be checked, and annotate reports it
    store.check()
    for key, refs in ledger.values():
        for ref in refs:
            if ref["sha256"] not in checked:
                checked[ref["sha256"]] = store.sound(ref)
            if not checked[ref["sha256"]]:
                lost.add(key)
    return lost
