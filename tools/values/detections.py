"""Boxes, with labels, scores and optionally masks, track ids and frame numbers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.masks import RLE, MaskLike, bounding_box, decode, encode
from tools.core.errors import ValueInvalid
from tools.values.arrays import (
    box_array,
    dropped_rows,
    image_size,
    integer_array,
    plain_floats,
    score_array,
    usable_rows,
)
from tools.values.base import StructuredValue, ValueSummary
from tools.values.libraries import UltralyticsResult, import_supervision
from tools.values.masks import check_rle

if TYPE_CHECKING:
    import supervision
    from torch import Tensor


class Detection(NamedTuple):
    """One row of `Detections`."""

    box: tuple[float, float, float, float]
    label: str
    score: float
    id: int | None
    frame: int | None


@dataclass(frozen=True, eq=False)
class Detections(StructuredValue):
    """What was found where in one picture, or in the frames of one video.

    Attributes:
        xyxy: Boxes (N, 4), float32 pixels, clipped to the picture.
        labels: N names.
        scores: (N,) float32 between 0 and 1.
        size: (height, width) of the picture that the boxes belong to.
        masks: N masks in COCO's run-length form, or None.
        ids: (N,) numbers that follow one thing through a video, or None.
        frames: (N,) frame numbers from 0, or None for a still picture.
        dropped: How many rows of a model's answer were left out because they were no boxes in the picture.
    """

    xyxy: NDArray[np.float32]
    labels: tuple[str, ...]
    scores: NDArray[np.float32]
    size: tuple[int, int]
    masks: tuple[RLE, ...] | None = None
    ids: NDArray[np.int64] | None = None
    frames: NDArray[np.int64] | None = None
    dropped: int = 0
    kind: ClassVar[str] = "Detections"

    def __post_init__(self) -> None:
        """Check shapes and ranges, clip the boxes, make arrays read-only."""
        size = image_size(self.size)
        xyxy = box_array(self.xyxy, size, "Detections")
        count = len(xyxy)
        labels = tuple(self.labels)
        if isinstance(self.labels, str) or not all(isinstance(label, str) for label in labels):
            raise ValueInvalid("Labels must be a sequence of str")
        masks = None if self.masks is None else tuple(check_rle(mask, size) for mask in self.masks)
        for what, length in (("labels", len(labels)), ("masks", count if masks is None else len(masks))):
            if length != count:
                raise ValueInvalid(f"{count} boxes came with {length} {what}")
        fields = {
            "size": size,
            "xyxy": xyxy,
            "labels": labels,
            "masks": masks,
            "scores": score_array(self.scores, count, "Scores"),
            "ids": integer_array(self.ids, count, "ids"),
            "frames": integer_array(self.frames, count, "frames"),
            "dropped": dropped_rows(self.dropped),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Self:
        """Nothing found in a picture of (height, width)."""
        return cls(np.zeros((0, 4), np.float32), (), np.zeros(0, np.float32), size)

    @classmethod
    def from_model(
        cls,
        xyxy: ArrayLike,
        labels: Sequence[str],
        scores: ArrayLike,
        size: tuple[int, int],
        masks: Sequence[MaskLike] | MaskLike | None = None,
        ids: ArrayLike | None = None,
    ) -> Self:
        """Take a model's answer as it is.

        Rows that are no boxes in the picture (inverted, without area, outside, with NaN) and masks without a pixel are
        left out and counted in `dropped`; scores are clipped to 0 and 1.

        Args:
            xyxy: Boxes (N, 4) in pixels.
            labels: N names.
            scores: (N,).
            size: (height, width) of the picture.
            masks: N masks (H, W), not 0 where the thing is.
            ids: (N,) whole numbers.

        Raises:
            ValueInvalid: when the columns have different lengths.
        """
        boxes, values = np.asarray(xyxy, np.float32).reshape(-1, 4), np.asarray(scores, np.float32)
        lengths = [len(each) for each in (boxes, labels, values, masks) if each is not None]
        if len(set(lengths)) != 1:
            raise ValueInvalid(f"A model's answer has columns of different lengths: {', '.join(map(str, lengths))}")
        keep = [int(i) for i in usable_rows(boxes, values, size) if masks is None or masks[i].any()]
        return cls(
            boxes[keep],
            tuple(labels[i] for i in keep),
            np.clip(values[keep], 0, 1),
            size,
            None if masks is None else tuple(encode(masks[i]) for i in keep),
            None if ids is None else np.asarray(ids)[keep],
            dropped=len(boxes) - len(keep),
        )

    @classmethod
    def from_masks(cls, masks: NDArray[np.bool_], labels: Sequence[str], scores: ArrayLike) -> Self:
        """Take masks (N, H, W); boxes are drawn around them, and a mask without a pixel is left out."""
        array = np.asarray(masks)
        if array.ndim != 3 or array.shape[1] < 1 or array.shape[2] < 1:
            raise ValueInvalid(f"Masks must have the shape (N, H, W), not {array.shape}")
        array = array.astype(bool)
        return cls.from_model(
            [bounding_box(mask) for mask in array], labels, scores, (array.shape[1], array.shape[2]), array
        )

    @classmethod
    def from_ultralytics(cls, result: UltralyticsResult) -> Self:
        """Take one `ultralytics` result as `from_model` does: boxes, and masks and track ids when it has them."""
        size = (int(result.orig_shape[0]), int(result.orig_shape[1]))
        boxes = result.boxes
        if boxes is None or len(boxes) == 0:
            return cls.empty(size)
        labels = [str(result.names[int(c)]) for c in boxes.cls.tolist()]
        masks = None if result.masks is None else _full_size_masks(result.masks.data, size)
        ids = None if boxes.id is None else boxes.id.int().cpu().numpy()
        return cls.from_model(
            boxes.xyxy.float().cpu().numpy(), labels, boxes.conf.float().cpu().numpy(), size, masks, ids
        )

    @classmethod
    def from_supervision(cls, found: "supervision.Detections", size: tuple[int, int]) -> Self:
        """Take `supervision.Detections` of a picture of (height, width) as `from_model` does.

        Names come from data["class_name"].
        """
        count = len(found)
        if "class_name" in found.data:
            labels = [str(name) for name in found.data["class_name"]]
        elif found.class_id is not None:
            labels = [str(c) for c in found.class_id]
        else:
            labels = ["object"] * count
        scores = np.ones(count, np.float32) if found.confidence is None else found.confidence
        masks = None if found.mask is None else np.asarray(found.mask)
        return cls.from_model(found.xyxy, labels, scores, size, masks, found.tracker_id)

    def to_supervision(self, classes: Sequence[str] = ()) -> "supervision.Detections":
        """Return `supervision.Detections`.

        Args:
            classes: Labels in the order of their class ids; others that were found follow, sorted.

        Raises:
            ToolError: when supervision is not installed.
        """
        sv = import_supervision()
        number = {label: i for i, label in enumerate(dict.fromkeys([*classes, *sorted(set(self.labels))]))}
        masks = None
        if self.masks is not None:
            masks = np.array([self.mask_array(i) for i in range(len(self))]).reshape(len(self), *self.size)
        return sv.Detections(
            xyxy=np.array(self.xyxy),
            mask=masks,
            confidence=np.array(self.scores),
            class_id=np.array([number[label] for label in self.labels], dtype=int),
            tracker_id=None if self.ids is None else np.array(self.ids),
            data={"class_name": np.array(self.labels, dtype=str)},
        )

    @classmethod
    def concat(cls, parts: Sequence["Detections"]) -> "Detections":
        """Join detections of the same picture or video; masks, ids and frames stay only when all parts have them.

        Raises:
            ValueInvalid: when there are no parts, or their sizes differ.
        """
        if len({part.size for part in parts}) != 1:
            raise ValueInvalid(
                f"Only detections of one picture can be joined, not of sizes {sorted({part.size for part in parts})}"
            )
        full = [part for part in parts if len(part)] or list(parts[:1])

        def joined(name: str) -> NDArray[np.int64] | None:
            columns = [getattr(part, name) for part in full]
            return None if any(c is None for c in columns) else np.concatenate(columns)

        masks = [part.masks for part in full]
        return cls(
            np.concatenate([p.xyxy for p in full]),
            tuple(label for p in full for label in p.labels),
            np.concatenate([p.scores for p in full]),
            parts[0].size,
            None if any(m is None for m in masks) else tuple(m for ms in masks for m in ms or ()),
            joined("ids"),
            joined("frames"),
            sum(part.dropped for part in parts),
        )

    def select(self, indices: Sequence[int] | NDArray[np.integer | np.bool_]) -> "Detections":
        """Return the rows with these numbers, or where a bool array is true, in that order."""
        chosen = np.asarray(indices)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        rows = [int(i) for i in chosen]
        return Detections(
            self.xyxy[rows],
            tuple(self.labels[i] for i in rows),
            self.scores[rows],
            self.size,
            None if self.masks is None else tuple(self.masks[i] for i in rows),
            None if self.ids is None else self.ids[rows],
            None if self.frames is None else self.frames[rows],
        )

    def mask_array(self, index: int) -> NDArray[np.bool_]:
        """Return one mask as bool (H, W).

        Raises:
            ValueInvalid: when these detections have no masks.
        """
        if self.masks is None:
            raise ValueInvalid("These detections have boxes only, no masks", "Use segment instead of detect")
        return decode(self.masks[index])

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.xyxy)

    def __iter__(self) -> Iterator[Detection]:
        """Walk over the rows."""
        for i, (box, label, score) in enumerate(zip(self.xyxy, self.labels, self.scores, strict=True)):
            x0, y0, x1, y1 = (float(v) for v in box)
            yield Detection(
                (x0, y0, x1, y1),
                label,
                float(score),
                None if self.ids is None else int(self.ids[i]),
                None if self.frames is None else int(self.frames[i]),
            )

    def to_json(self) -> dict[str, object]:
        """Return the fields; `dropped` only where there are some."""
        return {
            "xyxy": plain_floats(self.xyxy),
            "labels": self.labels,
            "scores": plain_floats(self.scores),
            "size": self.size,
            "masks": self.masks,
            "ids": None if self.ids is None else self.ids.tolist(),
            "frames": None if self.frames is None else self.frames.tolist(),
            **({"dropped": self.dropped} if self.dropped else {}),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Make the value of the object that `to_json` returned."""
        return cls(**fields)

    def summary(self) -> ValueSummary:
        """Return counts in all and by label, the picture's size, and the number of tracks, frames and dropped rows."""
        facts: ValueSummary = {
            "count": len(self),
            "labels": dict(Counter(self.labels).most_common()),
            "size": list(self.size),
            "masks": self.masks is not None,
        }
        if self.ids is not None:
            facts["tracks"] = len(set(self.ids.tolist()))
        if self.frames is not None:
            facts["frames"] = len(set(self.frames.tolist()))
        if self.dropped:
            facts["dropped"] = self.dropped
        return facts


def _full_size_masks(data: "Tensor", size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a model's masks (N, h, w) at the size of the picture (height, width), without the letterbox around them.

    Masks predicted with `retina_masks` have that size already.
    """
    if tuple(data.shape[1:]) != size:
        from ultralytics.utils import ops

        data = ops.scale_masks(data[None].float(), size)[0]
    masks: NDArray[np.bool_] = (data > 0.5).cpu().numpy()
    return masks
