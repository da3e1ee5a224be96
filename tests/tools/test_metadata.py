"""Edited pictures and pictures without anything to edit: neither contains where and when it was taken."""

import io

import numpy as np
import pytest
from PIL import Image as Pil
from PIL import ImageCms
from PIL.PngImagePlugin import PngInfo

from tools import Detections, Image
from tools.redact import redact
from tools.remove import remove

_SECRET = b"Rue de la Loi 16"
_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _photo(form: str, orientation: int = 1, **options: object) -> bytes:
    exif = Pil.Exif()
    exif[0x0112], exif[0x010E] = orientation, _SECRET.decode()
    exif.get_ifd(0x8825).update({1: "N", 2: (50.0, 50.0, 40.0)})
    words = PngInfo()
    words.add_text("Comment", _SECRET.decode())
    ramp = np.arange(24 * 40 * 3, dtype=np.uint32).reshape(24, 40, 3) % 251
    buffer = io.BytesIO()
    more: dict[str, object] = (
        {"comment": _SECRET, "xmp": b"<x>" + _SECRET + b"</x>"} if form in ("JPEG", "WEBP") else {}
    )
    Pil.fromarray(ramp.astype(np.uint8)).save(
        buffer, form, exif=exif, icc_profile=_PROFILE, pnginfo=words, **more, **options
    )
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_metadata_goes_and_pixels_stay(form: str, orientation: int) -> None:
    data = _photo(form, orientation)
    assert _SECRET in data
    image = Image.open(data)
    clean = image.without_metadata()
    assert (clean.pixels == image.pixels).all() and clean.size == image.size
    assert (Image.from_bytes(clean.to_bytes()).pixels == image.pixels).all()
    assert _SECRET not in clean.to_bytes()
    opened = Pil.open(io.BytesIO(clean.to_bytes()))
    opened.load()
    assert not opened.getexif().get_ifd(0x8825) and set(opened.getexif()) <= {0x0112}
    assert clean.without_metadata() is clean


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_encoded_pixels_and_profile_are_kept(form: str) -> None:
    clean = Image.open(_photo(form)).without_metadata()
    opened = Pil.open(io.BytesIO(clean.to_bytes()))
    assert opened.format == form and opened.info["icc_profile"] == _PROFILE


def test_progressive_pictures_with_what_lies_behind_their_end() -> None:
    data = _photo("JPEG", progressive=True, restart_marker_blocks=2) + b"\xff\xd8" + _SECRET
    image = Image.open(data)
    assert (image.without_metadata().pixels == image.pixels).all()
    assert _SECRET not in image.without_metadata().to_bytes()


@pytest.mark.parametrize("tool", [redact, remove])
def test_edited_and_unedited_pictures_are_alike(tool) -> None:  # type: ignore[no-untyped-def]
    image = Image.open(_photo("JPEG", 6))
    found = Detections(np.array([[2, 2, 9, 9]]), ("face",), [1.0], image.size)
    for made in (tool(image, found), tool(image, Detections.empty(image.size))):
        assert _SECRET not in made.to_bytes() and made.size == image.size
        assert not Pil.open(io.BytesIO(made.to_bytes())).getexif().get_ifd(0x8825)
