"""Small copies of pictures and of the first frames of videos, made once."""

from hashlib import sha256
from pathlib import Path

from PIL import Image

from common.kinds import input_of
from tools.core.errors import SuperlinkError
from tools.storage import atomic
from tools.values import Video

_SIDE = 192  # pixels of a small copy's longer side
_SMALL = 150_000  # bytes up to which a picture is shown as it is


def thumbnail(file: Path, folder: Path) -> Path | None:
    """Return a small copy of a picture or of a video's first frame; None where it cannot be read.

    A picture whose file is small is returned itself.

    Args:
        file: The picture or video.
        folder: Where small copies are kept.
    """
    try:
        about, is_video = file.stat(), input_of(file.name) == "video"
        if about.st_size <= _SMALL and not is_video:
            return file
        name = sha256(f"{file} {about.st_mtime_ns} {about.st_size}".encode()).hexdigest()[:24]
        small = folder / f"{name}.webp"
        if not small.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with _first_frame(file) if is_video else Image.open(file) as picture:
                picture.draft("RGB", (_SIDE, _SIDE))
                picture.thumbnail((_SIDE, _SIDE))
                kept = picture.convert("RGBA" if "A" in picture.getbands() else "RGB")
            with atomic.open_new(small) as out:
                kept.save(out, "WEBP", quality=80)
    except (OSError, ValueError, Image.DecompressionBombError, SuperlinkError):
        return None
    return small


def _first_frame(file: Path) -> Image.Image:
    return Image.fromarray(next(Video.open(file).frames())[2])
