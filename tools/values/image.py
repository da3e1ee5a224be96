"""Still pictures."""

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tools.errors import MediaError, ValueInvalid
from tools.settings import settings
from tools.values.base import Value, frozen

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

# Formats that people have pictures in. Pillow reads more, some through outside programs (EPS runs Ghostscript).
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp",
             "TIFF": ".tiff", "PPM": ".ppm", "AVIF": ".avif", "JPEG2000": ".jp2"}
_MEDIA_TYPES = {".jpg": "image/jpeg", ".ppm": "image/x-portable-anymap", ".jp2": "image/jp2"}
_ORIENTATION = 0x0112  # EXIF tag; 5 to 8 swap width and height
_PNG_MARKS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")  # where Pillow looks for it


@dataclass(frozen=True, eq=False)
class Image(Value):
    """A picture; make one with `Image.open`, `Image.from_numpy` or `Image.from_pil`.

    Attributes:
        width: Pixels, as the picture is seen (EXIF orientation applied).
        height: Pixels.
    """

    width: int
    height: int
    _encoded: bytes | None = None
    _suffix: str = ".png"
    _name: str = "the picture"
    kind: ClassVar[str] = "Image"

    @classmethod
    def open(cls, source: str | Path | bytes, name: str | None = None) -> Self:
        """Read a picture file and check that all of it can be decoded; its bytes are kept as they are.

        Transparency is laid on white, 16 bits are scaled to 8, CMYK, palettes and grey become RGB, of an
        animation the first frame is taken.

        Args:
            source: A path, or the bytes of a file.
            name: How errors call it; the path by default.

        Raises:
            MediaError: when it is missing, empty, damaged, no picture, or larger than `max_pixels`.
        """
        label = name or (str(source) if not isinstance(source, bytes) else "the picture")
        image = cls._from_header(read_source(source, label), label)
        _ = image.pixels
        image._verify()
        return image

    @classmethod
    def from_numpy(cls, pixels: NDArray[Any]) -> Self:
        """Take RGB pixels (H, W, 3); grey (H, W) or (H, W, 1) and RGBA (H, W, 4) are converted; all uint8.

        Raises:
            ValueInvalid: for other shapes or types, and for no pixels at all.
        """
        array = np.asarray(pixels)
        if array.dtype != np.uint8:
            raise ValueInvalid(f"Pixels must be uint8, not {array.dtype}", "Scale to 0…255 and use astype('uint8')")
        if array.ndim == 2:
            array = array[:, :, None]
        if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
            raise ValueInvalid(f"Pixels must have the shape (H, W), (H, W, 3) or (H, W, 4), not {pixels.shape}")
        if array.size == 0:
            raise ValueInvalid(f"A picture of {array.shape[1]}x{array.shape[0]} has no pixels")
        if array.shape[2] == 1:
            array = np.repeat(array, 3, axis=2)
        elif array.shape[2] == 4:
            from PIL import Image as Pil

            array = np.asarray(_to_rgb(Pil.fromarray(array)))
        image = cls(int(array.shape[1]), int(array.shape[0]))
        image.__dict__["pixels"] = frozen(array)  # fills the cached property
        return image

    @classmethod
    def from_pil(cls, picture: "PilImage") -> Self:
        """Take a Pillow image of any mode, with its EXIF orientation applied."""
        from PIL import ImageOps

        if picture.width < 1 or picture.height < 1:
            raise ValueInvalid(f"A picture of {picture.width}x{picture.height} has no pixels")
        return cls.from_numpy(np.asarray(_to_rgb(ImageOps.exif_transpose(picture))))

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """RGB pixels (H, W, 3), read-only; decoded when first asked for."""
        from PIL import ImageOps

        assert self._encoded is not None  # pictures made from pixels have this property filled
        with _open_pil(self._encoded, self._name) as picture:
            try:
                array = np.asarray(_to_rgb(ImageOps.exif_transpose(picture)))
            except Exception as error:  # decoders raise nearly anything on damaged files
                raise MediaError(f"{self._name} is damaged or cut short: {error}",
                                 "Copy or download the file again") from error
        return frozen(array)

    @property
    def pil(self) -> "PilImage":
        """A Pillow image (RGB); changing it does not change this value."""
        from PIL import Image as Pil

        return Pil.fromarray(np.array(self.pixels))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), as `Detections.size` has it."""
        return self.height, self.width

    @property
    def media_type(self) -> str:
        """The type of the file that was opened, PNG for pictures made here."""
        return _MEDIA_TYPES.get(self._suffix, f"image/{self._suffix[1:]}")

    @property
    def suffix(self) -> str:
        """The ending that suits `media_type`."""
        return self._suffix

    def to_bytes(self) -> bytes:
        """Return the opened file as it was, or PNG."""
        if self._encoded is not None:
            return self._encoded
        buffer = io.BytesIO()
        self.pil.save(buffer, "PNG", compress_level=3)  # a third of the default's time, a few per cent more bytes
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "image/png") -> Self:
        """Read a picture file; only its header is checked now, the pixels are decoded when asked for."""
        return cls._from_header(data, "the stored picture")

    def summary(self) -> dict[str, Any]:
        """Return width and height in pixels."""
        return {"width": self.width, "height": self.height}

    def _verify(self) -> None:
        """Refuse a PNG with a wrong checksum: its pixels can be decoded, but need not be the right ones."""
        if self._suffix != ".png" or self._encoded is None:
            return
        with _open_pil(self._encoded, self._name) as picture:
            try:
                picture.verify()
            except Exception as error:
                raise MediaError(f"{self._name} is damaged: {error}", "Copy or download the file again") from error

    @classmethod
    def _from_header(cls, data: bytes, name: str) -> Self:
        with _open_pil(data, name) as picture:
            try:
                turned = _may_be_turned(picture, data) and picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            except Exception:  # a broken EXIF block; Pillow ignores it when turning, too
                turned = False
            width, height = picture.size[::-1] if turned else picture.size
            return cls(width, height, data, _SUFFIXES[picture.format or "PNG"], name)


def read_source(source: str | Path | bytes, name: str) -> bytes:
    """Return the bytes of a path or of bytes.

    Raises:
        MediaError: when there is no such file, or nothing in it.
    """
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise MediaError(f"{name} cannot be read: {error.strerror or error}", "Check the path") from error
    if not data:
        raise MediaError(f"{name} is empty (0 bytes)", "Copy or download the file again")
    return data


def _may_be_turned(picture: "PilImage", data: bytes) -> bool:
    """Whether it is worth asking for EXIF: Pillow decodes all of a PNG for that, as it may stand behind the pixels."""
    return picture.format != "PNG" or any(mark in data for mark in _PNG_MARKS)


def _open_pil(data: bytes, name: str) -> "PilImage":
    from PIL import Image as Pil
    from PIL import UnidentifiedImageError

    limit = settings().max_pixels
    Pil.MAX_IMAGE_PIXELS = limit  # Pillow's own guard: warns above it, refuses twice as much
    try:
        picture = Pil.open(io.BytesIO(data), formats=[name for name in _SUFFIXES if name != "MPO"])  # a JPEG that turns out so
    except (Pil.DecompressionBombError, Pil.DecompressionBombWarning) as error:
        raise _too_large(name, str(error), limit) from error
    # ultralytics replaces Pillow's opener by one that asks for a HEIF reader where Pillow knows no better.
    except (UnidentifiedImageError, ImportError) as error:
        raise MediaError(f"{name} is not a picture that can be read, or it is damaged",
                         "Use JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, PPM or JPEG 2000") from error
    except Exception as error:  # header parsers raise nearly anything on damaged files
        raise MediaError(f"{name} is damaged: {error}", "Copy or download the file again") from error
    if picture.width < 1 or picture.height < 1:
        raise MediaError(f"{name} has no pixels: {picture.width}x{picture.height}")
    if picture.width * picture.height > limit:
        raise _too_large(name, f"{picture.width}x{picture.height} pixels", limit)
    return picture


def _too_large(name: str, what: str, limit: int) -> MediaError:
    return MediaError(f"{name} is too large: {what}, above the limit of {limit} pixels",
                      "Make it smaller, or raise max_pixels in settings.toml (SUPERLINK_MAX_PIXELS)")


def _to_rgb(picture: "PilImage") -> "PilImage":
    from PIL import Image as Pil

    if picture.mode.startswith("I") or picture.mode == "F":
        # Pillow would clip these at 255, which turns most 16-bit pictures white.
        values = np.asarray(picture, dtype=np.float64)
        top = float(values.max(initial=0))
        full = 65535.0 if top > 255 else 255.0
        if picture.mode == "F":
            full = 1.0 if top <= 1 else full
        elif picture.mode.startswith("I;16"):
            full = 65535.0
        picture = Pil.fromarray(np.clip(values / full * 255, 0, 255).round().astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Pil.new("RGBA", picture.size, "white")
        picture = Pil.alpha_composite(white, picture)
    return picture.convert("RGB")
