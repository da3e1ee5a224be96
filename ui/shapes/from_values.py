"""Detections, poses and read text as shapes that a browser draws."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from common.masks import RLE, decode, rings
from common.skeleton import EDGES, KEYPOINTS
from tools.core.errors import ValueInvalid
from tools.values import Detections, Poses, Transcript
from tools.values.arrays import plain_floats
from ui.shapes.contract import Shape, Shapes

PERSON = "person"
"""Label of poses."""
TEXT = "text"
"""Label of read text; the words are in `Shape.text`."""
SMOOTH = 0.75
"""Pixels by which a drawn outline may leave the edge of its mask."""
Marks = Detections | Poses | Transcript
"""Values that have places in a picture."""


def from_values(
    picture: str,
    name: str,
    size: tuple[int, int],
    values: Sequence[Marks] = (),
    *,
    frame: int | None = None,
    labels: Sequence[str] = (),
    editable: bool = False,
    draw: Sequence[str] = ("box", "polygon"),
    keys: Mapping[str, str] | None = None,
    commands: Mapping[str, str] | None = None,
    smooth: float = SMOOTH,
) -> Shapes:
    """Return the component's value for a picture and what was found in it.

    Args:
        picture: Address of the picture on this server; "" for none.
        name: What the picture is called.
        size: Height and width in pixels.
        values: Detections, poses and text of this picture, or of the video of which it is a frame.
        frame: Number of the frame; rows of other frames are left out.
        labels: Labels to choose from; labels that were found follow.
        editable: Whether a person may change the shapes.
        draw: What a person may add.
        keys: See `Shapes`.
        commands: See `Shapes`.
        smooth: Pixels by which an outline may leave the edge of its mask; 0 keeps every corner.

    Raises:
        ValueInvalid: when a value belongs to a picture of another size.
    """
    shapes: list[Shape] = []
    for number, value in enumerate(values):
        if not isinstance(value, Transcript) and tuple(value.size) != tuple(size):
            raise ValueInvalid(
                f"These {value.kind} belong to a picture of {value.size[1]}x{value.size[0]}, not of {size[1]}x{size[0]}"
            )
        shapes += shapes_of(value, number, frame, smooth)
    found = dict.fromkeys(shape["label"] for shape in shapes)
    return {
        "picture": picture,
        "name": name,
        "width": int(size[1]),
        "height": int(size[0]),
        "shapes": shapes,
        "frame": frame,
        "labels": list(dict.fromkeys([*labels, *found])),
        "editable": editable,
        "draw": list(draw),
        "keys": dict(keys or {}),
        "commands": dict(commands or {}),
        "threshold": 0.0,
        "hidden": [],
        "joints": list(KEYPOINTS),
        "links": [list(pair) for pair in EDGES],
    }


def shapes_of(value: Marks, number: int = 0, frame: int | None = None, smooth: float = SMOOTH) -> list[Shape]:
    """Return a shape for each row of a value; segments of a transcript without a box have none.

    Args:
        value: The value.
        number: Number of the value among those of the picture, for the ids.
        frame: Number of a video's frame; rows of other frames are left out.
        smooth: See `from_values`.
    """
    if isinstance(value, Transcript):
        return [
            {**_shape(number, row, "box", TEXT, segment.score, segment.box), "text": segment.text}
            for row, segment in enumerate(value.segments)
            if segment.box is not None
        ]
    boxes: Any = plain_floats(value.xyxy)
    scores: Any = plain_floats(value.scores)
    if isinstance(value, Poses):
        joints: Any = plain_floats(value.keypoints)
        return [
            {**_shape(number, row, "joints", PERSON, scores[row], boxes[row]), "joints": joints[row]}
            for row in range(len(value))
        ]
    shapes: list[Shape] = []
    for row, label in enumerate(value.labels):
        if frame is not None and value.frames is not None and value.frames[row] != frame:
            continue
        shape = _shape(number, row, "box", label, scores[row], boxes[row])
        if value.masks is not None:
            shape["type"] = "mask"
            shape["rings"] = outline(value.masks[row], smooth)
        if value.ids is not None:
            shape["track"] = int(value.ids[row])
        if value.frames is not None:
            shape["frame"] = int(value.frames[row])
        shapes.append(shape)
    return shapes


def _shape(number: int, row: int, kind: Any, label: str, score: float | None, box: Iterable[float]) -> Shape:
    return {
        "id": f"{number}:{row}",
        "type": kind,
        "label": label,
        "score": score,
        "box": list(box),
        "state": "",
    }


def outline(mask: RLE, smooth: float = SMOOTH) -> list[list[list[float]]]:
    """Return the rings of a mask; with `smooth`, corners closer than that to the line of their neighbours go."""
    found = rings(decode(mask))
    if smooth:
        import cv2

        simple = [cv2.approxPolyDP(ring.astype(np.float32), smooth, True).reshape(-1, 2) for ring in found]
        # The largest stays even if it is a pixel or two, so that every mask can be seen.
        found = [s for s in simple if len(s) > 2] or found[:1]
    return [[[round(float(x), 3), round(float(y), 3)] for x, y in ring] for ring in found]
