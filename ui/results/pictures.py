"""Copies of values that a browser can show, in the folder of their session, whose owner may read them."""

import io
import os
import shutil
from pathlib import Path

from agents.session.results import drawing
from tools.storage import atomic
from tools.storage.store import Ref, Store
from tools.values import Image
from ui.results.reading import Item

SIDE = 2560
"""Maximum length of the longer side of a picture on the page, in pixels; shapes keep the coordinates of the whole."""
SMALL = 320
"""The same of the pictures of a contact sheet."""
_PIXELATED = 1 << 16  # pixels; smaller pictures are kept without loss


class Seen:
    """The folder of copies of a session.

    Args:
        folder: `results/THREAD` in the folder of the page.
        store: Of the values.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._store = folder / "seen", store

    def picture(self, ref: Ref, side: int = SIDE) -> Path:
        """Return a picture as a file without metadata, at most `side` pixels long.

        Raises:
            StoreError: when it is no longer in the store, or damaged.
            WriteError: when the file cannot be written.
        """
        stem = f"{ref['sha256'][:32]}_{side}"
        for known in (self._folder / f"{stem}.jpg", self._folder / f"{stem}.png"):
            if known.exists():
                return known
        image = self._store.get(ref)
        assert isinstance(image, Image)
        return self._write(stem, image, side)

    def thumbnail(self, item: Item) -> Path | None:
        """Return an item as a small picture, with what was found drawn on it; None for what is no picture.

        Raises:
            StoreError: when a value is no longer in the store, or damaged.
            WriteError: when the file cannot be written.
        """
        ref, source = item.ref, item.source
        if ref["kind"] == "Image":
            return self.picture(ref, SMALL)
        if source is None or source["kind"] != "Image":
            return None
        stem = f"{ref['sha256'][:16]}{source['sha256'][:16]}_{SMALL}"
        known = self._folder / f"{stem}.jpg"
        if known.exists():
            return known
        drawn = drawing(self._store.get(ref), source, self._store)
        return None if drawn is None else self._write(stem, drawn, SMALL)

    def file(self, ref: Ref, suffix: str) -> Path:
        """Return a stored value as a file that the page may serve, such as the recording that words were heard in.

        Raises:
            StoreError: when it is no longer in the store.
            WriteError: when the file cannot be written.
        """
        place = self._folder / f"{ref['sha256'][:32]}{suffix}"
        if place.exists():
            return place
        stored = self._store.path(ref)
        if stored is None or not stored.exists():
            return atomic.write(place, self._store.get(ref).to_bytes())
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(stored, place)
            except OSError:  # another disk, or one without links
                draft = place.with_suffix(".part")
                shutil.copyfile(stored, draft)
                draft.replace(place)
        except OSError as error:
            raise atomic.write_error(error, place) from error
        return place

    def place(self, name: str) -> Path:
        """Return the path of a file of the folder."""
        return self._folder / name

    def _write(self, stem: str, image: Image, side: int) -> Path:
        picture = image.pil
        picture.thumbnail((side, side))
        buffer = io.BytesIO()
        if side == SIDE and picture.width * picture.height <= _PIXELATED:
            picture.save(buffer, "PNG")
            return atomic.write(self._folder / f"{stem}.png", buffer.getvalue())
        picture.save(buffer, "JPEG", quality=92 if side == SIDE else 80)
        return atomic.write(self._folder / f"{stem}.jpg", buffer.getvalue())
