"""Masks as one polygon each, for formats that have no other way to write a mask."""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

INSET = 1 / 512
"""Pixels by which an outline lies within the edges of its pixels, so that readers that cut coordinates to whole pixels
(ultralytics) and readers that take them as edges (pycocotools, Label Studio) both get the mask back."""

# To look for the shortest way takes too long between more rings, which are joined in reading order, and more pairs of points,
# of which every so many are tried.
_MANY = 500
_PAIRS = 4_000_000


def outline(mask: NDArray[np.bool_]) -> Points:
    """One polygon (N, 2) along the pixel edges of a mask, x and y in pixels; (0, 2) for an empty mask.

    Holes and separate parts are joined by bridges, lines that go there and back: filled by the even-odd rule, the polygon
    has exactly the mask's pixels. A reader that draws the line itself, too (OpenCV), adds the pixels of bridges between parts;
    bridges are as short as they can be.

    Args:
        mask: (H, W).
    """
    return _joined(_rings(mask))


def _rings(mask: NDArray[np.bool_]) -> list[Points]:
    """Closed rings around parts and holes, the largest first."""
    import cv2

    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    cut = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    # Each pixel becomes 2 x 2, so that its left and right, upper and lower edge have points of their own.
    doubled = np.pad(cut.repeat(2, 0).repeat(2, 1), 2)
    found, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    halves = [ring.reshape(-1, 2).astype(np.int64) - 2 for ring in found]
    # Half pixel 2x is the left edge of pixel x, 2x + 1 its right edge.
    rings = [half // 2 + np.where(half % 2, 1 - INSET, INSET) + (left, top) for half in halves]
    return sorted(rings, key=lambda ring: (-_area(ring), ring[0].tolist()))


def _area(ring: Points) -> float:
    x, y = ring.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _joined(rings: list[Points]) -> Points:
    """One ring of many: each is joined where it is nearest to those before it, the nearest first (Prim's algorithm)."""
    if not rings:
        return np.zeros((0, 2))
    whole, waiting = rings[0], rings[1:]
    if len(waiting) > _MANY:
        for ring in sorted(waiting, key=lambda ring: (ring[0, 1], ring[0, 0])):
            whole = np.concatenate([whole, ring, ring[:1], whole[-1:]])
        return whole
    ways = [_way(whole, ring) for ring in waiting]
    while waiting:
        nearest = min(range(len(ways)), key=lambda number: ways[number][0])
        _, start, end = ways.pop(nearest)
        ring = waiting.pop(nearest)
        here = int(np.flatnonzero((whole == start).all(1))[0])
        there = int(np.flatnonzero((ring == end).all(1))[0])
        turned = np.roll(ring, -there, axis=0)
        whole = np.concatenate([whole[: here + 1], turned, turned[:1], whole[here:]])
        ways = [min(way, _way(ring, other), key=lambda one: one[0]) for way, other in zip(ways, waiting, strict=True)]
    return whole


def _way(ring: Points, other: Points) -> tuple[float, Points, Points]:
    """The shortest way between points of two rings: its length squared, and both ends."""
    every = 1 + int((len(ring) * len(other) / _PAIRS) ** 0.5)
    ring, other = ring[::every], other[::every]
    apart = ((ring[:, None] - other[None]) ** 2).sum(-1)
    here, there = np.unravel_index(int(apart.argmin()), apart.shape)
    return float(apart[here, there]), ring[here], other[there]
