"""redact: nothing is left to recognise, and nothing else is touched."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.core.errors import ArgumentsInvalid, ValueInvalid
from tools.imaging.regions import region_pixels
from tools.redact import redact
from tools.values import Detections, Image

WAYS = ("blur", "pixelate", "fill")


def noise(height, width, seed=0) -> Image:
    return Image.from_numpy(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def boxes(size, *rows) -> Detections:
    return Detections(np.array(rows, np.float32).reshape(-1, 4), ("thing",) * len(rows), np.ones(len(rows)), size)


def written(text, size) -> Image:
    """Black words on white, with the words' box in the middle."""
    from PIL import Image as Pil
    from PIL import ImageDraw

    from tools.imaging.drawing import _font

    font = _font(size, text)
    left, top, right, bottom = font.getbbox(text)
    page = Pil.new("RGB", (int(right - left) + 80, int(bottom - top) + 80), "white")
    ImageDraw.Draw(page).text((40 - left, 40 - top), text, "black", font)
    return Image.from_pil(page)


def words_box(image) -> Detections:
    dark = image.pixels.min(2) < 128
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    return boxes(image.size, [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.fixture(scope="module")
def read():
    """Read the words in a picture, without spaces."""
    reader = pytest.importorskip("rapidocr").RapidOCR(params={"Global.log_level": "critical"})
    return lambda picture: "".join(reader(picture.pixels[:, :, ::-1].copy()).txts or ()).replace(" ", "")


def detail(pixels) -> np.ndarray:
    """What a reader goes by: brightness without its mean."""
    grey = pixels.mean(2)
    return (grey - grey.mean()).ravel()


@st.composite
def scenes(draw):
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    edge = st.floats(0, 70, width=32)
    rows = [
        (min(a, c), min(b, d), max(a, c), max(b, d))
        for a, b, c, d in draw(st.lists(st.tuples(edge, edge, edge, edge), max_size=4))
    ]
    image = noise(height, width, draw(st.integers(0, 99)))
    regions = boxes(image.size, *rows)
    if draw(st.booleans()) and rows:
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        masks = rng.random((len(rows), height, width)) < draw(st.floats(0, 1))
        regions = Detections.from_masks(masks, ["thing"] * len(rows), np.ones(len(rows)))
    return image, regions


@settings(deadline=None)
@given(scenes(), st.sampled_from(WAYS))
def test_pixels_outside_the_regions_stay_as_they_are(scene, how):
    image, regions = scene
    result = redact(image, regions, how)
    inside = np.zeros(image.size, bool)
    for region in region_pixels(regions):
        inside[region.rows, region.columns] |= region.mask
    assert result.size == image.size
    np.testing.assert_array_equal(result.pixels[~inside], image.pixels[~inside])
    if how == "fill":
        assert not result.pixels[inside].any()


@pytest.mark.parametrize("how", ["blur", "pixelate"])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 32), (64, 64), (400, 200), (40, 800)])
def test_only_the_average_colours_of_a_few_cells_are_left(height, width, how):
    image = noise(height, width)
    whole = boxes(image.size, [0, 0, width, height])
    cell = max(8, max(height, width) // 4)
    shuffled = np.array(image.pixels)
    rng = np.random.default_rng(1)
    for y in range(0, height, cell):
        for x in range(0, width, cell):
            block = shuffled[y : y + cell, x : x + cell]
            block[:] = rng.permutation(block.reshape(-1, 3)).reshape(block.shape)
    assert (shuffled != image.pixels).any()
    assert redact(Image.from_numpy(shuffled), whole, how) == redact(image, whole, how)
    if how == "pixelate":
        assert len(np.unique(redact(image, whole, how).pixels.reshape(-1, 3), axis=0)) <= 16


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("size", [9, 16, 40, 160, 600])
def test_words_leave_no_trace(size, how):
    image = written("KA 4713", size)
    regions = words_box(image)
    (box,) = region_pixels(regions)
    before, after = (detail(picture.pixels[box.rows, box.columns]) for picture in (image, redact(image, regions, how)))
    likeness = before @ after / max(np.linalg.norm(before) * np.linalg.norm(after), 1e-9)
    assert abs(likeness) < 0.45
    assert after.std() < 0.35 * before.std()


@pytest.mark.parametrize("size", [24, 72])
def test_a_reader_reads_nothing(size, read):
    image = written("SECRET 4713", size)
    assert read(image) == "SECRET4713"
    left = {how: read(redact(image, words_box(image), how)) for how in WAYS}
    assert not {how: text for how, text in left.items() if set(text) & set("SECRET4713")}


@pytest.mark.parametrize("how", WAYS)
def test_a_face_is_unlike_itself_and_all_around_it_stays(how):
    data = pytest.importorskip("skimage.data")
    similarity = pytest.importorskip("skimage.metrics").structural_similarity
    image = Image.from_numpy(data.astronaut())
    result = redact(image, boxes(image.size, [170, 60, 280, 190]), how)
    face = np.s_[60:190, 170:280]
    assert similarity(image.pixels[face], result.pixels[face], channel_axis=2) < 0.45
    rest = np.ones(image.size, bool)
    rest[face] = False
    np.testing.assert_array_equal(result.pixels[rest], image.pixels[rest])


def test_blur_has_no_corners_and_pixelate_has():
    image = noise(200, 200)
    image = Image.from_numpy(np.sort(image.pixels, axis=1))
    whole = boxes(image.size, [0, 0, 200, 200])
    steps = {how: np.abs(np.diff(redact(image, whole, how).pixels.astype(int), axis=1)).max() for how in WAYS[:2]}
    assert steps["blur"] < 5 < 30 < steps["pixelate"]


def test_overlapping_boxes_hide_as_well_as_one():
    image = written("KA 4713", 40)
    one = words_box(image)
    shifted = np.concatenate([one.xyxy + np.float32(d) for d in range(-6, 7)])
    result = redact(image, boxes(image.size, *shifted), "pixelate")
    (box,) = region_pixels(one)
    before, after = (detail(picture.pixels[box.rows, box.columns]) for picture in (image, result))
    assert after.std() < 0.35 * before.std()


def test_a_mask_leaves_what_is_around_it_in_its_box():
    image = noise(60, 60)
    rows, columns = np.mgrid[:60, :60]
    disc = (rows - 30) ** 2 + (columns - 30) ** 2 < 400
    result = redact(image, Detections.from_masks(disc[None], ["ball"], [1.0]), "fill")
    assert not result.pixels[disc].any()
    np.testing.assert_array_equal(result.pixels[~disc], image.pixels[~disc])


def test_without_regions_a_picture_without_metadata_is_the_same_file():
    from PIL import Image as Pil

    buffer = io.BytesIO()
    Pil.new("RGB", (40, 30), "red").save(buffer, "JPEG")
    image = Image.open(buffer.getvalue())
    assert redact(image, Detections.empty(image.size)) is image
    assert redact(image, boxes(image.size, [5, 5, 5, 20])) is image


def test_metadata_with_a_preview_does_not_survive():
    from PIL import Image as Pil

    buffer = io.BytesIO()
    exif = Pil.Exif()
    exif[0x010E] = "PREVIEW-OF-THE-FACE"
    Pil.new("RGB", (40, 30), "red").save(buffer, "JPEG", exif=exif)
    image = Image.open(buffer.getvalue())
    assert b"PREVIEW-OF-THE-FACE" in image.to_bytes()
    assert b"PREVIEW-OF-THE-FACE" not in redact(image, boxes(image.size, [0, 0, 9, 9])).to_bytes()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (5000, 1), (3, 40_000), (2500, 3000)])
def test_any_size_works(height, width):
    image = noise(height, width)
    for how in WAYS:
        result = redact(image, boxes(image.size, [0, 0, width, height]), how)
        assert result.size == image.size
        assert max(height, width) == 1 or result.pixels.std() < 10


def test_regions_of_another_picture_are_refused():
    with pytest.raises(ValueInvalid, match="20x10 pixels"):
        redact(noise(30, 30), boxes((10, 20), [0, 0, 5, 5]))


def test_the_declaration():
    assert redact.arguments({}) == {"how": "blur"}
    with pytest.raises(ArgumentsInvalid, match="how"):
        redact.arguments({"how": "smudge"})
    assert not redact.read_only
