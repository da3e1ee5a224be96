"""The world as ultralytics data sets, read back by ultralytics."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backbone.world import Rendered, compose, render
from backbone.world.io.yolo import DATASETS, export, has_own_colour
from backbone.world.paint.categories import IDS
from backbone.world.paint.palette import COLOURS
from tools.engines.yolo import library

SIZE = 256


@pytest.fixture(scope="module")
def drawn() -> list[Rendered]:
    return [render(compose(seed, "val"), SIZE) for seed in range(12)]


@pytest.fixture(scope="module")
def folder(drawn: list[Rendered], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("world")
    export(drawn, made, "train")
    export(drawn[:2], made, "val")
    return made


@pytest.fixture(autouse=True)
def at_home(home: Path) -> None:
    library()


def read(folder: Path, kind: str, task: str) -> Iterator[dict[str, Any]]:
    """Yield the labels of the pictures in the order of their names, as the library's trainer gets them."""
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(folder / kind / "data.yaml"))
    dataset = YOLODataset(data["train"], data=data, task=task, imgsz=SIZE, augment=False, rect=False, batch_size=1)
    assert len(dataset) == 12
    order = np.argsort([label["im_file"] for label in dataset.labels])
    return (dataset.get_image_and_label(int(number)) for number in order)


def test_every_thing_and_its_outline_is_read(folder: Path, drawn: list[Rendered]) -> None:
    from ultralytics.data.utils import polygon2mask

    agreed: list[float] = []
    for picture, label in zip(drawn, read(folder, "things", "segment"), strict=True):
        assert label["cls"][:, 0].astype(int).tolist() == [IDS[one.thing.category] - 1 for one in picture.instances]
        for one, points in zip(picture.instances, label["instances"].segments, strict=True):
            pixels = points if label["instances"].normalized is False else points * SIZE
            mask = polygon2mask((SIZE, SIZE), [pixels.reshape(-1)], 1, 1).astype(bool)
            assert (mask & one.mask).sum() > 0.97 * one.area  # the reader fills the bridges between parts, too
            agreed.append((mask & one.mask).sum() / (mask | one.mask).sum())
    assert np.median(agreed) == 1 and np.mean(agreed) > 0.99


def test_colours_leave_out_what_only_wears_them(folder: Path, drawn: list[Rendered]) -> None:
    for picture, label in zip(drawn, read(folder, "colours", "detect"), strict=True):
        wanted = [list(COLOURS).index(one.thing.colour) for one in picture.instances if has_own_colour(one)]
        assert label["cls"][:, 0].astype(int).tolist() == wanted
    assert not any(
        has_own_colour(one) for picture in drawn for one in picture.instances if one.thing.category == "person"
    )


def test_people_have_their_joints(folder: Path, drawn: list[Rendered]) -> None:
    for picture, label in zip(drawn, read(folder, "people", "pose"), strict=True):
        people = [one for one in picture.instances if one.keypoints]
        points = label["instances"].keypoints
        assert len(points) == len(people)
        for one, found in zip(people, points, strict=True):
            true = np.array(one.keypoints)
            assert np.abs(found[:, :2] * SIZE - true[:, :2]).max() < 0.01 and (found[:, 2] == true[:, 2]).all()


def test_pictures_are_shared_not_copied(folder: Path) -> None:
    inodes = {
        kind: {file.stat().st_ino for file in (folder / kind / "images" / "train").iterdir()} for kind in DATASETS
    }
    assert len(inodes["things"]) == 12 and len(set(map(frozenset, inodes.values()))) == 1
