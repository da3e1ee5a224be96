"""remove: regions are filled from what surrounds them."""

import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tools.core.errors import ToolError, ValueInvalid
from tools.core.settings import settings
from tools.remove import remove
from tools.values import Detections, Image

SIZE = (80, 120)


def boxes(*rows, size=SIZE) -> Detections:
    return Detections(np.array(rows, np.float32).reshape(-1, 4), ("thing",) * len(rows), np.ones(len(rows)), size)


def slope() -> np.ndarray:
    """A smooth background."""
    across, down = np.meshgrid(np.linspace(40, 200, SIZE[1]), np.linspace(0, 40, SIZE[0]))
    return np.stack([across, across + down, 240 - across], axis=2).astype(np.uint8)


@pytest.fixture
def role(monkeypatch):
    def choose(weights):
        monkeypatch.setenv("SUPERLINK_ROLE_REMOVE", weights)
        settings.cache_clear()

    yield choose
    settings.cache_clear()


@pytest.fixture
def engine(monkeypatch):
    """A diffusers engine that paints the whole picture grey and remembers what it was asked."""
    calls = []

    def inpaint(image, mask, weights_id):
        calls.append((mask, weights_id))
        return Image.from_numpy(np.full_like(image.pixels, 77))

    module = types.ModuleType("tools.engines.diffusion")
    module.inpaint = inpaint
    monkeypatch.setitem(sys.modules, "tools.engines.diffusion", module)
    return calls


def test_a_thing_on_a_smooth_background_is_gone():
    scene = slope()
    scene[30:50, 50:80] = (250, 20, 20)
    result = remove(Image.from_numpy(scene), boxes([50, 30, 80, 50]))
    assert np.abs(result.pixels.astype(int) - slope()).max() < 25


def test_a_mask_is_followed_with_a_small_rim():
    scene = slope()
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    far = np.hypot(rows - 40, columns - 60)
    scene[far < 15] = 255
    scene[(far >= 15) & (far < 17)] = 200  # a soft edge that masks miss
    image = Image.from_numpy(scene)
    result = remove(image, Detections.from_masks((far < 15)[None], ["ball"], [0.9]))
    assert np.abs(result.pixels.astype(int) - slope()).max() < 25
    np.testing.assert_array_equal(result.pixels[far >= 19], scene[far >= 19])
    assert image.pixels[40, 60].tolist() == [255, 255, 255]


@hypothesis_settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(*[st.floats(0, 120, width=32)] * 4), min_size=1, max_size=3))
def test_pixels_away_from_the_regions_stay_as_they_are(rows):
    regions = boxes(*[(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in rows])
    image = Image.from_numpy(np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    try:
        result = remove(image, regions)
    except ToolError as error:
        assert "whole picture" in error.message
        return
    away = np.ones(SIZE, bool)
    for x0, y0, x1, y1 in regions.xyxy:
        rim = max(3, 0.03 * max(x1 - x0 + 2, y1 - y0 + 2)) + 1
        if x1 > x0 and y1 > y0:
            away[max(int(y0 - rim), 0) : int(np.ceil(y1 + rim)), max(int(x0 - rim), 0) : int(np.ceil(x1 + rim))] = False
    np.testing.assert_array_equal(result.pixels[away], image.pixels[away])


def test_a_region_at_the_corner():
    scene = slope()
    scene[:20, :20] = 0
    result = remove(Image.from_numpy(scene), boxes([0, 0, 20, 20]))
    assert np.abs(result.pixels.astype(int) - slope()).max() < 45


def test_without_regions_the_picture_is_the_same():
    image = Image.from_numpy(slope())
    assert remove(image, Detections.empty(SIZE)) is image
    assert remove(image, boxes([5, 5, 5, 9])) is image


def test_the_whole_picture_cannot_be_removed():
    with pytest.raises(ToolError, match="whole picture.*Choose smaller"):
        remove(Image.from_numpy(slope()), boxes([0, 0, 120, 80]))


def test_regions_of_another_picture_are_refused():
    with pytest.raises(ValueInvalid, match="20x10 pixels"):
        remove(Image.from_numpy(slope()), boxes([0, 0, 5, 5], size=(10, 20)))


def test_the_role_chooses_the_engine(role, engine):
    role("my-inpainting")
    image = Image.from_numpy(slope())
    result = remove(image, boxes([50, 30, 80, 50]))
    ((mask, weights),) = engine
    assert weights == "my-inpainting"
    assert mask.shape == SIZE and mask.dtype == bool and mask[30:50, 50:80].all()
    assert (result.pixels[mask] == 77).all()
    np.testing.assert_array_equal(result.pixels[~mask], image.pixels[~mask])


def test_the_default_needs_no_weights(role, engine):
    role("opencv-telea")
    remove(Image.from_numpy(slope()), boxes([50, 30, 80, 50]))
    assert engine == []


def test_a_photograph():
    data = pytest.importorskip("skimage.data")
    image = Image.from_numpy(data.rocket())
    result = remove(image, boxes([310, 60, 350, 340], size=image.size))
    sky = result.pixels[60:150, 312:348].astype(int)
    beside = image.pixels[60:150, 270:300].astype(int)
    assert np.abs(sky.mean((0, 1)) - beside.mean((0, 1))).max() < 25
    assert (result.pixels != image.pixels).any(2)[60:340, 310:350].mean() > 0.5
