"""What people changed in values: other labels, places, outlines, joints, words and times; things that they added.

A correction of a find is kept with the verdict on it, so that the value of the tool stays as it was. Exports and pages
apply the corrections when they read a value.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue

from common.masks import RLE, encode, fill
from flows.ledger.review_queue import Change
from flows.ledger.rows import compact_json, parse_json
from tools.core.errors import SuperlinkError
from tools.values import Detections, Poses, Transcript, Value
from tools.values.transcript import Segment

REVIEWED = ("Detections", "Poses", "Transcript")
"""Kinds of values whose finds people review."""
PERSON = "person"
"""Label of poses."""
TEXT = "text"
"""Label of the segments of a transcript."""


@dataclass(frozen=True)
class Shape:
    """What a person changed in a find besides its label; None where it is as the tool found it.

    Attributes:
        box: x0, y0, x1, y1 in pixels.
        mask: outline, in COCO's run-length form.
        joints: x, y and score of each of `common.skeleton.KEYPOINTS`.
        text: words.
        start: seconds.
        end: seconds.
        track: number of the track, of what a person added.
        frame: number of the video's frame, of what a person added.
    """

    box: tuple[float, ...] | None = None
    mask: RLE | None = None
    joints: tuple[tuple[float, ...], ...] | None = None
    text: str | None = None
    start: float | None = None
    end: float | None = None
    track: int | None = None
    frame: int | None = None

    def dumps(self) -> str:
        """JSON of what is not None; "" where everything is."""
        facts = {name: value for name, value in vars(self).items() if value is not None}
        return compact_json(facts) if facts else ""

    @staticmethod
    def facts(text: str) -> dict[str, JsonValue]:
        """What `dumps` returned, as plain JSON; empty where it cannot be read."""
        found = parse_json(text) if text else None
        return found if isinstance(found, dict) else {}

    @classmethod
    def loads(cls, text: str) -> "Shape":
        """A shape from what `dumps` returned.

        Raises:
            ValueError, TypeError: it is something else.
        """
        facts = json.loads(text or "{}")
        if facts.get("joints") is not None:
            facts["joints"] = tuple(tuple(map(float, joint)) for joint in facts["joints"])
        if facts.get("box") is not None:
            facts["box"] = tuple(map(float, facts["box"]))
        return cls(**facts)


class Correction(NamedTuple):
    """A person's change of a find: whether it was rejected, its label ("" for the same), and its shape."""

    rejected: bool
    label: str
    shape: Shape


class Corrected(NamedTuple):
    """A value with corrections applied.

    Attributes:
        value: of the same kind.
        human: for each row, whether a person changed or added it.
        rows: for each row, its position in the tool's value; below 0 where a person added it.
    """

    value: Value
    human: tuple[bool, ...]
    rows: tuple[int, ...]


def correction(change: Change) -> Correction:
    """A correction from its row in the ledger; one with a shape that cannot be read changes the label alone."""
    try:
        shape = Shape.loads(change.shape)
    except (ValueError, TypeError, AttributeError):
        shape = Shape()
    return Correction(change.verdict == "rejected", change.correct, shape)


def correct(value: Value, corrections: Mapping[int, Correction]) -> Corrected:
    """A value with corrections applied: without what was rejected, and with what was added at the end.

    Args:
        value: of a kind in `REVIEWED`; others are returned as they are.
        corrections: by position in the value; below 0 for what people added.

    Raises:
        SuperlinkError: a correction does not fit the value.
    """
    if isinstance(value, Transcript):
        count = len(value.segments)
    else:
        count = len(value) if isinstance(value, Detections | Poses) else 0
    kept = [row for row in range(count) if row not in corrections or not corrections[row].rejected]
    added = [row for row in corrections if row < 0 and not corrections[row].rejected]
    rows = (*kept, *added)
    human = tuple(row in corrections for row in rows)
    if not corrections:
        return Corrected(value, human, rows)
    try:
        if isinstance(value, Detections):
            value = _detections(value, corrections, kept, added)
        elif isinstance(value, Poses):
            value = _poses(value, corrections, kept, added)
        elif isinstance(value, Transcript):
            value = Transcript(tuple(_segments(value, corrections, rows)), value.language)
    except (TypeError, ValueError, IndexError) as error:
        raise SuperlinkError(
            f"What a person changed does not fit what was found: {error}", "Change it again in the review"
        ) from error
    return Corrected(value, human, rows)


def _detections(
    value: Detections, corrections: Mapping[int, Correction], kept: Iterable[int], added: Iterable[int]
) -> Detections:
    boxes, labels, scores = [], [], []
    masks: list[RLE] = []
    tracks, frames = [], []
    following = int(max(value.ids, default=0)) + 1 if value.ids is not None else 0
    for row in (*kept, *added):
        change = corrections.get(row)
        shape = Shape() if change is None else change.shape
        box = np.asarray(value.xyxy[row] if shape.box is None else shape.box, np.float32)
        boxes.append(box)
        labels.append((change.label if change is not None else "") or value.labels[row])
        scores.append(float(value.scores[row]) if row >= 0 else 1.0)
        if value.masks is not None:
            same = row >= 0 and shape.box is None
            masks.append(shape.mask or (value.masks[row] if same else _rectangle(box, value.size)))
        if value.ids is not None:
            tracks.append(int(value.ids[row]) if row >= 0 else following)
            following += row < 0
        if value.frames is not None:
            frames.append(int(value.frames[row]) if row >= 0 else int(shape.frame or 0))
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        tuple(labels),
        np.array(scores, np.float32),
        value.size,
        None if value.masks is None else tuple(masks),
        None if value.ids is None else np.array(tracks, np.int64),
        None if value.frames is None else np.array(frames, np.int64),
    )


def _rectangle(box: Any, size: tuple[int, int]) -> RLE:
    x0, y0, x1, y1 = map(float, box)
    return encode(fill([[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]], size))


def _poses(value: Poses, corrections: Mapping[int, Correction], kept: Iterable[int], added: Iterable[int]) -> Poses:
    joints, scores, boxes = [], [], []
    for row in (*kept, *added):
        shape = corrections[row].shape if row in corrections else Shape()
        joints.append(np.asarray(value.keypoints[row] if shape.joints is None else shape.joints, np.float32))
        boxes.append(np.asarray(value.xyxy[row] if shape.box is None else shape.box, np.float32))
        scores.append(float(value.scores[row]) if row >= 0 else 1.0)
    count = len(scores)
    return Poses(
        np.array(joints, np.float32).reshape(count, *value.keypoints.shape[1:]),
        np.array(scores, np.float32),
        np.array(boxes, np.float32).reshape(count, 4),
        value.size,
    )


def _segments(value: Transcript, corrections: Mapping[int, Correction], rows: Iterable[int]) -> Iterable[Segment]:
    for row in rows:
        segment = value.segments[row] if row >= 0 else Segment("")
        shape = corrections[row].shape if row in corrections else Shape()
        changed: dict[str, Any] = {
            name: found for name in ("text", "start", "end", "box") if (found := getattr(shape, name)) is not None
        }
        yield replace(segment, **changed)
