"""The COCO export, read by pycocotools, supervision and torchvision, and checked by FiftyOne's rules."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO

from backbone.world import Rendered, compose, render
from backbone.world.io.coco import export

SIZE = 80


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Rendered]]:
    folder = tmp_path_factory.mktemp("world")
    drawn = [render(compose(seed, "compositions"), SIZE) for seed in (2, 3, 9, 14)]
    export(drawn, folder)
    return folder, drawn


@pytest.fixture(scope="module")
def data(written: tuple[Path, list[Rendered]]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((written[0] / "annotations.json").read_text())
    return read


def test_pycocotools_reads_every_mask_and_joint(written: tuple[Path, list[Rendered]]) -> None:
    folder, drawn = written
    coco = COCO(str(folder / "annotations.json"))
    for image, picture in zip(coco.loadImgs(sorted(coco.getImgIds())), drawn, strict=True):
        rows = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        for row, one in zip(rows, picture.instances, strict=True):
            assert np.array_equal(coco.annToMask(row) > 0, one.mask)
            assert coco.cats[row["category_id"]]["name"] == one.thing.category
            assert np.allclose(row.get("keypoints", []), np.array(one.keypoints).ravel(), atol=0.01)


def test_supervision_reads_boxes_masks_and_classes(written: tuple[Path, list[Rendered]]) -> None:
    import supervision

    folder, drawn = written
    read = supervision.DetectionDataset.from_coco(
        str(folder / "images"), str(folder / "annotations.json"), force_masks=True
    )
    assert len(read) == len(drawn)
    for path, pixels, found in read:
        picture = next(p for p in drawn if f"{p.scene.seed:08d}" in path)
        assert np.array_equal(pixels[:, :, ::-1], picture.pixels)
        assert [read.classes[number] for number in found.class_id] == [one.thing.category for one in picture.instances]
        assert np.array_equal(found.xyxy, [one.box for one in picture.instances])
        assert np.array_equal(found.mask, [one.mask for one in picture.instances])


def test_torchvision_reads_pictures_with_their_rows(written: tuple[Path, list[Rendered]]) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    folder, drawn = written
    read = datasets.CocoDetection(str(folder / "images"), str(folder / "annotations.json"))
    assert len(read) == len(drawn)
    for (image, rows), picture in zip(read, drawn, strict=True):
        assert np.array_equal(np.array(image), picture.pixels) and len(rows) == len(picture.instances)


def test_what_fiftyone_s_importer_relies_on(written: tuple[Path, list[Rendered]], data: dict[str, Any]) -> None:
    """FiftyOne itself is not run: it brings MongoDB and a server.

    These are the rules of ``fiftyone.utils.coco`` (1.22): it looks images up by id, opens ``file_name`` under the
    data folder, divides boxes ``[x, y, width, height]`` by the image's size, decodes a ``segmentation`` that is RLE,
    cuts it to the box, maps ``category_id`` through ``categories`` (each with a name of its own), reads keypoints as
    triplets named by the category, and takes ``attributes`` apart into fields of their own, which must not hide those
    of COCO.
    """
    folder, _ = written
    images = {row["id"]: row for row in data["images"]}
    classes = {row["id"]: row for row in data["categories"]}
    assert isinstance(data["info"], dict) and {row["id"] for row in data["licenses"]} == {
        row["license"] for row in data["images"]
    }
    assert len(images) == len(data["images"]) and len(classes) == len(data["categories"]) == len(
        {row["name"] for row in classes.values()}
    )
    assert all(row["supercategory"] for row in classes.values())
    assert len({row["id"] for row in data["annotations"]}) == len(data["annotations"]) > 0
    for row in images.values():
        assert not Path(row["file_name"]).is_absolute()
        assert Image.open(folder / "images" / row["file_name"]).size == (row["width"], row["height"])
    for row in data["annotations"]:
        image, kind = images[row["image_id"]], classes[row["category_id"]]
        x, y, width, height = row["bbox"]
        assert 0 <= x < x + width <= image["width"] and 0 <= y < y + height <= image["height"]
        mask = rle.decode(row["segmentation"])
        assert mask.shape == (image["height"], image["width"])
        assert mask[y : y + height, x : x + width].sum() == mask.sum() == row["area"] and row["iscrowd"] == 0
        assert not set(row["attributes"]) & (set(row) - {"attributes"})
        assert all(isinstance(value, str | int | float | bool) for value in row["attributes"].values())
        assert ("keypoints" in row) == ("keypoints" in kind)
        if "keypoints" in row:
            assert len(row["keypoints"]) == 3 * len(kind["keypoints"])
            assert row["num_keypoints"] == sum(v > 0 for v in row["keypoints"][2::3])
            assert all(1 <= joint <= len(kind["keypoints"]) for line in kind["skeleton"] for joint in line)
