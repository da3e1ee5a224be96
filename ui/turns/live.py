"""A session in memory: its view, which many readers follow, and what runs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from agents.session.session import Session
from ui.turns.catalogue import TurnRow
from ui.turns.runner import Ticket
from ui.turns.view import SessionView, Stage, TurnView
from ui.turns.words import Status


class Live:
    """A session in memory.

    Args:
        view: Of the session.
        owner: User whose session it is.
        row: Its last turn as it is kept.

    Attributes:
        ticket: Of the turn that runs or waits in a queue; None while none does.
        session: Of that turn, once it has begun.
        gone: Whether the session was deleted.
    """

    def __init__(self, view: SessionView, owner: str, row: TurnRow | None) -> None:
        """Start without a running turn. Versions are milliseconds, so that they grow from one process to the next."""
        self.view, self.owner, self.row = view, owner, row
        self.lock = threading.Condition(threading.RLock())
        self.ticket: Ticket | None = None
        self.session: Session | None = None
        self.gone = False
        view.version = time.time_ns() // 1_000_000

    @contextmanager
    def change(self) -> Iterator[SessionView]:
        """Change the view inside the block; readers then get the new version."""
        with self.lock:
            yield self.view
            self.view.version += 1
            self.lock.notify_all()

    def show(self, stage: Stage, status: Status) -> None:
        """Set where the session and its last turn stand; within `change`."""
        self.view.stage = stage
        self.turn.status, self.turn.colour = status

    @property
    def turn(self) -> TurnView:
        """The last turn."""
        return self.view.turns[-1]

    def snapshot(self) -> SessionView:
        """Return a copy of the view with its present place in the queue."""
        with self.lock:
            view, ticket = deepcopy(self.view), self.ticket
        if ticket is not None and view.stage == "queued":
            view.queue = ticket.place
        return view

    def follow(self, since: int) -> Iterator[SessionView]:
        """Yield the view whenever its version grew, until it only changes by somebody's doing.

        Args:
            since: Version that the reader has.
        """
        while True:
            with self.lock:
                while self.view.version <= since and self.view.works and not self.gone:
                    self.lock.wait()
            view = self.snapshot()
            if view.version > since:
                since = view.version
                yield view
            if not view.works or self.gone:
                return
