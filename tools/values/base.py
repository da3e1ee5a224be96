"""What every value has in common, and the JSON in which values are written down."""

import hashlib
import io
import json
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError, ValueInvalid

JSON_TYPE = "application/json"


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
    def held_bytes(self) -> int:
        """About how much memory the value takes."""
        return 4096

    def stream(self) -> BinaryIO:
        """Return `to_bytes()` as a file opened for reading; large kinds do not load it whole."""
        return io.BytesIO(self.to_bytes())

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """Return a few facts as small JSON (size, seconds, counts, first words)."""

    def __eq__(self, other: object) -> bool:
        """Compare kind and stored bytes."""
        if not isinstance(other, Value):
            return NotImplemented
        return self.kind == other.kind and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        """Hash the stored bytes."""
        return hash((self.kind, hashlib.sha256(self.to_bytes()).digest()))


def canonical_json(data: Any) -> bytes:
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


def plain_floats(array: NDArray[np.float32]) -> Any:
    """Return nested lists with the shortest decimals that read back as the same float32."""
    if array.ndim == 1:
        return [float(str(x)) for x in array]
    return [plain_floats(row) for row in array]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a private, read-only, contiguous copy."""
    copy = np.array(array, order="C", copy=True)
    copy.setflags(write=False)
    return copy


def float_array(data: Any, shape: tuple[int | None, ...], what: str) -> NDArray[np.float32]:
    """Return finite, read-only float32 of the given shape (None: any length).

    An empty list takes the shape asked for, so that "no boxes" needs no special case.

    Raises:
        ValueInvalid: when shape or content do not fit.
    """
    try:
        array = np.asarray(data, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueInvalid(f"{what} must be numbers: {error}") from error
    if array.size == 0 and array.ndim < len(shape):
        array = array.reshape([n or 0 for n in shape])
    fits = array.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = ", ".join("N" if n is None else str(n) for n in shape)
        raise ValueInvalid(f"{what} must have the shape ({wanted}), not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueInvalid(f"{what} must be finite, but holds NaN or infinity")
    return frozen(array)


def score_array(data: Any, count: int, what: str) -> NDArray[np.float32]:
    """Return `count` scores between 0 and 1; rounding errors of a thousandth are clipped."""
    scores = float_array(data, (count,), what)
    if ((scores < -1e-3) | (scores > 1 + 1e-3)).any():
        raise ValueInvalid(f"{what} must lie between 0 and 1, but run from {scores.min():g} to {scores.max():g}")
    return frozen(np.clip(scores, 0, 1))


def box_array(data: Any, size: tuple[int, int], what: str) -> NDArray[np.float32]:
    """Return boxes (N, 4) as x0, y0, x1, y1 in pixels, clipped to an image of (height, width).

    Raises:
        ValueInvalid: for NaN, infinite or inverted boxes.
    """
    boxes = float_array(data, (None, 4), what)
    inverted = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    if inverted.any():
        first = int(np.flatnonzero(inverted)[0])
        raise ValueInvalid(
            f"{what}: box {first} is inverted: {boxes[first].tolist()}",
            "Boxes are x0, y0, x1, y1 in pixels with x0 <= x1 and y0 <= y1",
        )
    height, width = size
    return frozen(np.clip(boxes, 0, np.array([width, height, width, height], dtype=np.float32)))


def usable_rows(xyxy: NDArray[Any], scores: NDArray[Any], size: tuple[int, int]) -> NDArray[np.intp]:
    """Return which rows of a model's answer are boxes in the picture.

    Models write down rows that are none, mostly at scores near 0: inverted, without area, outside the picture, with
    NaN. What a model answers is not its user's mistake, so adapters leave such rows out where constructors refuse them.

    Args:
        xyxy: Boxes (N, 4) in pixels.
        scores: (N,), of any range.
        size: (height, width) of the picture.

    Returns:
        Numbers of the rows whose corners and scores are finite and whose boxes have an area within the picture.
    """
    boxes = np.asarray(xyxy, np.float32).reshape(-1, 4)
    inside = np.clip(boxes, 0, np.array([size[1], size[0]] * 2, np.float32))
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(np.asarray(scores, np.float32))
    return np.flatnonzero(finite & (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1]))


def dropped_rows(count: Any) -> int:
    """Return how many rows of a model's answer were left out, as a whole number from 0 on."""
    if not isinstance(count, int) or count < 0:
        raise ValueInvalid(f"dropped must be a whole number from 0 on, not {count!r}")
    return count


def supervision_library() -> ModuleType:
    """Import supervision.

    Raises:
        ToolError: when it is not installed.
    """
    try:
        import supervision
    except ModuleNotFoundError as error:
        raise ToolError(
            f"The package {error.name} is not installed", "Run: pip install 'superlink[supervision]'"
        ) from error
    module: ModuleType = supervision
    return module


def image_size(size: Any) -> tuple[int, int]:
    """Return (height, width) as positive ints."""
    try:
        height, width = (int(n) for n in size)
    except (TypeError, ValueError) as error:
        raise ValueInvalid(f"size must be (height, width) in pixels, not {size!r}") from error
    if height < 1 or width < 1:
        raise ValueInvalid(f"size must be (height, width) of at least 1 pixel, not {size!r}")
    return height, width
