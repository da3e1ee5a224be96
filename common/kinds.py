"""Kinds of value, and the words and file name endings that stand for them."""

from functools import lru_cache
from pathlib import PurePosixPath

PICTURE_KINDS = frozenset({"Image", "Video"})
"""Kinds that hold pixels."""
MEDIA_KINDS = PICTURE_KINDS | {"Audio"}
"""Kinds that people look at or listen to."""
LOCATION_KINDS = frozenset({"Detections", "Poses"})
"""Kinds that hold places within a picture, in pixels."""

MEDIA = ("image", "audio", "video")
"""What a value of these kinds is called in plans, on the command line and in data."""
KIND_OF_INPUT = {"image": "Image", "audio": "Audio", "video": "Video", "text": "Text"}
"""Types of input that a person can give, with the kind of their values."""

MEDIA_SUFFIXES = {
    "image": (
        ".avif",
        ".bmp",
        ".gif",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    ),
    "audio": (".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"),
    "video": (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv"),
}
"""File name endings of each medium; they do not depend on the system's own table."""
TEXT_SUFFIXES = (".txt", ".md", ".text")
"""File name endings of texts."""


def input_of(name: str) -> str:
    """Return the type of input that a file's name says, as in `KIND_OF_INPUT`, or "" for any other name."""
    return "text" if name.lower().endswith(TEXT_SUFFIXES) else media_kind_of(name)


USUAL_MEDIA = ("image",)
"""Names of the kinds of file that are thought to be at hand where none are named."""


def media_kind_of(name: str) -> str:
    """Return the medium that a file's name says: "image", "audio", "video", or "" for any other name."""
    return _medium(PurePosixPath(name).suffix.lower())


@lru_cache(1024)
def _medium(suffix: str) -> str:
    return next((medium for medium, suffixes in MEDIA_SUFFIXES.items() if suffix in suffixes), "")
