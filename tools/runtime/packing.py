"""Values on their way to another process and back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.values import VALUE_TYPES
from tools.values.base import Value


@dataclass(frozen=True)
class Packed:
    """A value as its stored bytes, or as the path of its file on this computer."""

    kind: str
    media_type: str
    data: bytes | Path

    def unpacked(self) -> Value:
        """Return the value."""
        kind = VALUE_TYPES[self.kind]
        if isinstance(self.data, Path):
            return kind.from_file(self.data, self.media_type)
        return kind.from_bytes(self.data, self.media_type)


@dataclass(frozen=True)
class Foreign:
    """Stands for something that is no value and stays where it is.

    Attributes:
        type: name of its type.
    """

    type: str


def pack(value: Any) -> Any:
    """Return values ready to be sent, also within lists; anything else as it is."""
    if isinstance(value, Value):
        source = getattr(value, "source", None)
        return Packed(value.kind, value.media_type, source if isinstance(source, Path) else value.to_bytes())
    return [pack(each) for each in value] if isinstance(value, list | tuple) else value


def pack_result(made: Any) -> Any:
    """Return what a tool returned ready to be sent: values, lists of these, and `Foreign` for anything else."""
    if isinstance(made, list | tuple):
        return [pack_result(each) for each in made]
    return pack(made) if isinstance(made, Value) else Foreign(type(made).__name__)


def unpack(sent: Any) -> Any:
    """Return what was packed."""
    if isinstance(sent, Packed):
        return sent.unpacked()
    return [unpack(each) for each in sent] if isinstance(sent, list) else sent
