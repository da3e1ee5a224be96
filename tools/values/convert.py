"""Which kind can stand in for another, and reading files whose kind is not known."""

import mimetypes
from collections.abc import Sequence
from pathlib import Path

from tools.core.errors import MediaError, ValueInvalid
from tools.values import KINDS
from tools.values.base import Value
from tools.values.container import cover, open_container
from tools.values.files import opened, read_source
from tools.values.image import Image
from tools.values.number import Number
from tools.values.text import Text
from tools.values.transcript import Transcript

# Where a kind is wanted, these are taken too.
STAND_INS: dict[str, tuple[str, ...]] = {"Text": ("Transcript", "Number")}

_TEXT_SUFFIXES = (".txt", ".md", ".text")
_NAMED = {"image": "Image", "audio": "Audio", "video": "Video"}


def convert(value: Value, wanted: Sequence[str]) -> Value:
    """Return the value as one of the wanted kinds; a kind that fits already is left alone.

    Raises:
        ValueInvalid: when no conversion is known.
    """
    if value.kind in wanted:
        return value
    if "Text" in wanted and isinstance(value, Transcript | Number):
        return Text(value.text)
    raise ValueInvalid(f"A value of kind {value.kind} cannot be used as {' or '.join(wanted)}")


def open_file(path: str | Path, kind: str | None = None) -> Value:
    """Read a file of any supported kind; the content decides, whatever the file is called.

    Args:
        path: The file.
        kind: Insist on this kind, such as "Audio" for the sound track of a video.

    Raises:
        MediaError: when it is missing, empty, damaged, or of no supported kind.
    """
    file = Path(path)
    if kind is not None and kind not in KINDS:
        raise ValueInvalid(f"There is no kind of value called {kind!r}", f"Kinds are {', '.join(KINDS)}")
    opener = getattr(KINDS[kind or _kind_of(file)], "open", None)
    if opener is not None:
        value: Value = opener(file)
        return value
    data = read_source(file, str(file), "max_text_bytes")
    try:
        return KINDS[kind or "Text"].from_bytes(data, "")
    except (MediaError, ValueInvalid) as error:
        raise MediaError(f"{file}: {error.message}", error.hint) from error


def _kind_of(file: Path) -> str:
    with opened(file, str(file)) as content:
        try:
            start = content.read(64)
        except OSError as error:
            raise MediaError(f"{file} cannot be read: {error.strerror or error}", "Check the disk") from error
    if _looks_like_picture(start):
        return Image.kind
    try:
        with open_container(file, str(file)) as container:
            if any(not cover(stream) for stream in container.streams.video):
                return "Video"
            if container.streams.audio:
                return "Audio"
    except MediaError:
        if file.suffix.lower() in _TEXT_SUFFIXES:
            return Text.kind
        named = (mimetypes.guess_type(file.name)[0] or "").partition("/")[0]
        if named in _NAMED:  # damaged, or something else under its name: that kind says it best
            return _NAMED[named]
        raise MediaError(
            f"{file} is no picture, sound, video or text that can be read, or it is damaged",
            "Check that the file opens in another program",
        ) from None
    raise MediaError(f"{file} holds neither pictures nor sound", "Choose another file")


def _looks_like_picture(start: bytes) -> bool:
    # HEIC is among them so that it is refused as a picture: FFmpeg would take one of its tiles for a video.
    brands = (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
    tiff = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return (
        start.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"\0\0\0\x0cjP", *tiff))
        or (start[:1] == b"P" and start[1:2] in b"123456" and start[2:3].isspace())
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[4:8] == b"ftyp" and start[8:12] in brands)
    )
