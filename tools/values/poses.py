"""People's poses: COCO's seventeen keypoints."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from common.skeleton import KEYPOINTS
from tools.core.errors import ValueInvalid
from tools.values.arrays import (
    box_array,
    dropped_rows,
    float_array,
    image_size,
    plain_floats,
    score_array,
    usable_rows,
)
from tools.values.base import StructuredValue, ValueSummary
from tools.values.libraries import UltralyticsResult, import_supervision

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True, eq=False)
class Poses(StructuredValue):
    """The poses of the people in one picture.

    Attributes:
        keypoints: (N, 17, 3) float32: x and y in pixels and a score between 0 and 1, in the order of
            `common.skeleton.KEYPOINTS`.
        scores: (N,) float32 between 0 and 1, of each person.
        xyxy: (N, 4) float32 box of each person in pixels, clipped to the picture.
        size: (height, width) of the picture.
        dropped: How many rows of a model's answer were left out because they were no people in the picture.
    """

    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    xyxy: NDArray[np.float32]
    size: tuple[int, int]
    dropped: int = 0
    kind: ClassVar[str] = "Poses"

    def __post_init__(self) -> None:
        """Check shapes and ranges, make arrays read-only."""
        size = image_size(self.size)
        keypoints = float_array(self.keypoints, (None, len(KEYPOINTS), 3), "Keypoints")
        xyxy = box_array(self.xyxy, size, "Poses")
        if len(xyxy) != len(keypoints):
            raise ValueInvalid(f"{len(keypoints)} poses came with {len(xyxy)} boxes")
        score_array(keypoints[:, :, 2].reshape(-1), keypoints.shape[0] * len(KEYPOINTS), "Keypoint scores")
        fields = {
            "keypoints": keypoints,
            "xyxy": xyxy,
            "size": size,
            "scores": score_array(self.scores, len(keypoints), "Pose scores"),
            "dropped": dropped_rows(self.dropped),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Self:
        """Nobody in a picture of (height, width)."""
        return cls(np.zeros((0, 17, 3), np.float32), np.zeros(0, np.float32), np.zeros((0, 4), np.float32), size)

    @classmethod
    def from_ultralytics(cls, result: UltralyticsResult) -> Self:
        """Take one `ultralytics` pose result as it is.

        People whose box is none in the picture (inverted, without area, outside, with NaN), or whose joints are no
        numbers, are left out and counted in `dropped`; scores are clipped to 0 and 1.
        """
        size = (int(result.orig_shape[0]), int(result.orig_shape[1]))
        if result.boxes is None or len(result.boxes) == 0 or result.keypoints is None:
            return cls.empty(size)
        boxes, scores, joints = (
            column.float().cpu().numpy() for column in (result.boxes.xyxy, result.boxes.conf, result.keypoints.data)
        )
        keep = [i for i in usable_rows(boxes, scores, size) if np.isfinite(joints[i]).all()]
        joints[:, :, 2:] = np.clip(joints[:, :, 2:], 0, 1)
        return cls(joints[keep], np.clip(scores[keep], 0, 1), boxes[keep], size, len(boxes) - len(keep))

    def to_supervision(self) -> "supervision.KeyPoints":
        """Return `supervision.KeyPoints`.

        Raises:
            ToolError: when supervision is not installed.
        """
        sv = import_supervision()
        return sv.KeyPoints(
            xy=np.array(self.keypoints[:, :, :2]),
            class_id=np.zeros(len(self), dtype=int),
            keypoint_confidence=np.array(self.keypoints[:, :, 2]),
            detection_confidence=np.array(self.scores),
        )

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.keypoints)

    def to_json(self) -> dict[str, object]:
        """Return the fields; `dropped` only where there are some."""
        return {
            "keypoints": plain_floats(self.keypoints),
            "scores": plain_floats(self.scores),
            "xyxy": plain_floats(self.xyxy),
            "size": self.size,
            **({"dropped": self.dropped} if self.dropped else {}),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Make the value of the object that `to_json` returned."""
        return cls(**fields)

    def summary(self) -> ValueSummary:
        """Return the number of people, the picture's size and the rows dropped."""
        facts: ValueSummary = {"count": len(self), "size": list(self.size)}
        if self.dropped:
            facts["dropped"] = self.dropped
        return facts
