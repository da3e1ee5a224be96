"""The engines for photographs without ultralytics: small networks with given answers, and real ones."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import ROOT
from tests.engines.helpers import add_weights, starter_set
from tools.core.errors import SettingsInvalid, ToolError, WeightsMissing
from tools.core.settings import settings
from tools.detect import detect
from tools.engines import dispatch, nanodet
from tools.pose import pose
from tools.runtime import execute
from tools.segment import segment
from tools.storage.store import Store
from tools.values import Detections, Image
from tools.weights import weights

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Array = NDArray[np.generic]
Network = Callable[..., str]

CAT = nanodet.CLASSES.index("cat")
PICTURE = np.full((208, 416, 3), 128, np.uint8)  # twice as wide as high: its lower half is empty for NanoDet


@pytest.fixture
def network(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    """Give a role to a network that answers everything with the same arrays."""

    def make(role: str, engine: str, shape: list[int], dtype: int, *answers: Array) -> str:
        helper = onnx.helper
        names = [f"answer_{number}" for number in range(len(answers))]
        nodes = [helper.make_node("Identity", [f"{name}_value"], [name]) for name in names]
        outputs = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, answer.shape)
            for name, answer in zip(names, answers, strict=True)
        ]
        values = [
            onnx.numpy_helper.from_array(answer.astype(np.float32), f"{name}_value")
            for name, answer in zip(names, answers, strict=True)
        ]
        graph = helper.make_graph(nodes, "answers", [helper.make_tensor_value_info("x", dtype, shape)], outputs, values)
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        file = tmp_path / f"{role}.onnx"
        file.write_bytes(model.SerializeToString())
        return add_weights(monkeypatch, f"made-{role.replace('_', '-')}", file, role, engine=engine)

    return make


def grids(*things: tuple[int, int, int, float, tuple[float, ...]]) -> list[Array]:
    """Return NanoDet's answer: things as row and column of the coarsest grid, class, score and sides in strides."""
    answers: list[Array] = []
    for size in (52, 26, 13):
        scores, sides = np.zeros((1, size * size, 80)), np.zeros((1, size * size, 4, 11))
        for row, column, number, score, away in things if size == 13 else ():
            scores[0, row * size + column, number] = score
            for side, distance in enumerate(away):
                sides[0, row * size + column, side, int(distance)] = 50.0
        answers += [scores, sides.reshape(1, size * size, 44)]
    return answers


PERSON = (3, 6, 0, 0.9, (2, 3, 2, 3))  # centre (208, 112), from (144, 16) to (272, 208), in pixels of 416


@pytest.fixture
def people(network: Network) -> str:
    """A detector that sees the same person in every picture."""
    return network("detect", "nanodet", [1, 3, 416, 416], onnx.TensorProto.FLOAT, *grids(PERSON))


def test_boxes_are_decoded_and_scaled_to_the_picture(network: Network, home: Path) -> None:
    better, other = (3, 6, 0, 0.9, (2, 3, 2, 3)), (3, 7, 0, 0.8, (3, 3, 1, 3))  # the same person from two cells
    cat = (3, 6, CAT, 0.5, (2, 3, 2, 3))
    weak = (8, 1, CAT, 0.2, (1, 1, 1, 1))
    network("detect", "nanodet", [1, 3, 416, 416], onnx.TensorProto.FLOAT, *grids(better, other, cat, weak))
    large = Image.from_numpy(np.repeat(np.repeat(PICTURE, 2, 0), 2, 1))
    small, twice = detect([Image.from_numpy(PICTURE), large], ["people", "cats"])
    assert small.labels == ("people", "cats") and small.scores.tolist() == pytest.approx([0.9, 0.5])
    np.testing.assert_allclose(small.xyxy, [[144, 16, 272, 208]] * 2, atol=0.1)
    np.testing.assert_allclose(twice.xyxy, 2 * small.xyxy, atol=0.2)
    assert detect([large], ["cat"])[0].labels == ("cat",)
    assert len(detect([large], ["cat"], 0.1)[0]) == 1  # the weak one lies below the picture
    assert len(detect([large], ["dog"])[0]) == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (1, 9000)])
def test_pictures_with_no_room_for_anything(people: str, shape: tuple[int, int]) -> None:
    [found] = detect([Image.from_numpy(np.zeros((*shape, 3), np.uint8))], ["person"])
    assert found.size == shape


