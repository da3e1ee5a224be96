"""Views of turns from what is kept: the catalogue, the memory of sessions and the store."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.plan.plan import Plan
from agents.plan.preflight import missing_weights
from agents.plan.types import AnyTool
from agents.session.events import Record
from agents.session.results import RECORD, write_record
from tools.core.errors import SuperlinkError
from tools.storage.store import Refs, Store
from ui.context import Context
from ui.turns.catalogue import TurnRow
from ui.turns.files import file_views, result_view, turn_folder
from ui.turns.shown import missing_views
from ui.turns.view import ResultView, StepView, TurnView
from ui.turns.words import FAILED, PLANNING, REPLACED, RUNNING, STOPPED, WAITS, Status, explain, status_of

_log = logging.getLogger("superlink.ui")


@dataclass(frozen=True)
class Shelf:
    """Where turns are kept.

    Attributes:
        context: What all tabs share.
    """

    context: Context

    @property
    def store(self) -> Store:
        """Store of values."""
        return self.context.store

    @property
    def tools(self) -> Mapping[str, AnyTool]:
        """Tools by name, as they are now."""
        return self.context.tools

    def folder(self, row: TurnRow) -> Path:
        """Return the folder of a turn's files."""
        return turn_folder(self.context.results, row.thread, row.number)


def turn_view(row: TurnRow, record: Record | None, shelf: Shelf, values: Mapping[str, Refs], last: bool) -> TurnView:
    """Return the view of a turn.

    Args:
        row: The turn as it is kept.
        record: Of the turn, from the session's memory where the row has none; None where nothing is known.
        shelf: Where turns are kept.
        values: References of the values at hand, by name.
        last: Whether it is the session's last turn.
    """
    record = row.record or record
    turn = TurnView(row.number, row.request, file_views(row, shelf.folder(row), shelf.store))
    if record is not None:
        show_record(turn, record)
        turn.results, faults = results_of(row, record, shelf, values)
        for fault in faults:
            _log.warning("turn %d of %s: %s", row.number, row.thread, fault)
    turn.answer = row.answer or turn.answer
    if row.state == "failed":
        turn.result = "failed"
    status = _status(row, record, shelf, last)
    turn.status, turn.colour = status
    if turn.plan is not None and row.state == "waiting" and last:
        turn.missing = missing_views(missing_weights(Plan.load(turn.plan), shelf.tools))
    if row.state in ("waiting", "active") and not last:
        turn.superseded = True
    if row.state in ("ended", "stopped", "failed") and record is not None:
        turn.record = kept_record(row, record, turn.results, shelf)
    return turn


def show_record(turn: TurnView, record: Record) -> None:
    """Fill a turn's view from its record."""
    turn.plan, turn.hash = record["plan"], record["hash"]
    if turn.plan is not None and not turn.plan["steps"]:
        turn.plan = None
    turn.problems, turn.warnings = record["problems"], record["warnings"]
    turn.confidence = record.get("confidence")  # not in records of older versions
    turn.decision, turn.superseded = record["decision"], record["superseded"]
    turn.answer, turn.result = record["answer"], record["result"]
    turn.given = dict(record["given"])
    turn.steps = {
        step["id"]: StepView(step["state"], step["seconds"], refs=step.get("refs"), error=step.get("error"))
        for step in record["steps"]
    }


def results_of(
    row: TurnRow, record: Record, shelf: Shelf, values: Mapping[str, Refs]
) -> tuple[list[ResultView], list[str]]:
    """Return the results of a turn with their files, which are written where they are gone.

    Args:
        row: The turn as it is kept.
        record: Of the turn.
        shelf: Where turns are kept.
        values: References of the values at hand, by name.

    Returns:
        The results of all finished steps, outputs that a person gave, and what could not be written.
    """
    made = {step["id"]: (step["tool"], step["refs"]) for step in record["steps"] if "refs" in step}
    final = set(record["outputs"])
    given = {name: ("", refs) for name, refs in record["outputs"].items() if name not in made}
    at_hand = {**values, **record["given"], **{name: refs for name, (_, refs) in made.items()}}
    results, faults = [], []
    for name, (tool, refs) in {**given, **made}.items():
        try:
            results.append(
                result_view(
                    shelf.folder(row),
                    name,
                    tool,
                    refs,
                    name in final,
                    row.results,
                    record["plan"],
                    at_hand,
                    shelf.store,
                )
            )
        except SuperlinkError as error:
            faults.append(f"{name} could not be written: {explain(error)}")
    return results, faults


def kept_record(
    row: TurnRow, record: Record, results: list[ResultView], shelf: Shelf, anew: bool = False
) -> Path | None:
    """Return the file with the record of a turn, which is written unless it is there.

    Args:
        row: The turn as it is kept.
        record: Of the turn.
        results: Of the turn.
        shelf: Where turns are kept.
        anew: Whether the file is written in any case, as the record has changed.

    Returns:
        The file; None when it cannot be written.
    """
    folder = shelf.folder(row)
    if not anew and (folder / RECORD).exists():
        return folder / RECORD
    try:
        return write_record(folder, record, {one.name: [f.name for f in one.files] for one in results if one.final})
    except SuperlinkError as error:
        _log.warning("%s", error)
        return None


def _status(row: TurnRow, record: Record | None, shelf: Shelf, last: bool) -> Status:
    match row.state:
        case "ended":
            return FAILED if record is None else status_of(record, shelf.tools)
        case "failed":
            return FAILED
        case "stopped":
            return STOPPED
    if not last:
        return REPLACED
    if row.state == "waiting":
        return WAITS
    return RUNNING if record is not None and record["plan"] is not None else PLANNING
