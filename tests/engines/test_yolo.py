"""YOLO through the tools and the executor, with models that were trained on drawn pictures in the library's format."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engines.drawn import Thing, draw, iou, scene
from tests.engines.helpers import TINY
from tests.engines.training import WORDS
from tools.core.errors import ArgumentsInvalid, SettingsInvalid, ToolError, ValueInvalid, WeightsMissing
from tools.core.hashing import sha256_of
from tools.core.settings import settings
from tools.detect import detect
from tools.engines import open_vocabulary, outlining, sam, yolo
from tools.pose import pose
from tools.runtime import execute
from tools.segment import segment
from tools.storage.store import Store
from tools.track import track
from tools.values import Detections, Image, Poses, Video
from tools.weights import weights

if find_spec("ultralytics") is None:  # importing it here would forestall what `yolo.library` sets
    pytest.skip("ultralytics is not installed", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("one_thread")

Choose = Callable[[str, Path], str]
Trained = Callable[[str], Path]

# What the models have not been shown is left out here: things below 30 pixels of 96, and the grey border that a picture
# gets whose sides are no multiples of 32 when the longer one has 96.
PICTURE, THINGS = draw([("person", 20, 10, 120), ("car", 170, 70, 110)], (200, 300))


def matched(found: Detections | Poses, things: list[Thing], labels: dict[str, str] | None = None) -> list[int]:
    """Return which find is which thing; fails unless they are as many and each thing has its own."""
    best = [int(np.argmax([iou(thing.box, box) for box in found.xyxy])) for thing in things]
    assert len(set(best)) == len(things) == len(found)
    for thing, number in zip(things, best, strict=True):
        assert iou(thing.box, found.xyxy[number]) > 0.3
        if labels is not None:
            assert isinstance(found, Detections) and found.labels[number] == labels[thing.name]
    return best


def test_boxes_labels_and_provenance_through_the_executor(choose: Choose, trained: Trained, store: Store) -> None:
    weights_id = choose("detect", trained("detect"))
    rng = random.Random(7)
    scenes = [(PICTURE, THINGS), scene(rng, (96, 96), smallest=0.4), scene(rng, (192, 192), smallest=0.4)]
    refs = [store.put(Image.from_numpy(pixels)) for pixels, _ in scenes]
    results = execute.call(detect, {"image": refs, "labels": ["people", "car"]}, store, "s1")
    for ref, result, (pixels, things) in zip(refs, results, scenes, strict=True):
        found = store.get(result)
        assert found.size == pixels.shape[:2] and found.masks is None
        matched(found, things, {"person": "people", "car": "car"})
        provenance = result["provenance"]
        assert provenance["weights"] == [
            {"id": weights_id, "sha256": sha256_of(trained("detect")), "licence": "CC0-1.0"}
        ]
        assert provenance["inputs"] == [ref["sha256"]] and provenance["step"] == "s1"


def test_only_what_was_asked_for(choose: Choose, trained: Trained) -> None:
    choose("detect", trained("detect"))
    assert detect([Image.from_numpy(PICTURE)], ["Cars"])[0].labels == ("Cars",)
    assert len(detect([Image.from_numpy(PICTURE)], ["car", "person"], 1.0)[0]) == 0
    assert len(detect([Image.from_numpy(PICTURE)], ["car", "person"], 0.0)[0]) > 2
    with pytest.raises(ValueInvalid, match="label"):
        detect([Image.from_numpy(PICTURE)], [" "])


def test_without_labels_everything_that_the_weights_know_is_found(
    choose: Choose, trained: Trained, store: Store
) -> None:
    names = {"person": "person", "car": "car"}
    choose("detect", trained("detect"))
    image = store.put(Image.from_numpy(PICTURE))
    for args in ({}, {"labels": []}):
        found = store.get(execute.call(detect, {"image": image, **args}, store))
        assert isinstance(found, Detections)
        matched(found, THINGS, names)
    choose("segment", trained("segment"))
    outlined = segment(Image.from_numpy(PICTURE), labels=[])
    assert outlined.masks is not None
    matched(outlined, THINGS, names)
    with pytest.raises(ArgumentsInvalid, match="at least one of labels, regions"):
        segment(Image.from_numpy(PICTURE))


def test_everything_needs_weights_with_names(choose: Choose, trained: Trained) -> None:
    choose("detect", trained("open"))
    with pytest.raises(ValueInvalid, match=r"drawn-detect are prompted with words.*Name what to find"):
        detect([Image.from_numpy(PICTURE)])
    choose("detect_open", trained("detect"))  # these have names
    matched(detect([Image.from_numpy(PICTURE)])[0], THINGS, {"person": "person", "car": "car"})


def test_a_picture_does_not_depend_on_its_company(choose: Choose, trained: Trained) -> None:
    choose("detect", trained("detect"))
    rng = random.Random(3)
    pictures = [Image.from_numpy(scene(rng, size)[0]) for size in ((96, 96), (90, 200), (96, 96), (300, 80), (90, 200))]
    alone = [detect([picture], ["person", "car"])[0] for picture in pictures]
    for one, other in zip(detect(pictures, ["person", "car"]), alone, strict=True):
        assert one.labels == other.labels
        np.testing.assert_allclose(one.xyxy, other.xyxy, atol=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (1, 9000), (9000, 2), (7, 5)])
def test_pictures_with_no_room_for_anything(choose: Choose, trained: Trained, shape: tuple[int, int]) -> None:
    choose("detect", trained("detect"))
    choose("segment", trained("segment"))
    choose("pose", trained("pose"))
    image = Image.from_numpy(np.full((*shape, 3), 200, np.uint8))
    for found in (detect([image], ["car"])[0], segment(image, labels=["car"]), pose(image)):
        assert found.size == shape


def test_grey_and_huge_pictures(choose: Choose, trained: Trained) -> None:
    choose("detect", trained("detect"))
    choose("segment", trained("segment"))
    grey = detect([Image.from_numpy(PICTURE.mean(2).astype(np.uint8))], ["person", "car"])[0]
    assert grey.size == (200, 300)
    huge = Image.from_numpy(np.repeat(np.repeat(PICTURE, 25, 0), 25, 1))  # 5000 x 7500
    found = detect([huge], ["person", "car"])[0]
    large = [Thing(t.name, tuple(25 * v for v in t.box), t.mask, t.keypoints) for t in THINGS]
    matched(found, large, {"person": "person", "car": "car"})
    car = segment(huge, labels=["car"])
    assert car.mask_array(0).shape == (5000, 7500)
    assert iou(large[1].box, car.xyxy[0]) > 0.3


def test_masks_by_name(choose: Choose, trained: Trained, store: Store) -> None:
    choose("segment", trained("segment"))
    ref = execute.call(segment, {"image": store.put(Image.from_numpy(PICTURE)), "labels": ["human", "car"]}, store)
    found = store.get(ref)
    for thing, number in zip(THINGS, matched(found, THINGS, {"person": "human", "car": "car"}), strict=True):
        mask = found.mask_array(number)
        assert mask.shape == (200, 300)
        assert (mask & thing.mask).sum() / (mask | thing.mask).sum() > (0.35 if thing.name == "person" else 0.6)
    nothing = segment(Image.from_numpy(np.full((90, 120, 3), 220, np.uint8)), labels=["car"])
    assert len(nothing) == 0 and nothing.masks == ()


def test_poses(choose: Choose, trained: Trained, store: Store) -> None:
    weights_id = choose("pose", trained("pose"))
    pixels, things = draw([("person", 15, 20, 110), ("person", 160, 60, 120)], (200, 300))
    image = store.put(Image.from_numpy(pixels))
    ref = execute.call(pose, {"image": image}, store)
    found = store.get(ref)
    assert ref["provenance"]["weights"][0]["id"] == weights_id
    for thing, number in zip(things, matched(found, things), strict=True):
        # Trained for seconds: joints lie within a sixth of the person's height of where they were drawn.
        height = thing.box[3] - thing.box[1]
        assert np.abs(found.keypoints[number, :, :2] - thing.keypoints).mean() < height / 6
    right = region(things[1].box)
    chosen = store.get(execute.call(pose, {"image": image, "regions": store.put(right)}, store))
    matched(chosen, things[1:])


def region(*boxes: tuple[float, ...], size: tuple[int, int] = (200, 300)) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), ("x",) * len(boxes), np.ones(len(boxes), np.float32), size
    )


@pytest.mark.parametrize(
    ("boxes", "people"),
    [
        ([], []),
        ([(10, 10, 60, 110)], [0]),  # fits the first, though the second has its centre in it, too
        ([(0, 0, 300, 200)], [0, 1, 2]),  # an area
        ([(25, 12, 38, 30)], [0]),  # a face
        ([(140, 80, 150, 90)], []),  # nobody
        ([(205, 10, 290, 190), (10, 10, 60, 110)], [0, 2]),
    ],
)
def test_which_people_regions_stand_for(
    monkeypatch: pytest.MonkeyPatch, boxes: list[tuple[float, ...]], people: list[int]
) -> None:
    everyone = np.array([(10, 10, 60, 100), (30, 40, 70, 120), (200, 10, 290, 190)], np.float32)
    found = Poses(np.zeros((3, 17, 3), np.float32), np.ones(3, np.float32), everyone, (200, 300))
    monkeypatch.setattr(yolo, "poses", lambda *_: [found])
    chosen = pose(Image.from_numpy(PICTURE), region(*boxes))
    np.testing.assert_array_equal(chosen.xyxy, everyone[people])


def test_regions_of_another_picture_are_refused(home: Path) -> None:
    for tool in (pose, segment):
        with pytest.raises(ValueInvalid, match="belong to a picture of 20x10"):
            tool(Image.from_numpy(PICTURE), regions=region((0, 0, 5, 5), size=(10, 20)))


def moving(frames: int = 24) -> tuple[Video, list[list[Thing]]]:
    """Film a person walking to the right and a car driving to the left; the car is gone for two frames."""
    drawn = []
    for number in range(frames):
        spots = [("person", 10 + 4 * number, 5, 90)]
        if number not in (10, 11):
            spots.append(("car", 100 - 4 * number, 100, 90))
        drawn.append(draw(spots, (200, 200)))
    return Video.from_frames((pixels for pixels, _ in drawn), fps=10), [things for _, things in drawn]


def test_tracks(choose: Choose, trained: Trained, store: Store) -> None:
    pytest.importorskip("trackers")
    weights_id = choose("track", trained("detect"))
    video, truth = moving()
    ref = execute.call(track, {"video": store.put(video), "labels": ["people", "cars"]}, store, "s1")
    found = store.get(ref)
    assert ref["provenance"]["weights"][0]["id"] == weights_id
    assert found.size == (200, 200) and found.masks is None
    followed = {
        label: {int(i) for i, one in zip(found.ids, found.labels, strict=True) if one == label}
        for label in ("people", "cars")
    }
    assert sorted(map(sorted, followed.values())) == [[1], [2]]  # each keeps its id
    right = 0
    for one in found:
        thing = next((t for t in truth[one.frame] if {"people": "person", "cars": "car"}[one.label] == t.name), None)
        right += thing is not None and iou(thing.box, one.box) > 0.3
    assert right == len(found) >= 40
    assert track(video).labels == tuple({"people": "person", "cars": "car"}[label] for label in found.labels)
    assert list(found.frames) == sorted(found.frames)


def test_tracking_nothing(choose: Choose, trained: Trained) -> None:
    pytest.importorskip("trackers")
    choose("track", trained("detect"))
    video = Video.from_frames((np.full((64, 64, 3), 220, np.uint8) for _ in range(3)), fps=5)
    found = track(video)
    assert len(found) == 0 and found.ids is not None and found.frames is not None and found.size == (64, 64)
    assert Detections.from_bytes(found.to_bytes()) == found


def test_missing_weights_name_the_label_and_the_command(
    choose: Choose, trained: Trained, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store.put(Image.from_numpy(PICTURE))
    with pytest.raises(ToolError) as caught:
        execute.call(detect, {"image": image, "labels": ["car"]}, store, "s1")
    assert "'car'" in str(caught.value) and "superlink models pull yolo26n" in str(caught.value)
    choose("detect", trained("detect"))
    with pytest.raises(ToolError) as caught:
        execute.call(detect, {"image": image, "labels": ["car", "ladder"]}, store, "s1")
    assert "'ladder'" in str(caught.value) and "superlink models pull yoloe-26s" in str(caught.value)
    choose("detect_open", trained("open"))
    with pytest.raises(WeightsMissing, match=r"'ladder'.*superlink models pull mobileclip2-b"):
        detect([Image.from_numpy(PICTURE)], ["ladder"])
    monkeypatch.setitem(open_vocabulary._ENCODERS, "mobileclip2:b", "centerface")  # any file that is here
    with pytest.raises(WeightsMissing, match=r"'ladder'.*superlink models pull clip-bpe"):
        detect([Image.from_numpy(PICTURE)], ["ladder"])
    with pytest.raises(WeightsMissing, match=r"superlink models pull sam2.1-b"):
        segment(Image.from_numpy(PICTURE), regions=region((10, 10, 50, 50)))
    with pytest.raises(WeightsMissing, match=r"superlink models pull yolo26n-pose"):
        pose(Image.from_numpy(PICTURE))


@pytest.mark.usefixtures("text_encoder")
def test_other_labels_go_to_the_open_vocabulary(choose: Choose, trained: Trained, store: Store) -> None:
    choose("detect", trained("detect"))
    choose("detect_open", trained("open"))
    image = store.put(Image.from_numpy(PICTURE))

    def found(*labels: str) -> Detections:
        value = store.get(execute.call(detect, {"image": image, "labels": list(labels)}, store))
        assert isinstance(value, Detections) and value.masks is None
        return value

    matched(found(*WORDS), THINGS, {"person": WORDS[0], "car": WORDS[1]})
    matched(found(WORDS[1], WORDS[0]), THINGS, {"person": WORDS[0], "car": WORDS[1]})
    matched(found(WORDS[1]), THINGS[1:], {"car": WORDS[1]})
    matched(found(WORDS[1], "people"), THINGS, {"person": "people", "car": WORDS[1]})
    ref = execute.call(detect, {"image": image, "labels": ["person", WORDS[1]]}, store)
    used = [one["id"] for one in ref["provenance"]["weights"]]
    assert sorted(used) == ["drawn-detect", "drawn-detect-open", "drawn-encoder", "drawn-vocabulary"]


@pytest.mark.usefixtures("text_encoder")
def test_weights_prompted_with_words_can_do_all_roles(choose: Choose, trained: Trained) -> None:
    choose("segment_open", trained("open"))
    pytest.importorskip("trackers")
    for role in ("segment", "detect", "detect_open", "track"):
        choose(role, trained("open"))
    image = Image.from_numpy(PICTURE)
    found = segment(image, labels=[*WORDS])
    assert found.masks is not None
    matched(found, THINGS, {"person": WORDS[0], "car": WORDS[1]})
    matched(detect([image], [*WORDS])[0], THINGS, {"person": WORDS[0], "car": WORDS[1]})
    video, _ = moving(8)
    assert set(track(video, [WORDS[1]]).labels) == {WORDS[1]}


def test_the_tokens_are_clips(tmp_path: Path) -> None:
    from tests.engines.conftest import write_vocabulary

    first = open_vocabulary.tokenise(["Person", "person car", "x " * 200], write_vocabulary(tmp_path))
    start, end = int(first[0][0]), int(first[0][2])
    assert end == start + 1 and first[0].tolist() == [start, first[0][1], end] + [0] * 74
    assert first[1][1] == first[0][1] and first[1][3] == end
    assert first[2][76] == end  # too long a description is cut, and still ended


def test_yolo_world_takes_words_through_clip(
    choose: Choose, tmp_path: Path, text_encoder: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    from tools.weights import weights

    yolo.library()
    from ultralytics import YOLO
    from ultralytics.utils import ROOT

    torch.manual_seed(0)
    model = YOLO(ROOT / "cfg/models/v8/yolov8-worldv2.yaml")
    model.ckpt = {"train_args": {"imgsz": 64, "task": "detect"}}
    model.save(tmp_path / "world.pt")
    config = CLIPTextConfig(vocab_size=600, projection_dim=512, bos_token_id=530, eos_token_id=531, **TINY)
    CLIPTextModelWithProjection(config).save_pretrained(tmp_path / "clip")
    weights.add("drawn-clip", tmp_path / "clip", "detect_open", "CC0-1.0")
    monkeypatch.setitem(open_vocabulary._ENCODERS, "clip:ViT-B/32", "drawn-clip")
    choose("detect", tmp_path / "world.pt")
    choose("detect_open", tmp_path / "world.pt")
    image = Image.from_numpy(PICTURE)
    assert set(detect([image], ["a red ball", "ladder", "box"], 0.0)[0].labels) <= {"a red ball", "ladder", "box"}
    assert set(detect([image], ["ladder"], 0.0)[0].labels) == {"ladder"}


def test_masks_in_regions(choose: Choose, tmp_path: Path) -> None:
    yolo.library()
    from ultralytics.models.sam.build import build_mobile_sam

    torch.manual_seed(0)
    torch.save(build_mobile_sam().state_dict(), tmp_path / "mobile_sam.pt")  # not trained: masks of no meaning
    choose("segment_boxes", tmp_path / "mobile_sam.pt")
    regions = Detections(
        np.array([t.box for t in THINGS] + [(5, 5, 5, 9)], np.float32),
        ("person", "car", "car"),
        np.array([0.9, 0.8, 0.7], np.float32),
        (200, 300),
    )
    found = segment(Image.from_numpy(PICTURE), regions=regions)
    assert found.masks is not None and found.size == (200, 300)
    assert set(zip(found.labels, found.scores.round(1).tolist(), strict=True)) <= {("person", 0.9), ("car", 0.8)}
    for number in range(len(found)):
        mask = found.mask_array(number)
        assert mask.any() and mask[:, int(found.xyxy[number][0])].any()
    assert set(segment(Image.from_numpy(PICTURE), ["cars"], regions).labels) <= {"car"}
    assert segment(Image.from_numpy(PICTURE), ["dogs"], regions).masks == ()
    assert segment(Image.from_numpy(PICTURE), regions=region()).masks == ()


def test_what_is_pointed_at_is_outlined_and_a_picture_is_looked_at_once(
    choose: Choose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yolo.library()
    from ultralytics.models.sam.build import build_mobile_sam

    torch.manual_seed(0)
    network = build_mobile_sam()  # not trained: masks of no meaning, here of some score
    torch.nn.init.constant_(network.mask_decoder.iou_prediction_head.layers[-1].bias, 0.9)
    torch.save(network.state_dict(), tmp_path / "mobile_sam.pt")
    choose("outline", tmp_path / "mobile_sam.pt")
    looked: list[tuple[int, ...]] = []
    look = sam._Pointer.look
    monkeypatch.setattr(sam._Pointer, "look", lambda self, given: (looked.append(given.shape), look(self, given)))
    assert outlining.is_here()
    first = outlining.outline(PICTURE, [(10, 10, True)])
    both = outlining.outline(PICTURE, [(10, 10, True), (150, 100, False)])
    assert first.shape == both.shape == PICTURE.shape[:2] and first.dtype == both.dtype == bool and first.any()
    assert looked == [PICTURE.shape]
    outlining.outline(PICTURE[:, :250], [(10, 10, True)])
    assert len(looked) == 2


def test_weights_for_another_task_are_refused(choose: Choose, trained: Trained) -> None:
    image = Image.from_numpy(PICTURE)
    choose("segment", trained("detect"))
    with pytest.raises(SettingsInvalid, match="drawn-segment are for the task detect.*segment"):
        segment(image, labels=["car"])
    choose("pose", trained("segment"))
    with pytest.raises(SettingsInvalid, match="drawn-pose are for the task segment.*pose"):
        pose(image)
    choose("detect", trained("detect"))
    choose("detect_open", trained("segment"))
    with pytest.raises(
        SettingsInvalid, match="'ladder' cannot be looked for: the weights drawn-detect-open know only person, car"
    ):
        detect([image], ["ladder"])


def test_weights_of_the_open_role_may_know_further_names(choose: Choose, trained: Trained) -> None:
    choose("detect", trained("pose"))  # knows people alone
    choose("detect_open", trained("detect"))
    [found] = detect([Image.from_numpy(PICTURE)], ["people", "cars"])
    assert set(found.labels) == {"people", "cars"}


class Trap:
    """A pickle of it creates a file when it is loaded without care."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.place),)


