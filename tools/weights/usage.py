"""Which weights took part in making a value, for its provenance."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from tools.storage.store import WeightsUsed

_recorder: ContextVar[list[WeightsUsed] | None] = ContextVar("weights_used", default=None)


@contextmanager
def recording() -> Iterator[list[WeightsUsed]]:
    """Collect which weights are used inside the block."""
    used: list[WeightsUsed] = []
    token = _recorder.set(used)
    try:
        yield used
    finally:
        _recorder.reset(token)


def recorded() -> Sequence[WeightsUsed]:
    """Return which weights were used so far for what is being made."""
    return _recorder.get() or ()


def record(used: Sequence[WeightsUsed]) -> None:
    """Note the use of weights for the provenance of what is being made, if anything is."""
    collected = _recorder.get()
    if collected is not None:
        collected.extend(one for one in used if one not in collected)
