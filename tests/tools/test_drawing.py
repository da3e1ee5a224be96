"""draw and contact_sheet: pictures for people."""

import subprocess
import sys

import numpy as np
import pytest

from tools.core.errors import ValueInvalid
from tools.imaging.drawing import contact_sheet, draw
from tools.values import Detections, Image, Poses, Segment, Transcript

SIZE = (480, 640)


def grey(height=SIZE[0], width=SIZE[1]) -> Image:
    return Image.from_numpy(np.full((height, width, 3), 128, np.uint8))


def changed(result: Image, image: Image) -> np.ndarray:
    return (result.pixels != image.pixels).any(2)


def boxes(*rows, labels=None, size=SIZE, **more) -> Detections:
    return Detections(
        np.array(rows, np.float32).reshape(-1, 4),
        labels or ("dog",) * len(rows),
        np.full(len(rows), 0.87),
        size,
        **more,
    )


def person(score=0.9) -> Poses:
    places = [
        (320, 100),
        (330, 90),
        (310, 90),
        (345, 95),
        (295, 95),
        (370, 160),
        (270, 160),
        (390, 230),
        (250, 230),
        (400, 300),
        (240, 300),
        (350, 310),
        (290, 310),
        (352, 380),
        (288, 380),
        (354, 450),
        (286, 450),
    ]
    keypoints = np.array([(x, y, score) for x, y in places], np.float32)
    return Poses(keypoints[None], [0.95], [[230, 60, 410, 470]], SIZE)


def test_a_box_is_drawn_on_its_edge_and_its_inside_stays():
    image = grey()
    mark = changed(draw(image, boxes([100, 200, 300, 400])), image)
    assert mark[200:400, [100, 299]].all() and mark[[200, 399], 100:300].all()
    assert not mark[206:394, 106:294].any()
    assert not mark[:, :100].any() and not mark[400:].any() and not mark[200:, 300:].any()


def test_the_label_stands_above_its_box_and_inside_at_the_top_edge():
    image = grey()
    assert changed(draw(image, boxes([100, 200, 300, 400])), image)[170:200, 100:150].mean() > 0.5
    assert changed(draw(image, boxes([100, 0, 300, 400])), image)[5:15, 105:150].mean() > 0.5


def test_labels_can_be_read():
    reader = pytest.importorskip("rapidocr").RapidOCR(params={"Global.log_level": "critical"})
    for labels, more in ((("dog", "bicycle"), {}), (("dog", "bicycle"), {"ids": [3, 12]})):
        result = draw(grey(), boxes([60, 100, 280, 300], [330, 200, 600, 460], labels=labels, **more))
        words = " ".join(reader(result.pixels[:, :, ::-1].copy()).txts)
        assert "dog" in words and "bicycle" in words and "0.87" in words
        assert not more or ("#3" in words and "#12" in words)


def test_two_labels_of_one_place_do_not_cover_each_other():
    image = grey()
    one, two = (draw(image, boxes(*[[100, 200, 300, 400]] * n)) for n in (1, 2))
    assert changed(two, image).sum() > changed(one, image).sum() + 400


def test_a_label_has_its_colour_in_every_picture_and_no_other_has_it():
    image, names = grey(), ("apple", "boat", "cat", "dog", "elephant", "fork", "guitar", "house", "kite")
    rows = [[60 * i, 100, 60 * i + 40, 140] for i in range(len(names))]
    everything = draw(image, boxes(*rows, labels=names)).pixels
    colours = [tuple(everything[139, row[0] + 20]) for row in rows]
    assert len(set(colours)) == len(names)
    again = draw(image, boxes(rows[3], labels=("dog",))).pixels
    reordered = draw(image, boxes(rows[3], rows[0], labels=("dog", "apple"))).pixels
    np.testing.assert_array_equal(again[139, rows[3][0] + 20], reordered[139, rows[3][0] + 20])


def test_more_labels_than_colours():
    names = tuple(f"thing {i}" for i in range(40))
    draw(grey(), boxes(*[[10 * i, 100, 10 * i + 9, 140] for i in range(40)], labels=names))


def test_masks_are_translucent_and_outlined():
    data = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    far = np.hypot(rows - 240, columns - 320)
    result = draw(Image.from_numpy(data), Detections.from_masks((far < 100)[None], ["ball"], [0.9])).pixels
    inside = far < 90
    assert np.corrcoef(data[inside][:, 0], result[inside][:, 0])[0, 1] > 0.95
    assert (data[inside] != result[inside]).any(1).mean() > 0.9
    _, times = np.unique(result[np.abs(far - 99) < 0.7], axis=0, return_counts=True)
    assert times.max() > 0.7 * times.sum()


