"""Numbers in exports: boxes at the limits of a format, class ids, and items that a format cannot hold."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import av
import numpy as np
import pytest
from PIL import Image as Pil

from agents.plan.plan import Plan
from flows.annotate import annotate
from flows.exports import ExportError
from tests.flows.conftest import Run, make
from tests.flows.test_exports import FOLLOW, found_in, value_in
from tools.values import Detections, Image, Poses, Video

TOOLS = str(Path(__file__).with_name("edges.py"))
ALL = ["coco", "yolo", "voc", "label-studio"]


def plan(tool: str, labels: list[str] | None = None) -> Plan:
    args: dict[str, Any] = {"image": "$image"} | ({"labels": labels} if labels is not None else {})
    return Plan.load({"request": "x", "steps": [{"id": "s1", "tool": tool, "args": args}], "outputs": ["$s1"]})


def exported(source: Path, out: Path, made: Plan, formats: list[str]) -> dict[str, Path]:
    return annotate("", str(source), out, plan=made, tools=[TOOLS], pilot=0, formats=formats).exports


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    Pil.fromarray(np.full((1365, 4093, 3), 90, np.uint8)).save(tmp_path / "in" / "wide.png")
    return tmp_path / "in"


def test_two_thousand_boxes_at_the_edge(
    home: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    albumentations = pytest.importorskip("albumentations")
    out = exported(picture, tmp_path / "out", plan("edges"), ALL)
    found = found_in(tmp_path / "out", "wide.png")
    corners = np.round(found.xyxy.astype(float), 2)
    wanted = found.xyxy[(corners[:, 2:] > corners[:, :2]).all(1)]
    assert len(found) == 2000 and 1500 < len(wanted) < 2000  # the others have no area
    height, width = found.size
    pixels = np.zeros((height, width, 3), np.uint8)

    def taken(boxes: list[list[float]], form: str) -> None:
        take = albumentations.Compose(
            [albumentations.NoOp()], bbox_params=albumentations.BboxParams(form, label_fields=["ids"])
        )
        assert len(take(image=pixels, bboxes=boxes, ids=list(range(len(boxes))))["bboxes"]) == len(wanted)

    coco = json.loads((out["coco"] / "annotations.json").read_text())
    boxes = [one["bbox"] for one in coco["annotations"]]
    x, y, w, h = np.array(boxes).T
    assert np.abs(np.stack([x, y, x + w, y + h], 1) - wanted).max() <= 0.0051
    taken(boxes, "coco")

    [text] = (out["yolo"] / "labels").rglob("*.txt")
    lines = np.array([line.split() for line in text.read_text().splitlines()], float)
    for kind in (np.float64, np.float32):
        x, y, w, h = lines[:, 1:].astype(kind).T
        read = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
        assert read.min() >= 0 and read.max() <= 1 and w.min() > 0 and h.min() > 0
        assert np.abs(read * [width, height, width, height] - wanted).max() <= 0.01
    taken(lines[:, 1:].tolist(), "yolo")

    sv = pytest.importorskip("supervision")
    data = sv.DetectionDataset.from_pascal_voc(
        images_directory_path=str(picture), annotations_directory_path=str(out["voc"] / "Annotations")
    )
    [read] = [one.xyxy for one in data.annotations.values()]
    whole = (wanted[:, 2:] - wanted[:, :2] >= 1.01).all(1)
    assert (
        len(read) == len(wanted) and np.abs(read - wanted)[whole].max() <= 0.0051 and np.abs(read - wanted).max() <= 1
    )
    assert (read[:, 2:] > read[:, :2]).all()

    [task] = json.loads((out["label-studio"] / "tasks.json").read_text())
    values = [one["value"] for one in task["predictions"][0]["result"]]
    x, y, w, h = np.array([[one["x"], one["y"], one["width"], one["height"]] for one in values]).T / 100
    read = np.stack([x, y, x + w, y + h], 1)
    assert read.min() >= 0 and read.max() <= 1 + 1e-12
    assert np.abs(read * [width, height, width, height] - wanted).max() <= 0.01


@pytest.mark.parametrize("labels", [["zebra", "bear"], ["bear", "cat", "zebra"]])
def test_class_ids_follow_the_plan_not_what_was_found(home: Path, tmp_path: Path, labels: list[str]) -> None:
    seen = set()
    for name, colour in (("dark", 10), ("light", 200), ("none", 120)):
        (tmp_path / name).mkdir()
        Pil.fromarray(np.full((40, 60, 3), colour, np.uint8)).save(tmp_path / name / "a.png")
        out = exported(tmp_path / name, tmp_path / "out" / name, plan("shade", labels), ALL)
        coco = json.loads((out["coco"] / "annotations.json").read_text())
        config = Xml.parse(out["label-studio"] / "config.xml").getroot()
        names = [tag.get("value") for tag in config.find("RectangleLabels") or ()]
        yaml = (out["yolo"] / "data.yaml").read_text()
        seen.add((json.dumps(coco["categories"]), yaml, *names))
        assert (
            names == labels and [one["name"] for one in coco["categories"]] == labels and f"nc: {len(labels)}" in yaml
        )
        found = found_in(tmp_path / "out" / name, "a.png").labels
        assert [labels[one["category_id"] - 1] for one in coco["annotations"]] == list(found)
    assert len(seen) == 1


def test_an_empty_yolo_set_is_taken_by_ultralytics(home: Path, tmp_path: Path) -> None:
    utils = pytest.importorskip("ultralytics.data.utils")
    (tmp_path / "in").mkdir()
    Pil.fromarray(np.full((40, 60, 3), 120, np.uint8)).save(tmp_path / "in" / "a.png")
    for made, count in ((plan("shade", ["zebra", "bear"]), 2), (plan("shade", []), 1)):
        out = exported(tmp_path / "in", tmp_path / f"out{count}", made, ["yolo"])
        assert utils.check_det_dataset(str(out["yolo"] / "data.yaml"), autodownload=False)["nc"] == count


def test_pictures_that_ultralytics_does_not_read_are_converted(home: Path, tmp_path: Path) -> None:
    utils = pytest.importorskip("ultralytics.data.utils")
    folder = make(tmp_path / "in", 1)
    with Pil.open(folder / "p0000.jpg") as photo:
        photo.save(folder / "a.gif")
        photo.save(folder / "b.ppm")
        photo.save(folder / "c.jfif", "JPEG")
        photo.save(folder / "d.jpe", "JPEG")
        turned = Pil.Exif()
        turned[0x0112] = 6
        photo.save(folder / "e.png", exif=turned)
        photo.save(folder / "f.jpg", exif=turned)
    (folder / "g.png").write_bytes((folder / "a.gif").read_bytes())  # an ending that is wrong
    out = exported(folder, tmp_path / "out", plan("shade", ["bear"]), ["yolo"])["yolo"]
    facts = utils.check_det_dataset(str(out / "data.yaml"), autodownload=False)
    from ultralytics.data import YOLODataset

    read = [
        one
        for part in ("train", "val")
        for one in YOLODataset(img_path=str(out / "images" / part), data=facts, task="detect", imgsz=64).labels
    ]
    assert len(read) == 8 and {Path(one["im_file"]).suffix for one in read} == {".png", ".jpg"}
    for one in read:
        item = next(item for item in folder.iterdir() if item.stem == Path(one["im_file"]).stem.partition("_")[0])
        assert one["shape"] == Image.open(item).size


def test_formats_of_pictures_refuse_videos(run: Run, tmp_path: Path) -> None:
    frames = [np.full((64, 96, 3), 20, np.uint8) for _ in range(3)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clip.mp4").write_bytes(Video.from_frames(frames, 10).to_bytes())
    assert "coco" not in run(tmp_path / "in", FOLLOW).exports
    for name in ("coco", "yolo", "voc"):
        with pytest.raises(ExportError, match="holds items of kind Image"):
            run(tmp_path / "in", FOLLOW, formats=[name])


def test_poses_without_an_area_are_left_out(home: Path, picture: Path, tmp_path: Path) -> None:
    out = exported(picture, tmp_path / "out", plan("points"), ["coco", "yolo"])
    assert len(json.loads((out["coco"] / "annotations.json").read_text())["annotations"]) == 1
    value = value_in(tmp_path / "out", "wide.png")
    assert isinstance(value, Poses) and len(value) == 2 and not isinstance(value, Detections)


def test_times_in_videos_are_those_of_their_frames(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    stamps = [0, 30, 60, 300, 330, 900]
    for name, rate in (("a.mp4", 25), ("b.mp4", 50)):
        with av.open(str(tmp_path / "in" / name), "w") as target:
            stream = target.add_stream("libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            for stamp in stamps:
                pixels = np.full((64, 96, 3), 20, np.uint8)
                pixels[16:48, 16:48] = (40, 200, 40)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = stamp * rate // 25, Fraction(1, 1000)
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    out = run(tmp_path / "in", FOLLOW, formats=["label-studio"]).exports["label-studio"]
    tasks = json.loads((out / "tasks.json").read_text())
    for task, factor in zip(tasks, (1, 2), strict=True):
        [track] = task["predictions"][0]["result"]
        assert [one["time"] for one in track["value"]["sequence"]] == pytest.approx(
            [stamp / 1000 * factor for stamp in stamps], abs=0.001
        )
        assert task["data"]["fps"] == pytest.approx(
            Video.open(tmp_path / "in" / f"{'ab'[factor - 1]}.mp4").fps, abs=0.001
        )
    assert tasks[0]["data"]["fps"] != tasks[1]["data"]["fps"] and 'frameRate="$fps"' in (out / "config.xml").read_text()
