"""Finds with people's corrections as shapes that a person edits, and edited shapes as corrections."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from flows.batch.corrections import Correction, Shape, correct
from tools.core.errors import ValueInvalid
from tools.values import Detections, Poses, Transcript
from tools.values.arrays import plain_floats
from ui.shapes.contract import Shape as Drawn
from ui.shapes.contract import Shapes
from ui.shapes.from_values import Marks, from_values, shapes_of
from ui.shapes.to_values import to_detections, to_poses

Corrections = dict[int, Correction]
"""By position in a value; below 0 for what people added."""

_ADDED = "x"  # ids of what was added before; the component calls new shapes n1, n2, …


def drawn(
    value: Marks, corrections: Mapping[int, Correction], current: int | None = None, frame: int | None = None
) -> list[Drawn]:
    """Return a value with its corrections as shapes.

    Args:
        value: As the tool gave it.
        corrections: Of the value.
        current: Position of the find under review, which is shown even if it was rejected.
        frame: Number of a video's frame; what is in others is left out.
    """
    shown = {place: one for place, one in corrections.items() if not (place == current and one.rejected)}
    found = correct(value, shown)
    assert isinstance(found.value, Detections | Poses | Transcript)
    as_found = shapes_of(value, 0, frame)
    by_person = {place for place in shown if not shown[place].rejected}
    shapes = [one for one in as_found if _row(one["id"]) not in shown]
    # Outlines of people keep every corner, so that they do not change each time they are looked at.
    for shape in shapes_of(found.value, 0, frame, smooth=0) if by_person else []:
        place = found.rows[_row(shape["id"])]
        if place not in by_person:
            continue
        changed = shown[place].shape
        shape["id"] = f"0:{place}" if place >= 0 else f"{_ADDED}{-place}"
        shape["state"] = "changed" if place >= 0 else "added"
        shape["reshaped"] = changed.box is not None
        shapes.append(shape)
    return shapes


def editor(
    value: Marks,
    corrections: Mapping[int, Correction],
    picture: str,
    name: str,
    size: tuple[int, int],
    current: int,
    key: str,
    frame: int | None = None,
    outlines: bool = False,
    **options: Any,
) -> Shapes:
    """Return the component's value for a find, which is selected.

    Args:
        value: In which the find is.
        corrections: Of the value.
        picture: Address of the picture on this server.
        name: What the picture is called.
        size: Height and width of the picture in pixels.
        current: Position of the find.
        key: What the page wants back with every event.
        frame: Number of the video's frame.
        outlines: Whether what is clicked can be outlined.
        options: Of `from_values`, such as labels, keys and commands.
    """
    draw = {"Poses": ["joints"], "Transcript": []}.get(value.kind, ["box"])
    if isinstance(value, Detections) and value.masks is not None:
        draw = ["box", "polygon", "brush"]
    if outlines and picture and isinstance(value, Detections):
        draw.append("outline")
    shapes = from_values(picture, name, size, (), frame=frame, editable=True, draw=draw, **options)
    shapes["shapes"] = drawn(value, corrections, current, frame)
    shapes["labels"] = list(dict.fromkeys([*shapes["labels"], *(one["label"] for one in shapes["shapes"])]))
    shapes["key"], shapes["focus"] = key, f"0:{current}"
    return shapes


def changes(
    shapes: Mapping[str, Any],
    value: Marks,
    corrections: Mapping[int, Correction],
    base: int,
    frame: int | None = None,
) -> dict[int, Correction | None]:
    """Return what a person changed in a value since its corrections were made.

    Args:
        shapes: Value of the component, which `editor` made.
        value: As the tool gave it.
        corrections: Of the value, as the ledger has them now.
        base: Number from which positions of new shapes count down.
        frame: Number of the video's frame.

    Returns:
        Correction by position; None where it is again as the tool found it.

    Raises:
        ValueInvalid: when a shape cannot be.
    """
    wanted: dict[int, Correction | None] = {}
    live: list[Mapping[str, Any]] = []
    for shape in shapes["shapes"]:
        if shape.get("state") == "deleted":
            wanted[_place(shape, base)] = Correction(True, "", Shape())
        else:
            live.append(shape)
    wanted |= _wanted(live, value, base)
    there = {_place(shape, base) for shape in shapes["shapes"]}
    for place, one in corrections.items():
        of_frame = frame is None or one.shape.frame == frame
        if place < 0 and place not in there and not one.rejected and of_frame:
            wanted[place] = None  # the editor leaves out what was added and deleted
    return {place: one for place, one in wanted.items() if one != corrections.get(place)}


def _wanted(live: list[Mapping[str, Any]], value: Marks, base: int) -> dict[int, Correction | None]:
    """Return the correction that makes each shape of what the tool found."""
    if isinstance(value, Transcript):
        return {_place(shape, base): _words(shape) for shape in live}
    if isinstance(value, Poses):
        live = [shape for shape in live if shape.get("type") == "joints"]
        people = to_poses([_known(shape, len(value)) for shape in live], value.size, value)
        return {
            _place(shape, base): _pose(shape, plain_floats(people.xyxy[row]), plain_floats(people.keypoints[row]))
            for row, shape in enumerate(live)
        }
    live = [shape for shape in live if shape.get("type") != "joints"]
    found = to_detections([_known(shape, len(value)) for shape in live], value.size, value)
    made: dict[int, Correction | None] = {}
    for row, shape in enumerate(live):
        place, label = _place(shape, base), found.labels[row]
        if place >= 0 and not shape.get("reshaped"):
            made[place] = None if label == value.labels[place] else Correction(False, label, Shape())
            continue
        mask = None if found.masks is None else found.masks[row]
        frame = shape.get("frame") if place < 0 else None
        box: Any = plain_floats(found.xyxy[row])
        made[place] = Correction(False, label, Shape(tuple(box), mask, frame=frame))
    return made


def _pose(shape: Mapping[str, Any], box: Any, joints: Any) -> Correction | None:
    if shape["state"] != "added" and not shape.get("reshaped"):
        return None
    return Correction(False, "", Shape(tuple(box), joints=tuple(tuple(joint) for joint in joints)))


def _words(shape: Mapping[str, Any]) -> Correction | None:
    """Return the correction of a segment's place; that of its words and times is made by `words`."""
    if not shape.get("reshaped"):
        return None
    box = np.asarray(shape["box"], np.float64)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise ValueInvalid("A box must be four numbers")
    return Correction(False, "", Shape(tuple(map(float, box))))


