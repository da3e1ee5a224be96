"""Tools whose finds are hard to write down."""

import numpy as np

from tools import Detections, Image, Poses, tool


@tool
def edges(image: Image) -> Detections:
    """Find two thousand boxes at the edges of an image: some thin, some without an area."""
    random = np.random.default_rng(11)
    height, width = image.size
    corners = random.random((2000, 2, 2)) * (width, height)
    corners[:400] = np.where(random.random((400, 2, 2)) < 0.5, 0, (width, height))  # on the edge on all sides
    corners[400:800, 1] = corners[400:800, 0] + random.random((400, 2)) * 0.02  # hardly a hundredth of a pixel wide
    corners[800:1200] = np.round(corners[800:1200]) + 0.005
    corners[1200:1400, 0] = 0
    corners[1400:1600, 1] = (width, height)
    corners.sort(axis=1)
    return Detections(
        corners.reshape(-1, 4).astype(np.float32), ("edge",) * 2000, np.full(2000, 0.5, np.float32), image.size
    )


@tool
def shade(image: Image, labels: list[str]) -> Detections:
    """Find the last label in dark images, the first in light ones."""
    grey = image.pixels.mean()
    found = labels[-1:] if grey < 60 else labels[:1] if grey > 180 else []
    return Detections(
        np.array([[1, 2, 30, 20]] * len(found), np.float32).reshape(-1, 4), tuple(found), [0.5] * len(found), image.size
    )


@tool
def points(image: Image) -> Poses:
    """Find two people, one of them in a single point."""
    joints = np.full((2, 17, 3), 0.9, np.float32)
    return Poses(joints, [0.8, 0.8], [[1, 1, 20, 20], [3, 3, 3, 3]], image.size)
