"""Who works the shards of a run: this process, several processes, or whatever a caller brings."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any

from flows.job import Job, work_shard
from flows.shard import Outcome, RunStopped

Workers = Callable[[Job, Sequence[list[int]]], Iterator[Outcome]]
"""Works the shards of a job and gives what came of each, as they end. No shard may begin after the reader stops reading."""


def here(job: Job, shards: Sequence[list[int]]) -> Iterator[Outcome]:
    """One shard after another, in this process."""
    for ids in shards:
        yield job.work(ids)


def processes(count: int) -> Workers:
    """So many shards at a time, each in a process of its own.

    Raises:
        RunStopped: by what is given, when a process was killed.
    """

    def work(job: Job, shards: Sequence[list[int]]) -> Iterator[Outcome]:
        # A new process, not a copy of this one: threads and accelerators do not survive a fork.
        with ProcessPoolExecutor(min(count, len(shards)), mp_context=get_context("spawn")) as pool:
            waiting = iter(shards)
            running: set[Future[dict[str, Any]]] = set()
            try:
                while True:
                    for ids in waiting:
                        running.add(pool.submit(work_shard, job.facts(), ids))
                        if len(running) >= count:
                            break
                    if not running:
                        return
                    ended, running = wait(running, return_when=FIRST_COMPLETED)
                    for one in ended:
                        yield Outcome(**one.result())
            except (OSError, RuntimeError) as error:  # a worker was killed, perhaps for its memory
                raise RunStopped(f"A worker ended: {error or type(error).__name__}",
                                 "Give the same command again, with fewer workers or smaller shards if memory ran out"
                                 ) from error  # fmt: skip

    return work
