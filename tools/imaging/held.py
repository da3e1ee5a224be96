"""Regions of a video frame by frame, held in frames in which a detector misses a thing."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from tools.values import Detections, Video
from tools.values.reencode import reencode

HOLD = 0.3
"""Seconds for which a region is held before a thing is first seen and after it is last seen."""
GAP = 1.0
"""Seconds for which a tracked thing may be missed and is still hidden in between."""

_ROUNDING = 1e-6
_SAME = 0.3  # of the smaller box, that two boxes share where they are of one thing


def changed_frames(
    video: Video, regions: Detections, change: Callable[[NDArray[np.uint8], Detections], NDArray[np.uint8] | None]
) -> Video:
    """Change what the regions of a video show, frame by frame.

    Args:
        video: The video.
        regions: With frame numbers.
        change: Takes RGB pixels (H, W, 3) of a frame and its regions; returns other pixels, or None for no change.

    Returns:
        A new video; the same one when there are no regions.
    """
    if not len(regions):
        return video
    held = HeldRegions(regions, video.times)

    def changed(number: int, pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        for found in held.at(number):
            other = change(pixels, found)
            pixels = pixels if other is None else other
        return pixels

    return reencode(video, held.__contains__, changed)


class HeldRegions:
    """Which regions there are in each frame of a video.

    A region is held in the frames before and after it, in at least one frame each way, until the thing is seen again. A
    thing with an id that is out of sight for at most `GAP` seconds is held in the box around its last and next place.

    Args:
        regions: With frame numbers.
        times: (frames,) seconds at which frames are shown.
    """

    def __init__(self, regions: Detections, times: NDArray[np.float64]) -> None:
        """Compute the regions of each frame."""
        assert regions.frames is not None
        self._regions, self._times = regions, times
        self._rows: defaultdict[int, list[int]] = defaultdict(list)
        self._held: defaultdict[int, list[int]] = defaultdict(list)
        self._between: defaultdict[int, list[NDArray[np.float32]]] = defaultdict(list)
        for row, frame in enumerate(regions.frames.tolist()):
            self._rows[frame].append(row)
        if regions.ids is None:
            for row in range(len(regions)):
                for direction in (-1, 1):
                    self._hold(row, direction)
        else:
            for one in np.unique(regions.ids):
                self._follow(np.flatnonzero(regions.ids == one))

    def __contains__(self, frame: int) -> bool:
        """Return whether there are regions in a frame."""
        return frame in self._rows or frame in self._held or frame in self._between

    def at(self, frame: int) -> list[Detections]:
        """Return the regions of one frame, without frame numbers; an empty list for none."""
        found = []
        rows = [*self._rows.get(frame, ()), *self._held.get(frame, ())]
        if rows:
            one = self._regions.select(rows)
            found.append(Detections(one.xyxy, one.labels, one.scores, one.size, one.masks))
        boxes = self._between.get(frame)
        if boxes:
            found.append(
                Detections(np.stack(boxes), ("",) * len(boxes), np.ones(len(boxes), np.float32), self._regions.size)
            )
        return found

    def _frame(self, row: int) -> int:
        assert self._regions.frames is not None
        return int(self._regions.frames[row])

    def _near(self, frame: int, direction: int) -> Iterator[int]:
        """Yield the frames within `HOLD` seconds, and the next frame in any case."""
        other = frame + direction
        while 0 <= other < len(self._times) and (
            abs(self._times[other] - self._times[frame]) <= HOLD + _ROUNDING or other == frame + direction
        ):
            yield other
            other += direction

    def _hold(self, row: int, direction: int) -> None:
        for frame in self._near(self._frame(row), direction):
            if any(self._same(row, other) for other in self._rows.get(frame, ())):
                return
            self._held[frame].append(row)

    def _same(self, row: int, other: int) -> bool:
        """Return whether two boxes with one label overlap so much that they show one thing."""
        a, b = self._regions.xyxy[row], self._regions.xyxy[other]
        shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
        smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
        return self._regions.labels[row] == self._regions.labels[other] and bool(shared > _SAME * smaller)

    def _follow(self, rows: NDArray[np.int64]) -> None:
        rows = rows[np.argsort([self._frame(row) for row in rows], kind="stable")]
        ends = [(None, int(rows[0])), *zip(map(int, rows[:-1]), map(int, rows[1:]), strict=True), (int(rows[-1]), None)]
        for before, after in ends:
            if before is not None and after is not None:
                first, last = self._frame(before), self._frame(after)
                last_time = self._times[min(last, len(self._times) - 1)]
                if last_time - self._times[min(first, len(self._times) - 1)] <= GAP + _ROUNDING:
                    a, b = self._regions.xyxy[before], self._regions.xyxy[after]
                    way = np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:], b[2:])])
                    for frame in range(first + 1, last):
                        self._between[frame].append(way)
                    continue
            for row, direction in ((before, 1), (after, -1)):
                if row is not None:
                    for frame in self._near(self._frame(row), direction):
                        self._held[frame].append(row)
