"""Pictures: real files of every troublesome sort."""

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as Pil
from PIL.PngImagePlugin import PngInfo

from tools import Image, MediaError, ValueInvalid, open_file
from tools.core.settings import settings as superlink_settings


def _saved(picture: Pil.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


def _gradient(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Pil.Image:
    width, height = size
    ramp = np.linspace(0, 255, width * height).reshape(height, width).astype(np.uint8)
    return Pil.fromarray(np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=2)).convert(mode)


def _png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def test_opened_files_keep_their_bytes(tmp_path: Path) -> None:
    path = _saved(_gradient(), tmp_path / "a.jpg", quality=80)
    image = Image.open(path)
    assert image.to_bytes() == path.read_bytes()
    assert (image.media_type, image.suffix, image.size) == ("image/jpeg", ".jpg", (30, 40))
    assert image.pixels.shape == (30, 40, 3)
    assert not image.pixels.flags.writeable


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = _saved(_gradient(), tmp_path / "a.png").rename(tmp_path / "a.mp3")
    opened = open_file(path)
    assert isinstance(opened, Image)
    assert opened.media_type == "image/png"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"not a picture at all", "not a picture"), (_png_header(0, 0), "damaged")],
)
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "holiday.png"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=words) as caught:
        Image.open(path)
    assert "holiday.png" in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.jpg.*No such file"):
        Image.open(tmp_path / "gone.jpg")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
def test_truncated_files_are_refused(tmp_path: Path, ending: str) -> None:
    noise = Pil.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    data = _saved(noise, tmp_path / f"whole.{ending}").read_bytes()
    path = tmp_path / f"cut.{ending}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match=rf"cut\.{ending}"):
        Image.open(path)


def test_a_png_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "noise.png"
    Pil.effect_noise((40, 30), 60).save(file)
    data = bytearray(file.read_bytes())
    Image.open(bytes(data))
    end = data.index(b"IEND") - 4  # before it stands the checksum of the pixels
    data[end - 1] ^= 1
    with pytest.raises(MediaError, match="damaged"):
        Image.open(bytes(data))


def test_a_huge_header_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_header(40_000, 40_000))
    with pytest.raises(
        MediaError,
        match=r"bomb\.png is too large: working on 40000x40000 pixels takes 25\.6 GB.*"
        r"limit of 1\.0 GB.*max_image_bytes",
    ):
        Image.open(path)


def test_the_limit_can_be_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_MAX_IMAGE_BYTES", "5000")
    superlink_settings.cache_clear()
    data = io.BytesIO()
    _gradient().save(data, "PNG")
    with pytest.raises(MediaError, match=r"19\.2 kB of memory, above the limit of 5\.0 kB"):
        Image.open(data.getvalue())


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    picture = Pil.new("RGB", (40, 20), "black")
    picture.paste((255, 0, 0), (0, 0, 20, 20))  # the left half is red
    exif = Pil.Exif()
    exif[0x0112] = 6  # hold the camera a quarter turn
    path = _saved(picture, tmp_path / "turned.jpg", exif=exif, quality=95)
    image = Image.open(path)
    assert image.size == (40, 20)
    assert image.pixels.shape == (40, 20, 3)
    assert image.pixels[5, 10, 0] > 200 and image.pixels[35, 10, 0] < 50  # red is on top now
    assert Image.from_bytes(path.read_bytes()).size == (40, 20)


@pytest.mark.parametrize("how", ["exif", "exif behind the pixels", "raw profile", "xmp"])
def test_orientation_is_found_wherever_a_png_has_it(tmp_path: Path, how: str) -> None:
    exif = Pil.Exif()
    exif[0x0112] = 6
    words = PngInfo()
    if how == "raw profile":
        profile = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
        words.add_text("Raw profile type exif", f"\nexif\n{len(profile)}\n{profile.hex()}\n", zip=True)
    elif how == "xmp":
        words.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>', zip=True)
    path = _saved(
        Pil.new("RGB", (40, 20)),
        tmp_path / "turned.png",
        pnginfo=words,
        **({"exif": exif} if "exif" in how[:4] else {}),
    )
    data = path.read_bytes()
    if how == "exif behind the pixels":
        at = data.index(b"eXIf") - 4
        length = 12 + int.from_bytes(data[at : at + 4], "big")
        data = data[:at] + data[at + length : -12] + data[at : at + length] + data[-12:]
    assert Image.from_bytes(data).size == Image.open(data).size == (40, 20)
    assert Image.open(data).pixels.shape == (40, 20, 3)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    path = _saved(Pil.new("RGBA", (4, 4), (255, 0, 0, 0)), tmp_path / "clear.png")
    assert (Image.open(path).pixels == 255).all()
    palette = _gradient("P")
    path = _saved(palette, tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    assert (Image.open(path).pixels[0, 0] == 255).all()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 100).reshape(10, 10).astype(np.uint16)
    path = _saved(Pil.fromarray(values), tmp_path / "deep.png")
    pixels = Image.open(path).pixels[:, :, 0]
    assert np.abs(pixels.astype(int) - values / 257).max() <= 1


def test_float_tiffs_are_scaled(tmp_path: Path) -> None:
    path = _saved(Pil.fromarray(np.full((4, 4), 0.5, np.float32)), tmp_path / "f.tiff")
    assert (Image.open(path).pixels == 128).all()


@pytest.mark.parametrize(("mode", "ending"), [("CMYK", "jpg"), ("L", "png"), ("1", "png"), ("LA", "png"), ("P", "gif")])
def test_other_modes_become_rgb(tmp_path: Path, mode: str, ending: str) -> None:
    path = _saved(_gradient(mode), tmp_path / f"a.{ending}")
    image = Image.open(path)
    assert image.pixels.shape == (30, 40, 3)
    expected = np.asarray(_gradient(mode).convert("RGB")).astype(int)
    assert np.abs(image.pixels.astype(int) - expected).mean() < 8


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Pil.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    path = _saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert Image.open(path).pixels[0, 0].tolist() == [255, 0, 0]


@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
@settings(max_examples=30, deadline=None)
def test_pixels_survive_storing(pixels: np.ndarray) -> None:
    image = Image.from_numpy(pixels)
    again = Image.from_bytes(image.to_bytes(), image.media_type)
    assert (again.pixels == pixels).all()
    assert again == image and hash(again) == hash(image)


def test_arrays_are_copied() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    image = Image.from_numpy(pixels)
    pixels[:] = 255
    assert not image.pixels.any()


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0, 3), (4,), (4, 4, 2), (4, 4, 3, 1)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueInvalid):
        Image.from_numpy(np.zeros(shape, np.uint8))
    with pytest.raises(ValueInvalid, match="uint8"):
        Image.from_numpy(np.zeros((4, 4, 3), np.float32))


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_open_or_are_refused_cleanly(data: bytes) -> None:
    for start in (
        b"",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"II*\0",
        b"P6 3 3 255\n",
    ):
        with suppress(MediaError):
            Image.open(start + data)
