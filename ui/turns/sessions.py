"""Sessions in memory, made from what is kept where they are not there."""

import re
import shutil
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from agents.session.policy import Policy
from agents.session.session import Session
from tools.core.errors import SuperlinkError
from ui.context import Context, examples_of
from ui.turns.catalogue import Catalogue
from ui.turns.live import Live
from ui.turns.rebuild import Shelf, turn_view
from ui.turns.runner import Ticket
from ui.turns.view import SessionView

_THREAD = re.compile(r"[0-9a-f]{32}")
_MOST_LIVE = 256
"""Maximum number of idle sessions that are kept in memory."""
_KEPT_DELETED = timedelta(days=1)


class NotFound(SuperlinkError):
    """There is no such session, or it belongs to somebody else."""

    def __init__(self) -> None:
        """Say the same in both cases, so that nobody learns which sessions others have."""
        super().__init__("there is no such session", "Open one of your own, or begin a new one")


class Sessions:
    """The sessions of the page.

    Args:
        context: What all tabs share.
        catalogue: Where turns are kept.
        shelf: Where values and files are.
    """

    def __init__(self, context: Context, catalogue: Catalogue, shelf: Shelf) -> None:
        """Start with none in memory."""
        self._context, self._catalogue, self._shelf = context, catalogue, shelf
        self._live: dict[str, Live] = {}
        self._lock = threading.Lock()

    def find(self, thread: str, owner: str, deleted: bool = False) -> Live:
        """Return a session from memory, or rebuild it from what is kept.

        Args:
            thread: Name of the session.
            owner: User.
            deleted: Whether to find a deleted one, too.

        Raises:
            NotFound: when it is somebody else's or was deleted, or the name is none.
        """
        with self._lock:
            live = self._live.pop(thread, None) or self._rebuilt(thread, owner)
            self._make_room()
            self._live[thread] = live  # at the end: those that nobody asks for are forgotten first
        if live.owner != owner or (live.gone and not deleted):
            raise NotFound
        return live

    def in_memory(self, thread: str) -> Live | None:
        """Return a session that is in memory; None for any other."""
        return self._live.get(thread)

    def running(self) -> list[Session]:
        """Return the sessions of the turns that have begun and not ended."""
        with self._lock:
            return [live.session for live in self._live.values() if live.session is not None]

    def open(self, thread: str, gate: Ticket | None = None) -> Session:
        """Open the session behind a thread, which the caller runs.

        Args:
            thread: Name of the session.
            gate: Where its planner and steps wait.
        """
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
            examples=None if kept is None else examples_of(kept.owner),
            gate=gate,
        )

    def purge(self) -> None:
        """Remove what was deleted more than a day ago; values stay in the store."""
        for thread in self._catalogue.deleted_before((datetime.now(UTC) - _KEPT_DELETED).isoformat()):
            with suppress(SuperlinkError):
                self._context.saver.delete_thread(thread)
                shutil.rmtree(self._context.results / thread, ignore_errors=True)
                self._catalogue.purge(thread)

    def _rebuilt(self, thread: str, owner: str) -> Live:
        if not _THREAD.fullmatch(thread):
            raise NotFound
        kept, rows = self._catalogue.session(thread), self._catalogue.turns(thread)
        if kept is None:
            return Live(SessionView(thread), owner, None)
        if kept.owner != owner:
            raise NotFound
        view = SessionView(thread, kept.title, always=kept.always, stage="idle" if rows else "new")
        state = self.open(thread).state()
        for row in rows:
            record = state if row is rows[-1] and state["turn"] > row.base >= 0 else None
            view.turns.append(turn_view(row, record, self._shelf, state["values"], row is rows[-1]))
        live = Live(view, owner, rows[-1] if rows else None)
        live.gone = kept.deleted is not None
        if rows and rows[-1].state == "waiting":
            view.draft = self._catalogue.draft(thread)
            view.stage = "approval" if view.draft is None else "editing"
        elif rows and rows[-1].state == "active":
            view.stage = "planning" if live.turn.plan is None else "running"
        return live

    def _make_room(self) -> None:
        for thread in [thread for thread, live in self._live.items() if live.ticket is None][: -_MOST_LIVE or None]:
            del self._live[thread]
