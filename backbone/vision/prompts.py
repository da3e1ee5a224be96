"""Region prompts as masks: a box, a point, a scribble."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from common.masks import Mask

RADIUS = 6
"""Half the width of a scribble, and the radius of a point, in pixels."""


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
