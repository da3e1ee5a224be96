"""Liveness of flow runs: the process of each holds a lock on a file, which the system frees when the process ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tools.core.settings import settings


def folder() -> Path:
    """The folder of the locked files, each named by the id of its flow run."""
    place = settings().home / "prefect" / "alive"
    place.mkdir(parents=True, exist_ok=True)
    return place


@contextmanager
def hold_run_lock(run: str) -> Iterator[None]:
    """Hold the lock of a flow run inside the block.

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
    """Ids of the flow runs whose process on this computer was killed; each is returned once, as its file is deleted."""
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
