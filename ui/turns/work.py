"""The work on one turn: runs its session in a thread, and shows and keeps what happens."""

import logging
from collections.abc import Callable, Generator
from contextlib import closing

from agents.plan.plan import Plan
from agents.session.events import DoneEvent, Event, Record
from agents.session.session import Session
from tools.core.abandon import Stopped
from tools.core.errors import SuperlinkError
from ui.turns.catalogue import Catalogue, TurnRow
from ui.turns.files import file_views, open_given, to_json
from ui.turns.live import Live
from ui.turns.rebuild import Shelf, kept_record, results_of, show_record
from ui.turns.runner import Moment, Ticket
from ui.turns.shown import forget_unfinished, take
from ui.turns.view import Stage
from ui.turns.words import FAILED, PLANNING, QUEUED, REPLACED, RUNNING, STOPPED, WAITS, Status, explain, status_of

_log = logging.getLogger("superlink.ui")
_STOPPED_EARLY = "Stopped before a step was finished."
_STOPPED_LATE = "Stopped. What the finished steps gave can be used in the next request."


class Work:
    """Brings one turn to its end, to a plan that waits, or to a stop. Called in a thread of its own.

    Args:
        live: The session in memory.
        row: The turn as it is kept.
        open_session: Opens the session with a gate.
        catalogue: Where turns are kept.
        shelf: Where values and files are.
        closing: Tells whether the server is ending, so that a stopped turn goes on at the next start.
    """

    def __init__(
        self,
        live: Live,
        row: TurnRow,
        open_session: Callable[[Ticket], Session],
        catalogue: Catalogue,
        shelf: Shelf,
        closing: Callable[[], bool],
    ) -> None:
        self._live, self._row, self._open = live, row, open_session
        self._catalogue, self._shelf, self._closing = catalogue, shelf, closing
        self._folder = shelf.folder(row)

    def changed(self, ticket: Ticket, moment: Moment) -> None:
        """Show that the turn waits in a queue, plans or runs."""
        with self._live.change():
            if ticket.stop.is_set():
                return
            status = {"queued": QUEUED, "planning": PLANNING, "running": RUNNING}[moment]
            self._live.show(moment, status)

    def __call__(self, ticket: Ticket) -> None:
        """Run the turn. It ends in any case: also where its end cannot be kept, as when the disk is full."""
        try:
            self._run(ticket)
        except Exception as error:
            if self._closing():
                return
            _log.exception("the end of a turn could not be kept")
            what = explain(error) if isinstance(error, SuperlinkError) else f"{type(error).__name__}: {error}."
            with self._live.change():
                self._live.turn.answer, self._live.turn.result = what, "failed"
                self._rest("idle", FAILED)

    def _run(self, ticket: Ticket) -> None:
        live = self._live
        session = self._open(ticket)
        with live.lock:
            live.session = session
        try:
            with closing(self._events(session)) as events:
                for event in events:
                    self._take(session, event)
                    if ticket.stop.is_set() and event["event"] not in ("approval", "done"):
                        raise Stopped("the turn was stopped")
        except Stopped:
            if not self._closing():
                self._stop(session)
        except SuperlinkError as error:
            self._fail(session, explain(error))
        except Exception as error:
            if self._closing():  # the databases may be closed
                return
            _log.exception("a turn failed")
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            self._fail(session, f"Something went wrong that should not ({what}). The terminal says more.")

    def _events(self, session: Session) -> Generator[Event, None, None]:
        """Begin or continue the turn, whichever its session needs."""
        row, state = self._row, session.state()
        if row.base < 0 or state["turn"] <= row.base:
            media = open_given(row, self._folder, self._shelf.store)
            row.base = state["turn"]
            self._catalogue.save(row)
            with self._live.change():
                self._live.turn.files = file_views(row, self._folder, self._shelf.store)
            yield from session.start(row.request, media, None if row.proposal is None else Plan.load(row.proposal))
        elif state["stands"] == "approval" and row.decision and len(state["decisions"]) == row.decided:
            yield from session.resume(row.decision)
        elif state["stands"] == "done" and row.record is not None and row.record["result"]:
            yield from session.again()
        else:
            yield from session.continue_()

    def _take(self, session: Session, event: Event) -> None:
        if event["event"] == "superseded":
            self._supersede(event["record"])
        elif event["event"] == "done":
            self._end(event)
        else:
            with self._live.change():
                take(self._live.turn, event)
            if event["event"] == "approval":
                self._wait(session)
            elif event["event"] == "step" and event["state"] == "finished":
                self._show_results(session)

    def _supersede(self, record: Record) -> None:
        # Not always the turn before: one whose files could not be opened never began.
        waiting = (row for row in self._catalogue.turns(self._row.thread) if row.base == record["turn"] - 1)
        before = next(row for row in waiting if row.state == "waiting")
        before.state, before.record, before.decision = "ended", record, None
        self._catalogue.save(before)
        with self._live.change() as view:
            turn = view.turns[before.number - 1]
            show_record(turn, record)
            turn.record = kept_record(before, record, turn.results, self._shelf, anew=True)
            turn.status, turn.colour = REPLACED

    def _wait(self, session: Session) -> None:
        row = self._row
        record = session.record()
        row.state, row.record, row.decision = "waiting", record, None
        with self._live.change():
            self._live.turn.given = dict(record["given"])
        self._leave("approval", WAITS)

    def _show_results(self, session: Session) -> None:
        """Write what the finished steps gave, and show it."""
        record, turn = self._record_so_far(session), self._live.turn
        values = session.state()["values"]
        results, faults = results_of(self._row, record, self._shelf, values)
        for fault in faults:
            _log.warning("%s", fault)
        self._row.results = to_json(results, self._folder)
        with self._live.change():
            turn.results, turn.given = results, dict(record["given"])

    def _record_so_far(self, session: Session) -> Record:
        """Return the record with the steps whose end was reported, which the memory knows only after their round."""
        record = session.record()
        steps = self._live.turn.steps
        for step in record["steps"]:
            shown = steps.get(step["id"])
            if shown is not None and shown.state == "finished" and shown.refs is not None:
                step["state"], step["refs"] = "finished", shown.refs
        named = {step["id"]: step["refs"] for step in record["steps"] if "refs" in step}
        plan = record["plan"]
        wanted = [output.removeprefix("$") for output in (plan["outputs"] if plan else ())]
        record["outputs"] = {**record["outputs"], **{name: named[name] for name in wanted if name in named}}
        return record

    def _end(self, done: DoneEvent) -> None:
        row, record = self._row, done["record"]
        results, faults = results_of(row, record, self._shelf, {})
        row.state, row.record, row.decision = "ended", record, None
        row.answer = "\n".join([done["answer"], *faults]) if faults else ""
        row.results = to_json(results, self._folder)
        file = kept_record(row, record, results, self._shelf, anew=True)
        with self._live.change():
            turn = self._live.turn
            show_record(turn, record)
            turn.answer = row.answer or turn.answer
            turn.results, turn.record = results, file
        self._leave("idle", status_of(record, self._shelf.tools))

    def _stop(self, session: Session) -> None:
        row = self._row
        finished = any(step.state == "finished" for step in self._live.turn.steps.values())
        row.state, row.record = "stopped", self._known(session)
        row.answer = _STOPPED_LATE if finished else _STOPPED_EARLY
        self._cut_short(row.answer)
        self._leave("idle", STOPPED)

    def _fail(self, session: Session, answer: str) -> None:
        row = self._row
        state = session.state()
        if state["stands"] == "approval" and state["turn"] > row.base >= 0:  # a decision that does not fit its plan
            row.decision = None
            with self._live.change():
                self._live.turn.answer = answer
            self._wait(session)
            return
        row.state, row.answer, row.record = "failed", answer, self._known(session)
        self._cut_short(answer)
        with self._live.change():
            self._live.turn.result = "failed"
        self._leave("idle", FAILED)

    def _cut_short(self, answer: str) -> None:
        """Show that the turn did not come to its end, and write its record as far as there is one."""
        turn, record = self._live.turn, self._row.record
        file = None if record is None else kept_record(self._row, record, turn.results, self._shelf, anew=True)
        with self._live.change():
            turn.answer, turn.record = answer, file
            forget_unfinished(turn.steps)

    def _known(self, session: Session) -> Record | None:
        """Return the record of this turn; None where the session has not begun it."""
        record = session.record()
        return record if record["turn"] > self._row.base >= 0 else None

    def _leave(self, stage: Stage, status: Status) -> None:
        """Keep the turn, then show that it rests; the turn has no thread any more from here on."""
        self._catalogue.save(self._row)
        self._catalogue.set_status(self._row.thread, stage, *status)
        with self._live.change():
            self._rest(stage, status)

    def _rest(self, stage: Stage, status: Status) -> None:
        self._live.ticket = self._live.session = None
        self._live.show(stage, status)
