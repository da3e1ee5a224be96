"""Who works the shards of a run: this process, several processes, or whatever a caller brings."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from flows.batch.job import BatchJob, work_shard
from flows.batch.shard import RunStopped, ShardResult

Workers = Callable[[BatchJob, Sequence[list[int]]], Iterator[ShardResult]]
"""Works the shards of a job and gives what came of each, as they end. No shard may begin after the reader stops reading."""


def in_process(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
    """One shard after another, in this process."""
    for ids in shards:
        yield job.work(ids)


def in_processes(count: int) -> Workers:
    """So many shards at a time, each in a process of its own.

    Raises:
        RunStopped: by what is given, when a process was killed.
    """

    def work(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
        # A new process, not a copy of this one: threads and accelerators do not survive a fork.
        with ProcessPoolExecutor(min(count, len(shards)), mp_context=get_context("spawn")) as pool:
            try:
                for ended in submit_bounded(count, shards, lambda ids: pool.submit(work_shard, job.to_json(), ids)):
                    yield ShardResult(**ended.result())
            except (OSError, RuntimeError) as error:  # a worker was killed, perhaps for its memory
                raise RunStopped(
                    f"A worker ended: {error or type(error).__name__}",
                    "Give the same command again, with fewer workers or smaller shards if memory ran out",
                ) from error

    return work


class _Ends(Protocol):
    def add_done_callback(self, fn: Callable[[Any], Any], /) -> None: ...


Running = TypeVar("Running", bound=_Ends)
Part = TypeVar("Part")


def submit_bounded(count: int, parts: Iterable[Part], begin: Callable[[Part], Running]) -> Iterator[Running]:
    """Begin so many parts at a time, the next when one has ended, and give each one's future as it ends."""
    ended: SimpleQueue[Running] = SimpleQueue()
    waiting, running = iter(parts), 0
    while True:
        for part in islice(waiting, count - running):
            begin(part).add_done_callback(ended.put)
            running += 1
        if not running:
            return
        yield ended.get()
        running -= 1
