"""Runs turns in threads of the server: fair queues in front of the planner and of the tools."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from statistics import fmean
from typing import Literal

from agents.session.session import Session
from tools.core.abandon import Stopped
from tools.core.errors import SuperlinkError
from ui.turns.view import QueuePlace

_RECENT = 20
"""Number of recent turns from which the expected wait is computed."""

Moment = Literal["queued", "planning", "running"]


class TooMany(SuperlinkError):
    """An owner has as many waiting turns as one may have."""


class Line:
    """A queue in front of a number of slots.

    The owners take turns: a first waiting turn of anyone comes before a second one of anybody else. Among equals the
    first to come is the first to be served.

    Args:
        slots: Number of turns that are served at the same time.
        lock: Lock of the runner.
    """

    def __init__(self, slots: int, lock: threading.Condition) -> None:
        self._slots, self._lock = slots, lock
        self._waiting: list[Ticket] = []
        self._served: dict[Ticket, float] = {}
        self._seconds: deque[float] = deque(maxlen=_RECENT)
        self._changes = 0

    def enter(self, ticket: "Ticket", moved: Callable[[], None]) -> None:
        """Wait for a slot.

        Args:
            ticket: Of the turn.
            moved: Called, without the lock, when the turn begins to wait and when its place may have changed.

        Raises:
            Stopped: when the turn was withdrawn.
        """
        with self._lock:
            self._waiting.append(ticket)
            self._change()
            waits = self._place(ticket) > self._slots - len(self._served)
        try:
            if waits:
                moved()
            with self._lock:
                seen = self._changes
                while not ticket.stop.is_set() and self._place(ticket) > self._slots - len(self._served):
                    while self._changes == seen and not ticket.stop.is_set():
                        self._lock.wait()
                    # A reader may have seen any place in between, so that the same one as before is news, too.
                    seen = self._changes
                    self._lock.release()
                    try:
                        moved()
                    finally:
                        self._lock.acquire()
                if ticket.stop.is_set():
                    raise Stopped("the turn was withdrawn")
                self._served[ticket] = time.monotonic()
        finally:
            with self._lock:
                self._waiting.remove(ticket)
                self._change()

    def leave(self, ticket: "Ticket") -> None:
        """Free the slot of a turn."""
        with self._lock:
            began = self._served.pop(ticket, None)
            if began is not None:
                self._seconds.append(time.monotonic() - began)
            self._change()

    def place(self, ticket: "Ticket") -> QueuePlace | None:
        """Return the place of a waiting turn and how long it is likely to wait; None for one that does not wait."""
        with self._lock:
            if ticket not in self._waiting:
                return None
            place = self._place(ticket)
            if not self._seconds:
                return QueuePlace(place, None)
            mean = fmean(self._seconds)
            spent = [time.monotonic() - began for began in self._served.values()]
            left = min((max(mean - one, 0.0) for one in spent), default=0.0)
            return QueuePlace(place, round(left + mean * ((place - 1) // self._slots), 1))

    def serves(self, ticket: "Ticket") -> bool:
        """Return whether a turn has a slot; the lock must be held."""
        return ticket in self._served

    def _change(self) -> None:
        self._changes += 1
        self._lock.notify_all()

    def _place(self, ticket: "Ticket") -> int:
        return 1 + sorted(self._waiting, key=self._rank).index(ticket)

    def _rank(self, ticket: "Ticket") -> tuple[int, int]:
        before = sum(one.owner == ticket.owner and one.number < ticket.number for one in self._waiting)
        return before + sum(one.owner == ticket.owner for one in self._served), ticket.number


class Ticket:
    """Admission of one turn; a `Gate` of its session.

    The planner's slot is held while the planner works, a slot for tools from the first step to the end of the turn.

    Attributes:
        owner: User whose turn it is.
        number: Number of the turn in the order in which they came.
        stop: Set when the turn is withdrawn or stopped.
    """

    def __init__(self, runner: "Runner", owner: str, number: int, changed: Callable[["Ticket", Moment], None]) -> None:
        self.owner, self.number, self.stop = owner, number, threading.Event()
        self._runner, self._changed = runner, changed
        self._entering = threading.Lock()
        self._works = False

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Hold the planner's slot inside the block."""
        line = self._runner.planner
        line.enter(self, lambda: self._changed(self, "queued"))
        try:
            self._changed(self, "planning")
            yield
        finally:
            line.leave(self)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold a slot for tools from here to the end of the turn; its steps share it."""
        with self._entering:
            if not self._works:
                self._runner.tools.enter(self, lambda: self._changed(self, "queued"))
                self._works = True
                self._changed(self, "running")
        if self.stop.is_set():
            raise Stopped("the turn was stopped")
        yield

    @property
    def place(self) -> QueuePlace | None:
        """Place in a queue; None while the turn does not wait."""
        return self._runner.planner.place(self) or self._runner.tools.place(self)

    def close(self) -> None:
        """Free the slot for tools."""
        if self._works:
            self._runner.tools.leave(self)


class Runner:
    """Threads of turns.

    Args:
        planners: Number of turns that plan at the same time.
        tools: Number of turns that run their steps at the same time.
        waiting: Maximum number of turns of one owner that wait.
    """

    def __init__(self, planners: int = 1, tools: int = 1, waiting: int = 4) -> None:
        self._lock = threading.Condition()
        self.planner, self.tools = Line(planners, self._lock), Line(tools, self._lock)
        self._most = waiting
        self._numbers = count(1)
        self._tickets: dict[Ticket, threading.Thread] = {}
        self._closed = False

    def check(self, owner: str) -> None:
        """Check that an owner may begin another turn.

        Raises:
            TooMany: when too many of the owner's turns wait.
        """
        with self._lock:
            waiting = sum(
                one.owner == owner and not (self.planner.serves(one) or self.tools.serves(one)) for one in self._tickets
            )
        if waiting >= self._most:
            raise TooMany(f"{waiting} of your requests wait already", "Wait until one has begun, or withdraw one")

    def begin(self, owner: str, work: Callable[[Ticket], None], changed: Callable[[Ticket, Moment], None]) -> Ticket:
        """Run a turn in a thread of its own.

        Args:
            owner: User whose turn it is.
            work: Runs the turn; called with its ticket.
            changed: Called when the turn begins to wait, to plan or to run, and when its place changes.
        """
        ticket = Ticket(self, owner, next(self._numbers), changed)

        def run() -> None:
            try:
                work(ticket)
            finally:
                ticket.close()
                with self._lock:
                    self._tickets.pop(ticket, None)

        thread = threading.Thread(target=run, name=f"superlink turn {ticket.number}", daemon=True)
        with self._lock:
            self._tickets[ticket] = thread
        thread.start()
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """Make a turn give up its place."""
        with self._lock:
            ticket.stop.set()
            self._lock.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the server is ending."""
        return self._closed

    def close(self, sessions: Sequence[Session], seconds: float = 5.0) -> None:
        """Stop all turns and wait for their threads.

        Args:
            sessions: Of the turns that run.
            seconds: Longest wait for all of them.
        """
        with self._lock:
            self._closed = True
            threads = list(self._tickets.values())
            for ticket in self._tickets:
                ticket.stop.set()
            self._lock.notify_all()
        for session in sessions:
            session.stop()
        end = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
