"""Detections, poses, transcripts, text and numbers."""

import hashlib
import io
import json
import math
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.skeleton import EDGES, KEYPOINTS
from tools import (
    VALUE_TYPES,
    Audio,
    Detections,
    Image,
    MediaError,
    Number,
    Poses,
    Segment,
    Text,
    Transcript,
    Value,
    ValueInvalid,
)
from tools.values.convert import convert

SIZE = (60, 80)
EXAMPLES: list[Value] = [
    Image.from_numpy(np.zeros((4, 5, 3), np.uint8)),
    Audio(np.zeros(80, np.float32), 8_000),
    Text("words"),
    Transcript((Segment("a", 0, 1), Segment("b", box=(0, 0, 3, 4), score=0.5)), "en"),
    Detections(np.array([[1, 2, 30.1, 40.7]]), ("cat",), [0.25], SIZE, ids=[3], frames=[7]),
    Detections.empty(SIZE),
    Poses(np.full((1, 17, 3), 0.3), [0.5], [[0, 0, 9, 9]], SIZE),
    Number(3, "cats"),
]


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: value.kind)
def test_every_kind_survives_storing_and_is_summed_up(value: Value) -> None:
    again = VALUE_TYPES[value.kind].from_bytes(value.to_bytes(), value.media_type)
    assert again == value and hash(again) == hash(value)
    assert len(json.dumps(value.summary())) < 400
    with pytest.raises(AttributeError):
        value.kind_of_mine = 1  # type: ignore[attr-defined]


# Stored values are found again by the hash of their bytes: when one of these changes, so does every cache and ledger.
GOLDEN = {
    "Text": "dba36bffa5cab0f922d087a3aeb179f9d4e745df40b323e1b1471402848c8a3e",
    "Transcript": "44f39d7e5c4c52d94e3b61eec142e66f9359683818837103bbcee29caeab2f52",
    "Detections": "c4aa51ab9aa7c8071542869abda48121114256afe0121dd569d053e12b943f22",
    "Poses": "c1365f59750ec47147145a0c7d4e5497b0b2ee2035a0d25a10265663ee3e1136",
    "Number": "897c2390333adf100b3879ee3eb97101d9da8eb71d2cb439e45d7511e8d7c51d",
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_stored_bytes_stay_as_they_are(kind: str) -> None:
    value = next(value for value in EXAMPLES if value.kind == kind)
    assert hashlib.sha256(value.to_bytes()).hexdigest() == GOLDEN[kind]


def test_what_is_stored_of_pictures_and_sound_stays_as_it_is() -> None:
    """All but what belongs to the version of an encoder: how well it compresses, and its name."""
    data = Image.from_numpy(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)).to_bytes()
    names, packed, at = [], b"", 8
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        names.append(name)
        packed += data[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    assert names == [b"IHDR", b"sRGB", b"IDAT", b"IEND"]
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(4, 16)
    assert (
        hashlib.sha256(rows.tobytes()).hexdigest() == "2e1bb1977fd6617897bd49f4afa2bbd36010d7c2c2b3424a387f6a38da038a87"
    )
    audio = Audio(np.linspace(-1, 1, 160, dtype=np.float32).reshape(80, 2), 8_000)
    file = soundfile.SoundFile(io.BytesIO(audio.to_bytes()))
    assert (file.format, file.subtype, file.samplerate) == ("FLAC", "PCM_16", 8_000)
    assert (
        hashlib.sha256(file.read(dtype="int16").tobytes()).hexdigest()
        == "66dbe215376805154bac8ea35590068f91a0a0ffc53e60677ee03f4d4ec85b5f"
    )


@pytest.mark.parametrize("kind", ["Detections", "Poses", "Transcript", "Number"])
@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"{}", b'{"x": 1}', b"[" * 100_000])
def test_damaged_json_is_refused(kind: str, data: bytes) -> None:
    with pytest.raises(ValueInvalid):
        VALUE_TYPES[kind].from_bytes(data, "application/json")


def test_boxes_are_clipped_and_arrays_cannot_be_changed() -> None:
    found = Detections([[-5, -5, 100, 100]], ("cat",), [1.0005], SIZE)
    assert found.xyxy.tolist() == [[0, 0, 80, 60]]
    assert found.scores.tolist() == [1]
    with pytest.raises(ValueError, match="read-only"):
        found.xyxy[0, 0] = 3


