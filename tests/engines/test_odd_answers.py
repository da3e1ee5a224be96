"""What models answer now and then: rows that are no finds. They are left out and counted, and the others stay."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.core.errors import ValueInvalid
from tools.engines import centerface, ocr, whisper, yolo
from tools.values import Detections, Image, Poses, Segment

SIZE = (60, 80)
GOOD = (4.0, 5.0, 30.0, 40.0)
ODD = [
    pytest.param((4, 20, 30, 10), 1e-7, id="inverted"),
    pytest.param((30, 5, 4, 40), 0.9, id="inverted, believed"),
    pytest.param((4, 5, 4, 40), 0.9, id="without area"),
    pytest.param((90, 5, 99, 40), 0.9, id="outside"),
    pytest.param((-9, -9, -1, 40), 0.9, id="before the edge"),
    pytest.param((4, np.nan, 30, 40), 0.9, id="NaN corner"),
    pytest.param((4, 5, np.inf, 40), 0.9, id="infinite corner"),
    pytest.param(GOOD, np.nan, id="NaN score"),
]


def result(box: tuple[float, ...], score: float, **more: Any) -> Any:
    """Make the library's own result: the odd row between two good ones."""
    yolo.library()
    import torch
    from ultralytics.engine.results import Results

    rows = [(*GOOD, 0.75, 0), (*box, score, 1), (*GOOD, 0.5, 1)]
    made = {name: torch.tensor(value, dtype=torch.float32) for name, value in {"boxes": rows, **more}.items()}
    return Results(np.zeros((*SIZE, 3), np.uint8), "", {0: "cat", 1: "dog"}, **made)


@pytest.mark.parametrize(("box", "score"), ODD)
def test_rows_that_are_no_boxes(box: tuple[float, ...], score: float) -> None:
    pytest.importorskip("ultralytics")
    found = Detections.from_ultralytics(result(box, score))
    assert found.labels == ("cat", "dog") and found.scores.tolist() == [0.75, 0.5]
    assert found.xyxy.tolist() == [list(GOOD)] * 2
    assert found.dropped == found.summary()["dropped"] == 1
    assert Detections.from_bytes(found.to_bytes()) == found and Detections.from_bytes(found.to_bytes()).dropped == 1
    masks = np.ones((3, *SIZE), np.float32)
    cut = yolo.detections(result(box, score, masks=masks), np.zeros((*SIZE, 3), np.uint8), {0: "cat", 1: "dog"}, True)
    assert cut.labels == ("cat", "dog") and cut.masks is not None and len(cut.masks) == 2 and cut.dropped == 1


@pytest.mark.parametrize(("box", "score"), ODD)
def test_people_that_are_none(box: tuple[float, ...], score: float) -> None:
    pytest.importorskip("ultralytics")
    joints = np.full((3, 17, 3), 0.5, np.float32)
    joints[2, :, 2] = 1.002
    found = Poses.from_ultralytics(result(box, score, keypoints=joints))
    assert found.scores.tolist() == [0.75, 0.5] and found.dropped == found.summary()["dropped"] == 1
    assert found.keypoints[1, :, 2].tolist() == [1] * 17
    assert Poses.from_bytes(found.to_bytes()).dropped == 1
    joints[0, 3, 1] = np.nan
    assert Poses.from_ultralytics(result(box, score, keypoints=joints)).dropped == 2


def test_an_answer_without_one_real_row_is_empty() -> None:
    pytest.importorskip("ultralytics")
    answer = result(GOOD, np.nan, masks=np.zeros((3, *SIZE), np.float32))
    cut = yolo.detections(answer, np.zeros((*SIZE, 3), np.uint8), {0: "cat", 1: "dog"}, True)
    assert len(cut) == 0 and cut.masks == () and cut.dropped == 3


@pytest.mark.parametrize(
    ("box", "score"), [odd for odd in ODD if np.isfinite(odd.values[0]).all()]
)  # it refuses others
def test_supervisions_rows_that_are_no_boxes(box: tuple[float, ...], score: float) -> None:
    sv = pytest.importorskip("supervision")
    found = sv.Detections(
        np.array([GOOD, box], np.float32),
        confidence=np.array([0.8, score]),
        class_id=np.array([3, 4]),
        tracker_id=np.array([7, 8]),
    )
    taken = Detections.from_supervision(found, SIZE)
    assert taken.labels == ("3",) and taken.ids is not None and taken.ids.tolist() == [7] and taken.dropped == 1