def test_poses_are_joined_and_guesses_left_out():
    image = grey()
    mark = changed(draw(image, person()), image)
    assert mark[160, 280:360].all() and mark[450, 354] and mark[100, 320]
    assert not changed(draw(image, person(0.1)), image)[150:440, 250:390].any()


def test_read_text_is_marked_where_it_stands():
    image = grey()
    read = Transcript(
        [
            Segment("no place"),
            Segment("hello", box=(100, 200, 300, 240), score=0.9),
            Segment("odd", box=(-20, 470, 700, 900)),
        ]
    )
    mark = changed(draw(image, read), image)
    assert mark[200:240, 100].all() and not mark[205:235, 105:295].any()
    spoken = Transcript([Segment("hello", 0.0, 1.0)])
    assert draw(image, spoken) == image


def test_text_that_fills_the_page_stays_readable():
    image = grey()
    lines = [Segment("some words", box=(0, y, 640, y + 20)) for y in range(0, 480, 20)]
    mark = changed(draw(image, Transcript(lines)), image)
    assert not mark[24:36, 4:-4].any()


@pytest.mark.parametrize("text", ["日本語", "лицо", "وجه", "", "a\nb", "x" * 500])
def test_any_label_can_be_drawn(text):
    draw(grey(), boxes([100, 100, 200, 200], labels=(text,)), Transcript([Segment(text, box=(5, 5, 90, 30))]))


def test_everything_together_in_every_size():
    for height, width in ((480, 640), (3000, 2000), (40, 30), (1, 1), (2, 900)):
        image = grey(height, width)
        found = boxes([0, 0, width, height], [width / 2, height / 2, width / 2, height], size=image.size)
        poses = Poses(np.zeros((1, 17, 3)) + (width / 2, height / 2, 1), [1.0], [[0, 0, width, height]], image.size)
        masks = Detections.from_masks(np.ones((1, height, width), bool), ["all"], [1.0])
        result = draw(image, masks, found, poses, Transcript([Segment("a", box=(0, 0, width, height))]))
        assert result.width % width == 0 and result.height == height * (result.width // width)


def test_small_pictures_are_enlarged_so_that_labels_can_be_read():
    image = grey(64, 96)
    assert draw(image, boxes([10, 10, 50, 50], size=(64, 96))).size == (256, 384)
    assert draw(grey(), boxes([10, 10, 50, 50])).size == SIZE


def test_lines_grow_with_the_picture():
    def thickness(scale):
        size = (SIZE[0] * scale, SIZE[1] * scale)
        image = grey(*size)
        mark = changed(draw(image, boxes(np.array([100, 200, 300, 400]) * scale, size=size)), image)
        return int(mark[300 * scale, 90 * scale : 200 * scale].sum())

    assert thickness(4) >= 3 * thickness(1)


def test_nothing_found_changes_nothing():
    assert draw(grey(), Detections.empty(SIZE), Poses.empty(SIZE), Transcript(())) == grey()
    assert draw(grey()) == grey()


@pytest.mark.parametrize("value", [boxes([1, 1, 5, 5], size=(20, 10)), Poses.empty((20, 10))])
def test_what_belongs_to_another_picture_is_refused(value):
    with pytest.raises(ValueInvalid, match="10x20 pixels"):
        draw(grey(), value)


def test_a_contact_sheet_holds_every_picture():
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250)]
    images = [Image.from_numpy(np.full((100 + 50 * i, 160, 3), c, np.uint8)) for i, c in enumerate(colours)]
    sheet = contact_sheet(images, ["short", "", "a caption that goes on and on " * 5, "日本語", "x" * 300])
    for colour in colours:
        assert (sheet.pixels == colour).all(2).sum() > 20_000
    assert contact_sheet([grey(1, 3000)], ["thin"]).width < 400
    assert contact_sheet([grey(8, 8)] * 500, ["many"] * 500).width < 5000


def test_a_contact_sheet_needs_pictures_with_captions():
    with pytest.raises(ValueInvalid, match="0 pictures"):
        contact_sheet([], [])
    with pytest.raises(ValueInvalid, match="1 pictures and 2 captions"):
        contact_sheet([grey()], ["a", "b"])


@pytest.mark.parametrize("name", ["count", "pick", "crop", "redact", "remove", "imaging.drawing"])
def test_importing_is_light(name):
    heavy = "{'cv2', 'PIL', 'supervision', 'matplotlib', 'torch', 'pycocotools'}"
    code = f"import sys, tools.{name}; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
