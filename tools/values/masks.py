"""Checks masks in COCO's run-length form that come from outside."""

from common.masks import RLE, pixel_count
from tools.core.errors import ValueInvalid


def check_rle(mask: object, size: tuple[int, int]) -> RLE:
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
    if pixel_count(counts) != height * width:
        # The C decoder would write past its buffer for runs that are longer than the picture.
        raise ValueInvalid("A mask's run lengths do not add up to its picture's pixels")
    return {"size": [int(height), int(width)], "counts": counts}
