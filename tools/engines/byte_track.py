"""Tracking of detections from frame to frame by ByteTrack, with the package `trackers` (Apache-2.0)."""

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError
from tools.values import Detections

_FIRST = 1_000_000_000
"""First id of tracks that begin in the first frame, above all ids of the tracker."""


class Tracks:
    """A tracker for one label in one video."""

    def __init__(self, score: float, low_score: float, fps: float) -> None:
        """Make a tracker for a video that begins at its first frame.

        Args:
            score: Lowest score of a detection that starts a track.
            low_score: Lowest score of a detection that continues a track.
            fps: Frames per second; after more than a second without a detection a track ends.

        Raises:
            ToolError: when a package is missing.
        """
        try:
            from trackers import ByteTrackTracker
        except ModuleNotFoundError as error:
            raise ToolError(
                f"Tracking needs the package {error.name}", "Run: pip install 'superlink[photos]'"
            ) from error
        self._tracker = ByteTrackTracker(
            lost_track_buffer=30,  # at 30 frames per second: one second
            frame_rate=max(fps, 1.0),
            track_activation_threshold=score,
            high_conf_det_threshold=score,
            minimum_consecutive_frames=2,
        )
        self._score, self._low_score, self._frames = score, low_score, 0

    def update(self, found: Detections) -> Detections:
        """Return those detections of the next frame that belong to a track, with its id.

        A track begins when a second detection confirms the first one; in the first frame it begins at once.
        """
        usable = found.select(found.scores >= self._low_score)
        rows = usable.to_supervision()
        rows.data = {"row": np.arange(len(usable))}
        tracked = self._tracker.update(rows)
        ids, numbers = np.asarray(tracked.tracker_id, np.int64), np.asarray(tracked.data.get("row", ()), np.intp)
        if not self._frames:
            ids = self._confirm(usable.scores[numbers], ids)
        self._frames += 1
        kept = usable.select(numbers[ids >= 0])
        return Detections(kept.xyxy, kept.labels, kept.scores, kept.size, ids=ids[ids >= 0])

    def _confirm(self, scores: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give ids to the tracks of the first frame at once; the tracker itself waits for a second detection."""
        rows = np.flatnonzero(scores >= self._score)
        for number, (row, tracklet) in enumerate(zip(rows, self._tracker.tracks, strict=True)):
            ids[row] = tracklet.tracker_id = _FIRST + number
        return ids
