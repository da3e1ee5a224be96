"""Masks in COCO's run-length form: encoding, decoding, checking."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ValueInvalid

Mask = NDArray[np.bool_ | np.uint8 | np.floating]
"""A mask (H, W) as models give it: not 0 where the thing is."""


class RLE(TypedDict):
    """A mask as COCO writes it: size [height, width] and compressed run lengths."""

    size: list[int]
    counts: str


def encode_mask(mask: Mask) -> RLE:
    """Return a bool mask (H, W) in COCO's compressed run-length form."""
    import pycocotools.mask

    encoded = pycocotools.mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def decode_mask(mask: RLE) -> NDArray[np.bool_]:
    """Return a mask (H, W) of its run-length form."""
    import pycocotools.mask

    decoded: NDArray[np.bool_] = pycocotools.mask.decode(mask).astype(bool)
    return decoded


def checked_rle(mask: object, size: tuple[int, int]) -> RLE:
    """Return a mask in run-length form, with plain types.

    Args:
        mask: The mask; its counts may be bytes, as pycocotools gives them.
        size: (height, width) of the picture.

    Raises:
        ValueInvalid: when it is no run-length form, or not of a picture of this size.
    """
    try:
        height, width = mask["size"]  # type: ignore[index]  # checked here
        counts = mask["counts"]  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueInvalid(f"A mask must be a COCO run-length dict, not {type(mask).__name__}") from error
    if (height, width) != size:
        raise ValueInvalid(f"A mask is {width}x{height}, its picture is {size[1]}x{size[0]}")
    if isinstance(counts, bytes):
        counts = counts.decode("ascii")
    if not isinstance(counts, str):
        raise ValueInvalid("A mask's counts must be COCO's compressed string")
    if _run_length(counts) != height * width:
        # The C decoder would write past its buffer for runs that are longer than the picture.
        raise ValueInvalid("A mask's run lengths do not add up to its picture's pixels")
    return {"size": [int(height), int(width)], "counts": counts}


def _run_length(counts: str) -> int:
    """Return the number of pixels of a compressed run-length string, or -1 for a malformed one.

    A character holds 5 bits. From the third run on, each is the difference from the run before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        code = ord(character) - 48
        if not 0 <= code < 64:
            return -1
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        if runs[-1] < 0:
            return -1
        value = shift = 0
    return -1 if shift else sum(runs)


def box_around(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the smallest box x0, y0, x1, y1 around a mask (H, W), of zeros for an empty mask."""
    if not mask.any():
        return 0, 0, 0, 0
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