def test_joints_lie_where_the_network_sees_them_in_its_square(people: str, network: Network, store: Store) -> None:
    joints = np.zeros((1, 1, 17, 3))
    joints[..., 0], joints[..., 1], joints[..., 2] = 0.25, 0.75, 0.8  # y, x, score
    weights_id = network("pose", "movenet", [1, 256, 256, 3], onnx.TensorProto.INT32, joints)
    image = store.put(Image.from_numpy(PICTURE))
    ref = execute.call(pose, {"image": image}, store)
    assert isinstance(ref, dict)
    found = store.get(ref)
    # The person is 128 x 192 pixels around (208, 112), so the square has 240 pixels.
    np.testing.assert_allclose(found.keypoints[0], [[208 + 60, 112 - 60, 0.8]] * 17, atol=0.1)
    np.testing.assert_allclose(found.xyxy, [[144, 16, 272, 208]], atol=0.1)
    assert {used["id"] for used in ref["provenance"]["weights"]} == {weights_id, people}


def region(*boxes: tuple[float, ...], label: str = "person") -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), (label,) * count, np.ones(count, np.float32), (208, 416)
    )


def test_given_people_are_looked_at_as_they_are(network: Network, home: Path) -> None:
    """No detector is asked; regions of anything else choose among the people that it finds."""
    joints = np.full((1, 1, 17, 3), 0.5)
    network("pose", "movenet", [1, 256, 256, 3], onnx.TensorProto.INT32, joints)
    image = Image.from_numpy(PICTURE)
    found = pose(image, region((0, 0, 100, 100), (300, 100, 400, 200), label="people"))
    assert len(found) == 2
    np.testing.assert_allclose(found.keypoints[:, 0, :2], [[50, 50], [350, 150]], atol=0.1)
    assert len(pose(image, region())) == 0
    with pytest.raises(WeightsMissing, match="models pull yolo26n"):
        pose(image, region((0, 0, 100, 100), label="face"))
    network("detect", "nanodet", [1, 3, 416, 416], onnx.TensorProto.FLOAT, *grids(PERSON))
    assert len(pose(image, region((180, 20, 220, 60), label="face"))) == 1
    assert len(pose(image, region((0, 0, 20, 20), label="face"))) == 0


def test_masks_of_people_lie_in_their_boxes(people: str, network: Network) -> None:
    mask = np.zeros((1, 256, 256, 1))
    mask[:, :, :128] = 1
    for role in ("segment", "segment_boxes"):
        network(role, "selfie", [1, 256, 256, 3], onnx.TensorProto.FLOAT, mask)
    image = Image.from_numpy(PICTURE)
    found = segment(image, labels=["people"])
    assert found.labels == ("people",)
    left = found.mask_array(0)
    assert left[:, :208].any() and not left[:, 210:].any() and not left[:, :130].any()
    given = segment(image, regions=region((0, 0, 100, 100)))
    np.testing.assert_allclose(given.xyxy, [[0, 0, 55, 110]], atol=1.1)
    with pytest.raises(SettingsInvalid, match="'dog' cannot be outlined.*models pull sam2.1-b"):
        segment(image, regions=region((0, 0, 100, 100), label="dog"))
    with pytest.raises(WeightsMissing, match="'dog' cannot be looked for.*models pull yoloe-26s"):
        segment(image, labels=["dog"])


def test_other_labels_need_open_vocabulary_weights(people: str) -> None:
    with pytest.raises(WeightsMissing, match="'license plate' cannot be looked for.*models pull yoloe-26s --trust"):
        detect([Image.from_numpy(PICTURE)], ["person", "license plate"])


