"""Checks of the arrays that values hold: shapes, ranges, boxes within their picture."""

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tools.core.errors import ValueInvalid

DType = TypeVar("DType", bound=np.generic)


def plain_floats(array: NDArray[np.float32]) -> list[object]:
    """Return nested lists with the shortest decimals that read back as the same float32."""
    if array.ndim == 1:
        return [float(str(x)) for x in array]
    return [plain_floats(row) for row in array]


def frozen(array: NDArray[DType]) -> NDArray[DType]:
    """Return a private, read-only, contiguous copy."""
    copy = np.array(array, order="C", copy=True)
    copy.setflags(write=False)
    return copy


def float_array(data: ArrayLike, shape: tuple[int | None, ...], what: str) -> NDArray[np.float32]:
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
        expected = ", ".join("N" if n is None else str(n) for n in shape)
        raise ValueInvalid(f"{what} must have the shape ({expected}), not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueInvalid(f"{what} must be finite, but holds NaN or infinity")
    return frozen(array)


def score_array(data: ArrayLike, count: int, what: str) -> NDArray[np.float32]:
    """Return `count` scores between 0 and 1; rounding errors of a thousandth are clipped."""
    scores = float_array(data, (count,), what)
    if ((scores < -1e-3) | (scores > 1 + 1e-3)).any():
        raise ValueInvalid(f"{what} must lie between 0 and 1, but run from {scores.min():g} to {scores.max():g}")
    return frozen(np.clip(scores, 0, 1))


def box_array(data: ArrayLike, size: tuple[int, int], what: str) -> NDArray[np.float32]:
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


def usable_rows(xyxy: ArrayLike, scores: ArrayLike, size: tuple[int, int]) -> NDArray[np.intp]:
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


def dropped_rows(count: object) -> int:
    """Return how many rows of a model's answer were left out, as a whole number from 0 on."""
    if not isinstance(count, int) or count < 0:
        raise ValueInvalid(f"dropped must be a whole number from 0 on, not {count!r}")
    return count


def image_size(size: Iterable[int]) -> tuple[int, int]:
    """Return (height, width) as positive ints."""
    try:
        height, width = (int(n) for n in size)
    except (TypeError, ValueError) as error:
        raise ValueInvalid(f"size must be (height, width) in pixels, not {size!r}") from error
    if height < 1 or width < 1:
        raise ValueInvalid(f"size must be (height, width) of at least 1 pixel, not {size!r}")
    return height, width


def integer_array(data: ArrayLike | None, count: int, what: str) -> NDArray[np.int64] | None:
    """Return `count` whole numbers, read-only, or None.

    Raises:
        ValueInvalid: when they are not that many, or not whole.
    """
    if data is None:
        return None
    array = np.asarray(data)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.shape != (count,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueInvalid(f"{count} boxes need {count} whole numbers as {what}, not {array.dtype} {array.shape}")
    return frozen(array.astype(np.int64))
