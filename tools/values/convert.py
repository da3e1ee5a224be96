"""Conversion between kinds of value, and opening files of any kind."""

from collections.abc import Sequence
from pathlib import Path

from common.kinds import KIND_OF_INPUT, input_of
from tools.core.errors import MediaError, ValueInvalid
from tools.values import VALUE_TYPES
from tools.values.base import Value
from tools.values.container import cover, open_container
from tools.values.files import open_regular, read_source
from tools.values.image import Image
from tools.values.number import Number
from tools.values.text import Text
from tools.values.transcript import Transcript

STAND_INS: dict[str, tuple[str, ...]] = {"Text": ("Transcript", "Number")}
"""Kinds that are converted where a kind is required, by that kind."""


def convert(value: Value, kinds: Sequence[str]) -> Value:
    """Return the value as one of the given kinds; a value of such a kind is returned as it is.

    Raises:
        ValueInvalid: when no conversion is known.
    """
    if value.kind in kinds:
        return value
    if "Text" in kinds and isinstance(value, Transcript | Number):
        return Text(value.text)
    raise ValueInvalid(f"A value of kind {value.kind} cannot be used as {' or '.join(kinds)}")


def open_file(path: str | Path, kind: str | None = None) -> Value:
    """Read a file of any supported kind, which is determined from its content, not its name.

    Args:
        path: The file.
        kind: Insist on this kind, such as "Audio" for the sound track of a video.

    Raises:
        MediaError: when it is missing, empty, damaged, or of no supported kind.
    """
    file = Path(path)
    if kind is not None and kind not in VALUE_TYPES:
        raise ValueInvalid(f"There is no kind of value called {kind!r}", f"Kinds are {', '.join(VALUE_TYPES)}")
    opener = getattr(VALUE_TYPES[kind or _kind_of(file)], "open", None)
    if opener is not None:
        value: Value = opener(file)
        return value
    data = read_source(file, str(file), "max_text_bytes")
    try:
        return VALUE_TYPES[kind or "Text"].from_bytes(data, "")
    except (MediaError, ValueInvalid) as error:
        raise MediaError(f"{file}: {error.message}", error.hint) from error


def _kind_of(file: Path) -> str:
    with open_regular(file, str(file)) as content:
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
        if kind := KIND_OF_INPUT.get(input_of(file.name)):  # damaged media, too: that kind's own error says it best
            return kind
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
