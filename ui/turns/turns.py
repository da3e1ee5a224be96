"""Turns of sessions: requests, decisions, progress and results, without widgets.

A turn runs in a thread of the server. Callers put work in and read snapshots; nothing that a browser does or omits
changes a turn. What is needed to go on after the end of the process is in the page's database, the memory of sessions
and the store.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from agents.plan.plan import Plan, PlanJson
from agents.plan.preflight import missing_weights
from agents.plan.types import ValueType
from agents.session.session import SessionError
from agents.session.state import Decision
from tools.core.errors import MediaError
from tools.core.settings import settings
from tools.storage.store import Refs
from ui.context import Context
from ui.turns.catalogue import Catalogue, TurnRow
from ui.turns.decisions import checked
from ui.turns.files import keep_files
from ui.turns.live import Live
from ui.turns.loading import Loading
from ui.turns.rebuild import Shelf, turn_view
from ui.turns.runner import Runner
from ui.turns.sessions import NotFound as NotFound
from ui.turns.sessions import Sessions
from ui.turns.shown import missing_views
from ui.turns.view import Colour, SessionView, Stage
from ui.turns.words import PLANNING, REPLACED, RUNNING, STOPPING, sentences
from ui.turns.work import Work

_TITLE = 200
"""Maximum number of characters of a title that comes from a request; the list shows as many as it has room for."""


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
        self._shelf = Shelf(context)
        self._runner = Runner(tools=settings().ui_parallel, waiting=settings().ui_waiting)
        self._sessions = Sessions(context, self._catalogue, self._shelf)
        self._loading = Loading()

    def start(self) -> None:
        """Load the planner in the background, and go on with the turns that were cut short."""
        self._loading.start(self._context.planner, self._context.tools)
        self._sessions.purge()
        for thread in self._catalogue.active():
            owner = self._catalogue.owner_of_thread(thread)
            if owner is not None:
                live = self._sessions.find(thread, owner)
                with live.lock:
                    self._run(live)

    def close(self) -> None:
        """Stop the turns, which go on at the next start, and close the catalogue."""
        self._runner.close(self._sessions.running())
        self._catalogue.close()

    @property
    def planner_state(self) -> str:
        """ "loading", "ready", or "failed: " and the reason."""
        return self._loading.state

    def owner_of_thread(self, thread: str) -> str | None:
        """Return the owner of a session; None where there is none."""
        return self._catalogue.owner_of_thread(thread)

    def new_thread(self) -> str:
        """Return the name of a new session, which exists from its first request on."""
        return uuid.uuid4().hex

    def view(self, thread: str, owner: str) -> SessionView:
        """Return a session; one that has no request yet is new. Weights that came since no longer count as missing."""
        return self._looked_at(thread, owner).snapshot()

    def version(self, thread: str, owner: str) -> int:
        """Return the version of a session, which grows with each change, also when weights that it lacks come."""
        return self._looked_at(thread, owner).view.version

    def _looked_at(self, thread: str, owner: str) -> Live:
        """Return a session whose last turn names the weights that are missing now."""
        live = self._sessions.find(thread, owner)
        with live.lock:
            turn = live.view.turn
            if turn is not None and turn.missing and turn.plan is not None:
                missing = missing_views(missing_weights(Plan.load(turn.plan), self._context.tools))
                if missing != turn.missing:
                    with live.change():
                        turn.missing = missing
        return live

    def follow(self, thread: str, owner: str, since: int) -> Iterator[SessionView]:
        """Yield the session whenever its version grew, until its stage is none of queued, planning and running.

        Args:
            thread: Name of the session.
            owner: User.
            since: Version that the reader has.
        """
        yield from self._sessions.find(thread, owner).follow(since)

    def ask(
        self, thread: str, owner: str, request: str, files: Sequence[Path | str], plan: PlanJson | None = None
    ) -> SessionView:
        """Begin a turn; a plan that waits for approval is replaced.

        Args:
            thread: Name of the session.
            owner: User.
            request: In words.
            files: Paths of the files that come with it; they are copied.
            plan: A plan to check and approve instead of asking the planner.

        Raises:
            SessionError: when the request is empty, or another one of this session is at work.
            TooMany: when too many turns of this owner wait.
            MediaError: when a file is not there, or there are too many.
            DiskFull: when the owner's files take as much as one user may have.
        """
        live = self._sessions.find(thread, owner)
        request = request.strip().encode("utf-8", "replace").decode()
        if not request:
            raise SessionError("the request is empty", "Say what should happen")
        with live.lock:
            if live.view.works:
                raise SessionError("another request of this session is at work", "Wait until it has ended, or stop it")
            if len(files) > settings().ui_files:
                raise MediaError(
                    f"{len(files)} files are too many for one request", f"Attach {settings().ui_files} at most"
                )
            self._runner.check(owner)
            self._context.files.check_room(owner)
            row = TurnRow(thread, len(live.view.turns) + 1, request, proposal=plan)
            folder = self._shelf.folder(row)
            row.files = keep_files(folder, files, self._context.folder)
            if live.row is None:
                live.view.title = _shortened(request)
                self._catalogue.add_session(thread, owner, live.view.title)
            self._catalogue.set_draft(thread, None)
            self._catalogue.save(row)
            with live.change() as view:
                if live.view.stage in ("approval", "editing"):
                    live.turn.superseded = True
                    live.turn.status, live.turn.colour = REPLACED
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
        live = self._sessions.find(thread, owner)
        with live.lock:
            row = live.row
            if row is None or live.view.stage not in ("approval", "editing"):
                raise SessionError("no plan waits for you", "Say what should happen")
            decision, tools = checked(decision, live.turn)
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
        live = self._sessions.find(thread, owner)
        with live.lock:
            if live.view.stage not in ("approval", "editing"):
                raise SessionError("no plan waits for you", "Say what should happen")
            self._catalogue.set_draft(thread, plan)
            with live.change() as view:
                view.draft, view.stage = plan, "approval" if plan is None else "editing"
        return live.snapshot()

    def set_always(self, thread: str, owner: str, always: bool) -> SessionView:
        """Let plans with the same tools in the same order as an approved one run at once in this session, or not."""
        live = self._sessions.find(thread, owner)
        with live.change() as view:
            if live.row is None:
                raise SessionError("this session has no request yet", "Say what should happen")
            self._catalogue.set_always(thread, always)
            view.always = always
        return live.snapshot()

    def stop(self, thread: str, owner: str) -> SessionView:
        """Stop the turn that runs, or withdraw the one that waits in a queue; nothing happens where none does."""
        live = self._sessions.find(thread, owner)
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
        live = self._sessions.find(thread, owner)
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
        self._sessions.find(thread, owner)
        return self._sessions.open(thread).types()

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
        live = self._sessions.find(thread, owner)
        with live.lock:
            if live.ticket is not None:
                raise SessionError("this session is at work", "Wait until the request has ended")
            return self._sessions.open(thread).keep(name, refs)

    def sessions(self, owner: str, search: str = "") -> list[SessionRow]:
        """Return the sessions of an owner, newest first.

        Args:
            owner: User.
            search: Text that the title or a request must have.
        """
        rows = []
        for kept in self._catalogue.sessions(owner, search):
            stage, status, colour = cast(Stage, kept.stage), kept.status, cast(Colour, kept.colour)
            live = self._sessions.in_memory(kept.thread)
            if live is not None and live.view.turns:
                with live.lock:
                    stage, status, colour = live.view.stage, live.turn.status, live.turn.colour
            rows.append(SessionRow(kept.thread, kept.title, kept.updated[:10], stage, status, colour))
        return rows

    def last_faults(self, owner: str) -> dict[str, tuple[str, str]]:
        """Return the tools whose last call in a session of an owner failed.

        Returns:
            By name of the tool: why in words, and the day, such as "2026-05-04"; "" where the turn did not end.
        """
        calls = self._catalogue.last_calls(owner)
        return {tool: (sentences(fault["message"], fault["hint"]), ended[:10]) for tool, fault, ended in calls if fault}

    def rename(self, thread: str, owner: str, title: str) -> None:
        """Give a session another title; an empty one is that of the first request."""
        live = self._sessions.find(thread, owner)
        with live.change() as view:
            view.title = _shortened(title.strip() or (view.turns[0].request if view.turns else ""))
            self._catalogue.set_title(thread, view.title)

    def delete(self, thread: str, owner: str) -> None:
        """Delete a session; `restore` undoes it for a day."""
        live = self._sessions.find(thread, owner)
        self.stop(thread, owner)
        self._catalogue.set_deleted(thread, True)
        with live.change():
            live.gone = True

    def restore(self, thread: str, owner: str) -> None:
        """Undo `delete`.

        Raises:
            NotFound: when there is no such session any more.
        """
        live = self._sessions.find(thread, owner, deleted=True)
        self._catalogue.set_deleted(thread, False)
        with live.change():
            live.gone = False

    def _run(self, live: Live) -> None:
        """Put the last turn into a thread; the session's lock must be held."""
        assert live.row is not None
        view, thread = live.view, live.view.thread
        self._catalogue.set_status(thread, view.stage, live.turn.status, live.turn.colour)
        work = Work(
            live,
            live.row,
            lambda ticket: self._sessions.open(thread, ticket),
            self._catalogue,
            self._shelf,
            lambda: self._runner.closed,
        )
        live.ticket = self._runner.begin(live.owner, work, work.changed)


def _shortened(title: str) -> str:
    title = " ".join(title.split())
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 1].rstrip()}…"
