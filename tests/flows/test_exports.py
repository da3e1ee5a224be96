"""Every export, opened by the library that it is for."""

import html
import json
import math
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as Xml

import av
import numpy as np
import pytest
import srt
import webvtt
from PIL import Image as Pil

from common.masks import outline
from flows.batch.review import ReviewRouting, queue, resolve
from flows.exports import export, provenance_of
from flows.ledger.ledger import Ledger
from tests.flows.conftest import DARKEN, FIND, Run, raw_sql
from tools.core.settings import settings
from tools.storage.store import Store
from tools.values import Detections, Poses, Video

POSE = {"steps": [{"id": "s1", "tool": "stand", "args": {"image": "$image"}}], "outputs": ["$s1"]}
BOXES = {"steps": [{"id": "s1", "tool": "halves", "args": {"image": "$image"}}], "outputs": ["$s1"]}
READ = {"steps": [{"id": "s1", "tool": "spell", "args": {"image": "$image"}}], "outputs": ["$s1"]}
HEAR = {"steps": [{"id": "s1", "tool": "hear", "args": {"audio": "$audio"}}], "outputs": ["$s1"]}
FOLLOW = {"steps": [{"id": "s1", "tool": "glow", "args": {"video": "$video"}}], "outputs": ["$s1"]}
# Label Studio's own package needs other versions of OpenCV and numpy: `make` installs it elsewhere.
LABEL_STUDIO = Path(sys.prefix) / "label-studio" / "bin" / "python"


def value_in(out: Path, name: str) -> Any:
    """What the ledger has for an item."""
    ledger = Ledger.open_existing(out)
    [refs] = [refs for entry, refs in ledger.done() if entry.name == name]
    ledger.close()
    ref = refs["s1"]
    assert not isinstance(ref, list)
    return Store(settings().store_url).get(ref)


def found_in(out: Path, name: str) -> Detections:
    value = value_in(out, name)
    assert isinstance(value, Detections)
    return value


