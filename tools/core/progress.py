"""Progress of the current work: how many of its frames, pictures or chunks are done.

Engines and tools report it; who runs them listens, and throttles. A report also ends work that was abandoned: it raises
`Stopped` (`tools.core.abandon`).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Protocol, TypeVar

from tools.core.abandon import raise_if_abandoned

T = TypeVar("T")

Listener = Callable[[int, int], None]
"""Takes how much is done, and how much there is."""


class _Module(Protocol):
    """What is used of a `torch.nn.Module`."""

    def register_forward_pre_hook(self, hook: Callable[..., None]) -> "_Hook": ...


class _Hook(Protocol):
    def remove(self) -> None: ...


class _Shown:
    """What a listener is told.

    Attributes:
        counted: Whether a loop of several rounds is counted; loops inside it are not shown.
        rows: Of a call with several rows: how many are done, how many there are, and how many are worked together now.
    """

    def __init__(self, listener: Listener, every: float) -> None:
        self._listener, self._every = listener, every
        self._told = time.monotonic()
        self.counted = False
        self.end_rows()

    def end_rows(self) -> None:
        """Forget the rows of a call."""
        self.rows: tuple[int, int, int] | None = None
        self._share, self._scale = 0.0, 1.0

    def begin_rows(self, done: int, rows: int, together: int) -> None:
        """Begin work on further rows of a call."""
        self.rows = done, rows, together
        self.tell(0, together * self._scale)

    def tell(self, done: int, total: float) -> None:
        if self.rows is not None:
            before, rows, together = self.rows
            self._scale = total / together
            done, total = round(before * self._scale + done), rows * self._scale
            if done / total < self._share:  # a further loop over the same rows
                return
            self._share = done / total
        now = time.monotonic()
        if now - self._told >= self._every:
            self._told = now
            self._listener(done, round(total))


_shown: ContextVar[_Shown | None] = ContextVar("progress", default=None)


@contextmanager
def listening(listener: Listener, every: float) -> Iterator[None]:
    """Tell a listener of the progress of the work inside the block, in the thread of that work.

    Args:
        listener: The function to call.
        every: Least seconds between two calls; the first call comes after as many.
    """
    token = _shown.set(_Shown(listener, every))
    try:
        yield
    finally:
        _shown.reset(token)


def report(done: int, total: int) -> None:
    """Say that `done` of `total` frames, pictures or chunks are done, unless an outer loop is counted.

    Raises:
        Stopped: when the current work was abandoned.
    """
    raise_if_abandoned()
    shown = _shown.get()
    if shown is not None and not shown.counted and total > 1:
        shown.tell(done, total)


@contextmanager
def counted(total: int) -> Iterator[Callable[[int], None]]:
    """Count the rounds of a loop inside the block; of loops within loops, the outermost of several rounds is shown.

    Args:
        total: Number of rounds.

    Yields:
        A function that takes how many are done, and raises `Stopped` when the current work was abandoned.
    """
    shown = _shown.get()
    if shown is None or shown.counted or total <= 1:
        yield lambda done: raise_if_abandoned()
        return

    def tell(done: int) -> None:
        raise_if_abandoned()
        shown.tell(done, total)

    shown.counted = True
    try:
        yield tell
    finally:
        shown.counted = False


@contextmanager
def counted_rows(total: int) -> Iterator[Callable[[int, int], None]]:
    """Count the rows of a call inside the block; loops inside the work on a row count as shares of it.

    Args:
        total: Number of rows.

    Yields:
        A function that takes how many rows are done and how many are worked together next, and raises `Stopped` when
        the current work was abandoned.
    """
    shown = _shown.get()

    def tell(done: int, together: int) -> None:
        raise_if_abandoned()
        if shown is not None and total > 1 and together:
            shown.begin_rows(done, total, together)

    try:
        yield tell
    finally:
        if shown is not None:
            shown.end_rows()


def track(items: Iterable[T], total: int | None = None) -> Iterator[T]:
    """Yield items, and report before and after each how many are done.

    Args:
        items: Frames, pictures or chunks.
        total: Their number; by default their length. Without either, only `Stopped` is raised.

    Raises:
        Stopped: when the current work was abandoned.
    """
    for (item,) in track_parts(items, 1, total):
        yield item


def track_parts(items: Iterable[T], size: int, total: int | None = None) -> Iterator[list[T]]:
    """Yield parts of the items, and report before and after each how many items are done.

    Args:
        items: Frames, pictures or chunks.
        size: Most items of a part.
        total: Their number; by default their length. Without either, only `Stopped` is raised.

    Raises:
        Stopped: when the current work was abandoned.
    """
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    rest = iter(items)
    with counted(total) as tell:
        done = 0
        tell(done)
        while part := list(islice(rest, size)):
            yield part
            done += len(part)
            tell(done)


@contextmanager
def stoppable(module: _Module) -> Iterator[None]:
    """End abandoned work at the next forward pass of a torch module, such as the next token of a language model.

    Raises:
        Stopped: when the current work was abandoned.
    """
    hook = module.register_forward_pre_hook(lambda *_: raise_if_abandoned())
    try:
        yield
    finally:
        hook.remove()
