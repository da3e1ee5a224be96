"""Decoding pictures with Pillow: limits, orientation, depth, colours and transparency."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import MediaError
from tools.values.files import check_size

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

LIMIT = "max_image_bytes"
# Formats in common use. Pillow reads more, some by running other programs (Ghostscript for EPS).
SUFFIXES = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tiff",
    "PPM": ".ppm",
    "AVIF": ".avif",
    "JPEG2000": ".jp2",
}
_ORIENTATION = 0x0112  # EXIF tag; 5 to 8 swap width and height
_SUBFILE, _BITS, _PHOTOMETRIC, _PLANES = 254, 258, 262, 284  # TIFF tags
_PNG_MARKS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")  # chunks in which Pillow finds EXIF
_BAND = 1 << 20  # pixels converted at once
# Measured bytes of memory per pixel: of Pillow's picture by mode, and of the decoder by format.
_PICTURE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_DECODER_BYTES = {"WEBP": 12, "AVIF": 8, "JPEG2000": 16, "GIF": 5, "TIFF": 4}
_RGB = 3
_TOOL_BYTES = 16  # per pixel, of a tool: pixels, a copy for the model, a drawing, the encoded file
_MOST_PAGES = 10_000
# Full scale of samples in 16 bits or more: cameras of 10, 12 and 14 bits store their values as they are.
_SCALES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
_FAINT = 40.0  # difference in brightness (0 to 255) below which something is hard to see on its background
_BACKGROUNDS = (255.0, 0.0, 128.0)


def open_picture(data: bytes, name: str) -> "PilImage":
    """Read a picture's header; nothing is decoded yet.

    Raises:
        MediaError: when it is damaged, is not a picture, or needs more than `max_image_bytes` of memory.
    """
    from PIL import Image as Pil
    from PIL import UnidentifiedImageError

    Pil.MAX_IMAGE_PIXELS = None  # Pillow's own limit counts pixels; memory is checked below
    try:
        # MPO files are opened as JPEG.
        picture = Pil.open(io.BytesIO(data), formats=[name for name in SUFFIXES if name != "MPO"])
    # ImportError: ultralytics replaces Pillow's opener by one that imports a HEIF reader for unknown formats.
    except (UnidentifiedImageError, ImportError) as error:
        raise MediaError(
            f"{name} is not a picture that can be read, or it is damaged",
            "Use JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, PPM or JPEG 2000",
        ) from error
    except Exception as error:  # header parsers raise exceptions of many classes on damaged files
        raise MediaError(f"{name} is damaged: {error}", "Copy or download the file again") from error
    if picture.width < 1 or picture.height < 1:
        raise MediaError(f"{name} has no pixels: {picture.width}x{picture.height}")
    if picture.format == "TIFF" and _is_deep(picture) and picture.tag_v2.get(_PLANES) == 2:  # type: ignore[attr-defined]
        # Pillow and OpenCV decode them wrongly without an error.
        raise MediaError(
            f"{name} has 16-bit colours in separate planes, which cannot be read",
            "Save it with interleaved channels, or as PNG",
        )
    check_size(
        picture.width * picture.height * _bytes_per_pixel(picture),
        LIMIT,
        name,
        f"working on {picture.width}x{picture.height} pixels takes {{}} of memory",
        "Make it smaller",
    )
    return picture


def orientation_of(picture: "PilImage", data: bytes) -> int:
    """Return the EXIF orientation, 1 to 8, that Pillow does not apply itself; 1 if the EXIF data are malformed."""
    try:
        if picture.format == "TIFF" and _ORIENTATION in picture.tag_v2:  # type: ignore[attr-defined]
            return 1  # Pillow rotates it and reports the rotated size
        orientation = picture.getexif().get(_ORIENTATION, 1) if _may_have_orientation(picture, data) else 1
    except Exception:  # malformed EXIF data; Pillow ignores them when it rotates, too
        return 1
    return orientation if orientation in range(1, 9) else 1


def count_pages(picture: "PilImage") -> int:
    """Return the number of pages or frames; previews and masks in a TIFF are not counted."""
    if picture.format == "MPO":  # further pictures in a JPEG are previews and depth maps of the first
        return 1
    if picture.format != "TIFF":
        return int(getattr(picture, "n_frames", 1))
    count = 0
    try:
        for page in range(_MOST_PAGES):
            picture.seek(page)
            count += not int(picture.tag_v2.get(_SUBFILE, 0)) & 0b101  # type: ignore[attr-defined]
    except EOFError:
        pass
    return max(count, 1)


def decode(picture: "PilImage", data: bytes | None = None) -> NDArray[np.uint8]:
    """Return a picture's pixels as (H, W, 3) in sRGB, upright and opaque.

    - EXIF orientation is applied.
    - Samples of more than 8 bits are scaled to 8. Full scale is the smallest of 8, 10, 12, 14 and 16 bits that holds
      the largest sample. Floating-point samples up to 1 have full scale 1.
    - Colours with an ICC profile are converted to sRGB.
    - Transparent pictures are composited on white. If more than a quarter of the visible part is too bright for that,
      they are composited on black or grey, whichever shows more.

    The picture is converted in bands, so that there is no second copy of it in memory.

    Args:
        picture: An opened picture; it is decoded here. Exceptions of the decoder are passed on.
        data: The file, to decode 16-bit colours that Pillow reduces to 8 bits.
    """
    from PIL import ImageOps

    inverted = picture.format == "TIFF" and picture.tag_v2.get(_PHOTOMETRIC) == 0  # type: ignore[attr-defined]
    deep = _is_deep(picture)
    picture.load()
    if picture.format != "TIFF":
        orientation = picture.getexif().get(_ORIENTATION, 1)
    elif picture.getexif().get(_ORIENTATION, 1) != 1:
        ImageOps.exif_transpose(picture, in_place=True)
        orientation = 1
    else:
        orientation = 1
    if deep and data is not None and (fuller := _full_depth(picture, data)) is not None:
        picture = fuller
    height, width = (picture.width, picture.height) if orientation in (5, 6, 7, 8) else (picture.height, picture.width)
    pixels = np.empty((height, width, _RGB), np.uint8)
    stored = _stored_order(pixels, orientation)
    convert = _Converter(picture, inverted)
    for top, band in _bands(picture):
        stored[top : top + band.height] = convert(band)
    return pixels


def _may_have_orientation(picture: "PilImage", data: bytes) -> bool:
    """Whether a file may have EXIF data. Pillow decodes all of a PNG to read them, as they may follow the pixels."""
    return picture.format != "PNG" or any(mark in data for mark in _PNG_MARKS)


def _bytes_per_pixel(picture: "PilImage") -> int:
    """Return the estimated peak memory of decoding and tools, in bytes per pixel."""
    of_picture = _PICTURE_BYTES.get(picture.mode, 4)
    of_decoder = _DECODER_BYTES.get(picture.format or "", 0)
    if picture.format in ("JPEG", "MPO") and picture.info.get("progressive"):
        of_decoder = 2 * len(picture.getbands())  # all coefficients of the file, as 16-bit numbers
    return max(_TOOL_BYTES, of_picture + max(_RGB, of_decoder) + (16 if _is_deep(picture) else 0))


def _is_deep(picture: "PilImage") -> bool:
    """Whether the file has colours in 16 bits, of which Pillow keeps the upper 8."""
    if picture.mode not in ("RGB", "RGBA", "LA", "RGBX"):
        return False
    if picture.format == "TIFF":
        return bool(max(picture.tag_v2.get(_BITS, (8,))) > 8)  # type: ignore[attr-defined]
    tiles: Any = getattr(picture, "tile", ())
    return picture.format == "PNG" and any(";16" in str(tile[3]) for tile in tiles)


def _full_depth(picture: "PilImage", data: bytes) -> "PilImage | None":
    """Decode 16-bit colours at full depth if the picture is dark in the upper 8 bits; otherwise return None."""
    import cv2
    from PIL import Image as Pil

    colours = picture.getextrema()[: 1 if picture.mode == "LA" else 3]
    if max(int(high) for _, high in colours) >= 64:  # type: ignore[misc]
        return None
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16 or samples.ndim != 3:
        raise ValueError("its 16-bit samples cannot be decoded")
    if samples.shape[:2] != (picture.height, picture.width):
        raise ValueError("its 16-bit samples have another size")
    full = _full_scale(float(samples[:, :, :3].max()))
    scaled = np.empty(samples.shape, np.uint8)
    scaled[:, :, :3] = _scaled(samples[:, :, 2::-1], full)
    if samples.shape[2] == 4:
        scaled[:, :, 3] = _scaled(samples[:, :, 3], _full_scale(float(samples[:, :, 3].max())))
    fuller = Pil.fromarray(scaled)
    fuller.info = dict(picture.info)
    return fuller


def _stored_order(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return a view of upright pixels in the order in which the file stores them, by EXIF orientation."""
    flipped = {2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1]}
    if orientation in flipped:
        return flipped[orientation]
    swapped = pixels.transpose(1, 0, 2)
    return {5: swapped, 6: swapped[::-1], 7: swapped[::-1, ::-1], 8: swapped[:, ::-1]}.get(orientation, pixels)


