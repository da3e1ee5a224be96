"""Regions of a picture as whole pixels; shared by the tools that cut out, hide or remove them."""

import math
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ValueInvalid
from tools.values import Detections, Image, Poses, Video

Picture = TypeVar("Picture", Image, Video)
"""What regions are changed in: a tool gives the kind that it was given."""


class Region(NamedTuple):
    """The pixels of one region, as a window of the picture and a mask within it.

    Attributes:
        rows: From the window's top row to below its bottom row.
        columns: Column numbers, in the same way.
        mask: (height, width) of the window; true where the region is.
    """

    rows: slice
    columns: slice
    mask: NDArray[np.bool_]


def check_regions(image: Image | Video, regions: Detections) -> None:
    """Make sure that regions can be used on a picture or video.

    Raises:
        ValueInvalid: when they belong to another size, or to a video where a picture is given or the reverse.
    """
    check_size(image, regions)
    if isinstance(image, Video):
        if regions.frames is None and len(regions):
            raise ValueInvalid(
                "The regions belong to a picture, not to the frames of a video",
                "Find them in this video with track or detect",
            )
    elif regions.frames is not None:
        raise ValueInvalid(
            "The regions belong to the frames of a video, not to one picture",
            "Find them in this picture with detect or segment",
        )


def check_size(image: Image | Video, found: Detections | Poses) -> None:
    """Make sure that what was found belongs to a picture of this size.

    Raises:
        ValueInvalid: when it does not.
    """
    if found.size != image.size:
        height, width = found.size
        raise ValueInvalid(
            f"The {found.kind} belong to a picture of {width}x{height} pixels, "
            f"but this one has {image.width}x{image.height}",
            "Find them again in this picture",
        )


def window(box: NDArray[np.float32], size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return rows and columns of every pixel that a box touches, or None for a box without area.

    Args:
        box: x0, y0, x1, y1 in pixels.
        size: (height, width) of the picture, where the window ends at the latest.
    """
    x0, y0, x1, y1 = (float(v) for v in box)
    if x0 >= x1 or y0 >= y1:
        return None
    height, width = size
    return (
        slice(max(math.floor(y0), 0), min(math.ceil(y1), height)),
        slice(max(math.floor(x0), 0), min(math.ceil(x1), width)),
    )


def region_pixels(regions: Detections) -> Iterator[Region]:
    """Yield the pixels of each region: of its mask where it has one, otherwise all that its box touches.

    A mask without a pixel counts as none. Boxes without area are left out.
    """
    for i, box in enumerate(regions.xyxy):
        if regions.masks is not None:
            mask = regions.mask_array(i)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if len(rows):
                inside = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
                yield Region(*inside, mask[inside])
                continue
        around = window(box, regions.size)
        if around is not None:
            rows_, columns_ = around
            yield Region(*around, np.ones((rows_.stop - rows_.start, columns_.stop - columns_.start), bool))
