"""Pictures whose pixels are easily taken for others: turned, deep, transparent, with colours of their own, in pages."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pil
from PIL import ImageCms, ImageDraw

from tools import Image, MediaError

_ORIENTATION = 0x0112
_TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def _bytes(picture: Pil.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def _corners() -> np.ndarray:
    """A picture (24, 40, 3) that looks different each way it is turned or mirrored."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20], pixels[:12, 20:], pixels[12:, :20] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return pixels


def _turned(form: str, orientation: int) -> bytes:
    exif = Pil.Exif()
    exif[_ORIENTATION] = orientation
    options: dict[str, object] = {"quality": 95} if form in ("JPEG", "WEBP", "AVIF") else {}
    return _bytes(Pil.fromarray(_corners()), form, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_each_orientation_is_applied_once(form: str, orientation: int) -> None:
    wanted = _TURNS[orientation](_corners())
    data = _turned(form, orientation)
    for image in (Image.open(data), Image.from_bytes(data), Image.from_pil(Pil.open(io.BytesIO(data)))):
        assert image.size == wanted.shape[:2]
        assert image.pixels.shape == wanted.shape
        assert np.abs(image.pixels.astype(int) - wanted).mean() < 12


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_turned_tiffs_of_every_compression(compression: str) -> None:
    data = _bytes(Pil.fromarray(_corners()), "TIFF", tiffinfo={_ORIENTATION: 6}, compression=compression)
    assert (Image.open(data).pixels == _TURNS[6](_corners())).all()
    assert Image.open(data).size == (40, 24)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_samples_of_every_depth_fill_eight_bits(bits: int, form: str, channels: int) -> None:
    ramp = np.linspace(0, 2**bits - 1, 24 * 40).reshape(24, 40)
    deep = np.stack([ramp, ramp[::-1], ramp[:, ::-1], np.full_like(ramp, 65535)][:channels], axis=2).astype(np.uint16)
    _, data = cv2.imencode(f".{form.lower()}", deep[:, :, [2, 1, 0, 3][:channels]] if channels > 1 else deep)
    pixels = Image.open(data.tobytes()).pixels.astype(int)
    wanted = np.repeat(deep[:, :, :1], 3, axis=2) if channels == 1 else deep[:, :, :3]
    assert np.abs(pixels - wanted / (2**bits - 1) * 255).max() <= 1


def test_deep_colours_are_turned_once(tmp_path: Path) -> None:
    import tifffile

    deep = _corners().astype(np.uint16) * 4
    tifffile.imwrite(tmp_path / "deep.tiff", deep, photometric="rgb", extratags=[(_ORIENTATION, "H", 1, 6, True)])
    image = Image.open(tmp_path / "deep.tiff")
    assert image.size == (40, 24)
    assert np.abs(image.pixels.astype(int) - _TURNS[6](_corners())).max() <= 6


@pytest.mark.parametrize("alpha", ["assocalpha", "unassalpha"])
def test_colours_multiplied_by_their_alpha(alpha: str) -> None:
    import tifffile

    pixels = np.dstack([_corners(), np.full((24, 40), 200, np.uint8)])
    if alpha == "assocalpha":
        pixels[:, :, :3] = np.round(_corners() * (200 / 255))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", extrasamples=[alpha])
    wanted = (_corners() * 200.0 + 255 * 55) / 255
    assert np.abs(Image.open(buffer.getvalue()).pixels - wanted).max() <= 3


def test_deep_planes_are_refused_not_mixed_up() -> None:
    import tifffile

    for kind, refused in ((np.uint8, False), (np.uint16, True)):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, np.moveaxis(_corners(), 2, 0).astype(kind), photometric="rgb", planarconfig="separate")
        if refused:
            with pytest.raises(MediaError, match="separate planes, which cannot be read"):
                Image.open(buffer.getvalue())
        else:
            assert (Image.open(buffer.getvalue()).pixels == _corners()).all()


def test_a_transparent_shade_of_deep_grey_is_shown() -> None:
    ramp = np.linspace(0, 65535, 960).reshape(24, 40).astype(np.uint16)
    pixels = Image.open(_bytes(Pil.fromarray(ramp), "PNG", transparency=0)).pixels[:, :, 0]
    assert np.abs(pixels.astype(int) - ramp / 257).max() <= 1


def test_white_is_zero_where_the_file_says_so() -> None:
    ramp = np.linspace(0, 65535, 960).reshape(24, 40).astype(np.uint16)
    data = _bytes(Pil.fromarray(ramp), "TIFF", tiffinfo={262: 0})
    assert np.abs(Image.open(data).pixels[:, :, 0].astype(int) - (255 - ramp / 257)).max() <= 1


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 1023), (-1000, 3000), (0, 1e6)])
def test_floating_point_samples_of_any_scale(low: float, high: float) -> None:
    ramp = np.linspace(low, high, 960).reshape(24, 40).astype(np.float32)
    ramp[3, 3] = np.nan
    pixels = Image.open(_bytes(Pil.fromarray(ramp), "TIFF")).pixels[:, :, 0]
    assert pixels[0, 0] == 0 and pixels[-1, -1] == 255
    assert abs(int(pixels[12, 0]) - 128) <= 1


