"""Region prompts as masks: a box, a point, a scribble."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from common.masks import Mask

RADIUS = 6
"""Half the width of a scribble, and the radius of a point, in pixels."""


def box_mask(box: Sequence[float], size: tuple[int, int]) -> Mask:
    """Return the mask (H, W) of a box.

    Args:
        box: x0, y0, x1, y1 in pixels; it is clipped to the picture and widened to one pixel at least.
        size: Height and width of the picture.
    """
    height, width = size
    x0, y0 = min(max(0, int(box[0])), width - 1), min(max(0, int(box[1])), height - 1)
    mask = np.zeros(size, bool)
    mask[y0 : max(y0 + 1, round(box[3])), x0 : max(x0 + 1, round(box[2]))] = True
    return mask


def point_mask(point: Sequence[float], size: tuple[int, int]) -> Mask:
    """Return the mask (H, W) of a point, x and y in pixels: a disc."""
    return scribble_mask([point], size)


def scribble_mask(points: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """Return the mask (H, W) of a line through points, x and y in pixels.

    Raises:
        ValueError: There are no points, or all lie outside the picture.
    """
    if not points:
        raise ValueError("a scribble has no points; give one at least")
    line: NDArray[np.int32] = np.round(np.asarray(points, np.float64)).astype(np.int32)
    drawn = np.zeros(size, np.uint8)
    for start, end in zip(line, [*line[1:], line[-1]], strict=True):
        cv2.line(drawn, start.tolist(), end.tolist(), 1, 2 * RADIUS)
    mask: Mask = drawn > 0
    if not mask.any():
        raise ValueError(f"{line.tolist()} lies outside the picture of {size[1]} x {size[0]} pixels")
    return mask