def test_checkpoints_that_run_code_or_are_none(choose: Choose, tmp_path: Path) -> None:
    torch.save({"model": Trap(tmp_path / "sprung")}, tmp_path / "trap.pt")
    torch.save({"model": Trap(tmp_path / "sprung")}, tmp_path / "sam_b.pt")
    (tmp_path / "noise.pt").write_bytes(os.urandom(5000))
    image = Image.from_numpy(PICTURE)
    choose("detect", tmp_path / "trap.pt")
    with pytest.raises(ToolError, match=r"trap.pt cannot be loaded by ultralytics"):
        detect([image], ["car"])
    choose("segment_boxes", tmp_path / "sam_b.pt")
    with pytest.raises(ToolError, match=r"more than numbers"):
        execute.call(
            segment,
            {"image": (store := Store(tmp_path / "s")).put(image), "regions": store.put(region((1, 1, 9, 9)))},
            store,
        )
    choose("pose", tmp_path / "noise.pt")
    with pytest.raises(ToolError, match=r"noise.pt cannot be loaded by ultralytics"):
        pose(image)
    assert not (tmp_path / "sprung").exists()


def test_the_library_leaves_network_threads_and_folder_alone(trained: Trained, tmp_path: Path) -> None:
    script = f"""
import socket, sys
def refuse(*a, **k): raise AssertionError(f"looked up {{a}}")
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse
socket.socket.connect = refuse
import cv2, torch, os
threads = cv2.getNumThreads(), torch.get_num_threads()
import numpy as np
from tools.weights import weights
from tools.core.settings import settings
weights.add("mine", {str(trained("detect"))!r}, "detect", "CC0-1.0", trust=True)
os.environ["SUPERLINK_ROLE_DETECT"] = "mine"
settings.cache_clear()
from tools.detect import detect
from tools.values import Image
detect([Image.from_numpy(np.zeros((64, 64, 3), np.uint8))], ["car"])
assert (cv2.getNumThreads(), torch.get_num_threads()) == threads, threads
assert "OMP_NUM_THREADS" not in os.environ and "CUDA_VISIBLE_DEVICES" not in os.environ
assert os.listdir() == ["home"], os.listdir()
"""
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES") and not k.startswith("YOLO_")
    }
    environment |= {"SUPERLINK_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.strip() and "looked up" not in done.stderr


def test_importing_the_tools_imports_no_library() -> None:
    script = (
        "import sys, tools.detect, tools.segment, tools.pose, tools.track; "
        "print([m for m in ('torch', 'cv2', 'ultralytics', 'transformers', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"


# ---- exported models -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "form"), [("detect", "onnx"), ("pose", "torchscript")])
def test_an_export_finds_what_its_checkpoint_does(
    choose: Choose, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, form: str
) -> None:
    """Its name says nothing of its task: the metadata do."""
    if form == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    checkpoint = tmp_path / "mine.pt"
    checkpoint.write_bytes(trained(task).read_bytes())
    pictures = [Image.from_numpy(PICTURE), Image.from_numpy(PICTURE[:, ::-1].copy())]

    def found() -> list[Detections] | list[Poses]:
        return detect(pictures, ["person", "car"]) if task == "detect" else [pose(picture) for picture in pictures]

    choose(task, trained(task))
    usual = found()
    with yolo.restore_threads():
        exported = Path(yolo.library().YOLO(checkpoint).export(format=form, imgsz=[64, 96], verbose=False))
    weights.add("exported", exported, task, "CC0-1.0", trust=True)
    monkeypatch.setenv(f"SUPERLINK_ROLE_{task.upper()}", "exported")
    settings.cache_clear()
    for one, other in zip(found(), usual, strict=True):
        assert len(one) == len(other) > 0
        assert all(max(iou(box, another) for another in other.xyxy) > 0.9 for box in one.xyxy)
    with pytest.raises(WeightsMissing, match="'license plate' cannot be looked for"):
        detect(pictures, ["license plate"])
