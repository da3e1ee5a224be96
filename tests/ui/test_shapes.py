"""Shapes over a picture: values become shapes and values again, without a browser."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gradio")

from common.masks import decode, fill, rings
from common.skeleton import KEYPOINTS
from tools import ValueInvalid
from tools.values import Detections, Poses
from tools.values.transcript import Segment, Transcript
from ui.shapes.component import shapes
from ui.shapes.contract import Shapes
from ui.shapes.from_values import from_values
from ui.shapes.to_values import rows_of, shown, to_detections, to_poses

SIZE = (48, 64)


def masks(count: int) -> np.ndarray:
    """Rings with a hole, and a speck beside each."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    away = [np.hypot(x - 20 - 4 * i, y - 20) for i in range(count)]
    return np.array([((d > 5) & (d < 12)) | ((x == 2) & (y == i)) for i, d in enumerate(away)])


def found(masked: bool = False, video: bool = False) -> Detections:
    random = np.random.default_rng(3)
    corners = random.random((5, 2)) * 20
    boxes = np.hstack([corners, corners + 5 + random.random((5, 2)) * 20])
    value = Detections.from_model(
        boxes, ["cat", "dog", "cat", "<b>", "dog"], random.random(5), SIZE, masks(5) if masked else None
    )
    if not video:
        return value
    return Detections(
        value.xyxy, value.labels, value.scores, SIZE, value.masks, np.array([1, 2, 1, 3, 2]), np.array([0, 0, 7, 7, 9])
    )


def poses() -> Poses:
    random = np.random.default_rng(4)
    joints = random.random((2, 17, 3)) * [60, 40, 1]
    return Poses(joints, random.random(2), [[0, 0, 30.1, 40], [5, 5, 60, 44.7]], SIZE)


def carried(value: Shapes) -> Shapes:
    """The value after its way to the browser and back."""
    back: Shapes = json.loads(json.dumps(value))
    return back


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize("original", [False, True])
def test_values_come_back_as_they_were(masked: bool, video: bool, original: bool) -> None:
    value = found(masked, video)
    there = carried(from_values("/x.png", "x", SIZE, [value], smooth=0))
    assert to_detections(there["shapes"], SIZE, value if original else None) == value
    people = poses()
    there = carried(from_values("/x.png", "x", SIZE, [people]))
    assert to_poses(there["shapes"], SIZE, people if original else None) == people


def test_masks_with_holes_keep_them() -> None:
    random = np.random.default_rng(5)
    for share in (0.3, 0.5, 0.9):
        mask = random.random((31, 17)) < share
        assert (fill(rings(mask), mask.shape) == mask).all()
    shape = from_values("", "", SIZE, [found(masked=True)])["shapes"][0]
    assert shape["type"] == "mask" and len(shape["rings"]) >= 2
    assert not fill(shape["rings"], SIZE)[20, 20]


def test_only_the_rows_of_a_frame_are_shown() -> None:
    value = found(video=True)
    there = from_values("", "", SIZE, [value], frame=7)
    assert [(s["id"], s["track"], s["frame"]) for s in there["shapes"]] == [("0:2", 1, 7), ("0:3", 3, 7)]
    assert to_detections(there["shapes"], SIZE, value) == value.select([2, 3])
    added = {
        "id": "n1",
        "type": "box",
        "label": "cow",
        "score": None,
        "box": [1, 1, 9, 9],
        "state": "added",
        "frame": 7,
    }
    corrected = to_detections([*there["shapes"], added], SIZE, value)
    assert corrected.ids is not None and corrected.ids.tolist() == [1, 3, 4] and corrected.scores[2] == 1
    with pytest.raises(ValueInvalid, match="no frame"):
        to_detections([{**added, "frame": None}], SIZE, value)


