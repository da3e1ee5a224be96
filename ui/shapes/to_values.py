"""Shapes as detections and poses: what passes a score, and what a person corrected."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.masks import RLE, Mask, bounding_box, encode, fill
from common.skeleton import KEYPOINTS
from tools.core.errors import ValueInvalid
from tools.values import Detections, Poses
from ui.shapes.contract import Shape


def shown(value: Mapping[str, Any]) -> list[Shape]:
    """Return the shapes of the component's value that pass its score slider and its label buttons."""
    hidden = set(value.get("hidden", ()))
    least = float(value.get("threshold", 0))
    return [
        shape
        for shape in value["shapes"]
        if shape["state"] != "deleted"
        and shape["label"] not in hidden
        and (shape["score"] is None or shape["score"] >= least)
    ]


def rows_of(shapes: Iterable[Mapping[str, Any]], number: int = 0) -> list[int]:
    """Return the rows of value `number` from which the shapes were made, ascending, without those a person added."""
    return sorted(row for shape in shapes if (row := _row(shape, number)) is not None)


def to_detections(
    shapes: Sequence[Mapping[str, Any]], size: tuple[int, int], original: Detections | None = None, number: int = 0
) -> Detections:
    """Return shapes as detections; what nobody changed stays as it was, bit by bit.

    Args:
        shapes: Boxes, polygons and masks; deleted ones and joints are left out.
        size: Height and width of the picture.
        original: The value from which the shapes were made.
        number: Number of that value among those of the picture.

    Returns:
        Detections with masks when the original has them, or, without an original, when a shape has rings; a box gets
        the mask of its rectangle then. Shapes that a person added have the score 1, and a track of their own in what
        was tracked. Rows of other frames of the original are not included.

    Raises:
        ValueInvalid: when a shape is malformed.
    """
    wanted = [s for s in shapes if _checked(s)["state"] != "deleted" and s["type"] != "joints"]
    rows = [_known_row(s, number, original) for s in wanted]
    masked = any(s["type"] != "box" for s in wanted) if original is None else original.masks is not None
    boxes: list[NDArray[np.float32]] = []
    masks: list[RLE] = []
    for shape, row in zip(wanted, rows, strict=True):
        if original is not None and row is not None and not shape.get("reshaped"):
            boxes.append(original.xyxy[row])
            masks += [original.masks[row]] if original.masks is not None else []
            continue
        box = _box(shape, size)
        boxes.append(np.array(box, np.float32))
        if masked:
            masks.append(encode(_mask(shape, box, size)))
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        tuple(str(s["label"]) for s in wanted),
        np.array([_score(s, original, row) for s, row in zip(wanted, rows, strict=True)], np.float32),
        size,
        tuple(masks) if masked else None,
        _column(wanted, "track", original is not None and original.ids is not None),
        _column(wanted, "frame", original is not None and original.frames is not None),
    )


def to_poses(
    shapes: Sequence[Mapping[str, Any]], size: tuple[int, int], original: Poses | None = None, number: int = 0
) -> Poses:
    """Return shapes of joints as poses; what nobody changed stays as it was, bit by bit.

    Args:
        shapes: Other types and deleted ones are left out.
        size: Height and width of the picture.
        original: The value from which the shapes were made.
        number: Number of that value among those of the picture.

    Raises:
        ValueInvalid: when a shape is malformed.
    """
    wanted = [s for s in shapes if _checked(s)["state"] != "deleted" and s["type"] == "joints"]
    joints, boxes, scores = [], [], []
    for shape in wanted:
        row = _known_row(shape, number, original)
        if original is not None and row is not None and not shape.get("reshaped"):
            joints.append(original.keypoints[row])
            boxes.append(original.xyxy[row])
        else:
            joints.append(_array(shape["joints"], (len(KEYPOINTS), 3), "Joints"))
            boxes.append(np.array(_box(shape, size), np.float32))
        scores.append(_score(shape, original, row))
    count = len(wanted)
    return Poses(
        np.array(joints, np.float32).reshape(count, len(KEYPOINTS), 3),
        np.array(scores, np.float32),
        np.array(boxes, np.float32).reshape(count, 4),
        size,
    )


