"""Copies of pictures and frames for the browser; those of a run that were not used for long are deleted."""

import io
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image as Pil

from tools.storage import atomic
from tools.storage.store import Ref, Store
from tools.values import Image, Video
from tools.values.base import FileValue

SIDE = 2048
"""Maximum length of the longer side of a picture, in pixels; shapes keep the coordinates of the whole."""
_THUMB = 112
_MARGIN = 0.3  # of a find's longer side, around it on its small picture
_PIXELATED = 1 << 16  # pixels; smaller pictures are kept without loss
_KEPT = 200  # files of a run


class Pictures:
    """The folder of copies of a run.

    Args:
        folder: Inside the folder of the page.
        store: Of the values.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self._store = folder, store

    def picture(self, ref: Ref, frame: int | None = None) -> Path:
        """Return a picture, or the frame of a video, as a file without metadata.

        Raises:
            StoreError: when it is no longer there, or damaged.
            WriteError: when the file cannot be written.
        """
        stem = ref["sha256"][:32] + ("" if frame is None else f"_{frame}")
        for known in (self.folder / f"{stem}.jpg", self.folder / f"{stem}.png"):
            if _used(known):
                return known
        value = self._store.get(ref)
        if isinstance(value, Video):
            value = Image.from_numpy(value.frame(frame or 0))
        assert isinstance(value, Image)
        picture = value.pil
        picture.thumbnail((SIDE, SIDE))
        small = picture.width * picture.height <= _PIXELATED
        return self._write(f"{stem}.png" if small else f"{stem}.jpg", picture)

    def thumbnail(self, ref: Ref, frame: int | None, box: Sequence[float], size: tuple[int, int]) -> Path:
        """Return a small picture of what is in and around a box.

        Args:
            ref: Of the picture or video.
            frame: Number of the video's frame.
            box: x0, y0, x1, y1 in pixels of the whole picture.
            size: Height and width of the whole picture.

        Raises:
            StoreError, WriteError: as `picture`.
        """
        corners = "_".join(str(round(side)) for side in box)
        name = f"{ref['sha256'][:24]}_{frame or 0}_{corners}.jpg"
        if _used(self.folder / name):
            return self.folder / name
        with Pil.open(self.picture(ref, frame)) as whole:
            scale = whole.width / max(1, size[1])
            x0, y0, x1, y1 = (side * scale for side in box)
            reach = _MARGIN * max(x1 - x0, y1 - y0) + 4
            start = max(0, int(x0 - reach)), max(0, int(y0 - reach))
            end = min(whole.width, int(x1 + reach) + 1), min(whole.height, int(y1 + reach) + 1)
            part = whole.crop((*start, max(end[0], start[0] + 1), max(end[1], start[1] + 1)))
        part.thumbnail((_THUMB, _THUMB))
        return self._write(name, part.convert("RGB"))

    def recording(self, ref: Ref) -> Path:
        """Return a recording as a file.

        Raises:
            StoreError, WriteError: as `picture`.
        """
        value = self._store.get(ref)
        assert isinstance(value, FileValue)
        place = self.folder / f"{ref['sha256'][:32]}{value.suffix}"
        return place if _used(place) else self._keep(place, value.to_bytes())

    def _write(self, name: str, picture: Pil.Image) -> Path:
        buffer = io.BytesIO()
        if name.endswith(".png"):
            picture.save(buffer, "PNG")
        else:
            picture.save(buffer, "JPEG", quality=88)
        return self._keep(self.folder / name, buffer.getvalue())

    def _keep(self, place: Path, data: bytes) -> Path:
        written = atomic.write(place, data)
        with suppress(OSError):
            files = [(entry.stat().st_mtime, entry.path) for entry in os.scandir(self.folder) if entry.is_file()]
            for _, path in sorted(files)[:-_KEPT]:
                os.unlink(path)
        return written


def _used(file: Path) -> bool:
    """Return whether a file is there; it counts as used now."""
    try:
        os.utime(file)
    except OSError:
        return False
    return True
