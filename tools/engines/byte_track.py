"""Following things from frame to frame with ByteTrack, by the package `trackers` (Apache-2.0)."""

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError
from tools.values import Detections

_FIRST = 1_000_000_000
"""Ids of the first frame count from here, above those that the tracker gives."""


class Tracks:
    """The things of one label that are being followed through one video."""

    def __init__(self, score: float, low_score: float, fps: float) -> None:
        """Begin at the first frame.

        Args:
            score: A find must reach this to be followed from then on.
            low_score: A find must reach this to continue what is followed already.
            fps: Frames per second; what is out of sight for longer than a second is a new thing when it is back.

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
        """Take the finds of the next frame; return those that belong to something followed, with its id.

        The first find of a thing counts only once a second one confirms it, except in the first frame.
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
        """Give ids to what the tracker has begun to follow in the first frame; it would wait for a second find."""
        begun = np.flatnonzero(scores >= self._score)
        for number, (row, tracklet) in enumerate(zip(begun, self._tracker.tracks, strict=True)):
            ids[row] = tracklet.tracker_id = _FIRST + number
        return ids