def test_weights_for_another_role_are_refused(people: str, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.from_numpy(PICTURE)
    for role, run in (
        ("pose", lambda: pose(image)),
        ("segment", lambda: segment(image, labels=["person"])),
        ("segment_boxes", lambda: segment(image, regions=region((0, 0, 9, 9)))),
    ):
        monkeypatch.setenv(f"SUPERLINK_ROLE_{role.upper()}", people)
        settings.cache_clear()
        with pytest.raises(SettingsInvalid, match=f"{people}.*{role}"):
            run()


def test_another_network_is_told_apart(network: Network) -> None:
    image = Image.from_numpy(PICTURE)
    network("detect", "nanodet", [1, 3, 9, 9], onnx.TensorProto.FLOAT, np.zeros((1, 4)))
    with pytest.raises(ToolError, match="cannot be run on this"):
        detect([image], ["cat"])
    network("pose", "movenet", [1, 256, 256, 3], onnx.TensorProto.INT32, np.zeros((1, 4)))
    with pytest.raises(ToolError, match="do not answer as MoveNet does"):
        pose(image, region((0, 0, 9, 9)))
    network("segment_boxes", "selfie", [1, 256, 256, 3], onnx.TensorProto.FLOAT, np.zeros((1, 4)))
    with pytest.raises(ToolError, match="answered with the shape"):
        segment(image, regions=region((0, 0, 9, 9)))


def test_own_weights_without_an_engine_are_run_by_that_of_the_role(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the starter set is chosen, in which the role has another engine."""
    monkeypatch.setenv("SUPERLINK_WEIGHTS", "starter")
    settings.cache_clear()
    assert weights.find(settings().role("detect")).engine == "nanodet"
    (tmp_path / "mine.pt").write_bytes(b"mine")
    assert weights.add("mine", tmp_path / "mine.pt", "detect", "MIT", trust=True).engine == "ultralytics"
    monkeypatch.setenv("SUPERLINK_ROLE_DETECT", "mine")
    settings.cache_clear()
    assert dispatch.named_things("detect").__name__ == "tools.engines.yolo"  # type: ignore[attr-defined]


def test_agpl_is_not_imported(people: str, network: Network) -> None:
    """By people who chose other weights, whether ultralytics is installed or not."""
    network("pose", "movenet", [1, 256, 256, 3], onnx.TensorProto.INT32, np.full((1, 1, 17, 3), 0.5))
    network("segment", "selfie", [1, 256, 256, 3], onnx.TensorProto.FLOAT, np.ones((1, 256, 256, 1)))
    script = """
import sys
sys.modules["ultralytics"] = None  # as if it were not installed
import numpy as np
from tools.detect import detect
from tools.pose import pose
from tools.segment import segment
from tools.values import Image, Video
image = Image.from_numpy(np.full((208, 416, 3), 128, np.uint8))
print(len(detect([image], ["person"])[0]), len(pose(image)), len(segment(image, labels=["person"])))
if len(sys.argv) > 1:
    from tools.track import track
    found = track(Video.from_frames([image.pixels] * 3, 10), ["people"])
    assert found.ids.tolist() == [1, 1, 1], found
print(sorted(name for name in sys.modules if name.startswith("ultralytics.")))
"""
    tracking = ["track"] if find_spec("trackers") else []
    if tracking:
        network("track", "nanodet", [1, 3, 416, 416], onnx.TensorProto.FLOAT, *grids(PERSON))
    done = subprocess.run(
        [sys.executable, "-c", script, *tracking],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["1", "1", "1", "[]"], done.stderr


# ---- the real networks, where they were pulled -----------------------------------------------------------------


@pytest.fixture
def starter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with starter_set(monkeypatch, "detect", "pose", "segment"):
        yield


def test_a_photograph(starter: None, shared: Path) -> None:
    """A man in front, between people far behind him; and zebras."""
    image = Image.open(shared / "media" / "photos" / "2332593.jpg")
    zebras = Image.open(shared / "media" / "photos" / "2330591.jpg")
    found, others = detect([image, zebras], ["people", "zebra"])
    assert set(others.labels) == {"zebra"} and len(others) >= 2
    front = found.xyxy[int(np.argmax((found.xyxy[:, 2:] - found.xyxy[:, :2]).prod(axis=1)))]
    assert found.labels.count("people") == len(found) >= 3
    joints = pose(image)
    [man] = [
        person for person, box in zip(joints.keypoints, joints.xyxy, strict=True) if np.allclose(box, front, atol=1)
    ]
    nose, left_shoulder, right_shoulder = man[0], man[5], man[6]
    assert nose[1] < left_shoulder[1] and right_shoulder[0] < nose[0] < left_shoulder[0]
    masks = segment(image, labels=["person"])
    largest = max(range(len(masks)), key=lambda number: masks.mask_array(number).sum())
    inside = masks.mask_array(largest)
    assert inside[int(nose[1]), int(nose[0])] and not inside[:5].any()
