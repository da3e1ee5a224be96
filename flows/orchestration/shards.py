"""Shards as Prefect tasks: where they run, when they are tried again, and how they are cancelled.

Only plain data and references pass through Prefect. The ledger knows what is done, so Prefect keeps no results.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from prefect import get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, CrashedRun, ObjectNotFound
from prefect.futures import PrefectFuture
from prefect.states import Cancelled
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from flows.batch.job import BatchJob, JobJson, open_job
from flows.batch.shard import RunStopped, ShardResult
from flows.ledger.file import LedgerError
from flows.orchestration.setup import ACCELERATORS
from flows.workers.local import Workers, submit_bounded
from flows.workers.remote import PackedShard, WorkedShard, merge_shard, pack_shard, work_remotely
from tools.core.errors import SettingsInvalid, StoreError, SuperlinkError
from tools.storage.store import Store

_POLL_SECONDS = 2.0  # between two looks at whether a run was cancelled
_SLOT_SECONDS = 20.0  # of waiting for a slot between two such looks
_LEASE_SECONDS = 60  # after which the slot of a killed process is free again; the server's shortest

stopping = threading.Event()
"""Set when this process is to stop: its shards end after the batch in hand."""


def task_runner(name: str, workers: int) -> TaskRunner[Any]:
    """A Prefect task runner for shards.

    Args:
        name: "processes", of which one is this process, where models stay loaded; or "ray".
        workers: number of shards at the same time.

    Raises:
        SettingsInvalid: Ray is not installed.
    """
    if name == "ray":
        try:
            from flows.workers.ray import ShardRunner
        except ImportError as error:
            raise SettingsInvalid("Ray is not installed", "pip install 'superlink[ray]'") from error
        return ShardRunner(workers)
    return ThreadPoolTaskRunner(max_workers=1) if workers == 1 else ProcessPoolTaskRunner(max_workers=workers)


def prefect_workers(count: int, runner: str) -> Workers:
    """Workers that run each shard as a Prefect task; to be called, and read, within a flow run.

    Args:
        count: number of shards at the same time.
        runner: where they run; see `task_runner`.

    Raises:
        RunStopped: while results are read, when a worker process ended.
        CancelledRun: while results are read, when the flow run was cancelled.
    """

    def work(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
        if not shards:
            return
        flow_run = current_flow_run()
        with task_runner(runner, count) as pool:
            # Other runners may have workers on other computers, which cannot write the ledger.
            shares_ledger = isinstance(pool, ThreadPoolTaskRunner | ProcessPoolTaskRunner)
            ledger, store = open_job(job).ledger, Store(job.store)
            slots = _accelerator_slots()

            def begin(shard: tuple[int, list[int]]) -> PrefectFuture[Any]:
                number, ids = shard
                future: PrefectFuture[Any] = pool.submit(
                    work_shard,
                    {
                        "number": number,
                        "job": job.to_json(),
                        "ids": ids,
                        "packed": None if shares_ledger else pack_shard(ledger, ids),
                        "flow_run": flow_run,
                        "slots": slots,
                    },
                )
                return future

            try:
                for ended in submit_bounded(count, enumerate(shards, 1), begin):
                    result = _result_of(ended)
                    yield result if isinstance(result, ShardResult) else merge_shard(ledger, store, result)
            except KeyboardInterrupt:
                stopping.set()
                raise

    return work


def current_flow_run() -> str:
    """Id of the flow run that this code is in."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("prefect_workers is for use within a Prefect flow run")
    return str(context.flow_run.id)


@task(
    name="shard",
    task_run_name="shard {number}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[1, 10],
    retry_condition_fn=lambda task, run, state: _may_succeed_next_time(state),
)
def work_shard(
    number: int, job: JobJson, ids: list[int], packed: PackedShard | None, flow_run: str, slots: list[str]
) -> "ShardResult | WorkedShard | State[Any]":  # as text: worker processes cannot load a pickled State[…]
    """Work one shard, as `BatchJob.work` does; stops after the batch in hand when its flow run is cancelled.

    Args:
        number: of the shard, from 1.
        job: see `BatchJob.to_json`.
        ids: numbers of the items.
        packed: see `pack_shard`, where the ledger cannot be written.
        flow_run: id of the flow run.
        slots: concurrency limits of which the shard holds a slot each while it works.

    Returns:
        The result of the shard, what `work_remotely` returns, or a state when it was cancelled.
    """
    with get_client(sync_client=True) as client, ExitStack() as stack:
        check = _CancellationCheck(client, flow_run)
        try:
            _occupy(slots, stack, check)
            check()
            if packed is None:
                return BatchJob.from_json(job).work(ids, check)
            return work_remotely(job, packed, check)
        except CancelledRun as error:
            return Cancelled(message=str(error))


class _CancellationCheck:
    """Raises `CancelledRun` when the flow run was cancelled or this process is to stop.

    The server is asked at most every `_POLL_SECONDS`.
    """

    def __init__(self, client: SyncPrefectClient, flow_run: str) -> None:
        self._client, self._flow_run, self._asked = client, UUID(flow_run), 0.0

    def __call__(self, step: str = "", count: int = 0) -> None:
        if stopping.is_set():
            raise CancelledRun("Its process was stopped by a signal.")
        if time.monotonic() - self._asked < _POLL_SECONDS:
            return
        self._asked = time.monotonic()
        state = self._client.read_flow_run(self._flow_run).state
        if state is not None and (state.is_cancelling() or state.is_cancelled()):
            raise CancelledRun("The flow run was cancelled.")


def _accelerator_slots() -> list[str]:
    """The limit on accelerators, if the server has one: Prefect treats a missing limit as one that is not reached."""
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(ACCELERATORS)
        except ObjectNotFound:
            return []
    return [ACCELERATORS]


def _occupy(slots: list[str], stack: ExitStack, check: Callable[[], None]) -> None:
    """Wait for a slot of each limit, unless the run is cancelled meanwhile; the stack frees them."""
    while slots:
        try:
            stack.enter_context(
                concurrency(slots, occupy=1, timeout_seconds=_SLOT_SECONDS, lease_duration=_LEASE_SECONDS, strict=True)
            )
            return
        except TimeoutError:
            check()


def _result_of(future: PrefectFuture[Any]) -> ShardResult | WorkedShard:
    """What `work_shard` returned.

    Raises:
        RunStopped: its worker process ended.
    """
    try:
        result: ShardResult | WorkedShard = future.result()
        return result
    except (OSError, RuntimeError, CrashedRun) as error:  # a worker was killed, perhaps for its memory
        raise RunStopped(
            f"A worker ended: {error or type(error).__name__}",
            "Run it again, with fewer workers or smaller shards if memory ran out",
        ) from error


def _may_succeed_next_time(state: State[Any]) -> bool:
    """Whether a failed shard is worth another try: not when weights are missing or the plan is at fault."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, LedgerError | StoreError) or not isinstance(error, SuperlinkError)
