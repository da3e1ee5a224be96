"""Limits of uploads, checked from the headers of files, before anything is decoded."""

from pathlib import Path

from common.kinds import input_of
from tools.core.errors import MediaError
from tools.core.settings import settings
from tools.values.container import cover, open_container
from tools.values.files import read_source
from tools.values.raster import open_picture


def check_media(file: Path) -> None:
    """Check a picture, a recording or a video.

    Other files, and those that cannot be read, are left to those who open them: an upload is refused as a whole, and
    one damaged file must not take the others with it.

    Raises:
        MediaError: when it has more than `ui_pixels` or takes longer than `ui_minutes`.
    """
    try:
        width, height, minutes = _extent(file)
    except MediaError:
        return
    most, longest = settings().ui_pixels, settings().ui_minutes
    if width * height > most:
        raise MediaError(
            f"{file.name} has {width} × {height} pixels; at most {most / 1e6:.0f} million are allowed here",
            "Make it smaller",
        )
    if minutes > longest:
        raise MediaError(f"{file.name} takes {minutes:.0f} minutes; at most {longest:g} are allowed here", "Cut it")


def _extent(file: Path) -> tuple[int, int, float]:
    """Return width and height in pixels and the length in minutes; 0 where there is none or the file does not say.

    Raises:
        MediaError: when it cannot be read.
    """
    kind = input_of(file.name)
    if kind == "image":
        picture = open_picture(read_source(file, file.name, "max_image_bytes"), file.name)
        return picture.width, picture.height, 0.0
    if kind not in ("audio", "video"):
        return 0, 0, 0.0
    with open_container(file, file.name) as container:
        shown = [stream.codec_context for stream in container.streams.video if not cover(stream)]
        largest = max(shown, key=lambda codec: (codec.width or 0) * (codec.height or 0), default=None)
        minutes = (container.duration or 0) / 1e6 / 60  # microseconds; files made while recording do not say
        return (largest.width or 0, largest.height or 0, minutes) if largest is not None else (0, 0, minutes)
