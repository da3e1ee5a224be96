"""Limits of uploads, checked from the headers of files, before anything is decoded."""

from pathlib import Path

from common.kinds import input_of
from tools.core.errors import MediaError
from tools.core.settings import settings
from tools.values.container import cover, open_container
from tools.values.files import read_source
from tools.values.raster import open_picture


def check_media(file: Path) -> None:
    """Check a picture, a recording or a video; other files are left to those who open them.

    Raises:
        MediaError: when it cannot be read, has more than `ui_pixels` or takes longer than `ui_minutes`.
    """
    kind = input_of(file.name)
    if kind == "image":
        picture = open_picture(read_source(file, file.name, "max_image_bytes"), file.name)
        _check_pixels(picture.width, picture.height, file.name)
    elif kind in ("audio", "video"):
        with open_container(file, file.name) as container:
            for stream in container.streams.video:
                if not cover(stream):
                    _check_pixels(stream.codec_context.width or 0, stream.codec_context.height or 0, file.name)
            minutes = (container.duration or 0) / 1e6 / 60  # microseconds; files made while recording do not say
        if minutes > settings().ui_minutes:
            raise MediaError(
                f"{file.name} takes {minutes:.0f} minutes; at most {settings().ui_minutes:g} are allowed here", "Cut it"
            )


def _check_pixels(width: int, height: int, name: str) -> None:
    most = settings().ui_pixels
    if width * height > most:
        raise MediaError(
            f"{name} has {width} × {height} pixels; at most {most / 1e6:.0f} million are allowed here",
            "Make it smaller",
        )
