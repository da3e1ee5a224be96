"""Which weights took part in making a value, how they were addressed, and what to know of it, for its provenance."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from tools.storage.store import LinkUsed, WeightsUsed

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


@dataclass(frozen=True)
class Remarks:
    """What a call says about how its value was made.

    Attributes:
        links: How decoders were addressed.
        notes: What to know before the value is believed, each as a sentence without its full stop.
    """

    links: list[LinkUsed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_remarks: ContextVar[Remarks | None] = ContextVar("remarks", default=None)


@contextmanager
def remarking() -> Iterator[Remarks]:
    """Collect what is said about the value that is made inside the block."""
    remarks = Remarks()
    token = _remarks.set(remarks)
    try:
        yield remarks
    finally:
        _remarks.reset(token)


def record_link(decoder: str, queries: int, asked: str) -> None:
    """Note that a decoder was addressed; `LinkUsed` explains the arguments."""
    remarks, link = _remarks.get(), LinkUsed(decoder=decoder, queries=queries, asked=asked)
    if remarks is not None and link not in remarks.links:
        remarks.links.append(link)


def note(sentence: str) -> None:
    """Note what to know before the value is believed; answers begin with it."""
    remarks = _remarks.get()
    if remarks is not None and sentence not in remarks.notes:
        remarks.notes.append(sentence)