@pytest.fixture
def quiet(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Ultralytics; the test fails if it asks the network for anything."""
    if find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed")
    from tools.engines import yolo

    library = yolo.library()
    from ultralytics.utils import USER_CONFIG_DIR

    font = next(Path(str(find_spec("matplotlib").origin)).parent.rglob("DejaVuSans.ttf"))  # type: ignore[union-attr]
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        shutil.copy(font, USER_CONFIG_DIR / name)

    asked: list[object] = []

    def refuse(*args: object, **kwargs: object) -> None:
        asked.append(args)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    yield library
    assert not asked


def test_coco_opens_in_pycocotools(run: Run, pictures: Path, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    out = run(pictures, DARKEN, formats=["coco"]).exports["coco"]
    read = coco.COCO(str(out / "annotations.json"))
    assert len(read.imgs) == 12 and {c["name"] for c in read.cats.values()} == {"left", "right"}
    image = next(i for i in read.imgs.values() if i["file_name"] == "sub/p0003.jpg")
    found = found_in(tmp_path / "out", "sub/p0003.jpg")
    annotations = read.loadAnns(read.getAnnIds(imgIds=image["id"]))
    assert len(annotations) == len(found)
    for place, annotation in enumerate(annotations):
        assert (read.annToMask(annotation).astype(bool) == found.mask_array(place)).all()
        x, y, w, h = annotation["bbox"]
        assert np.allclose([x, y, x + w, y + h], found.xyxy[place], atol=0.01)
        assert annotation["area"] == found.mask_array(place).sum()


def test_readers_that_take_every_json_of_a_folder(run: Run, pictures: Path, tmp_path: Path) -> None:
    converter = pytest.importorskip("ultralytics.data.converter")
    out = run(pictures, formats=["coco", "label-studio"]).exports
    assert [file.name for file in out["label-studio"].glob("*.json")] == ["tasks.json"]
    converter.convert_coco(str(out["coco"]), str(tmp_path / "converted"), cls91to80=False)
    assert len(list((tmp_path / "converted").rglob("*.txt"))) >= 12


def test_coco_keypoints(run: Run, pictures: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    read = coco.COCO(str(run(pictures, POSE, formats=["coco"]).exports["coco"] / "annotations.json"))
    annotation = read.anns[1]
    assert annotation["num_keypoints"] == 16 and annotation["keypoints"][:3] == [0, 0, 0]
    assert len(annotation["keypoints"]) == 51 and read.cats[1]["keypoints"][0] == "nose"


@pytest.mark.parametrize(("plan", "kind"), [(BOXES, "bbox"), (FIND, "segm"), (POSE, "keypoints")])
def test_coco_is_scored_by_cocos_own_evaluation(run: Run, pictures: Path, plan: dict[str, Any], kind: str) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    truth = coco.COCO(str(run(pictures, plan, formats=["coco"]).exports["coco"] / "annotations.json"))
    fields = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}
    results = [
        {key: one[key] for key in ("image_id", "category_id", "score", fields[kind])} for one in truth.anns.values()
    ]
    scored = COCOeval(truth, truth.loadRes(results), kind)
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    assert len(results) >= 12 and scored.stats[0] == pytest.approx(1.0)


@pytest.mark.parametrize("plan", [BOXES, FIND])
def test_coco_opens_in_supervision(run: Run, pictures: Path, tmp_path: Path, plan: dict[str, Any]) -> None:
    sv = pytest.importorskip("supervision")
    out = run(pictures, plan, formats=["coco"]).exports["coco"]
    data = sv.DetectionDataset.from_coco(
        images_directory_path=str(pictures), annotations_path=str(out / "annotations.json")
    )
    assert len(data) == 12
    for path, image, read in data:
        found = found_in(tmp_path / "out", str(Path(path).relative_to(pictures.resolve())))
        assert image.shape[:2] == found.size and np.allclose(read.xyxy, found.xyxy, atol=0.01)
        assert [data.classes[number] for number in read.class_id] == list(found.labels)
        if found.masks is not None:
            assert all((read.mask[place] == found.mask_array(place)).all() for place in range(len(found)))


@pytest.mark.parametrize(
    ("plan", "recipe", "task"),
    [(BOXES, "yolo11n.yaml", "detect"), (FIND, "yolo11n-seg.yaml", "segment"), (POSE, "yolo11n-pose.yaml", "pose")],
)
def test_ultralytics_checks_yolo_and_trains_on_it(
    run: Run, pictures: Path, tmp_path: Path, quiet: ModuleType, plan: dict[str, Any], recipe: str, task: str
) -> None:
    from ultralytics.data.utils import check_det_dataset

    from tools.engines.yolo import restore_threads

    # The library takes the last "images" of a path for its own.
    shutil.copytree(pictures / "sub", pictures / "images" / "images")
    for file in (pictures / "images" / "images").iterdir():
        with Pil.open(file) as photo:
            photo.resize((100, 80)).save(file)
    out = run(pictures, plan, formats=["yolo"]).exports["yolo"]
    counts = json.loads((out / "provenance.json").read_text())["counts"]
    assert counts["task"] == task and counts["train"] + counts["val"] == 15
    facts = check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert facts["nc"] == counts["classes"]
    with restore_threads():
        model = quiet.YOLO(recipe, task=task)
        assert model.task == task
        model.train(
            data=str(out / "data.yaml"),
            epochs=1,
            imgsz=64,
            batch=4,
            workers=0,
            device="cpu",
            amp=False,
            plots=False,
            pretrained=False,
            project=str(tmp_path / "runs"),
            name=task,
            verbose=False,
        )
    learnt = model.trainer.train_loader.dataset.labels
    assert len(learnt) == counts["train"] and len(model.trainer.test_loader.dataset.labels) == counts["val"]
    assert sum(len(one["cls"]) for one in learnt) == counts["things"] * counts["train"] // 15
    if task == "segment":
        assert all(len(one["segments"]) == len(one["cls"]) for one in learnt)
    if task == "pose":
        assert {one["keypoints"].shape for one in learnt} == {(1, 17, 3)}
    heads, values = ((tmp_path / "runs" / task / "results.csv").read_text().split())[:2]
    losses = [float(value) for head, value in zip(heads.split(","), values.split(","), strict=True) if "loss" in head]
    assert len(losses) >= 6 and all(map(math.isfinite, losses)) and losses[0] > 0
    assert (tmp_path / "runs" / task / "weights" / "last.pt").exists()


def test_yolo_opens_in_supervision_and_ultralytics(run: Run, pictures: Path, tmp_path: Path, quiet: ModuleType) -> None:
    sv = pytest.importorskip("supervision")
    out = run(pictures, formats=["yolo"]).exports["yolo"]
    data = sv.DetectionDataset.from_yolo(
        images_directory_path=str(out / "images" / "train"),
        annotations_directory_path=str(out / "labels" / "train"),
        data_yaml_path=str(out / "data.yaml"),
    )
    assert data.classes == ["left", "right"]
    from ultralytics.data.utils import check_det_dataset

    facts = check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert facts["nc"] == 2
    lines = sorted((out / "labels").rglob("*.txt"))
    assert len(lines) == 12 and len(list((out / "images" / "val").rglob("*.jpg"))) >= 1
    from ultralytics.data import YOLODataset

    read = YOLODataset(
        img_path=str(out / "images" / "train"), data=facts, task="segment", imgsz=64, augment=False, cache=False
    )
    label = next(one for one in read.labels if one["im_file"].endswith("p0000.jpg") or len(one["cls"]) == 2)
    name = str(Path(label["im_file"]).relative_to(out / "images" / "train"))
    found = found_in(tmp_path / "out", name)
    centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2 / np.array(found.size[::-1])
    assert np.allclose(np.array(label["bboxes"])[:, :2], centres, atol=0.001)


def test_yolo_poses(run: Run, pictures: Path, quiet: ModuleType) -> None:
    from ultralytics.data.utils import check_det_dataset

    out = run(pictures, POSE, formats=["yolo"]).exports["yolo"]
    facts = check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert facts["kpt_shape"] == [17, 3] and sorted(facts["flip_idx"]) == list(range(17)) and facts["flip_idx"][1] == 2
    line = next((out / "labels").rglob("*.txt")).read_text().split()
    assert len(line) == 5 + 51 and line[5:8] == ["0", "0", "0"]


def test_voc_opens_in_supervision(run: Run, pictures: Path, tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision")
    out = run(pictures, formats=["voc"]).exports["voc"]
    data = sv.DetectionDataset.from_pascal_voc(
        images_directory_path=str(pictures / "sub"), annotations_directory_path=str(out / "Annotations" / "sub")
    )
    found = found_in(tmp_path / "out", "sub/p0003.jpg")
    read = data.annotations[next(path for path in data.image_paths if path.endswith("p0003.jpg"))]
    # VOC's boxes end with their last pixel.
    assert len(read) == len(found) and np.abs(read.xyxy - found.xyxy).max() <= 1
    size = Xml.parse(out / "Annotations" / "sub" / "p0003.xml").getroot().find("size/width")
    assert size is not None and size.text == str(found.size[1])


def test_jsonl_and_parquet(run: Run, pictures: Path, tmp_path: Path) -> None:
    lines = (run(pictures, formats=["jsonl"]).exports["jsonl"] / "items.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["item"] for row in rows] == sorted(row["item"] for row in rows) and len(rows) == 12
    pq = pytest.importorskip("pyarrow.parquet")
    from pycocotools.mask import decode

    table = pq.read_table(run(pictures, formats=["parquet"]).exports["parquet"] / "found.parquet")
    assert table.num_rows == sum(len(one["value"]["xyxy"]) for row in rows for one in row["results"]["s1"])
    for name in {row["item"] for row in rows}:
        found, own = found_in(tmp_path / "out", name), [row for row in table.to_pylist() if row["item"] == name]
        assert [(row["label"], row["score"]) for row in own] == [(one.label, one.score) for one in found]
        assert np.array_equal([[row[side] for side in ("x0", "y0", "x1", "y1")] for row in own], found.xyxy)
        assert all((decode(json.loads(row["mask"])) == found.mask_array(place)).all() for place, row in enumerate(own))
    [row, *_] = pq.read_table(run(pictures, POSE, formats=["parquet"]).exports["parquet"] / "found.parquet").to_pylist()
    poses = value_in(tmp_path / "out", row["item"])
    assert isinstance(poses, Poses) and np.array_equal(np.reshape(row["keypoints"], (17, 3)), poses.keypoints[0])
    words = pq.read_table(run(pictures, READ, formats=["parquet"]).exports["parquet"] / "found.parquet").to_pylist()
    assert (
        [row["text"] for row in words[:2]] == ["STOP", "<EXIT>"] and words[0]["x1"] == 40 and words[0]["label"] is None
    )


def test_label_studio_tasks(run: Run, pictures: Path) -> None:
    out = run(pictures, formats=["label-studio"]).exports["label-studio"]
    tasks = json.loads((out / "tasks.json").read_text())
    config = Xml.parse(out / "config.xml").getroot()
    names = {tag.get("name"): tag for tag in config if tag.get("name")}
    assert len(tasks) == 12
    for task in tasks:
        for result in task["predictions"][0]["result"]:
            tag = names[result["from_name"]]
            assert tag.get("toName") == result["to_name"] and tag.tag.lower() == result["type"]
            assert result["value"][result["type"]][0] in [label.get("value") for label in tag]
            assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in result["value"]["points"])


VALIDATE = """
import json, sys
from pathlib import Path
from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.converter import Converter
for line in sys.stdin:
    asked = json.loads(line)
    folder = Path(asked["folder"])
    config = (folder / "config.xml").read_text()
    interface = LabelInterface(config)
    interface.validate()
    tasks, problems = json.loads((folder / "tasks.json").read_text()), []
    for task in tasks:
        # The package cannot check a task together with its predictions: it calls the second check without them.
        problems += [] if interface.validate_task({"data": task["data"]}) else [task["data"]]
        for prediction in task["predictions"]:
            problems += interface.validate_prediction(prediction, return_errors=True)
    said = {"tasks": len(tasks), "problems": problems}
    if asked["convert"]:
        for task in tasks:
            task["annotations"] = [{"id": 1, "result": task.pop("predictions")[0]["result"]}]
        (folder / "accepted.json").write_text(json.dumps(tasks))
        Converter(config, project_dir=None, download_resources=False).convert_to_coco(
            str(folder / "accepted.json"), str(folder / "converted"), is_dir=False)
    print("said:", json.dumps(said), flush=True)
"""


@pytest.fixture(scope="module")
def label_studio() -> Iterator[Callable[..., dict[str, Any]]]:
    """What Label Studio's own package says of an export; it is started once for all of them."""
    if not LABEL_STUDIO.exists():
        pytest.skip(f"label-studio-sdk is not installed in {LABEL_STUDIO.parents[1]}: make test installs it")
    with subprocess.Popen(
        [LABEL_STUDIO, "-c", VALIDATE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as package:
        assert package.stdin and package.stdout
        asked, answers = package.stdin, package.stdout

        def ask(folder: Path, convert: bool = False) -> dict[str, Any]:
            asked.write(json.dumps({"folder": str(folder), "convert": convert}) + "\n")
            asked.flush()
            line = next((line for line in answers if line.startswith("said: ")), None)
            assert line is not None, "Label Studio's package ended with an error, which is above"
            said: dict[str, Any] = json.loads(line.removeprefix("said: "))
            return said

        yield ask


@pytest.mark.parametrize("plan", [POSE, READ])
def test_label_studio_takes_pictures(
    run: Run, pictures: Path, label_studio: Callable[..., dict[str, Any]], plan: dict[str, Any]
) -> None:
    out = run(pictures, plan, formats=["label-studio"]).exports["label-studio"]
    assert label_studio(out) == {"tasks": 12, "problems": []}
    tasks = json.loads((out / "tasks.json").read_text())
    assert all(task["predictions"][0]["result"] for task in tasks)


@pytest.mark.parametrize("plan", [BOXES, FIND])
def test_label_studio_takes_and_converts_pictures(
    run: Run, pictures: Path, label_studio: Callable[..., dict[str, Any]], tmp_path: Path, plan: dict[str, Any]
) -> None:
    out = run(pictures, plan, formats=["label-studio"]).exports["label-studio"]
    assert label_studio(out, convert=True) == {"tasks": 12, "problems": []}
    tasks = json.loads((out / "tasks.json").read_text())
    assert all(task["predictions"][0]["result"] for task in tasks)
    read = json.loads((out / "converted" / "result.json").read_text())
    names = {category["id"]: category["name"] for category in read["categories"]}
    assert len(read["images"]) == 12
    for image, task in zip(read["images"], tasks, strict=True):
        found = found_in(tmp_path / "out", task["data"]["image"].partition("?d=")[2])
        own = [one for one in read["annotations"] if one["image_id"] == image["id"]]
        assert [names[one["category_id"]] for one in own] == list(found.labels)
        if found.masks is None:
            boxes = np.array([one["bbox"] for one in own])
            assert np.allclose(np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]), found.xyxy, atol=0.01)
            continue
        for place, one in enumerate(own):
            assert np.allclose(np.reshape(one["segmentation"][0], (-1, 2)), outline(found.mask_array(place)), atol=0.01)


def test_label_studio_takes_sounds_and_videos(
    run: Run, label_studio: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    out = run(sound(tmp_path / "sounds"), HEAR, formats=["label-studio"]).exports["label-studio"]
    assert label_studio(out) == {"tasks": 1, "problems": []}
    [task] = json.loads((out / "tasks.json").read_text())
    results = task["predictions"][0]["result"]
    # Words belong to a region: they have its id.
    assert [(one["type"], one["id"]) for one in results[:2]] == [("labels", "t0"), ("textarea", "t0")]
    frames = [np.full((64, 96, 3), 20, np.uint8) for _ in range(7)]
    for number in (1, 2, 5):
        frames[number][16:48, 16:48] = (40, 200, 40)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "clip.mp4").write_bytes(Video.from_frames(frames, 10).to_bytes())
    out = run(tmp_path / "videos", FOLLOW, formats=["label-studio"], out=tmp_path / "followed").exports["label-studio"]
    assert label_studio(out) == {"tasks": 1, "problems": []}
    [task] = json.loads((out / "tasks.json").read_text())
    [track] = task["predictions"][0]["result"]
    assert [(one["frame"], one["enabled"]) for one in track["value"]["sequence"]] == [(2, True), (3, False), (6, False)]
    assert track["value"]["labels"] == ["glow"] and track["value"]["framesCount"] == 7


@pytest.mark.parametrize(
    "times", [[0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 0.1, 0.2, 2, 2.1, 4, 4.5], [3, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6]]
)
def test_label_studio_has_the_times_at_which_frames_are_shown(run: Run, tmp_path: Path, times: list[float]) -> None:
    (tmp_path / "videos").mkdir()
    with av.open(str(tmp_path / "videos" / "clip.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        speech = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number, time in enumerate(times):
            pixels = np.full((64, 96, 3), 20, np.uint8)
            if number in (1, 2, 5):
                pixels[16:48, 16:48] = (40, 200, 40)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), "s16", "mono")
        heard.sample_rate, heard.pts = 8000, 0  # from where a player counts
        container.mux(speech.encode(heard))
    out = run(tmp_path / "videos", FOLLOW, formats=["label-studio"]).exports["label-studio"]
    [task] = json.loads((out / "tasks.json").read_text())
    [track] = task["predictions"][0]["result"]
    assert [one["frame"] for one in track["value"]["sequence"]] == [2, 3, 6]
    assert [one["time"] for one in track["value"]["sequence"]] == pytest.approx(
        [times[1], times[2], times[5]], abs=0.002
    )


def sound(folder: Path) -> Path:
    soundfile = pytest.importorskip("soundfile")
    folder.mkdir()
    soundfile.write(folder / "talk.wav", np.sin(np.arange(16_000) / 20) / 2, 8000)
    return folder


def test_subtitles_open_in_their_parsers(run: Run, tmp_path: Path) -> None:
    out = run(sound(tmp_path / "sounds"), HEAR, formats=["srt", "vtt"]).exports
    # Empty lines would end a subtitle, and one without words is none.
    wanted = [(0, 1, "first <half>"), (1, 2, "2\nsecond & last\nhalf --> end")]
    read = list(srt.parse((out["srt"] / "talk.srt").read_text(), ignore_errors=False))
    assert [(one.start, one.end, one.content) for one in read] == [
        (timedelta(seconds=start), timedelta(seconds=end), text) for start, end, text in wanted
    ]
    assert [one.index for one in read] == [1, 2]
    cues = webvtt.read(str(out["vtt"] / "talk.vtt")).captions
    assert [(one.start_in_seconds, one.end_in_seconds, html.unescape(one.raw_text)) for one in cues] == wanted


def test_provenance_tells_weights_scores_and_what_people_changed(run: Run, pictures: Path, tmp_path: Path) -> None:
    run(pictures, routing=ReviewRouting(band=(0, 1), audit=0), formats=["yolo"])
    before = found_in(tmp_path / "out", "p0000.jpg")
    ledger = Ledger.open_existing(tmp_path / "out")
    mine = {one.label: one for one in queue(ledger) if one.item == "p0000.jpg"}
    resolve(ledger, mine["left"].id, "rejected", who="ann")
    resolve(ledger, mine["right"].id, "corrected", "window", who="ben")
    others = [one for one in queue(ledger) if one.item != "p0000.jpg"]
    resolve(ledger, others[0].id, "accepted", who="ann")
    # Weights as the ledger has them of tools that use some.
    [(key, refs)] = raw_sql(
        ledger,
        "SELECT key, refs FROM works JOIN steps ON work = key JOIN items ON items.id = item "
        "WHERE items.name = 'p0001.jpg'",
    )
    ref = json.loads(refs)
    ref["provenance"]["weights"] = [{"id": "eyes", "sha256": "5" * 64, "licence": "CC-BY-4.0"}]
    raw_sql(ledger, "UPDATE works SET refs = ? WHERE key = ?", (json.dumps(ref), key))
    for name in ("yolo", "coco", "voc", "label-studio", "jsonl", "parquet", "report"):
        export(ledger, Store(settings().store_url), name, tmp_path / "out" / name)
        provenance = json.loads((tmp_path / "out" / name / provenance_of(name)).read_text())
        assert provenance["weights"] == ref["provenance"]["weights"] and provenance["licences"] == ["CC-BY-4.0"]
        assert provenance["plan"]["steps"][0]["tool"] == "bright" and provenance["plan_sha256"] == ledger.plan.hash
        assert provenance["tools"] == {"bright": ref["provenance"]["version"]}
        edits = {edit["label"]: edit for edit in provenance["human_edits"]}
        assert {label: (one["verdict"], one["correct"], one["who"]) for label, one in edits.items()} == {
            "left": ("rejected", "", "ann"),
            "right": ("corrected", "window", "ben"),
        }
        assert np.allclose(edits["left"]["box"], before.xyxy[0], atol=0.01) and edits["left"]["time"]
        assert edits["left"]["score"] == pytest.approx(float(before.scores[0]))
        assert provenance["review"] == {
            "band: open": len(others) - 1,
            "band: accepted": 1,
            "band: rejected": 1,
            "band: corrected": 1,
        }
        assert provenance["scores"]["window"]["count"] == 1
        assert provenance["scores"]["window"]["mean"] == pytest.approx(float(before.scores[1]), abs=1e-6)
    ledger.close()
    # YOLO's scores are in the order of its lines.
    rows = [json.loads(line) for line in (tmp_path / "out" / "yolo" / "scores.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    for row in rows:
        lines = (tmp_path / "out" / "yolo" / row["labels"]).read_text().splitlines()
        own = (
            [round(float(before.scores[1]), 6)]
            if row["item"] == "p0000.jpg"
            else [round(one.score, 6) for one in found_in(tmp_path / "out", row["item"])]
        )
        assert row["scores"] == own and len(lines) == len(own)


def test_edits_of_a_plan_before_are_not_reported(run: Run, pictures: Path, tmp_path: Path) -> None:
    run(pictures, routing=ReviewRouting(band=(0, 1)), formats=[])
    ledger = Ledger.open_existing(tmp_path / "out")
    resolve(ledger, next(queue(ledger)).id, "rejected")
    ledger.close()
    steps = [{"id": "s1", "tool": "bright", "args": {"image": "$image", "level": 90}}]
    out = run(pictures, {"steps": steps, "outputs": ["$s1"]}, formats=["coco"]).exports["coco"]
    assert json.loads((out / provenance_of("coco")).read_text())["human_edits"] == []


def test_the_mirrored_tree_holds_the_edited_pictures(run: Run, pictures: Path, tmp_path: Path) -> None:
    out = run(pictures, DARKEN, formats=["mirror"]).exports["mirror"]
    before, after = (np.asarray(Pil.open(path)) for path in (pictures / "sub" / "p0003.jpg", out / "sub" / "p0003.png"))
    x0, y0, x1, y1 = found_in(tmp_path / "out", "sub/p0003.jpg").xyxy[0].astype(int)
    assert before.shape == after.shape and not after[y0:y1, x0:x1].any()


def test_the_same_ledger_gives_the_same_bytes(run: Run, pictures: Path, tmp_path: Path) -> None:
    names = ["coco", "yolo", "voc", "label-studio", "jsonl", "mirror", "report"]
    run(pictures, DARKEN, formats=names)
    ledger = Ledger.open_existing(tmp_path / "out")
    for name in names:
        export(ledger, Store(settings().store_url), name, tmp_path / "again" / name)
        files = [
            path.relative_to(tmp_path / "again" / name)
            for path in (tmp_path / "again" / name).rglob("*")
            if path.is_file()
        ]
        assert len(files) > 1
        for file in files:
            assert (tmp_path / "out" / name / file).read_bytes() == (tmp_path / "again" / name / file).read_bytes()
    ledger.close()


def test_a_folder_without_provenance_is_taken_up_and_nothing_of_a_person_is_lost(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    out = run(pictures, formats=["voc", "jsonl"]).exports["voc"]
    whole = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (out / "provenance.json").unlink()
    (out / "Annotations" / "p0000.xml").write_bytes(whole[Path("Annotations/p0000.xml")][:100])
    (out / "Annotations" / "p0001.xml").unlink()
    (out / "Annotations" / "letter.txt").write_text("keep")
    (tmp_path / "out" / "jsonl" / "provenance.json").write_text("[]")
    aside: list[Path] = []
    ledger = Ledger.open_existing(tmp_path / "out")
    for number in range(2):  # what was left in the folder is left there by exports to come
        for name in ("voc", "jsonl"):
            export(ledger, Store(settings().store_url), name, tmp_path / "out" / name, aside=aside.append)
        assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == {
            **whole,
            Path("Annotations/letter.txt"): b"keep",
        }, number
    # Whose these two are cannot be known.
    assert [path.relative_to(tmp_path / "out").as_posix() for path in aside] == [
        "voc.kept/Annotations/p0000.xml",
        "jsonl.kept/provenance.json",
    ]
    # What an export wrote and the next one does not is gone.
    raw_sql(ledger, "UPDATE items SET state = 'gone' WHERE name = 'p0000.jpg'")
    export(ledger, Store(settings().store_url), "voc", out)
    left = {path.name for path in (out / "Annotations").rglob("*")}
    assert "p0000.xml" not in left and {"p0001.xml", "letter.txt"} <= left
    ledger.close()