def test_corrections_change_only_what_a_person_changed() -> None:
    value = found(masked=True)
    there = carried(from_values("", "", SIZE, [value], editable=True))["shapes"]
    there[0] = {**there[0], "label": "fox", "state": "changed"}
    there[1] = {**there[1], "state": "deleted"}
    square = [[[10.0, 10.0], [20.0, 10.0], [20.0, 15.0], [10.0, 15.0]]]
    there[2] = {**there[2], "rings": square, "box": [10.0, 10.0, 20.0, 15.0], "state": "changed", "reshaped": True}
    corrected = to_detections(there, SIZE, value)
    assert corrected.labels == ("fox", "cat", "<b>", "dog")
    assert corrected.masks is not None and value.masks is not None
    assert corrected.masks[0] == value.masks[0] and corrected.masks[2:] == value.masks[3:]
    assert decode(corrected.masks[1]).sum() == 50 and corrected.scores[1] == value.scores[2]
    assert corrected.xyxy[1].tolist() == [10, 10, 20, 15]


def test_the_score_and_the_labels_filter_what_is_shown() -> None:
    value = found()
    there = from_values("", "", SIZE, [value, poses()])
    there["threshold"], there["hidden"] = 0.3, ["dog"]
    rows = [i for i in range(5) if value.scores[i] >= 0.3 and value.labels[i] != "dog"]
    assert rows_of(shown(there)) == rows != []
    assert rows_of(shown(there), 1) == [i for i in range(2) if poses().scores[i] >= 0.3]


def test_read_text_has_its_words_and_no_label_of_its_own() -> None:
    read = Transcript((Segment("<script>x</script>", box=(1, 2, 30, 10), score=0.9), Segment("said", 0, 1)))
    [shape] = from_values("", "", SIZE, [read])["shapes"]
    assert shape["text"] == "<script>x</script>" and shape["label"] == "text" and shape["box"] == [1, 2, 30, 10]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"box": [1, 2, 3]}, "shape"),
        ({"box": [1, 2, float("nan"), 9]}, "finite"),
        ({"box": [1e12, 2, 2e12, 9]}, "outside"),
        ({"box": "all"}, "numbers"),
        ({"label": " "}, "label"),
        ({"type": "sphere"}, "sphere"),
        ({"type": "joints"}, "no joints"),
        ({"type": "polygon", "rings": [[[1, 2], [3, "x"], [4, 5]]]}, "numbers"),
        ({"type": "polygon", "rings": [[[1e300, 2], [1e301, 3], [1e302, 5]]]}, "no pixel"),
        ({"type": "polygon", "rings": [[[1, 1], [2, 1]]]}, "no pixel"),
        ({"type": "polygon", "rings": [5]}, "finite numbers"),
        ({"type": "polygon", "rings": 5}, "no list"),
        ({"score": "high"}, "score"),
        ({"track": "one"}, "whole number"),
    ],
)
def test_shapes_that_cannot_be_are_refused(wrong: dict[str, object], complaint: str) -> None:
    shape = {"id": "n1", "type": "box", "label": "cat", "score": None, "box": [1, 2, 8, 9], "state": "added"}
    assert len(to_detections([shape], SIZE)) == 1
    with pytest.raises(ValueInvalid, match=complaint):
        to_detections([{**shape, **wrong}], SIZE)
        to_poses([{**shape, **wrong}], SIZE)


def test_what_is_no_shape_is_refused() -> None:
    with pytest.raises(ValueInvalid, match="no shape: str"):
        to_detections(["box"], SIZE)  # type: ignore[list-item]


def test_shapes_of_another_value_are_refused() -> None:
    shape = {"id": "0:9", "type": "box", "label": "cat", "score": 0.5, "box": [1, 2, 8, 9], "state": ""}
    with pytest.raises(ValueInvalid, match="do not belong"):
        to_detections([shape], SIZE, found())
    with pytest.raises(ValueInvalid, match="64x48"):
        from_values("", "", (1, 1), [found()])


def test_the_script_never_makes_markup_of_words() -> None:
    import ui.shapes.component as component

    folder = Path(component.__file__).parent
    for file in folder.glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert not any(
            way in text for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
        )
    assert len(KEYPOINTS) == 17 and shapes(elem_id="x").elem_id == "x"