@pytest.mark.parametrize(
    "change",
    [
        {"xyxy": [[0, 0, np.nan, 1]]},
        {"xyxy": [[0, 0, np.inf, 1]]},
        {"xyxy": [[5, 0, 4, 1]]},
        {"xyxy": [[0, 0, 1]]},
        {"xyxy": [["a", 0, 1, 1]]},
        {"labels": ("a", "b")},
        {"labels": "a"},
        {"labels": (3,)},
        {"scores": [1.5]},
        {"scores": [-0.2]},
        {"scores": [0.1, 0.2]},
        {"size": (0, 4)},
        {"size": (4,)},
        {"ids": [1.5]},
        {"ids": [1, 2]},
        {"masks": [{"size": [3, 3], "counts": "9"}]},
        {"masks": ["x"]},
        {"masks": [{"size": [60, 80], "counts": "P"}]},
        {"masks": [{"size": [60, 80], "counts": "oooooooo0"}]},
        {"masks": [{"size": [60, 80], "counts": "\x00"}]},
    ],
)
def test_wrong_detections_are_refused(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"xyxy": [[0, 0, 4, 4]], "labels": ("cat",), "scores": [0.5], "size": SIZE}
    with pytest.raises(ValueInvalid):
        Detections(**{**fields, **change})


@given(arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 12), st.integers(1, 12))), st.data())
@settings(max_examples=60, deadline=None)
def test_masks_survive_storing(masks: np.ndarray, data: st.DataObject) -> None:
    found = Detections.from_masks(masks, ["x"] * len(masks), np.full(len(masks), 0.5))
    kept = [mask for mask in masks if mask.any()]
    again = Detections.from_bytes(found.to_bytes())
    assert again == found and len(again) == len(kept)
    for i, mask in enumerate(kept):
        assert (again.mask_array(i) == mask).all()
        x0, y0, x1, y1 = (int(v) for v in again.xyxy[i])
        assert mask[y0:y1, x0:x1].sum() == mask.sum()
        assert mask[y0, :].any() and mask[:, x1 - 1].any()
    if len(found):
        rows = data.draw(st.lists(st.integers(0, len(found) - 1), max_size=4))
        assert [d.box for d in found.select(rows)] == [tuple(found.xyxy[i].tolist()) for i in rows]


@given(st.lists(st.tuples(*[st.floats(-100, 200, width=32)] * 4), max_size=6))
def test_float32_boxes_read_back_exactly(rows: list[tuple[float, ...]]) -> None:
    boxes = [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in rows]
    found = Detections(boxes, ("x",) * len(boxes), [0.1] * len(boxes), SIZE)
    assert (Detections.from_bytes(found.to_bytes()).xyxy == found.xyxy).all()


def test_supervision_round_trip() -> None:
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 2:9, 3:8] = masks[1, 20:30, 40:50] = True
    found = Detections.from_masks(masks, ["cat", "ant"], [0.5, 0.75])
    assert Detections.from_supervision(found.to_supervision(), SIZE) == found
    assert found.to_supervision().class_id.tolist() == [1, 0]
    assert found.to_supervision(["zebra", *found.labels]).class_id.tolist() == [1, 2]
    assert Detections.from_supervision(Detections.empty(SIZE).to_supervision(), SIZE) == Detections.empty(SIZE)
    poses = Poses(np.full((2, 17, 3), 0.3), [0.5, 0.6], [[0, 0, 9, 9]] * 2, SIZE)
    assert len(poses.to_supervision().xy) == 2


def test_joining_keeps_what_all_parts_have() -> None:
    one = Detections([[0, 0, 4, 4]], ("a",), [0.5], SIZE, ids=[1])
    two = Detections([[1, 1, 5, 5]], ("b",), [0.6], SIZE)
    assert Detections.concat([one, two]).ids is None
    assert Detections.concat([one, Detections.empty(SIZE)]) == one
    assert Detections.concat([one, one]).labels == ("a", "a")
    assert Detections.concat([Detections.empty(SIZE)]) == Detections.empty(SIZE)
    with pytest.raises(ValueInvalid, match="one picture"):
        Detections.concat([one, Detections.empty((1, 1))])


