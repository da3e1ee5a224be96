"""Limits of uploads, checked from the headers of files, before anything is decoded."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from common.kinds import input_of
from tools.core.errors import MediaError
from tools.core.settings import settings
from tools.values.container import cover, open_container
from tools.values.files import read_source
from tools.values.raster import open_picture

if TYPE_CHECKING:
    from av.container import InputContainer


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
            _check_length(container, file.name)


def _check_pixels(width: int, height: int, name: str) -> None:
    most = settings().ui_pixels
    if width * height > most:
        raise MediaError(
            f"{name} has {width} × {height} pixels; at most {most / 1e6:.0f} million are allowed here",
            "Make it smaller",
        )


def _check_length(container: "InputContainer", name: str) -> None:
    most = settings().ui_minutes
    minutes = (container.duration or 0) / 1e6 / 60  # microseconds
    takes = f"{minutes:.0f}"
    if not container.duration:  # files that were made while recording do not say how long they are
        minutes, takes = _read_length(container, most), f"more than {most:g}"
    if minutes > most:
        raise MediaError(f"{name} takes {takes} minutes; at most {most:g} are allowed here", "Cut it")


def _read_length(container: "InputContainer", most: float) -> float:
    """Return the minutes between the time stamps of packets, none of which is decoded; more than `most` at once."""
    import av

    first, last = float("inf"), float("-inf")
    with suppress(av.error.FFmpegError):  # damage is said by those who decode it
        for packet in container.demux():
            if packet.pts is not None and packet.time_base is not None:
                at = float(packet.pts * packet.time_base) / 60
                first, last = min(first, at), max(last, at)
                if last - first > most:
                    break
    return max(0.0, last - first) if last >= first else 0.0
