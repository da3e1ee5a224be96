"""Atomic writing of files: under a temporary name in the same folder, flushed to the disk, then renamed.

A reader, or a process that follows a killed one, finds the old file or the new one, never a part of it.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tools.core.errors import WriteError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_AGAIN = "give the same command again"
_WORDS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", f"Free some space and {_AGAIN}"),
    errno.EDQUOT: ("the disk quota is used up", f"Free some space or ask for a larger quota, and {_AGAIN}"),
    errno.EROFS: ("the disk is read-only", f"Mount it for writing and {_AGAIN}, or give another folder"),
    errno.EACCES: ("writing there is not allowed", f"Allow writing there and {_AGAIN}, or give another folder"),
    errno.EPERM: ("writing there is not allowed", f"Allow writing there and {_AGAIN}, or give another folder"),
    errno.EFBIG: (
        "the file is larger than the disk or the limit of this process (ulimit -f) allows",
        f"Raise the limit and {_AGAIN}, or give a folder on another disk",
    ),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "Give a folder with a shorter path"),
    errno.EEXIST: ("there is a file where a folder should be", "Give another folder, or move that file away"),
    errno.ENOTDIR: ("a folder of its path is a file", "Give another folder, or move that file away"),
    errno.EISDIR: ("there is a folder of this name", "Move it away, or give another name"),
    errno.EBUSY: ("it is in use, or another disk is mounted there", "Give another folder"),
    errno.EIO: ("the disk reports a fault", f"Check the disk and {_AGAIN}, or give a folder on another disk"),
}


def write_error(error: OSError, path: str | os.PathLike[str], what: str = "") -> WriteError:
    """Return the error that a file cannot be written, to be raised `from error`.

    Args:
        error: The error of the system.
        path: Path of the file.
        what: What the message calls the file; its path by default.
    """
    system = error.strerror or str(error)
    why, hint = _WORDS.get(error.errno or 0, ("", f"Check {path} and {_AGAIN}"))
    why = f"{why} ({system})" if why else system
    return WriteError(f"{what or path} cannot be written: {why}", hint)


def write(path: str | os.PathLike[str], data: bytes | str, mode: int = 0o666) -> Path:
    """Write a whole file; text as UTF-8.

    Args:
        path: Path of the file; its parent folders are made.
        data: Its content.
        mode: Permissions of a new file, reduced by the umask.

    Returns:
        The path.

    Raises:
        WriteError: when it cannot be written; an existing file is then unchanged.
    """
    with open_new(path, mode) as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return Path(path)


@contextmanager
def open_new(path: str | os.PathLike[str], mode: int = 0o666) -> Iterator[BinaryIO]:
    """Yield a file open for writing that replaces `path` when the block ends without an error.

    Args:
        path: Path of the file; its parent folders are made.
        mode: As of `write`.

    Raises:
        WriteError: for any OSError inside the block; an existing file is then unchanged.
    """
    with replace_file(path, mode) as draft, draft.open("wb") as file:
        yield file


@contextmanager
def replace_file(path: str | os.PathLike[str], mode: int = 0o666) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends, for libraries that open files themselves.

    An existing file keeps its permissions, and a symbolic link its target. For a device or a pipe, such as
    /dev/stdout, its own path is yielded. Temporary files of killed processes are removed.

    Args:
        path: Path of the file; its parent folders are made.
        mode: As of `write`.

    Raises:
        WriteError: for any OSError inside the block; an existing file is then unchanged.
    """
    try:
        place = Path(os.path.realpath(path))
        known = _mode_of(place)
        if known is not None and not stat.S_ISREG(known) and not stat.S_ISDIR(known):
            yield place
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        draft, file = _draft(place, mode)
        try:
            if known is not None:
                draft.chmod(stat.S_IMODE(known))
            yield draft
            flush(draft)
            draft.replace(place)
            flush(place.parent)
        finally:
            with contextlib.suppress(OSError):  # so that the first error is raised
                draft.unlink(missing_ok=True)
            os.close(file)
    except OSError as error:
        raise write_error(error, path) from error


def flush(path: Path) -> None:
    """Flush a file, or the names within a folder, to the disk.

    Raises:
        OSError: when it fails; systems that cannot flush folders are no error.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():  # as on Windows, or a folder that may be written but not listed
            return
        raise
    try:
        os.fsync(file)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(file)


def prefix(place: Path) -> str:
    """Return the prefix of temporary files and folders for a path."""
    # A hash, because a name of 255 bytes has no room for a longer one.
    return f".superlink-{hashlib.sha256(os.fsencode(place.name)).hexdigest()[:12]}-"


def lock(file: int, wait: bool = False) -> bool:
    """Lock an open file or folder; the system releases the lock however the process ends.

    Args:
        file: Its descriptor.
        wait: Whether to wait until another process releases it.

    Returns:
        Whether it was locked; False when another process has locked it, or where there are no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (OSError, AttributeError):
        return False
    return True


def sweep(files: Iterable[Path], age: float = 0) -> None:
    """Remove temporary files that no process has locked any more.

    Args:
        files: Temporary files of any process.
        age: Seconds since their last change; younger files are kept.
    """
    for left in files:
        with contextlib.suppress(OSError):
            file = os.open(left, os.O_RDONLY)
            try:
                if time.time() - os.fstat(file).st_mtime >= age and lock(file):
                    left.unlink(missing_ok=True)
            finally:
                os.close(file)


def _draft(place: Path, mode: int) -> tuple[Path, int]:
    """Make a temporary file beside a path; it is locked while its descriptor is open."""
    sweep(place.parent.glob(f"{prefix(place)}*.part"))
    while True:
        draft = place.with_name(f"{prefix(place)}{secrets.token_hex(4)}.part")
        file = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
        lock(file)
        if os.fstat(file).st_nlink:  # no other process removed it before it was locked
            return draft, file
        os.close(file)


def _mode_of(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
