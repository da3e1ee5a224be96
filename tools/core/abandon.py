"""Runs work in a thread of its own that can be left behind, when a person stops it or its time is up.

Python cannot end a thread. Work that is left goes on in the background until it ends by itself or the process does; nobody
waits for it, and what it returns is dropped.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from tools.core.errors import SuperlinkError

R = TypeVar("R")

_STEP = 0.05
"""Seconds between two looks at whether the work is to be left; a signal handler may set an event, but not take locks."""

_left: list[threading.Thread] = []
_ends: ContextVar[list[Callable[[], None]] | None] = ContextVar("ends_of_abandonable_work", default=None)


class Stopped(SuperlinkError):
    """Work was left because a person stopped it."""


class TimeUp(SuperlinkError):
    """Work was left because it took longer than allowed."""


def abandonable(work: Callable[[], R], stop: threading.Event, limit: float = 0) -> R:
    """Run work and wait for it, but no longer than it is wanted.

    Args:
        work: what to run, in a thread of its own and a copy of the caller's context.
        stop: leaves the work once it is set.
        limit: seconds that the work may take; 0 for no limit.

    Returns:
        What the work returns.

    Raises:
        Stopped: `stop` was set before the work had ended.
        TimeUp: it took longer than `limit`.
        BaseException: whatever the work raises.
    """
    ends: list[Callable[[], None]] = []
    results: list[R] = []
    errors: list[BaseException] = []

    def run() -> None:
        _ends.set(ends)
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    if stop.is_set():
        raise Stopped("the work was stopped")
    thread = threading.Thread(target=copy_context().run, args=(run,), daemon=True, name="superlink work")
    began = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(_STEP)
        if stop.is_set() and not results:
            _leave(thread, ends)
            raise Stopped("the work was stopped")
        if limit and thread.is_alive() and time.monotonic() - began > limit:
            _leave(thread, ends)
            raise TimeUp(f"it took longer than {limit:g} s")
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def when_left(end: Callable[[], None]) -> Iterator[None]:
    """Have `end` called when the work that is being done is left inside the block; it is called by another thread."""
    ends = _ends.get()
    if ends is None:
        yield
        return
    ends.append(end)
    try:
        yield
    finally:
        ends.remove(end)


def _leave(thread: threading.Thread, ends: list[Callable[[], None]]) -> None:
    _left.append(thread)
    for end in list(ends):
        end()


def left() -> int:
    """How much work that was left still goes on."""
    return sum(thread.is_alive() for thread in _left)
