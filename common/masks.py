"""Masks of pixels: COCO's run-length form, bounding boxes, and outlines as one polygon."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
MaskLike = NDArray[np.bool_ | np.integer | np.floating]
Points = NDArray[np.float64]

INSET = 1 / 512
"""Pixels by which an outline lies within the edges of its pixels, so that readers that cut coordinates to whole pixels
(ultralytics) and readers that take them as edges (pycocotools, Label Studio) both get the mask back."""

# The search for the shortest bridges is too slow with more rings, which are then joined in reading order, and with more
# pairs of points, of which only every n-th is then tried.
_MANY = 500
_PAIRS = 4_000_000


class RLE(TypedDict):
    """A mask as COCO writes it: size [height, width] and compressed run lengths."""

    size: list[int]
    counts: str


def encode(mask: MaskLike) -> RLE:
    """Return the run-length form of a mask (H, W), which is not 0 where the thing is."""
    import pycocotools.mask

    encoded = pycocotools.mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def decode(mask: RLE) -> Mask:
    """Return the mask (H, W) of a run-length form, of which `pixel_count` has to be height times width."""
    import pycocotools.mask

    decoded: Mask = pycocotools.mask.decode(mask).astype(bool)
    return decoded


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


def pixel_count(counts: str) -> int:
    """Return the sum of compressed run lengths; -1 where they cannot be read.

    A character holds 5 bits. From the third on, a run is written as the difference to the run before the last.
    pycocotools checks none of this and writes past its buffer for runs that are longer than the mask.
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


def bounding_box(mask: Mask) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of a mask (H, W) in pixels, x1 and y1 exclusive; zeros for an empty mask."""
    if not mask.any():
        return 0, 0, 0, 0
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def outline(mask: Mask) -> Points:
    """Return a mask (H, W) as one polygon (N, 2) of x and y in pixels along its edges; (0, 2) for an empty mask.

    Holes and separate parts are joined by bridges, lines that go there and back: filled by the even-odd rule, the
    polygon has exactly the mask's pixels. A reader that also draws the line itself (OpenCV) adds the pixels of
    bridges between parts; bridges are as short as possible.
    """
    return _joined(rings(mask))


def rings(mask: Mask) -> list[Points]:
    """Return the edges of a mask (H, W) as closed rings (N, 2) of x and y in pixels, the largest first.

    Parts and holes have a ring each. Filled by the even-odd rule, as `fill` does, they are exactly the mask.
    """
    import cv2

    left, top, right, bottom = bounding_box(mask)
    cut = mask[top:bottom, left:right].astype(np.uint8)
    if not cut.size:
        return []
    # Each pixel becomes 2 x 2, so that its left and right, upper and lower edge have points of their own.
    doubled = np.pad(cut.repeat(2, 0).repeat(2, 1), 2)
    found, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    halves = [ring.reshape(-1, 2).astype(np.int64) - 2 for ring in found]
    # Half pixel 2x is the left edge of pixel x, 2x + 1 its right edge.
    closed = [half // 2 + np.where(half % 2, 1 - INSET, INSET) + (left, top) for half in halves]
    return sorted(closed, key=lambda ring: (-_area(ring), ring[0].tolist()))


def fill(parts: Sequence[Sequence[Sequence[float]] | Points], size: tuple[int, int]) -> Mask:
    """Return the mask of rings in a picture of (height, width), by the even-odd rule: a ring in a ring is a hole.

    Args:
        parts: Rings (N, 2) of finite x and y in pixels, clipped to the picture; those of fewer than three points are
            left out.
        size: Height and width of the picture.
    """
    import pycocotools.mask

    mask = np.zeros(size, dtype=bool)
    for ring in parts:
        # The C code takes memory for every pixel along an edge, however far outside the picture it is.
        points = np.asarray(ring, np.float64).reshape(-1, 2).clip(0, size[::-1])
        if len(points) >= 3:
            filled = pycocotools.mask.frPyObjects([points.reshape(-1).tolist()], *size)
            mask ^= pycocotools.mask.decode(filled[0]).astype(bool)
    return mask


def _area(ring: Points) -> float:
    x, y = ring.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _joined(closed: list[Points]) -> Points:
    """Join rings to one by the shortest bridges, the nearest ring first (Prim's algorithm)."""
    if not closed:
        return np.zeros((0, 2))
    whole, waiting = closed[0], closed[1:]
    if len(waiting) > _MANY:
        for ring in sorted(waiting, key=lambda ring: (ring[0, 1], ring[0, 0])):
            whole = np.concatenate([whole, ring, ring[:1], whole[-1:]])
        return whole
    bridges = [_bridge(whole, ring) for ring in waiting]
    while waiting:
        nearest = min(range(len(bridges)), key=lambda number: bridges[number][0])
        _, start, end = bridges.pop(nearest)
        ring = waiting.pop(nearest)
        here = int(np.flatnonzero((whole == start).all(1))[0])
        there = int(np.flatnonzero((ring == end).all(1))[0])
        turned = np.roll(ring, -there, axis=0)
        whole = np.concatenate([whole[: here + 1], turned, turned[:1], whole[here:]])
        bridges = [
            min(bridge, _bridge(ring, other), key=lambda one: one[0])
            for bridge, other in zip(bridges, waiting, strict=True)
        ]
    return whole


def _bridge(ring: Points, other: Points) -> tuple[float, Points, Points]:
    """Return the shortest bridge between points of two rings: its length squared, and both ends."""
    every = 1 + int((len(ring) * len(other) / _PAIRS) ** 0.5)
    ring, other = ring[::every], other[::every]
    distances = ((ring[:, None] - other[None]) ** 2).sum(-1)
    here, there = np.unravel_index(int(distances.argmin()), distances.shape)
    return float(distances[here, there]), ring[here], other[there]
