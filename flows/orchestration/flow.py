"""Runs under Prefect: `annotate` as a flow with one task for each shard, shown in the dashboard while it works.

Only plain data and references pass through Prefect. The ledger knows what is done, so Prefect keeps no results.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from httpx import HTTPError
from prefect import flow, get_client, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, CrashedRun, ObjectNotFound, PrefectException
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from agents.plan.plan import Plan
from agents.planners.base import Planner
from flows.annotate import OnEvent, Summary, annotate
from flows.batch.job import BatchJob, open_job
from flows.batch.pilot import Forecast
from flows.batch.review import ReviewRouting
from flows.batch.shard import RunStopped, ShardResult
from flows.ledger.ledger import LedgerError
from flows.orchestration.approval import check
from flows.orchestration.liveness import hold_run_lock
from flows.orchestration.server import ServerError
from flows.orchestration.setup import ACCELERATORS, FLOW, end_killed, prepare
from flows.workers.local import Workers, submit_bounded
from flows.workers.remote import merge_shard, pack_shard, work_remotely
from tools.core.errors import SettingsInvalid, StoreError, SuperlinkError
from tools.storage.store import Store

_LOOK = 2.0  # seconds between two looks at whether a run was cancelled
_PATIENCE = 20.0  # seconds of waiting for a slot between two such looks
_LEASE = 60  # seconds after which the slot of a killed process is free again; the server's shortest
_SHOWN = 100

stopping = threading.Event()
"""Set when this process is to end: the shard at hand stops after its batch."""


@dataclass(frozen=True)
class Live:
    """What only a process with a person before it has, as of `annotate`; a scheduled run has none of it.

    Attributes:
        box: takes the summary, or the error that ended the run.
    """

    planner: Planner | None = None
    approve: Callable[[Plan, Forecast | None], bool] | None = None
    pilot: int = 0
    on_event: OnEvent | None = None
    box: list[Summary | BaseException] = field(default_factory=list)


_LIVE: ContextVar[Live | None] = ContextVar("live", default=None)


def task_runner(name: str, workers: int) -> TaskRunner[Any]:
    """Where shards run.

    Args:
        name: "threads" (in this process, where models stay loaded), "processes", or "ray".
        workers: how many shards at the same time.

    Raises:
        SettingsInvalid: for any other name, or several threads.
    """
    match name:
        case "threads" if workers == 1:
            return ThreadPoolTaskRunner(max_workers=1)
        case "threads":
            raise SettingsInvalid(
                "Threads share one copy of each model, so they work one shard at a time",
                "Give one worker, or the runner processes",
            )
        case "processes":
            return ProcessPoolTaskRunner(max_workers=workers)
        case "ray":
            try:
                from flows.workers.ray import ShardRunner
            except ImportError as error:
                raise SettingsInvalid("Ray is not installed", "pip install 'superlink[ray]'") from error
            return ShardRunner(workers)
    raise SettingsInvalid(f"There is no runner {name!r}", "Runners are threads, processes and ray")


@flow(name=FLOW, flow_run_name="{request} → {out}", persist_result=False)
def annotate_flow(
    source: str,
    out: str,
    plan: dict[str, Any] | None = None,
    approved: str = "",
    request: str = "",
    tools: list[str] | None = None,
    shard: int = 64,
    workers: int = 1,
    runner: str = "threads",
    retry_failed: bool = False,
    limit: int | None = None,
    budget: list[str] | None = None,
    formats: list[str] | None = None,
    routing: dict[str, Any] | None = None,
    store: str = "",
    relocate: bool = False,
) -> State[dict[str, Any]]:
    """Do what an approved plan says to every item of a source, one task for each shard.

    Args:
        source: as of `flows.items.source.scan`.
        out: folder of the run: its ledger and exports.
        plan: the plan, as of `Plan.load`.
        approved: the signature that `superlink schedule` put over all others once a person approved the plan.
        request: what the plan is for, in words.
        tools: Python files with further tools.
        shard: how many items are worked step by step together; a task should take a second or more.
        workers: how many shards at the same time.
        runner: where they run, as of `task_runner`.
        retry_failed: work only on the items that failed before.
        limit: so many items at most.
        budget: limits that stop the run, as of `Budget.parse`.
        formats: of exports; those that fit by default.
        routing: what goes to review, as of `ReviewRouting.to_json`.
        store: where values are; as the settings say by default.
        relocate: as of `annotate`.

    Returns:
        How it ended, as a state: Cached when there was nothing left to run.
    """
    given = dict(locals())
    live = _live()
    at_hand = live or Live()
    board = _Board(Path(out), at_hand.on_event)
    try:
        if live is None:
            check(given)
        with hold_run_lock(_run()[1]):
            summary = annotate(
                request,
                source,
                Path(out),
                plan=None if plan is None else Plan.load(plan),
                planner=at_hand.planner,
                tools=tools or (),
                approve=at_hand.approve,
                pilot=at_hand.pilot,
                shard=shard,
                workers=prefect_workers(workers, runner),
                retry_failed=retry_failed,
                limit=limit,
                budget=budget or (),
                formats=formats,
                routing=ReviewRouting.from_json(routing) if routing else None,
                store=store,
                relocate=relocate,
                on_event=board.show,
            )
        board.ended(summary)
    except (SuperlinkError, CancelledRun, KeyboardInterrupt) as error:
        at_hand.box.append(error)
        if isinstance(error, SuperlinkError):
            return Failed(message=str(error))
        return Cancelled(message="Stopped. What is done stays done, and the next run goes on from there.")
    at_hand.box.append(summary)
    stopped = f". Stopped: {summary.stopped}" if summary.stopped else ""
    message = (
        f"{summary.done} of {summary.items} done, {summary.failed} failed, {summary.left} left; {summary.ran} calls run, "
        f"{summary.cached} reused{stopped}"
    )
    # Cached is Prefect's own name for what did not have to run again.
    return Completed(name="Completed" if summary.ran or summary.left else "Cached", message=message)


def annotate_recorded(
    request: str,
    source: str,
    out: Path,
    *,
    plan: Plan | None = None,
    planner: Planner | None = None,
    tools: Sequence[str] = (),
    approve: Callable[[Plan, Forecast | None], bool] | None = None,
    pilot: int = 8,
    shard: int = 64,
    workers: int = 1,
    retry_failed: bool = False,
    limit: int | None = None,
    budget: Sequence[str] = (),
    formats: Sequence[str] | None = None,
    routing: ReviewRouting | None = None,
    relocate: bool = False,
    on_event: OnEvent | None = None,
    runner: str = "processes",
) -> Summary:
    """`annotate` as a flow run of the server that is configured; takes, gives and raises the same.

    One worker works in this process, unless the runner is "ray".

    Raises:
        ServerError: the server went away, or refused the run.
    """
    box: list[Summary | BaseException] = []
    live = Live(planner, approve, pilot, on_event, box)
    mark = _LIVE.set(live)
    try:
        with get_client(sync_client=True) as client:
            prepare(client)
        end_killed()
        state = annotate_flow(
            source,
            str(out.absolute()),
            None if plan is None else plan.model_dump(mode="json"),
            request=request or (plan.request if plan else ""),
            tools=[str(Path(file).absolute()) for file in tools],
            shard=shard,
            workers=workers,
            runner="threads" if workers == 1 and runner == "processes" else runner,
            retry_failed=retry_failed,
            limit=limit,
            budget=list(budget),
            formats=None if formats is None else list(formats),
            routing=None if routing is None else routing.to_json(),
            relocate=relocate,
            return_state=True,
        )
        if not box:  # a server's state may name a result to unpickle, so that it is not read
            raise ServerError(
                f"The Prefect server did not let the run begin: {state.message or state.name}",
                "Look at it in the server's dashboard",
            )
    except (HTTPError, PrefectException) as error:
        raise ServerError(
            f"The Prefect server stopped answering: {error}",
            "What is done stays done: start the server and give the same command again",
        ) from error
    finally:
        _LIVE.reset(mark)
    came = box[0]
    if isinstance(came, BaseException):
        raise KeyboardInterrupt if isinstance(came, CancelledRun) else came
    return came


def prefect_workers(count: int, runner: str = "") -> Workers:
    """One Prefect task for each shard; to be called, and read, within a flow run.

    Args:
        count: how many shards at the same time.
        runner: where they run, as of `task_runner`; the task runner of the flow by default.

    Raises:
        RunStopped: by what is given, when a worker process ended.
        CancelledRun: likewise, when the flow run was cancelled.
    """

    def work(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
        if not shards:
            return
        context, flow_run = _run()
        with ExitStack() as stack:
            pool = stack.enter_context(task_runner(runner, count)) if runner else context.task_runner
            # Other runners may have workers on other computers, which cannot write the ledger.
            here = isinstance(pool, ThreadPoolTaskRunner | ProcessPoolTaskRunner)
            ledger, store = open_job(job)[0], Store(job.store)
            shared = _shared()

            def begin(shard: tuple[int, list[int]]) -> PrefectFuture[dict[str, Any]]:
                number, ids = shard
                task: PrefectFuture[dict[str, Any]] = pool.submit(
                    work_shard,
                    {
                        "number": number,
                        "facts": job.to_json(),
                        "ids": ids,
                        "lent": None if here else pack_shard(ledger, ids),
                        "flow_run": flow_run,
                        "slots": shared,
                    },
                )
                return task

            try:
                for ended in submit_bounded(count, enumerate(shards, 1), begin):
                    done = _result(ended)
                    yield ShardResult(**done) if here else merge_shard(ledger, store, done)
            except KeyboardInterrupt:
                stopping.set()
                raise

    return work


@task(
    name="shard",
    task_run_name="shard {number}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[1, 10],
    retry_condition_fn=lambda task, run, state: _worth_another_try(state),
)
def work_shard(
    number: int, facts: dict[str, Any], ids: list[int], packed: dict[str, Any] | None, flow_run: str, slots: list[str]
) -> Any:
    """Work one shard, as `BatchJob.work` does; stops after the batch in hand when its flow run is cancelled.

    Args:
        number: of the shard, from 1.
        facts: of the job.
        ids: numbers of the items.
        packed: what `pack_shard` gave, where the ledger cannot be written.
        flow_run: id of the flow run.
        slots: concurrency limits of which the shard holds a slot each while it works.

    Returns:
        The `ShardResult` as plain data, or what `work_remotely` gives, or a state when it was cancelled.
    """
    with get_client(sync_client=True) as client, ExitStack() as held:
        watch = _Watch(client, flow_run)
        try:
            _hold(slots, held, watch)
            watch()
            return (
                asdict(BatchJob.from_json(facts).work(ids, watch))
                if packed is None
                else work_remotely(facts, packed, watch)
            )
        except CancelledRun as error:
            return Cancelled(message=str(error))


class _Watch:
    """Raises when the flow run was cancelled; asks the server now and then, whenever it is called."""

    def __init__(self, client: SyncPrefectClient, flow_run: str) -> None:
        self.client, self.flow_run, self.asked = client, UUID(flow_run), 0.0

    def __call__(self, step: str = "", count: int = 0) -> None:
        if stopping.is_set():
            raise CancelledRun("Its process was told to stop.")
        if time.monotonic() - self.asked < _LOOK:
            return
        self.asked = time.monotonic()
        state = self.client.read_flow_run(self.flow_run).state
        if state is not None and (state.is_cancelling() or state.is_cancelled()):
            raise CancelledRun("The flow run was cancelled.")


class _Board:
    """Shows in the dashboard how a run goes, and passes on what it is told."""

    def __init__(self, out: Path, on_event: OnEvent | None) -> None:
        self.key = re.sub(r"[^a-z0-9]+", "-", out.name.lower()).strip("-") or "run"
        self.next = on_event
        self.progress: UUID | None = None

    def show(self, event: dict[str, Any]) -> None:
        """Show one event."""
        if event["event"] == "plan":
            create_markdown_artifact(f"```\n{event['tree']}\n```", f"{self.key}-plan", f"Plan {event['hash']}")
        if event["event"] == "progress":
            share = 100 * (event["done"] + event["failed"]) / event["all"]
            note = f"{event['done']} of {event['all']} done, {event['failed']} failed, {event['left']:.0f} s left"
            if self.progress is None:
                self.progress = cast(UUID, create_progress_artifact(share, f"{self.key}-progress", note))
            else:
                update_progress_artifact(self.progress, share, note)
        if self.next is not None:
            self.next(event)

    def ended(self, summary: Summary) -> None:
        """Show how it ended, and which items failed."""
        counts = {name: getattr(summary, name) for name in ("items", "done", "failed", "left", "ran", "cached")}
        exports = {name: str(folder) for name, folder in summary.exports.items()}
        create_table_artifact(
            [{**counts, "seconds": round(summary.seconds, 1), **exports}],
            f"{self.key}-summary",
            summary.stopped or "How the run ended",
        )
        if summary.failures:
            rows = [{"item": name, "reason": reason, "hint": hint} for name, reason, hint in summary.failures[:_SHOWN]]
            create_table_artifact(rows, f"{self.key}-failures", f"{len(rows)} of {summary.failed} items that failed")


def _live() -> Live | None:
    # By a function: Prefect sends the flow to other processes with the globals that it uses, and this one cannot be sent.
    return _LIVE.get()


def _run() -> tuple[FlowRunContext, str]:
    """The flow run that this code is in, and its id."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("prefect_workers is for use within a Prefect flow run")
    return context, str(context.flow_run.id)


def _shared() -> list[str]:
    """The limit on accelerators, if the server has one: a limit that is missing would pass for one that is not reached."""
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(ACCELERATORS)
        except ObjectNotFound:
            return []
    return [ACCELERATORS]


def _hold(slots: list[str], held: ExitStack, watch: Callable[[], None]) -> None:
    """Wait for a slot of each limit, unless the run is cancelled meanwhile."""
    while slots:
        try:
            held.enter_context(
                concurrency(slots, occupy=1, timeout_seconds=_PATIENCE, lease_duration=_LEASE, strict=True)
            )
            return
        except TimeoutError:
            watch()


def _result(future: PrefectFuture[dict[str, Any]]) -> dict[str, Any]:
    try:
        return future.result()
    except (OSError, RuntimeError, CrashedRun) as error:  # a worker was killed, perhaps for its memory
        raise RunStopped(
            f"A worker ended: {error or type(error).__name__}",
            "Run it again, with fewer workers or smaller shards if memory ran out",
        ) from error


def _worth_another_try(state: State[Any]) -> bool:
    """Whether a shard that failed may go well the next time: not when weights are missing or the plan is at fault."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, LedgerError | StoreError) or not isinstance(error, SuperlinkError)
