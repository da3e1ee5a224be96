"""Pictures as the eyes take them: scaled to fit, in the upper left corner of gray."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""


def scale_of(height: int, width: int, sides: int) -> float:
    """Return the model's pixels for a pixel of a picture; divide by it to get places in the picture."""
    return sides / max(height, width)


def scaled_size(height: int, width: int, sides: int) -> tuple[int, int]:
    """Return height and width of a picture as the model sees it."""
    scale = scale_of(height, width, sides)
    return max(1, round(height * scale)), max(1, round(width * scale))


def pixel_values(images: Sequence[Picture], sides: int) -> Tensor:
    """Return pictures (P, 3, sides, sides), from -1 to 1."""
    canvas = np.full((len(images), sides, sides, 3), 127.5, np.float32)
    for row, image in zip(canvas, images, strict=True):
        height, width = scaled_size(image.shape[0], image.shape[1], sides)
        shrinks = cv2.INTER_AREA if max(image.shape[:2]) > sides else cv2.INTER_LINEAR
        row[:height, :width] = cv2.resize(image, (width, height), interpolation=shrinks)
    return torch.from_numpy(canvas).permute(0, 3, 1, 2).contiguous() / 127.5 - 1
