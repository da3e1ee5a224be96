"""Masks come back from run lengths, and from outlines in the libraries that read them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from common.masks import INSET, bounding_box, decode, encode, outline, pixel_count

HEIGHT, WIDTH = 240, 321
Y, X = np.mgrid[:HEIGHT, :WIDTH]
RADIUS = np.hypot(X - 160, Y - 120)
Mask = NDArray[np.bool_]

WHOLE: dict[str, Mask] = {
    "square": (X >= 10) & (X < 20) & (Y >= 5) & (Y < 15),
    "everything": RADIUS >= 0,
    "ring": (RADIUS < 100) & (RADIUS > 75),
    "five holes": (RADIUS < 110) & ~np.logical_or.reduce([np.hypot(X - 90 - 35 * n, Y - 110) < 12 for n in range(5)]),
    "lines one pixel wide": (Y == 100) | (X == 320) | (X == 0),
    "diagonal": X == Y,
    "speck": (X == 0) & (Y == 239),
    "chequers": ((X + Y) % 2 == 0) & (RADIUS < 10),
}
PARTS: dict[str, Mask] = {
    "two": ((X < 15) & (Y < 15)) | ((X > 300) & (Y > 200)),
    "specks": ((X == 5) & (Y == 5)) | ((X == 300) & (Y == 200)),
    "ring in a ring": WHOLE["ring"] | ((RADIUS < 50) & (RADIUS > 20)),
    "a hundred": (X % 32 < 9) & (Y % 24 < 3),
    "noise": np.random.default_rng(3).random((HEIGHT, WIDTH)) < 0.3,
}


def by_pycocotools(points: NDArray[np.float64], height: int, width: int) -> Mask:
    import pycocotools.mask as coco

    read: Mask = coco.decode(coco.merge(coco.frPyObjects([points.ravel().tolist()], height, width))).astype(bool)
    return read


def by_ultralytics(points: NDArray[np.float64], height: int, width: int) -> Mask:
    data = pytest.importorskip("ultralytics.data.utils")
    scale = np.array([width, height], np.float32)
    read: Mask = data.polygon2mask(
        (height, width), [(np.round(points / scale, 7).astype(np.float32) * scale).ravel()]
    ).astype(bool)
    return read


@pytest.mark.parametrize("name", [*WHOLE, *PARTS])
def test_run_lengths_give_the_mask_back(name: str) -> None:
    mask = (WHOLE | PARTS)[name]
    encoded = encode(mask)
    assert encoded["size"] == [HEIGHT, WIDTH] and pixel_count(encoded["counts"]) == HEIGHT * WIDTH
    assert np.array_equal(decode(encoded), mask)


def test_run_lengths_that_cannot_be_read_have_no_count() -> None:
    assert pixel_count("\x00") == pixel_count("o") == pixel_count("1Nj") == -1 and pixel_count("") == 0


def test_boxes_enclose_masks() -> None:
    assert bounding_box(WHOLE["square"]) == (10, 5, 20, 15) and bounding_box(WHOLE["speck"]) == (0, 239, 1, 240)
    assert bounding_box(np.zeros((4, 4), bool)) == (0, 0, 0, 0)


@pytest.mark.parametrize("name", [*WHOLE, *PARTS])
def test_pycocotools_reads_every_pixel(name: str) -> None:
    mask = (WHOLE | PARTS)[name]
    assert np.array_equal(by_pycocotools(outline(mask), HEIGHT, WIDTH), mask)


@pytest.mark.parametrize("name", WHOLE)
def test_ultralytics_reads_every_pixel_of_what_hangs_together(name: str) -> None:
    assert np.array_equal(by_ultralytics(outline(WHOLE[name]), HEIGHT, WIDTH), WHOLE[name])


def test_outlines_lie_along_the_edges_of_pixels() -> None:
    points = outline(WHOLE["square"])
    assert points.min(0) == pytest.approx([10, 5], abs=INSET) and points.max(0) == pytest.approx([20, 15], abs=INSET)
    assert outline(np.zeros((4, 4), bool)).shape == (0, 2)


def test_bridges_are_as_short_as_they_can_be() -> None:
    points = outline((X < 10) | ((X > 12) & (X < 20)) | ((X > 22) & (X < 30)))
    steps = np.abs(np.diff(points, axis=0))
    assert sum(0 < along < 4 and across < 4 for along, across in steps) == 4  # two bridges, there and back


def test_five_hundred_masks_of_the_world() -> None:
    pytest.importorskip("skia")
    from backbone.world import compose, render

    overlaps: list[float] = []
    seed = 0
    while len(overlaps) < 500:
        for one in render(compose(seed, "test"), 256).instances:
            points, (height, width) = outline(one.mask), one.mask.shape
            assert np.array_equal(by_pycocotools(points, height, width), one.mask)
            read = by_ultralytics(points, height, width)
            overlaps.append(float((read & one.mask).sum() / (read | one.mask).sum()))
        seed += 1
    # OpenCV, with which ultralytics reads, draws the bridges between parts of things that others cover in the middle.
    assert np.mean(np.array(overlaps) >= 0.99) > 0.9 and np.mean(overlaps) > 0.99
