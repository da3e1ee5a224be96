"""Following things from frame to frame with ByteTrack, as ultralytics has it."""

from typing import Any

import numpy as np

from tools.core.errors import ToolError
from tools.engines import yolo
from tools.values import Detections


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
        yolo.library()
        try:
            from ultralytics.trackers.byte_tracker import BYTETracker
        except ModuleNotFoundError as error:
            raise ToolError(f"Tracking needs the package {error.name}", "Run: pip install 'superlink[yolo]'") from error
        from ultralytics.utils import ROOT, YAML, IterableSimpleNamespace

        usual: dict[str, Any] = YAML.load(ROOT / "cfg/trackers/bytetrack.yaml")
        self._tracker = BYTETracker(
            IterableSimpleNamespace(
                **usual
                | {
                    "track_high_thresh": score,
                    "new_track_thresh": score,
                    "track_low_thresh": low_score,
                    "track_buffer": max(1, round(fps)),
                }
            )
        )

    def update(self, found: Detections) -> Detections:
        """Take the finds of the next frame; return those that belong to something followed, with its id.

        The first find of a thing counts only once a second one confirms it, except in the first frame.
        """
        from ultralytics.engine.results import Boxes

        rows = np.column_stack([found.xyxy, found.scores, np.zeros(len(found), np.float32)])
        tracks = self._tracker.update(Boxes(rows.astype(np.float32), found.size))
        tracks = np.asarray(tracks, np.float64).reshape(-1, 8)  # box, id, score, class, number of the find
        kept = found.select(tracks[:, 7].astype(int))
        return Detections(kept.xyxy, kept.labels, kept.scores, kept.size, ids=tracks[:, 4].astype(np.int64))
