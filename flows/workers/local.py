"""Workers on this computer: this process, or several processes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from flows.batch.job import BatchJob, work_shard
from flows.batch.shard import RunStopped, ShardResult

Workers = Callable[[BatchJob, Sequence[list[int]]], Iterator[ShardResult]]
"""Works the shards of a job, each a list of item numbers, and yields their results as they end.

No shard may begin once the reader has stopped reading.
"""


def in_process(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
    """Workers: one shard after another, in this process."""
    for ids in shards:
        yield job.work(ids)


def in_processes(count: int) -> Workers:
    """Workers: up to `count` shards at the same time, each in a process of its own.

    Raises:
        RunStopped: while results are read, when a process was killed.
    """

    def work(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
        # A new process, not a copy of this one: threads and accelerators do not survive a fork.
        with ProcessPoolExecutor(min(count, len(shards)), mp_context=get_context("spawn")) as pool:
            try:
                for ended in submit_bounded(count, shards, lambda ids: pool.submit(work_shard, job.to_json(), ids)):
                    yield ended.result()
            except (OSError, RuntimeError) as error:  # a worker was killed, perhaps for its memory
                raise RunStopped(
                    f"A worker ended: {error or type(error).__name__}",
                    "Give the same command again, with fewer workers or smaller shards if memory ran out",
                ) from error

    return work


class _Future(Protocol):
    def add_done_callback(self, fn: Callable[[Any], Any], /) -> None: ...


Running = TypeVar("Running", bound=_Future)
Part = TypeVar("Part")


def submit_bounded(count: int, parts: Iterable[Part], begin: Callable[[Part], Running]) -> Iterator[Running]:
    """Keep up to `count` parts running, and yield the future of each as it ends.

    Args:
        count: number of parts that run at the same time.
        parts: to run, in order.
        begin: starts a part and returns its future.
    """
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
