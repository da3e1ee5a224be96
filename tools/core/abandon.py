"""Work in a thread of its own that can be abandoned, on a stop or at a time limit.

Python cannot end a thread. Abandoned work ends at its next `raise_if_abandoned`, which `tools.core.progress` calls for
each frame, picture or chunk. Nobody waits for it, and its result is dropped.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import TypeVar

from tools.core.errors import SuperlinkError

R = TypeVar("R")

_STEP = 0.05
"""Seconds between two checks of the stop event, which is polled because signal handlers must not take locks."""

_abandoned: list[threading.Thread] = []


class Stopped(SuperlinkError):
    """Work was abandoned because a person stopped it."""


class TimeUp(SuperlinkError):
    """Work was abandoned because it took longer than allowed."""


@dataclass(frozen=True, eq=False)
class _Work:
    """Work that can be abandoned.

    Attributes:
        abandoned: Whether nobody waits for it any more.
        callbacks: What to call when it is abandoned.
    """

    abandoned: threading.Event = field(default_factory=threading.Event)
    callbacks: list[Callable[[], None]] = field(default_factory=list)


_current: ContextVar[_Work | None] = ContextVar("work", default=None)


def abandonable(work: Callable[[], R], stop: threading.Event, limit: float = 0) -> R:
    """Run work in a thread and wait until it ends, `stop` is set, or `limit` is over.

    Args:
        work: The function to run, in a copy of the caller's context.
        stop: Event that abandons the work.
        limit: Seconds that the work may take; 0 for no limit.

    Returns:
        The result of the work.

    Raises:
        Stopped: when `stop` was set before the work ended.
        TimeUp: when it took longer than `limit`.
        BaseException: whatever the work raises.
    """
    current = _Work()
    results: list[R] = []
    errors: list[BaseException] = []

    def run() -> None:
        _current.set(current)
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
            _abandon(thread, current)
            raise Stopped("the work was stopped")
        if limit and thread.is_alive() and time.monotonic() - began > limit:
            _abandon(thread, current)
            raise TimeUp(f"it took longer than {limit:g} s")
    if errors:
        raise errors[0]
    return results[0]


def raise_if_abandoned() -> None:
    """Raise `Stopped` when the current work was abandoned."""
    work = _current.get()
    if work is not None and work.abandoned.is_set():
        raise Stopped("the work was stopped")


@contextmanager
def on_abandon(callback: Callable[[], None]) -> Iterator[None]:
    """Call `callback`, in another thread, when the current work is abandoned inside the block.

    Raises:
        Stopped: when it was abandoned before.
    """
    work = _current.get()
    if work is None:
        yield
        return
    work.callbacks.append(callback)
    try:
        raise_if_abandoned()
        yield
    finally:
        work.callbacks.remove(callback)


def _abandon(thread: threading.Thread, work: _Work) -> None:
    _abandoned.append(thread)
    work.abandoned.set()
    for callback in list(work.callbacks):
        callback()


def count_abandoned() -> int:
    """Return the number of threads with abandoned work that are still running."""
    return sum(thread.is_alive() for thread in _abandoned)
