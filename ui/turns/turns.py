"""Turns of sessions: requests, decisions, progress and results, without widgets.

A turn runs in a thread of the server. Callers put work in and read snapshots; nothing that a browser does or omits
changes a turn. What is needed to go on after the end of the process is in the page's database, the memory of sessions
and the store.
"""

import logging
import re
import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from agents.plan.plan import Plan, PlanJson
from agents.plan.preflight import missing_weights
from agents.plan.types import ValueType, planner_cards
from agents.session.policy import Policy
from agents.session.session import Session, SessionError
from agents.session.state import Decision
from common.card import Card
from tools.core.errors import MediaError, SuperlinkError
from tools.core.settings import settings
from tools.storage.store import Refs
from ui.context import Context
from ui.turns.catalogue import Catalogue, TurnRow
from ui.turns.files import keep_files
from ui.turns.live import WORKING, Live
from ui.turns.rebuild import Shelf, turn_view
from ui.turns.runner import Runner, Ticket
from ui.turns.shown import missing_views
from ui.turns.view import Colour, SessionView, Stage, TurnView
from ui.turns.words import PLANNING, RUNNING, STOPPING, explain
from ui.turns.work import Work

_log = logging.getLogger("superlink.ui")
_THREAD = re.compile(r"[0-9a-f]{32}")
_TITLE = 60
"""Maximum number of characters of a title that comes from a request."""
_KEPT_DELETED = timedelta(days=1)
_MOST_LIVE = 256
"""Maximum number of idle sessions that are kept in memory."""


class NotFound(SuperlinkError):
    """There is no such session, or it belongs to somebody else."""


@dataclass(frozen=True)
class SessionRow:
    """A session in the list of sessions.

    Attributes:
        thread: Name of the thread.
        title: From the first request, or as the person renamed it.
        day: Day of its last change, such as "2026-03-01".
        stage: Where it stands.
        status: The same in a few words.
        colour: Of the status.
    """

    thread: str
    title: str
    day: str
    stage: Stage
    status: str
    colour: Colour


@runtime_checkable
class Loads(Protocol):
    """A planner whose model can be loaded before the first request."""

    def load(self, tools: Sequence[Card]) -> None:
        """Load what planning with these tools takes."""


