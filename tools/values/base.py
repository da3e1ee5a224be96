"""What every value has in common, and the JSON in which values are written down."""

import hashlib
import io
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

from typing_extensions import TypedDict

from tools.core.errors import ValueInvalid

JSON_TYPE = "application/json"


class ValueSummary(TypedDict, total=False):
    """A few facts about a value, as small JSON; each kind gives those that it has.

    Attributes:
        width: Pixels of a picture or video.
        height: Pixels.
        pages: Pages or frames of a picture's file, where there are several.
        seconds: Length of a recording or video.
        rate: Samples per second.
        channels: Channels of a recording.
        silent: Whether a recording holds only silence.
        fps: Frames per second of a video, on average.
        frames: Frames of a video, or frames in which something was found.
        start: The first words of a text; of a video the time of its first frame in seconds, where it is not 0.
        variable: True for a video whose frames are not at equal distances in time.
        characters: Length of a text.
        segments: Segments of a transcript.
        language: Code of its language, such as "en", or None.
        count: Boxes or people.
        labels: How often each label was found, the most frequent first.
        size: Height and width in pixels of the picture that boxes or poses belong to.
        masks: Whether there are masks.
        tracks: Different track ids.
        dropped: Rows of a model's answer that were left out.
        value: A number.
        unit: Its unit, or None.
    """

    width: int
    height: int
    pages: int
    seconds: float
    rate: int
    channels: int
    silent: bool
    fps: float
    frames: int
    start: Any  # str or float, by kind
    variable: bool
    characters: int
    segments: int
    language: str | None
    count: int
    labels: dict[str, int]
    size: list[int]
    masks: bool
    tracks: int
    dropped: int
    value: float
    unit: str | None


class Value(ABC):
    """One piece of data that flows between tools: validated when made, never changed afterwards.

    Two values are equal when they are of one kind and their stored bytes are equal.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def media_type(self) -> str:
        """The MIME type of `to_bytes()`."""

    @property
    @abstractmethod
    def suffix(self) -> str:
        """The file name ending that suits `to_bytes()`, with its dot."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Return the bytes that are stored, hashed and written to files."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes, media_type: str) -> Self:
        """Read back what `to_bytes` wrote.

        Raises:
            MediaError: when the bytes are not a file of this kind.
            ValueInvalid: when they are, but the content breaks the rules of this kind.
        """

    @classmethod
    def from_file(cls, path: Path, media_type: str) -> Self:
        """Read a stored file; kinds that can work from disk do not read all of it."""
        return cls.from_bytes(path.read_bytes(), media_type)

    @property
    def memory_bytes(self) -> int:
        """About how much memory the value takes."""
        return 4096

    def stream(self) -> BinaryIO:
        """Return `to_bytes()` as a file opened for reading; large kinds do not load it whole."""
        return io.BytesIO(self.to_bytes())

    @abstractmethod
    def summary(self) -> ValueSummary:
        """Return a few facts as small JSON."""

    def __eq__(self, other: object) -> bool:
        """Compare kind and stored bytes."""
        if not isinstance(other, Value):
            return NotImplemented
        return self.kind == other.kind and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        """Hash the stored bytes."""
        return hash((self.kind, hashlib.sha256(self.to_bytes()).digest()))


class FileValue(Value):
    """A value that is stored as a media file in one of several formats."""

    @property
    @abstractmethod
    def _type(self) -> tuple[str, str]:
        """MIME type and file name ending of `to_bytes()`."""

    @property
    def media_type(self) -> str:
        """The MIME type of the stored file."""
        return self._type[0]

    @property
    def suffix(self) -> str:
        """The ending that suits `media_type`."""
        return self._type[1]


class StructuredValue(Value):
    """A value that is stored as one JSON object."""

    @property
    def media_type(self) -> str:
        """Always JSON."""
        return JSON_TYPE

    @property
    def suffix(self) -> str:
        """Always .json."""
        return ".json"

    @abstractmethod
    def to_json(self) -> dict[str, object]:
        """Return the JSON object."""

    @classmethod
    @abstractmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Make the value of the JSON object that `to_json` returned.

        Raises:
            KeyError, TypeError: when a field is missing, unknown, or of the wrong type.
            ValueInvalid: when the content breaks the rules of this kind.
        """

    def to_bytes(self) -> bytes:
        """Return canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = JSON_TYPE) -> Self:
        """Read the JSON of `to_bytes`.

        Raises:
            ValueInvalid: when it is not the JSON of a value of this kind.
        """
        fields = read_json(data, cls.kind)
        try:
            return cls.from_json(fields)
        except (KeyError, TypeError) as error:
            raise ValueInvalid(f"This is not a stored {cls.kind}: {error}") from error


def canonical_json(data: object) -> bytes:
    """Return JSON with sorted keys and no spaces, so that equal data has equal bytes."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def read_json(data: bytes, kind: str) -> dict[str, Any]:
    """Parse a JSON object that `canonical_json` wrote for a value of this kind."""
    try:
        parsed = json.loads(data)
    except RecursionError as error:
        raise ValueInvalid(f"This is not a stored {kind}: it is nested too deeply") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueInvalid(f"This is not a stored {kind}: {error}") from error
    if not isinstance(parsed, dict):
        raise ValueInvalid(f"This is not a stored {kind}: expected a JSON object, got {type(parsed).__name__}")
    return parsed
