"""Small copies of pictures, made once."""

from hashlib import sha256
from pathlib import Path

from PIL import Image

from tools.storage import atomic

_SIDE = 192  # pixels of a small copy's longer side
_SMALL = 150_000  # bytes up to which a picture is shown as it is


def thumbnail(file: Path, folder: Path) -> Path | None:
    """Return a small copy of a picture, or the picture itself where it is small; None where it cannot be read.

    Args:
        file: The picture.
        folder: Where small copies are kept.
    """
    try:
        about = file.stat()
        if about.st_size <= _SMALL:
            return file
        name = sha256(f"{file} {about.st_mtime_ns} {about.st_size}".encode()).hexdigest()[:24]
        small = folder / f"{name}.webp"
        if not small.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with Image.open(file) as picture:
                picture.draft("RGB", (_SIDE, _SIDE))
                picture.thumbnail((_SIDE, _SIDE))
                kept = picture.convert("RGBA" if "A" in picture.getbands() else "RGB")
            with atomic.open_new(small) as out:
                kept.save(out, "WEBP", quality=80)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    return small
