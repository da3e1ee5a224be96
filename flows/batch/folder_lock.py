"""One run at a time in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tools.core.errors import SuperlinkError

LOCK = ".lock"
"""Name of the locked file in the folder of a run."""
_LOOK = 0.3  # seconds; `is_locked` holds the lock for an instant, which must not end a run


class AnnotateError(SuperlinkError):
    """A run cannot begin as it was asked for."""


@contextmanager
def lock_folder(out: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which is made when missing.

    Raises:
        AnnotateError: another run is working there.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / LOCK).acquire(timeout=_LOOK):
            yield
    except Timeout as error:
        raise AnnotateError(f"Another run is working in {out}", "Wait for it, or give another folder") from error


def is_locked(out: Path) -> bool:
    """Whether a run is working in a folder, in this process or another one."""
    if not (out / LOCK).exists():
        return False
    try:
        with FileLock(out / LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder of which only reading is allowed
        return False
