"""Which flow runs still have their process: each holds a lock on a file, which its system frees however the process ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tools.core.settings import settings


def folder() -> Path:
    """Where the locked files are, each named by the id of its flow run."""
    place = settings().home / "prefect" / "alive"
    place.mkdir(parents=True, exist_ok=True)
    return place


@contextmanager
def hold_run_lock(run: str) -> Iterator[None]:
    """Show that this process works on a flow run for as long as the block lasts.

    Args:
        run: id of the flow run.
    """
    begun = folder() / f".{run}"
    file = folder() / run
    with FileLock(begun):
        begun.rename(file)  # seen by others only once it is locked
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def pop_abandoned_runs() -> list[str]:
    """Ids of the flow runs whose process on this computer ended without a word; each is told once."""
    found = []
    for file in folder().iterdir():
        if file.name.startswith("."):
            continue
        try:
            with FileLock(file).acquire(timeout=0):
                file.unlink(missing_ok=True)
                found.append(file.name)
        except Timeout:
            continue
    return found