def _row(shape: Mapping[str, Any], number: int) -> int | None:
    """Return the row of value `number` that a shape was made from; None for others."""
    value, _, row = str(shape["id"]).partition(":")
    return int(row) if value == str(number) and row.isdecimal() else None


def _known_row(shape: Mapping[str, Any], number: int, original: Detections | Poses | None) -> int | None:
    """Return the row of the original that a shape was made from; None for what a person added."""
    row = _row(shape, number)
    if original is not None and row is not None and row >= len(original):
        raise ValueInvalid("The shapes do not belong to this value", "Load the picture again")
    return row


def _column(
    shapes: Sequence[Mapping[str, Any]], key: Literal["track", "frame"], always: bool
) -> NDArray[np.int64] | None:
    """Return the track or frame number of every shape; None where none has one, unless the original `always` had.

    Shapes that a person added have no track: each becomes one of its own.
    """
    numbers: list[int | None] = [shape.get(key) for shape in shapes]
    if not always and all(number is None for number in numbers):
        return None
    if not all(isinstance(number, int | None) for number in numbers):
        raise ValueInvalid(f"A {key} must be a whole number")
    following = iter(range(max((n for n in numbers if n is not None), default=0) + 1, 2**62))
    if key == "frame" and None in numbers:
        raise ValueInvalid("A shape in a video has no frame number", "Load the frame again")
    return np.array([next(following) if number is None else number for number in numbers], np.int64)


def _checked(shape: object) -> Mapping[str, Any]:
    """Return a shape that came from outside.

    Raises:
        ValueInvalid: when a key is missing or a label, type or state cannot be.
    """
    if not isinstance(shape, Mapping):
        raise ValueInvalid(f"This is no shape: {type(shape).__name__}")
    missing = {"id", "type", "label", "score", "box", "state"} - set(shape)
    if missing or shape["type"] not in ("box", "polygon", "mask", "joints"):
        raise ValueInvalid(f"This is no shape: {', '.join(sorted(missing)) or shape['type']!r} is wrong")
    if not isinstance(shape["label"], str) or not shape["label"].strip():
        raise ValueInvalid("A shape has no label", "Give it one, or delete it")
    if shape["type"] == "joints" and "joints" not in shape:
        raise ValueInvalid("A shape of joints has no joints")
    return shape


def _array(data: object, shape: tuple[int | None, ...], what: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(data, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueInvalid(f"{what} must be numbers: {error}") from error
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or not np.isfinite(array).all():
        raise ValueInvalid(f"{what} must be finite numbers of the shape {shape}, not {array.shape}")
    return array


def _box(shape: Mapping[str, Any], size: tuple[int, int]) -> list[float]:
    x0, y0, x1, y1 = _array(shape["box"], (4,), "A box").tolist()
    height, width = size
    box = [
        max(0.0, min(x0, x1)),
        max(0.0, min(y0, y1)),
        min(float(width), max(x0, x1)),
        min(float(height), max(y0, y1)),
    ]
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueInvalid(f"The box of {shape['label']!r} lies outside the picture", "Move it, or delete it")
    return box


def _mask(shape: Mapping[str, Any], box: Sequence[float], size: tuple[int, int]) -> Mask:
    x0, y0, x1, y1 = box
    parts = shape.get("rings") or [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]
    if not isinstance(parts, list):
        raise ValueInvalid(f"The outline of {shape['label']!r} is no list of rings")
    mask = fill([_array(ring, (None, 2), "A ring") for ring in parts], size)
    if bounding_box(mask) == (0, 0, 0, 0):
        raise ValueInvalid(f"The outline of {shape['label']!r} holds no pixel", "Make it larger, or delete it")
    return mask


def _score(shape: Mapping[str, Any], original: Detections | Poses | None, row: int | None) -> float:
    if original is not None and row is not None:
        return float(original.scores[row])
    score = shape["score"]
    if score is None:
        return 1.0
    if not isinstance(score, int | float) or not math.isfinite(score):
        raise ValueInvalid(f"The score of {shape['label']!r} is {score!r}, not a number")
    return float(score)