class Turns:
    """All sessions of the page. Every method may be called from any thread.

    Methods that take an owner raise `NotFound` for a session of somebody else; those that change a session return its
    new view.

    Args:
        context: What all tabs share.
    """

    def __init__(self, context: Context) -> None:
        """Open the catalogue; nothing runs before `start`.

        Raises:
            SuperlinkError: when the page's database cannot be opened.
        """
        self._context = context
        self._catalogue = Catalogue(context.folder)
        self._shelf = Shelf(context.folder / "results", context.store, context.tools)
        self._runner = Runner(tools=settings().ui_parallel, waiting=settings().ui_waiting)
        self._live: dict[str, Live] = {}
        self._lock = threading.RLock()
        self._planner_state = "loading"

    def start(self) -> None:
        """Load the planner in the background, and go on with the turns that were cut short."""
        threading.Thread(target=self._load_planner, name="superlink planner", daemon=True).start()
        self._purge()
        for thread in self._catalogue.active():
            owner = self._catalogue.owner_of_thread(thread)
            if owner is not None:
                live = self._find(thread, owner)
                with live.lock:
                    self._run(live)

    def close(self) -> None:
        """Stop the turns, which go on at the next start, and close the catalogue."""
        with self._lock:
            sessions = [live.session for live in self._live.values() if live.session is not None]
        self._runner.close(sessions)
        self._catalogue.close()

    @property
    def planner_state(self) -> str:
        """ "loading", "ready", or "failed: " and the reason."""
        return self._planner_state

    def owner_of_thread(self, thread: str) -> str | None:
        """Return the owner of a session; None where there is none."""
        return self._catalogue.owner_of_thread(thread)

    def new_thread(self) -> str:
        """Return the name of a new session, which exists from its first request on."""
        return uuid.uuid4().hex

    def view(self, thread: str, owner: str) -> SessionView:
        """Return a session; one that has no request yet is new. Weights that came since no longer count as missing."""
        view = self._find(thread, owner).snapshot()
        if view.turn is not None and view.turn.missing and view.turn.plan is not None:
            lacks = missing_weights(Plan.load(view.turn.plan), self._context.tools)
            view.turn.missing = missing_views(lacks)
        return view

    def follow(self, thread: str, owner: str, since: int) -> Iterator[SessionView]:
        """Yield the session whenever its version grew, until its stage is none of queued, planning and running.

        Args:
            thread: Name of the session.
            owner: User.
            since: Version that the reader has.
        """
        yield from self._find(thread, owner).follow(since)

    def ask(self, thread: str, owner: str, request: str, files: Sequence[Path | str]) -> SessionView:
        """Begin a turn; a plan that waits for approval is replaced.

        Args:
            thread: Name of the session.
            owner: User.
            request: In words.
            files: Paths of the files that come with it; they are copied.

        Raises:
            SessionError: when the request is empty, or another one of this session is at work.
            TooMany: when too many turns of this owner wait.
            MediaError: when a file is not there, or there are too many.
            DiskFull: when the owner's files take as much as one user may have.
        """
        live = self._find(thread, owner)
        request = request.strip().encode("utf-8", "replace").decode()
        if not request:
            raise SessionError("the request is empty", "Say what should happen")
        with live.lock:
            if live.view.stage in WORKING:
                raise SessionError("another request of this session is at work", "Wait until it has ended, or stop it")
            if len(files) > settings().ui_files:
                raise MediaError(
                    f"{len(files)} files are too many for one request", f"Attach {settings().ui_files} at most"
                )
            self._runner.check(owner)
            self._context.files.check_room(owner)
            row = TurnRow(thread, len(live.view.turns) + 1, request)
            folder = self._shelf.folder(row)
            row.files = keep_files(folder, files, self._context.folder)
            if live.row is None:
                live.view.title = _shortened(request)
                self._catalogue.add_session(thread, owner, live.view.title)
            self._catalogue.set_draft(thread, None)
            self._catalogue.save(row)
            with live.change() as view:
                view.turns.append(turn_view(row, None, self._shelf, {}, last=True))
                view.draft = None
                live.row = row
                live.show("planning", PLANNING)
            self._run(live)
        return live.snapshot()

    def decide(self, thread: str, owner: str, decision: Decision) -> SessionView:
        """Accept, edit, change or reject the plan that waits.

        Raises:
            SessionError: when none waits, or the decision does not fit it; the plan still waits.
            PlanInvalid: when the edited plan is no plan; the plan still waits.
        """
        live = self._find(thread, owner)
        with live.lock:
            row = live.row
            if row is None or live.view.stage not in ("approval", "editing"):
                raise SessionError("no plan waits for you", "Say what should happen")
            decision, tools = self._checked(decision, live.turn)
            row.state, row.decision = "active", decision
            row.decided = len(row.record["decisions"]) if row.record is not None else 0
            self._catalogue.save(row)
            self._catalogue.set_draft(thread, None)
            if tools:
                self._catalogue.approve(thread, tools)
            with live.change() as view:
                view.draft = None
                live.turn.decision, live.turn.answer = decision, ""
                change = decision["action"] == "change"
                live.show("planning" if change else "running", PLANNING if change else RUNNING)
            self._run(live)
        return live.snapshot()

    def set_draft(self, thread: str, owner: str, plan: PlanJson | None) -> SessionView:
        """Open or change the plan in the editor, or close the editor with None; it survives the end of the process.

        Raises:
            SessionError: when no plan waits.
        """
        live = self._find(thread, owner)
        with live.lock:
            if live.view.stage not in ("approval", "editing"):
                raise SessionError("no plan waits for you", "Say what should happen")
            self._catalogue.set_draft(thread, plan)
            with live.change() as view:
                view.draft, view.stage = plan, "approval" if plan is None else "editing"
        return live.snapshot()

    def set_always(self, thread: str, owner: str, always: bool) -> SessionView:
        """Let plans with the same tools in the same order as an approved one run at once in this session, or not."""
        live = self._find(thread, owner)
        with live.change() as view:
            if live.row is None:
                raise SessionError("this session has no request yet", "Say what should happen")
            self._catalogue.set_always(thread, always)
            view.always = always
        return live.snapshot()

    def stop(self, thread: str, owner: str) -> SessionView:
        """Stop the turn that runs, or withdraw the one that waits in a queue; nothing happens where none does."""
        live = self._find(thread, owner)
        with live.lock:
            ticket, session = live.ticket, live.session
            if ticket is not None:
                with live.change():
                    live.turn.status, live.turn.colour = STOPPING
        if ticket is not None:
            self._runner.withdraw(ticket)
            if session is not None:
                session.stop()
        return live.snapshot()

    def again(self, thread: str, owner: str) -> SessionView:
        """Go on with the last turn after it was stopped or failed; finished steps do not run again.

        Raises:
            SessionError: when it was neither stopped nor failed.
        """
        live = self._find(thread, owner)
        with live.lock:
            row = live.row
            failed = live.view.turns and live.turn.result in ("failed", "partly")
            if row is None or not (row.state in ("stopped", "failed") or (row.state == "ended" and failed)):
                raise SessionError("the last request was neither stopped nor failed", "Say what should happen")
            self._runner.check(owner)
            row.state, row.answer = "active", ""
            self._catalogue.save(row)
            with live.change():
                live.turn.answer, live.turn.result = "", ""
                planned = live.turn.plan is not None
                live.show("running" if planned else "planning", RUNNING if planned else PLANNING)
            self._run(live)
        return live.snapshot()

    def types(self, thread: str, owner: str) -> dict[str, ValueType]:
        """Return the types of the values at hand in a session, by name, ordered from old to new."""
        self._find(thread, owner)
        return self._session(thread).types()

    def keep(self, thread: str, owner: str, name: str, refs: Refs) -> str:
        """Add what a person chose or corrected in a value, for the next request.

        Args:
            thread: Name of the session.
            owner: User.
            name: Name of the value that it was chosen from.
            refs: Of the stored choice; a list where the value is one.

        Returns:
            The name of the choice.

        Raises:
            SessionError: when the last turn has not ended.
        """
        live = self._find(thread, owner)
        with live.lock:
            if live.ticket is not None:
                raise SessionError("this session is at work", "Wait until the request has ended")
            return self._session(thread).keep(name, refs)

    def sessions(self, owner: str, search: str = "") -> list[SessionRow]:
        """Return the sessions of an owner, newest first.

        Args:
            owner: User.
            search: Text that the title or a request must have.
        """
        rows = []
        for kept in self._catalogue.sessions(owner, search):
            stage, status, colour = cast(Stage, kept.stage), kept.status, cast(Colour, kept.colour)
            live = self._live.get(kept.thread)
            if live is not None and live.view.turns:
                with live.lock:
                    stage, status, colour = live.view.stage, live.turn.status, live.turn.colour
            rows.append(SessionRow(kept.thread, kept.title, kept.updated[:10], stage, status, colour))
        return rows

    def rename(self, thread: str, owner: str, title: str) -> None:
        """Give a session another title; an empty one is that of the first request."""
        live = self._find(thread, owner)
        with live.change() as view:
            view.title = _shortened(title.strip() or (view.turns[0].request if view.turns else ""))
            self._catalogue.set_title(thread, view.title)

    def delete(self, thread: str, owner: str) -> None:
        """Delete a session; `restore` undoes it for a day."""
        live = self._find(thread, owner)
        self.stop(thread, owner)
        self._catalogue.set_deleted(thread, True)
        with self._lock, live.change():
            live.gone = True
            self._live.pop(thread, None)

    def restore(self, thread: str, owner: str) -> None:
        """Undo `delete`.

        Raises:
            NotFound: when there is no such session any more.
        """
        if self._catalogue.owner_of_thread(thread) != owner:
            raise _not_found()
        self._catalogue.set_deleted(thread, False)

    def _checked(self, decision: Decision, turn: TurnView) -> tuple[Decision, tuple[str, ...]]:
        """Return a decision that fits the plan that waits, and the tools of the plan that it lets run."""
        match decision.get("action"):
            case "edit":
                plan = Plan.load(decision.get("plan") or {})
                return {"action": "edit", "plan": plan.to_json()}, plan.tools
            case "accept":
                if turn.problems or turn.plan is None:
                    raise SessionError("this plan has problems, it cannot be accepted", "Edit, change or reject it")
                return {"action": "accept"}, Plan.load(turn.plan).tools
            case "change":
                remark = decision.get("remark", "").strip()
                if not remark:
                    raise SessionError("the remark is empty", "Say what should be different")
                return {"action": "change", "remark": remark}, ()
            case "reject":
                return {"action": "reject", "reason": decision.get("reason", "").strip()}, ()
            case other:
                raise SessionError(f"{other!r} is no decision", "Say accept, edit, change or reject")

    def _run(self, live: Live) -> None:
        """Put the last turn into a thread; the session's lock must be held."""
        assert live.row is not None
        view, thread = live.view, live.view.thread
        self._catalogue.set_status(thread, view.stage, live.turn.status, live.turn.colour)
        work = Work(
            live,
            live.row,
            lambda ticket: self._session(thread, ticket),
            self._catalogue,
            self._shelf,
            lambda: self._runner.closed,
        )
        live.ticket = self._runner.begin(live.owner, work, work.changed)

    def _session(self, thread: str, gate: Ticket | None = None) -> Session:
        kept = self._catalogue.session(thread)
        approved = frozenset(kept.approved) if kept is not None and kept.always else frozenset()
        context = self._context
        return Session(
            thread,
            tools=context.tools,
            planner=context.planner,
            store=context.store,
            memory=context.saver,
            policy=Policy(approved_tools=approved),
            gate=gate,
        )

    def _find(self, thread: str, owner: str) -> Live:
        """Return a session from memory, or rebuild it from what is kept.

        Raises:
            NotFound: when it is somebody else's or was deleted, or the name is none.
        """
        with self._lock:
            live = self._live.get(thread)
            if live is None:
                if not _THREAD.fullmatch(thread):
                    raise _not_found()
                live = self._rebuilt(thread, owner)
                self._make_room()
                self._live[thread] = live
            if live.owner != owner:
                raise _not_found()
            return live

    def _rebuilt(self, thread: str, owner: str) -> Live:
        kept, rows = self._catalogue.session(thread), self._catalogue.turns(thread)
        if kept is None:
            return Live(SessionView(thread), owner, None)
        if kept.owner != owner or kept.deleted is not None:
            raise _not_found()
        view = SessionView(thread, kept.title, always=kept.always, stage="idle" if rows else "new")
        state = (
            self._session(thread).state() if any(row.record is None or row.state != "ended" for row in rows) else None
        )
        values = {} if state is None else state["values"]
        for row in rows:
            begun = state is not None and state["turn"] > row.base >= 0 and row is rows[-1]
            view.turns.append(turn_view(row, state if begun else None, self._shelf, values, row is rows[-1]))
        live = Live(view, owner, rows[-1] if rows else None)
        if rows and rows[-1].state == "waiting":
            view.draft = self._catalogue.draft(thread)
            view.stage = "approval" if view.draft is None else "editing"
        elif rows and rows[-1].state == "active":
            view.stage = "planning" if live.turn.plan is None else "running"
        return live

    def _make_room(self) -> None:
        for thread in [thread for thread, live in self._live.items() if live.ticket is None][: -_MOST_LIVE or None]:
            del self._live[thread]

    def _load_planner(self) -> None:
        planner = self._context.planner
        try:
            if isinstance(planner, Loads):
                planner.load(planner_cards(self._context.tools))
            self._planner_state = "ready"
        except SuperlinkError as error:
            self._planner_state = f"failed: {explain(error)}"
        except Exception as error:
            _log.exception("the planner cannot be loaded")
            self._planner_state = f"failed: {type(error).__name__}: {error}"

    def _purge(self) -> None:
        """Remove what was deleted more than a day ago; values stay in the store."""
        for thread in self._catalogue.deleted_before((datetime.now(UTC) - _KEPT_DELETED).isoformat()):
            with suppress(SuperlinkError):
                self._context.saver.delete_thread(thread)
                shutil.rmtree(self._shelf.results / thread, ignore_errors=True)
                self._catalogue.purge(thread)


def _not_found() -> NotFound:
    return NotFound("there is no such session", "Open one of your own, or begin a new one")


def _shortened(title: str) -> str:
    title = " ".join(title.split())
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 1].rstrip()}…"