def test_rows_can_be_walked_and_selected_by_truth() -> None:
    found = Detections([[0, 0, 4, 4], [1, 1, 5, 5]], ("a", "b"), [0.5, 0.25], SIZE, frames=[0, 1])
    assert [(d.label, d.score, d.id, d.frame) for d in found] == [("a", 0.5, None, 0), ("b", 0.25, None, 1)]
    assert found.select(found.scores > 0.3).labels == ("a",)
    assert found.select([]).labels == ()
    with pytest.raises(ValueInvalid, match="no masks"):
        found.mask_array(0)


def test_poses_are_checked() -> None:
    assert len(KEYPOINTS) == 17 and all(0 <= i < 17 for pair in EDGES for i in pair)
    with pytest.raises(ValueInvalid, match=r"\(N, 17, 3\)"):
        Poses(np.zeros((1, 16, 3)), [0.5], [[0, 0, 1, 1]], SIZE)
    with pytest.raises(ValueInvalid, match="Keypoint scores"):
        Poses(np.full((1, 17, 3), 2.0), [0.5], [[0, 0, 1, 1]], SIZE)
    with pytest.raises(ValueInvalid, match="boxes"):
        Poses(np.zeros((1, 17, 3)), [0.5], np.zeros((0, 4)), SIZE)


def test_subtitles() -> None:
    spoken = Transcript((Segment(" Hello <there> ", 0, 1.5), Segment("a\n\nb", 3599.9999, 3661.25)), "en")
    assert spoken.text == "Hello <there> a\n\nb"
    assert spoken.to_srt() == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello <there>\n\n2\n01:00:00,000 --> 01:01:01,250\na\nb\n"
    )
    assert spoken.to_vtt().startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello &lt;there&gt;\n")
    read = Transcript((Segment("one", box=(0, 0, 1, 1)), Segment("two", box=(0, 2, 1, 3))))
    assert read.text == "one\ntwo"
    endless = Transcript((Segment("end", 0, 1e20),))
    for value, words in ((read, "no times"), (endless, "ends at 1e\\+20 s")):
        for write in (value.to_srt, value.to_vtt):
            with pytest.raises(ValueInvalid, match=words):
                write()
    assert Transcript(()).to_srt() == "" and Transcript(()).to_vtt() == "WEBVTT\n"


@pytest.mark.parametrize(
    "fields",
    [
        {"text": 3},
        {"text": "a", "start": 1},
        {"text": "a", "start": 2, "end": 1},
        {"text": "a", "start": -1, "end": 1},
        {"text": "a", "start": math.nan, "end": 1},
        {"text": "a", "score": 2},
        {"text": "a", "box": (3, 0, 1, 1)},
        {"text": "a", "box": (0, 0, 1)},
        {"text": "a", "box": (0, 0, math.inf, 1)},
    ],
)
def test_wrong_segments_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueInvalid):
        Segment(**fields)


def test_text_and_numbers() -> None:
    assert Text.from_bytes(b"\xef\xbb\xbfhi") == Text("hi")
    with pytest.raises(ValueInvalid, match="half a character"):
        Text("\ud800")
    with pytest.raises(MediaError, match="UTF-8"):
        Text.from_bytes(b"\xff")
    assert (Number(3).text, Number(0.1 + 0.2, "m").text) == ("3", "0.3 m")
    for wrong in (math.nan, math.inf, True, "3", None):
        with pytest.raises(ValueInvalid):
            Number(wrong)  # type: ignore[arg-type]


def test_transcripts_and_numbers_stand_in_for_text() -> None:
    assert convert(Transcript((Segment("hi"),)), ("Text",)) == Text("hi")
    assert convert(Number(3, "cats"), ("Text",)) == Text("3 cats")
    assert convert(Number(3), ("Number", "Text")) == Number(3)
    with pytest.raises(ValueInvalid, match="cannot be used as Text"):
        convert(Detections.empty(SIZE), ("Text",))


def test_importing_tools_is_light() -> None:
    heavy = "torch cv2 onnxruntime transformers ultralytics supervision PIL av soundfile pycocotools diffusers whisper"
    code = (
        "import sys, tools; from tools import tool, Image, Detections, Store; import tools.runtime.execute\n"
        f"print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