def words(
    value: Transcript, place: int, known: Correction | None, text: str, start: float | None, end: float | None
) -> Correction | None:
    """Return the correction that gives a segment these words and times; None where it has them already.

    Raises:
        ValueInvalid: when the words are empty, or the times cannot be.
    """
    segment = value.segments[place]
    if not text.strip():
        raise ValueInvalid("The words are empty", "Reject the find if nothing is said or written here")
    if segment.start is not None and (start is None or end is None or not 0 <= start <= end):
        raise ValueInvalid("The times must be seconds, and the end not before the start")
    box = None if known is None or known.rejected else known.shape.box
    shape = Shape(
        box,
        text=None if text.strip() == segment.text.strip() else text.strip(),
        start=None if segment.start is None or start == segment.start else start,
        end=None if segment.end is None or end == segment.end else end,
    )
    return None if shape == Shape() else Correction(False, "", shape)


def with_words(place: int, wanted: Correction | None, known: Correction | None) -> Correction | None:
    """Return a correction of a segment's place together with the known one of its words."""
    if known is None or known.rejected or (wanted is not None and wanted.rejected):
        return wanted
    box = None if wanted is None else wanted.shape.box
    shape = Shape(box, text=known.shape.text, start=known.shape.start, end=known.shape.end)
    return None if shape == Shape() else Correction(False, "", shape)


def verdict(one: Correction) -> tuple[str, str, str]:
    """Return verdict, correct label and shape as the ledger keeps them."""
    return ("rejected", "", "") if one.rejected else ("corrected", one.label, one.shape.dumps())


def label_of(value: Marks, place: int, one: Correction) -> tuple[str, float]:
    """Return label and score under which a find is entered that is not in the queue."""
    if isinstance(value, Detections):
        return (value.labels[place], float(value.scores[place])) if place >= 0 else (one.label, 1.0)
    if isinstance(value, Poses):
        return "person", float(value.scores[place]) if place >= 0 else 1.0
    score = value.segments[place].score
    return "text", 1.0 if score is None else score


def _row(shape_id: str) -> int:
    return int(shape_id.partition(":")[2])


def _place(shape: Mapping[str, Any], base: int) -> int:
    """Return the position of a shape within its value."""
    name = str(shape.get("id", ""))
    start, colon, row = name.partition(":")
    if colon and start == "0" and row.isdecimal() and len(row) < 10:
        return int(row)
    number = name[1:]
    if name[:1] in (_ADDED, "n") and number.isdecimal() and len(number) < 19:
        return -int(number) if name[0] == _ADDED else -base - int(number)
    raise ValueInvalid("This shape is not of this find", "Load the picture again")


def _known(shape: Mapping[str, Any], count: int) -> Mapping[str, Any]:
    """Return a shape whose row, if it has one, is in the value."""
    if ":" in str(shape["id"]) and _row(str(shape["id"])) >= count:
        raise ValueInvalid("This shape is not of this find", "Load the picture again")
    return shape