def test_counts_add_up_and_the_constructor_goes_on_refusing() -> None:
    one = Detections.from_model([GOOD, (9, 9, 1, 1)], ["a", "b"], [0.5, 1.2], SIZE)
    assert Detections.concat([one, Detections.empty(SIZE), one]).dropped == 2
    assert "dropped" not in Detections.empty(SIZE).summary() and b"dropped" not in Detections.empty(SIZE).to_bytes()
    assert Detections.from_model([GOOD], ["a"], [1.2], SIZE).scores.tolist() == [1]
    assert len(Detections.from_model([], [], [], SIZE)) == 0
    with pytest.raises(ValueInvalid, match="different lengths"):
        Detections.from_model([GOOD], ["a", "b"], [0.5], SIZE)
    with pytest.raises(ValueInvalid, match="inverted"):
        Detections([(9, 9, 1, 1)], ("a",), [0.5], SIZE)
    for wrong in (-1, "x", None):
        with pytest.raises(ValueInvalid, match="dropped"):
            Detections([GOOD], ("a",), [0.5], SIZE, dropped=wrong)


def test_masks_with_scores_that_are_no_numbers() -> None:
    found = Detections.from_masks(np.ones((2, *SIZE), bool), ["a", "b"], [np.nan, 0.5])
    assert found.labels == ("b",) and found.dropped == 1


def test_faces_whose_boxes_are_no_numbers() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[2, 2], heat[4, 4], heat[6, 6], heat[1, 6] = 0.75, 0.7, 0.6, np.nan
    spread = np.ones((2, 8, 8), np.float32)
    spread[0, 4, 4], spread[1, 6, 6] = 1000, np.nan
    boxes, scores, dropped = centerface._decode(heat, spread, np.zeros((2, 8, 8), np.float32), 0.5)
    assert len(boxes) == 1 and scores.tolist() == [0.75] and dropped == 2


class Lines:
    """Stands in for RapidOCR: an outline that is none, one that leaves the picture, and readings without confidence."""

    def __call__(self, tile: NDArray[np.uint8], **_: object) -> Any:
        quads = [
            [(5, 5), (50, 5), (50, 20), (5, 20)],
            [(np.nan, 5), (50, 5), (50, 20), (5, 20)],
            [(9, 9)] * 4,
            [(60, 30), (200, 30), (200, 45), (60, 45)],
            [(5, 30), (50, 30), (50, 45), (5, 45)],
        ]
        return SimpleNamespace(boxes=np.array(quads, np.float32))

    def crop_text_regions(self, pixels: NDArray[np.uint8], quads: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
        assert np.isfinite(quads).all() and len(quads) == 3
        return [pixels] * len(quads)

    def cls_and_rotate(self, crops: list[NDArray[np.uint8]]) -> tuple[list[NDArray[np.uint8]], None]:
        return crops, None

    def recognize_txt(self, crops: list[NDArray[np.uint8]]) -> Any:
        return SimpleNamespace(txts=("one", "two", "none"), scores=(0.9, 1.0001, float("nan")))


def test_lines_of_text_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(ocr, "_load", SimpleNamespace(lease=lambda *_: nullcontext(Lines())))
    monkeypatch.setattr("tools.weights.weights.use", lambda _: None)
    read = ocr.read(Image.from_numpy(np.zeros((*SIZE, 3), np.uint8)))
    assert [(line.text, line.box, line.score) for line in read.segments] == [
        ("one", (5, 5, 50, 20), 0.9),
        ("two", (60, 30, 80, 45), 1.0),
    ]


@pytest.mark.parametrize(
    ("start", "end", "confidence", "expected"),
    [
        (3.0, 1.0, -0.1, (13.0, 13.0, 0.905)),
        (-5.0, 2.0, -0.1, (10.0, 12.0, 0.905)),
        (np.nan, 2.0, -0.1, (10.0, 12.0, 0.905)),
        (1.0, np.nan, -0.1, (11.0, 14.5, 0.905)),
        (np.inf, np.inf, -np.inf, (10.0, 14.5, 0.0)),
        (1.0, 2.0, np.nan, (11.0, 12.0, None)),
    ],
)
def test_words_whose_times_or_confidence_are_none(
    start: float, end: float, confidence: float, expected: tuple[float, float, float | None]
) -> None:
    segments: list[Segment] = []
    whisper._append(segments, {"text": "hm", "start": start, "end": end, "avg_logprob": confidence}, 10.0, 14.5)
    [one] = segments
    assert (one.start, one.end, one.score and round(one.score, 3)) == expected


def test_a_reading_without_confidence_is_heard_once_more() -> None:
    tries: list[int | None] = []

    def transcribe(_: object, *, beam_size: int | None, **__: object) -> object:
        tries.append(beam_size)
        return {"segments": [{"text": "hm", "avg_logprob": -0.5 if beam_size else np.nan, "compression_ratio": 1.0}]}

    model = SimpleNamespace(transcribe=transcribe, device=SimpleNamespace(type="cpu"))
    [heard] = whisper._hear(model, np.zeros(16, np.float32), "en")
    assert heard["avg_logprob"] == -0.5 and tries == [None, 5]