def _written(ink: tuple[int, ...], ground: tuple[int, ...], mode: str = "RGBA") -> Pil.Image:
    picture = Pil.new(mode, (120, 40), ground)
    ImageDraw.Draw(picture).rectangle((20, 10, 100, 30), ink)
    return picture


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ((255, 255, 255), 0),
        ((0, 0, 0), 255),
        ((255, 255, 160), 0),
        ((128, 128, 128), 255),
        ((200, 30, 30), 255),
    ],
)
def test_what_a_transparent_picture_shows_stands_out(form: str, ink: tuple[int, int, int], ground: int) -> None:
    lossless = (
        {"lossless": True} if form == "WEBP" else {"quality": 100, "subsampling": "4:4:4"} if form == "AVIF" else {}
    )
    pixels = Image.open(_bytes(_written((*ink, 255), (*ink, 0)), form, **lossless)).pixels.astype(int)
    assert np.abs(pixels[20, 60] - ink).max() <= 6
    assert np.abs(pixels[2, 2] - ground).max() <= 6


def test_bright_and_dark_parts_are_both_seen() -> None:
    picture = _written((255, 255, 255, 255), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((60, 10, 100, 30), (0, 0, 0, 255))
    pixels = Image.open(_bytes(picture, "PNG")).pixels[:, :, 0].astype(int)
    assert abs(pixels[20, 30] - pixels[2, 2]) > 100 and abs(pixels[20, 90] - pixels[2, 2]) > 100


def test_transparency_of_grey_and_palettes() -> None:
    grey = _written((255, 255), (255, 0), "LA")
    palette = Pil.new("P", (120, 40), 1)
    palette.putpalette([255, 255, 255, 90, 90, 90])
    ImageDraw.Draw(palette).rectangle((20, 10, 100, 30), 0)
    for data in (_bytes(grey, "PNG"), *(_bytes(palette, form, transparency=1) for form in ("PNG", "GIF"))):
        pixels = Image.open(data).pixels
        assert pixels[20, 60].tolist() == [255] * 3 and pixels[2, 2].tolist() == [0] * 3


def test_nothing_to_see_and_nothing_transparent() -> None:
    assert (Image.open(_bytes(Pil.new("RGBA", (8, 8), (9, 9, 9, 0)), "PNG")).pixels == 255).all()
    assert (Image.open(_bytes(Pil.new("RGBA", (8, 8), (250, 250, 250, 255)), "PNG")).pixels == 250).all()


def _swapped() -> bytes:
    """A profile of RGB in which red and blue have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_colours_are_those_of_the_profile(form: str) -> None:
    options: dict[str, object] = {"quality": 95} if form in ("JPEG", "WEBP", "AVIF") else {}
    data = _bytes(Pil.new("RGB", (16, 16), (230, 40, 20)), form, icc_profile=_swapped(), **options)
    for image in (Image.open(data), Image.from_pil(Pil.open(io.BytesIO(data)))):
        assert np.abs(image.pixels[8, 8].astype(int) - (20, 40, 230)).max() <= 8
        stored = Pil.open(io.BytesIO(Image.from_numpy(image.pixels).to_bytes()))
        assert stored.info["srgb"] == 1 and "icc_profile" not in stored.info  # what is stored says what its colours are


def test_profiles_with_transparency_and_profiles_that_are_no_use() -> None:
    clear = _bytes(Pil.new("RGBA", (16, 16), (230, 40, 20, 255)), "PNG", icc_profile=_swapped())
    assert np.abs(Image.open(clear).pixels[8, 8].astype(int) - (20, 40, 230)).max() <= 4
    half = Pil.new("RGBA", (16, 16), (230, 40, 20, 255))
    half.putpixel((0, 0), (0, 0, 0, 0))
    pixels = Image.open(_bytes(half, "PNG", icc_profile=_swapped())).pixels
    assert np.abs(pixels[8, 8].astype(int) - (20, 40, 230)).max() <= 4 and pixels[0, 0].tolist() == [255] * 3
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile, mode in ((b"no profile", "RGB"), (srgb, "RGB"), (srgb, "L"), (srgb[:200], "RGB")):
        picture = Pil.new("RGB", (4, 4), (90, 90, 90)).convert(mode)
        assert (Image.open(_bytes(picture, "PNG", icc_profile=profile)).pixels == 90).all()


def test_pages_and_frames_are_counted(tmp_path: Path) -> None:
    pages = [Pil.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for form in ("TIFF", "GIF", "PNG", "WEBP", "AVIF"):
        data = _bytes(pages[0], form, save_all=True, append_images=pages[1:])
        image = Image.open(data)
        assert image.pages == 3 and image.summary() == {"width": 8, "height": 8, "pages": 3}, form
        assert Image.open(_bytes(pages[0], form)).summary() == {"width": 8, "height": 8}
    # Phones put previews and depths behind a JPEG, scanners a preview behind a page.
    assert Image.open(_bytes(pages[0], "MPO", save_all=True, append_images=pages[1:])).pages == 1
    preview = pages[1].copy()
    preview.encoderinfo = {"tiffinfo": {254: 1}}
    assert Image.open(_bytes(pages[0], "TIFF", save_all=True, append_images=[preview])).pages == 1