def _bands(picture: "PilImage") -> "Iterator[tuple[int, PilImage]]":
    rows = max(1, _BAND // picture.width)
    for top in range(0, picture.height, rows):
        yield top, picture.crop((0, top, picture.width, min(top + rows, picture.height)))


class _Converter:
    """Converts bands of a decoded picture to RGB.

    Args:
        picture: The whole picture, which determines depth, profile and background.
        inverted: Whether 0 is white in samples of more than 8 bits; Pillow does not invert these.
    """

    def __init__(self, picture: "PilImage", inverted: bool) -> None:
        """Measure the range of samples and the transparency of the whole picture, if they are needed."""
        self.inverted = inverted
        self.low, self.full = 0.0, 255.0
        self.many_bits = picture.mode.startswith("I") or picture.mode == "F"
        if self.many_bits:
            self.low, self.full = _range(picture)
        self.profile = _Profile(picture)
        # Grey of more than 8 bits has at most one transparent shade, which is shown.
        self.transparent = picture.has_transparency_data and not self.many_bits and not _is_opaque(picture)
        self.background = _background(picture) if self.transparent else 255.0

    def __call__(self, band: "PilImage") -> NDArray[np.uint8]:
        """Return (H, W, 3), or (H, W, 1) of grey."""
        from PIL import Image as Pil

        if self.many_bits:
            scaled = _scaled(np.nan_to_num(np.asarray(band, np.float32)) - self.low, self.full)
            band = Pil.fromarray(255 - scaled if self.inverted else scaled)
        if not self.transparent:
            return np.asarray(self.profile.apply(band).convert("RGB"))
        rgba = _with_alpha(band)
        colours = self.profile.apply(band if band.mode == "RGBA" else rgba).convert("RGB")
        return _composite(np.asarray(colours), np.asarray(rgba.getchannel("A")), self.background)


def _with_alpha(band: "PilImage") -> "PilImage":
    """Return RGBA with colours that are not multiplied by alpha."""
    return (band.convert("LA") if band.mode == "La" else band).convert("RGBA")


def _is_opaque(picture: "PilImage") -> bool:
    return picture.mode in ("RGBA", "LA") and picture.getchannel("A").getextrema() == (255, 255)


def _composite(colours: NDArray[np.uint8], alpha: NDArray[np.uint8], background: float) -> NDArray[np.uint8]:
    share = alpha[:, :, None].astype(np.float32) / 255
    return (colours * share + background * (1 - share)).round().astype(np.uint8)


def _range(picture: "PilImage") -> tuple[float, float]:
    """Return the sample value of black, and the difference from it to white."""
    low, top = 0.0, 0.0
    for _, band in _bands(picture):
        samples = np.nan_to_num(np.asarray(band, np.float32))
        low, top = min(low, float(samples.min())), max(top, float(samples.max()))
    if low < 0:
        return low, (top - low) or 1.0
    if picture.mode == "F" and top <= 1:
        return 0.0, 1.0
    return 0.0, _full_scale(top)


def _full_scale(top: float) -> float:
    """Return full scale of the smallest usual depth that can store this sample."""
    return next((scale for scale in _SCALES if top <= scale), top)


def _scaled(samples: NDArray[Any], full: float) -> NDArray[np.uint8]:
    scaled: NDArray[np.uint8] = np.clip(samples * np.float32(255 / full), 0, 255).round().astype(np.uint8)
    return scaled


def _background(picture: "PilImage") -> float:
    """Return the brightness of the background for a transparent picture; white if enough of it is visible on that."""
    faint, visible = np.zeros(len(_BACKGROUNDS)), 0.0
    for _, band in _bands(picture):
        shown = _with_alpha(band).convert("LA")
        bright, alpha = (np.asarray(shown.getchannel(n), np.float32) for n in ("L", "A"))
        visible += float(alpha.sum())
        for number, background in enumerate(_BACKGROUNDS):
            faint[number] += float(alpha[np.abs(bright - background) * alpha < _FAINT * 255].sum())
    return 255.0 if faint[0] <= visible / 4 else _BACKGROUNDS[int(faint.argmin())]


class _Profile:
    """Conversion of bands to sRGB by the picture's ICC profile."""

    def __init__(self, picture: "PilImage") -> None:
        """Read the profile. A damaged profile, or one for another colour model, is ignored, as viewers do."""
        from PIL import Image as Pil
        from PIL import ImageCms

        self.transform: Any = None
        embedded = picture.info.get("icc_profile")
        if not isinstance(embedded, bytes):
            return
        mode = {"P": "RGB", "PA": "RGBA", "LA": "L", "1": "L"}.get(picture.mode, picture.mode)
        if mode == "RGB" and picture.has_transparency_data:
            mode = "RGBA"
        if mode.startswith("I") or mode == "F":
            mode = "L"
        self.mode: Literal["RGB", "RGBA", "L", "CMYK", "LAB"] = mode  # type: ignore[assignment]
        output_mode = "RGBA" if mode == "RGBA" else "RGB"
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
            colour_space = {"RGB": "RGB", "RGBA": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}.get(mode)
            if profile.profile.xcolor_space.strip() != colour_space:
                return
            transform = ImageCms.buildTransform(
                profile,
                ImageCms.createProfile("sRGB"),
                mode,
                output_mode,
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            if mode in ("RGB", "RGBA", "L"):  # most profiles are sRGB and need no conversion
                steps = np.arange(0, 256, 17, dtype=np.uint8)
                grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(16, -1, 3)
                probe = Pil.fromarray(grid).convert(mode)
                seen = np.asarray(ImageCms.applyTransform(probe, transform).convert("RGB")).astype(int)  # type: ignore[union-attr]
                if np.abs(seen - np.asarray(probe.convert("RGB"))).max() <= 3:
                    return
            self.transform = transform
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            return

    def apply(self, band: "PilImage") -> "PilImage":
        """Return the band in sRGB; unchanged if no conversion is needed."""
        from PIL import ImageCms

        if self.transform is None:
            return band
        if band.mode != self.mode:
            band = band.convert(self.mode)
        converted: PilImage = ImageCms.applyTransform(band, self.transform)  # type: ignore[assignment]
        return converted
