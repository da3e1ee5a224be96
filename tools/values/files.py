"""Opening the user's files: regular files only, up to the size limits."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from tools.core.errors import MediaError
from tools.core.settings import settings

_CHUNK = 1 << 20


def open_regular(path: Path, name: str) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        MediaError: when it is missing, unreadable or empty, or is a folder, a pipe, a device or a socket, whose content
            may be endless.
    """
    try:
        # O_NONBLOCK: opening a pipe would wait for a writer. It does not exist on Windows.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        if _is_socket(path):  # Linux says "No such device or address"
            raise _irregular(name) from error
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{name} cannot be read: {reason}", "Check the path and its permissions") from error
    file = os.fdopen(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    if file is None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        os.close(descriptor)
        raise MediaError(f"{name} cannot be read: Is a directory", "Name a file") if folder else _irregular(name)
    if not os.fstat(descriptor).st_size:
        file.close()
        raise MediaError(f"{name} is empty (0 bytes)", "Copy or download the file again")
    return file


def damaged(name: str, error: Exception | str) -> MediaError:
    """Return the error that a file turns out damaged while it is decoded."""
    return MediaError(f"{name} is damaged or cut short: {error}", "Copy or download the file again")


def check_source(source: bytes | Path, name: str) -> None:
    """Raise the errors of `open_regular`, also for empty bytes, without reading anything."""
    if isinstance(source, Path):
        open_regular(source, name).close()
    elif not source:
        raise MediaError(f"{name} is empty (0 bytes)", "Copy or download the file again")


def read_source(source: str | Path | bytes, name: str, setting: str) -> bytes:
    """Return the content of a file, or the bytes themselves.

    A file that grows while it is read is read up to the limit.

    Args:
        source: A path, or the bytes themselves.
        name: Its name in error messages.
        setting: Name of the setting with the limit in bytes, such as "max_image_bytes".

    Raises:
        MediaError: for the errors of `open_regular`, and for more bytes than the limit.
    """
    limit: int = getattr(settings(), setting)
    if isinstance(source, bytes):
        check_source(source, name)
        check_size(len(source), setting, name)
        return source
    pieces, size = [], 0
    with open_regular(Path(source), name) as file:
        check_size(os.fstat(file.fileno()).st_size, setting, name)
        try:
            while piece := file.read(min(_CHUNK, limit + 1 - size)):
                pieces.append(piece)
                size += len(piece)
                check_size(size, setting, name)
        except OSError as error:
            raise MediaError(f"{name} cannot be read: {error.strerror or error}", "Check the disk") from error
    return b"".join(pieces)


def check_size(size: int, setting: str, name: str, what: str = "it has {}", advice: str = "Use a smaller file") -> None:
    """Check a size against the limit of a setting.

    Args:
        size: Bytes that will be used.
        setting: Name of the setting with the limit.
        name: Name of the file in the error message.
        what: Phrase with a place for the size, such as "decoding it takes {} of memory".
        advice: What to do other than to raise the limit.

    Raises:
        MediaError: when the size is above the limit; names the file, the size, the limit and the setting.
    """
    limit: int = getattr(settings(), setting)
    if size > limit:
        raise MediaError(
            f"{name} is too large: {what.format(readable(size))}, above the limit of {readable(limit)}",
            f"{advice}, or raise {setting} in settings.toml (SUPERLINK_{setting.upper()})",
        )


def readable(size: int) -> str:
    """Return a number of bytes in words: "3.2 GB"."""
    if size < 1000:
        return f"{size} bytes"
    power = min((len(str(size)) - 1) // 3, 4)
    return f"{size / 1000**power:.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _irregular(name: str) -> MediaError:
    return MediaError(f"{name} is no file but a device, a pipe or a socket", "Copy its content into a file")
