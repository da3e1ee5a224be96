"""One run at a time in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tools.core.errors import SuperlinkError


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
        with FileLock(out / ".lock").acquire(timeout=0):
            yield
    except Timeout as error:
        raise AnnotateError(f"Another run is working in {out}", "Wait for it, or give another folder") from error
