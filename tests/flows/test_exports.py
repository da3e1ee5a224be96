"""Every export, opened by the library that it is for."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from PIL import Image as Pil

from flows.exports import ExportError, export
from flows.exports.files import outline
from flows.ledger import Ledger
from tests.flows.conftest import DARKEN, Run
from tools.settings import settings
from tools.store import Store
from tools.values import Detections

POSE = {"steps": [{"id": "s1", "tool": "stand", "args": {"image": "$image"}}], "outputs": ["$s1"]}


def found_in(out: Path, name: str) -> Detections:
    """What the ledger has for an item."""
    ledger = Ledger.existing(out)
    [refs] = [refs for entry, refs in ledger.done() if entry.name == name]
    ledger.close()
    ref = refs["s1"]
    assert not isinstance(ref, list)
    value = Store(settings().store_url).get(ref)
    assert isinstance(value, Detections)
    return value


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


def test_coco_keypoints(run: Run, pictures: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    read = coco.COCO(str(run(pictures, POSE, formats=["coco"]).exports["coco"] / "annotations.json"))
    annotation = read.anns[1]
    assert annotation["num_keypoints"] == 16 and annotation["keypoints"][:3] == [0, 0, 0]
    assert len(annotation["keypoints"]) == 51 and read.cats[1]["keypoints"][0] == "nose"


def test_yolo_opens_in_supervision_and_ultralytics(run: Run, pictures: Path, tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision")
    out = run(pictures, formats=["yolo"]).exports["yolo"]
    data = sv.DetectionDataset.from_yolo(
        images_directory_path=str(out / "images" / "train"), annotations_directory_path=str(out / "labels" / "train"),
        data_yaml_path=str(out / "data.yaml"))  # fmt: skip
    assert data.classes == ["left", "right"]
    checked = pytest.importorskip("ultralytics.data.utils")
    facts = checked.check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert facts["nc"] == 2
    lines = sorted((out / "labels").rglob("*.txt"))
    assert len(lines) == 12 and len(list((out / "images" / "val").rglob("*.jpg"))) >= 1
    from ultralytics.data import YOLODataset

    read = YOLODataset(img_path=str(out / "images" / "train"), data=facts, task="segment", imgsz=64, augment=False, cache=False)
    label = next(one for one in read.labels if one["im_file"].endswith("p0000.jpg") or len(one["cls"]) == 2)
    name = str(Path(label["im_file"]).relative_to(out / "images" / "train"))
    found = found_in(tmp_path / "out", name)
    centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2 / np.array(found.size[::-1])
    # Outlines run through the middle of the pixels at the edge, so their box is up to a pixel smaller.
    assert np.allclose(np.array(label["bboxes"])[:, :2], centres, atol=0.02)


def test_yolo_poses(run: Run, pictures: Path) -> None:
    checked = pytest.importorskip("ultralytics.data.utils")
    out = run(pictures, POSE, formats=["yolo"]).exports["yolo"]
    facts = checked.check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert facts["kpt_shape"] == [17, 3] and sorted(facts["flip_idx"]) == list(range(17)) and facts["flip_idx"][1] == 2
    line = next((out / "labels").rglob("*.txt")).read_text().split()
    assert len(line) == 5 + 51 and line[5:8] == ["0", "0", "0"]


def test_voc_opens_in_supervision(run: Run, pictures: Path, tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision")
    out = run(pictures, formats=["voc"]).exports["voc"]
    data = sv.DetectionDataset.from_pascal_voc(images_directory_path=str(pictures / "sub"),
                                               annotations_directory_path=str(out / "Annotations" / "sub"))  # fmt: skip
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
    out = run(pictures, formats=["parquet"]).exports["parquet"]
    table = pq.read_table(out / "found.parquet")
    things = sum(len(value["xyxy"]) for row in rows for value in (one["value"] for one in row["results"]["s1"]))
    assert table.num_rows == things and set(table["label"].to_pylist()) == {"left", "right"}


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


def test_subtitles(run: Run, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "talk.wav", np.sin(np.arange(16_000) / 20) / 2, 8000)
    plan = {"steps": [{"id": "s1", "tool": "hear", "args": {"audio": "$audio"}}], "outputs": ["$s1"]}
    out = run(folder, plan, formats=["srt", "vtt"]).exports
    assert (out["srt"] / "talk.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:01,000\nfirst <half>\n")
    assert "00:00:01.000 --> 00:00:02.000" in (out["vtt"] / "talk.vtt").read_text()


def test_the_mirrored_tree_holds_the_edited_pictures(run: Run, pictures: Path, tmp_path: Path) -> None:
    out = run(pictures, DARKEN, formats=["mirror"]).exports["mirror"]
    before, after = (np.asarray(Pil.open(path)) for path in (pictures / "sub" / "p0003.jpg", out / "sub" / "p0003.png"))
    x0, y0, x1, y1 = found_in(tmp_path / "out", "sub/p0003.jpg").xyxy[0].astype(int)
    assert before.shape == after.shape and not after[y0:y1, x0:x1].any()


def test_the_same_ledger_gives_the_same_bytes(run: Run, pictures: Path, tmp_path: Path) -> None:
    names = ["coco", "yolo", "voc", "label-studio", "jsonl", "mirror"]
    run(pictures, DARKEN, formats=names)
    ledger = Ledger.existing(tmp_path / "out")
    for name in names:
        export(ledger, Store(settings().store_url), name, tmp_path / "again" / name)
        files = [path.relative_to(tmp_path / "again" / name) for path in (tmp_path / "again" / name).rglob("*") if path.is_file()]
        assert len(files) > 1
        for file in files:
            assert (tmp_path / "out" / name / file).read_bytes() == (tmp_path / "again" / name / file).read_bytes()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep")
    with pytest.raises(ExportError):
        export(ledger, Store(settings().store_url), "coco", tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").exists()
    ledger.close()


def test_an_outline_joins_parts() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:15, 5:20] = mask[25:35, 40:55] = True
    points = outline(mask)
    assert points[:, 0].min() == 5 and points[:, 0].max() == 54 and points[:, 1].max() == 34
    import cv2

    drawn = cv2.fillPoly(np.zeros((40, 60), np.uint8), [points.astype(np.int32)], 1).astype(bool)
    assert (drawn & mask).sum() / (drawn | mask).sum() > 0.9
