"""Values in a form that can be sent to another process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from tools.core.faults import Fault
from tools.storage.store import WeightsUsed
from tools.values import VALUE_TYPES
from tools.values.base import Value


@dataclass(frozen=True)
class Packed:
    """A value as its stored bytes, or as the path of its file on this computer."""

    kind: str
    media_type: str
    data: bytes | Path

    def unpack(self) -> Value:
        """Return the value."""
        kind = VALUE_TYPES[self.kind]
        if isinstance(self.data, Path):
            return kind.from_file(self.data, self.media_type)
        return kind.from_bytes(self.data, self.media_type)


@dataclass(frozen=True)
class Foreign:
    """Stands for an object that is no value and is not sent.

    Attributes:
        type: Name of its type.
    """

    type: str


Call = Mapping[str, object]
"""Arguments of a call by name, packed."""


class Answer(TypedDict, total=False):
    """What the process of an isolated tool answers to a call; empty for "ready".

    Attributes:
        result: The packed result.
        weights: Weights that took part in it.
        fault: The exception that ended the call instead.
        kind: Name of its class where it is a SuperlinkError of superlink's own, else None.
        message: Message of such an error.
        hint: Hint of such an error.
    """

    result: object
    weights: list[WeightsUsed]
    fault: Fault
    kind: str | None
    message: str
    hint: str


def pack(value: object) -> object:
    """Return a value as `Packed`, also within lists; anything else is returned as it is."""
    if isinstance(value, Value):
        source = getattr(value, "source", None)
        return Packed(value.kind, value.media_type, source if isinstance(source, Path) else value.to_bytes())
    return [pack(each) for each in value] if isinstance(value, list | tuple) else value


def pack_result(result: object) -> object:
    """Return a tool's result with each value as `Packed`, also within lists, and anything else as `Foreign`."""
    if isinstance(result, list | tuple):
        return [pack_result(each) for each in result]
    return pack(result) if isinstance(result, Value) else Foreign(type(result).__name__)


def unpack(packed: object) -> object:
    """Return what `pack` or `pack_result` was given; a `Foreign` stays one."""
    if isinstance(packed, Packed):
        return packed.unpack()
    return [unpack(each) for each in packed] if isinstance(packed, list) else packed
