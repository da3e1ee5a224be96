"""Still pictures."""

import io
import threading
import weakref
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import MediaError, ValueInvalid
from tools.values.arrays import frozen
from tools.values.base import FileValue, ValueSummary
from tools.values.files import damaged, read_source
from tools.values.metadata import strip_metadata
from tools.values.raster import LIMIT, SUFFIXES, count_pages, decode, open_picture, orientation_of

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

_MEDIA_TYPES = {".jpg": "image/jpeg", ".ppm": "image/x-portable-anymap", ".jp2": "image/jp2"}
_SEVERAL = (".gif", ".png", ".tiff", ".webp", ".avif")  # formats with pages or frames
_ROOM = 256 << 20


@dataclass(frozen=True, eq=False)
class Image(FileValue):
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
    _pixels: NDArray[np.uint8] | None = None
    kind: ClassVar[str] = "Image"

    @classmethod
    def open(cls, source: str | Path | bytes, name: str | None = None) -> Self:
        """Read a picture file and check that all of it can be decoded; its bytes are kept as they are.

        Pixels are sRGB, 8 bits each: ICC profiles are applied, 16 bits are scaled, transparency is laid on a ground
        on which it shows (`tools.values.raster.decode`). Of several pages or frames the first is taken, and `summary`
        says how many there are.

        Args:
            source: A path, or the bytes of a file.
            name: How errors call it; the path by default.

        Raises:
            MediaError: when it is missing, empty, damaged, no picture, or larger than `max_image_bytes`.
        """
        label = name or (str(source) if not isinstance(source, bytes) else "the picture")
        image = cls._from_header(read_source(source, label, LIMIT), label)
        _ = image.pixels
        image._verify()
        return image

    @classmethod
    def from_numpy(cls, pixels: NDArray[np.uint8]) -> Self:
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

            array = decode(Pil.fromarray(array))
        return cls(int(array.shape[1]), int(array.shape[0]), _pixels=frozen(array))

    @classmethod
    def from_pil(cls, picture: "PilImage") -> Self:
        """Take a Pillow image of any mode, with its EXIF orientation applied."""
        if picture.width < 1 or picture.height < 1:
            raise ValueInvalid(f"A picture of {picture.width}x{picture.height} has no pixels")
        return cls.from_numpy(decode(picture))

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """sRGB pixels (H, W, 3), read-only; decoded when asked for, and kept while memory for that lasts."""
        if self._pixels is not None:
            return self._pixels
        assert self._encoded is not None  # pictures made from pixels have them
        with open_picture(self._encoded, self._name) as picture:
            try:
                array = decode(picture, self._encoded)
            except Exception as error:  # decoders raise nearly anything on damaged files
                raise damaged(self._name, error) from error
        array.setflags(write=False)
        _DECODED.add(self, array)
        return array

    @cached_property
    def pages(self) -> int:
        """Number of pages or frames in the opened file, of which this picture is the first."""
        if self._encoded is None or self._suffix not in _SEVERAL:
            return 1
        with open_picture(self._encoded, self._name) as picture:
            try:
                return count_pages(picture)
            except Exception as error:
                raise MediaError(f"{self._name} is damaged: {error}", "Copy or download the file again") from error

    def without_metadata(self) -> Self:
        """Return the picture without place, time, camera, previews and further pages; this one if it has none.

        JPEG, PNG and WebP keep their encoded pixels and their ICC profile. Other formats are decoded, to be stored as
        PNG, as are files of several pages or frames.
        """
        if self._encoded is None:
            return self
        with open_picture(self._encoded, self._name) as picture:
            orientation = orientation_of(picture, self._encoded)
        data = strip_metadata(self._encoded, self._suffix, orientation) if self.pages == 1 else None
        if data is None:
            return self.from_numpy(self.pixels)
        return self if data == self._encoded else self._from_header(data, self._name)

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
    def _type(self) -> tuple[str, str]:
        """That of the file that was opened; PNG for pictures made here."""
        return _MEDIA_TYPES.get(self._suffix, f"image/{self._suffix[1:]}"), self._suffix

    def to_bytes(self) -> bytes:
        """Return the opened file as it was, or PNG that says its colours are sRGB."""
        if self._encoded is not None:
            return self._encoded
        from PIL.PngImagePlugin import PngInfo

        colours = PngInfo()
        colours.add(b"sRGB", b"\1")  # relative colorimetric
        buffer = io.BytesIO()
        # compress_level: a third of the default's time, a few per cent more bytes
        self.pil.save(buffer, "PNG", compress_level=3, pnginfo=colours)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "image/png") -> Self:
        """Read a picture file; only its header is checked now, the pixels are decoded when asked for."""
        return cls._from_header(data, "the stored picture")

    @property
    def memory_bytes(self) -> int:
        """Pixels, decoded or to be decoded, and the file."""
        return self.width * self.height * 3 + len(self._encoded or b"")

    def summary(self) -> ValueSummary:
        """Return width and height in pixels, and how many pages or frames there are if there are several."""
        facts: ValueSummary = {"width": self.width, "height": self.height}
        if self.pages > 1:
            facts["pages"] = self.pages
        return facts

    def _verify(self) -> None:
        """Refuse a PNG with a wrong checksum: its pixels can be decoded, but need not be the right ones."""
        if self._suffix != ".png" or self._encoded is None:
            return
        with open_picture(self._encoded, self._name) as picture:
            try:
                picture.verify()
            except Exception as error:
                raise MediaError(f"{self._name} is damaged: {error}", "Copy or download the file again") from error

    @classmethod
    def _from_header(cls, data: bytes, name: str) -> Self:
        with open_picture(data, name) as picture:
            swapped = orientation_of(picture, data) in (5, 6, 7, 8)
            width, height = picture.size[::-1] if swapped else picture.size
            return cls(width, height, data, SUFFIXES[picture.format or "PNG"], name)


class _PixelCache:
    """Limits the memory of decoded pixels: the oldest pictures lose theirs and decode them again on demand."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._size = capacity, 0
        self._pictures: deque[tuple[weakref.ref[Image], int]] = deque()
        self._lock = threading.Lock()

    def add(self, image: Image, pixels: NDArray[np.uint8]) -> None:
        """Store the pixels in their picture; those of the newest picture are stored whatever their size."""
        with self._lock:
            object.__setattr__(image, "_pixels", pixels)
            self._pictures.append((weakref.ref(image), pixels.nbytes))
            self._size += pixels.nbytes
            while self._size > self._capacity and len(self._pictures) > 1:
                oldest, size = self._pictures.popleft()
                self._size -= size
                if (gone := oldest()) is not None:
                    object.__setattr__(gone, "_pixels", None)


_DECODED = _PixelCache(_ROOM)
