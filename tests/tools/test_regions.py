"""count, pick, keep and crop, and the pixels that make up a region."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.core.errors import ArgumentsInvalid, ValueInvalid
from tools.count import count
from tools.crop import crop
from tools.imaging.regions import region_pixels, window
from tools.keep import keep
from tools.pick import pick
from tools.values import Detections, Image

SIZE = (60, 100)
WHICH = ("left", "right", "top", "bottom", "largest", "smallest", "best")


def found(boxes, scores=None, **more) -> Detections:
    count_ = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        ("thing",) * count_,
        np.full(count_, 0.5) if scores is None else scores,
        SIZE,
        **more,
    )


def noise(height=SIZE[0], width=SIZE[1]) -> Image:
    return Image.from_numpy(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@st.composite
def detections(draw, least=0):
    corner = st.floats(0, 100, width=32)
    rows = draw(st.lists(st.tuples(corner, corner, corner, corner), min_size=least, max_size=6))
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in rows]
    return found(boxes, draw(st.lists(st.floats(0, 1, width=32), min_size=len(boxes), max_size=len(boxes))))


SCENE = found(
    [[40, 20, 60, 40], [0, 25, 10, 35], [85, 22, 95, 38], [45, 0, 50, 8], [30, 50, 70, 60]], [0.5, 0.6, 0.7, 0.95, 0.4]
)


@pytest.mark.parametrize(
    ("which", "row"), [("left", 1), ("right", 2), ("top", 3), ("bottom", 4), ("best", 3), ("smallest", 3)]
)
def test_pick_keeps_the_one_that_people_mean(which, row):
    assert pick(SCENE, which) == SCENE.select([row])


def test_pick_goes_by_centres_and_areas():
    wide_but_left = found([[0, 0, 90, 10], [60, 0, 70, 50]])
    assert pick(wide_but_left, "right") == wide_but_left.select([1])
    assert pick(wide_but_left, "largest") == wide_but_left.select([0])


def test_pick_settles_ties_by_score_then_by_order():
    twins = found([[0, 0, 10, 10]] * 3, [0.4, 0.8, 0.8])
    twins = Detections(twins.xyxy, ("a", "b", "c"), twins.scores, SIZE)
    assert all(pick(twins, which).labels == ("b",) for which in WHICH)


def test_pick_avoids_boxes_without_area():
    boxes = found([[5, 5, 5, 20], [40, 10, 60, 30]])
    assert all(pick(boxes, which) == boxes.select([1]) for which in WHICH)
    assert len(pick(boxes.select([0]), "left")) == 1


def test_pick_keeps_one_in_each_frame_of_a_video():
    boxes = found([[50, 0, 60, 9], [0, 0, 9, 9], [70, 0, 80, 9], [20, 0, 30, 9]], frames=[0, 0, 3, 3], ids=[1, 2, 1, 2])
    kept = pick(boxes, "left")
    assert kept.ids.tolist() == [2, 2] and kept.frames.tolist() == [0, 3]


@given(detections(), st.sampled_from(WHICH))
def test_pick_returns_one_of_them_or_none(regions, which):
    kept = pick(regions, which)
    assert len(kept) == min(len(regions), 1)
    assert kept.size == regions.size
    assert all(row in list(regions) for row in kept)


def test_pick_refuses_other_words():
    with pytest.raises(ArgumentsInvalid, match="which"):
        pick.arguments({"which": "middle"})


def test_count():
    assert count(SCENE).value == 5
    assert count(Detections.empty(SIZE)).value == 0
    tracked = found([[0, 0, 9, 9]] * 4, ids=[7, 8, 7, 7], frames=[0, 0, 1, 2])
    assert count(tracked).value == 2
    with pytest.raises(ValueInvalid, match="found in each frame by itself"):
        count(found([[0, 0, 9, 9]] * 2, frames=[0, 1]))


def test_crop_holds_every_pixel_that_a_box_touches():
    image = noise()
    cut = crop(image, found([[10.4, 5.6, 20.2, 15.0], [0, 0, 100, 60]]))
    assert [c.size for c in cut] == [(10, 11), SIZE]
    np.testing.assert_array_equal(cut[0].pixels, image.pixels[5:15, 10:21])
    np.testing.assert_array_equal(cut[1].pixels, image.pixels)


def test_crop_leaves_out_boxes_without_area():
    assert crop(noise(), Detections.empty(SIZE)) == []
    assert len(crop(noise(), found([[5, 5, 5, 20], [100, 0, 100, 60], [40, 10, 60, 30]]))) == 1


def test_crop_takes_the_box_even_where_there_is_a_mask():
    mask = np.zeros((1, *SIZE), bool)
    mask[0, 10:20, 10:20] = np.eye(10, dtype=bool)
    image = noise()
    (cut,) = crop(image, Detections.from_masks(mask, ["line"], [0.9]))
    np.testing.assert_array_equal(cut.pixels, image.pixels[10:20, 10:20])


@given(detections())
def test_crops_lie_in_the_picture(regions):
    image = noise()
    for cut in crop(image, regions):
        assert 1 <= cut.height <= SIZE[0] and 1 <= cut.width <= SIZE[1]


def test_regions_of_another_picture_are_refused():
    with pytest.raises(ValueInvalid, match="100x60 pixels.*50x40.*again"):
        crop(noise(40, 50), SCENE)


def test_regions_of_a_video_are_refused():
    with pytest.raises(ValueInvalid, match="video"):
        crop(noise(), found([[0, 0, 9, 9]], frames=[4]))


@given(detections())
def test_a_box_is_the_pixels_whose_area_it_overlaps(regions):
    with_area = [box for box in regions.xyxy if box[2] > box[0] and box[3] > box[1]]
    for box, region in zip(with_area, region_pixels(regions), strict=True):
        rows, columns = region.rows, region.columns
        assert region.mask.all() and region.mask.shape == (rows.stop - rows.start, columns.stop - columns.start)
        assert columns.start <= box[0] < columns.start + 1 and columns.stop - 1 < box[2] <= columns.stop
        assert rows.start <= box[1] < rows.start + 1 and rows.stop - 1 < box[3] <= rows.stop
        assert window(box, SIZE) == (rows, columns)


def test_a_mask_counts_rather_than_its_box_unless_it_is_empty():
    masks = np.zeros((2, *SIZE), bool)
    masks[:, 10:20, 30:50] = True
    both = Detections.from_masks(masks, ["a", "b"], [1, 1])
    blank = both.masks[0] | {"counts": _empty_counts()}
    regions = Detections([[0, 0, 5, 5], [60, 40, 70, 50]], both.labels, both.scores, SIZE, (both.masks[0], blank))
    masked, boxed = region_pixels(regions)
    assert (masked.rows, masked.columns) == (slice(10, 20), slice(30, 50)) and masked.mask.all()
    assert (boxed.rows, boxed.columns) == (slice(40, 50), slice(60, 70)) and boxed.mask.all()


def _empty_counts() -> str:
    from common.masks import encode

    return encode(np.zeros(SIZE, bool))["counts"]


def test_keep_has_a_bar_for_each_label() -> None:
    few = Detections(
        np.array([[0, 0, 9, 9]] * 4, np.float32), ("dog", "cat", "dog", "owl"), np.array([0.3, 0.3, 0.5, 0.1]), SIZE
    )
    left = keep(few, ["dog", "cat"], [0.5, 0.2])
    assert left.labels == ("cat", "dog", "owl")
    assert left.scores.tolist() == pytest.approx([0.3, 0.5, 0.1])
    with pytest.raises(ValueInvalid, match="2 labels have 1 scores"):
        keep(few, ["dog", "cat"], [0.5])
    with pytest.raises(ArgumentsInvalid, match="less than or equal to 1"):
        keep.arguments({"labels": ["dog"], "min_scores": [1.5]})
