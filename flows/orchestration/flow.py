"""A run under Prefect: `annotate` as a flow with one task for each shard, shown in the dashboard while it works."""

from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from httpx import HTTPError
from prefect import flow, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import CancelledRun, PrefectException
from prefect.states import Cancelled, Completed, Failed
from pydantic import JsonValue

from flows.annotate import run_batch
from flows.batch.events import Callbacks
from flows.batch.spec import RunSpec
from flows.batch.summary import Summary
from flows.orchestration.approval import check
from flows.orchestration.artifacts import ArtifactReporter
from flows.orchestration.liveness import hold_run_lock
from flows.orchestration.server import ServerError
from flows.orchestration.setup import FLOW, end_abandoned_runs, prepare_server
from flows.orchestration.shards import current_flow_run, prefect_workers
from tools.core.errors import SuperlinkError


@dataclass
class _Caller:
    """The caller of `run_recorded`, which waits in this process; a scheduled run has none.

    Attributes:
        callbacks: of the caller.
        outcome: the summary, or the error that ended the run.
    """

    callbacks: Callbacks
    outcome: Summary | BaseException | None = None


_CALLER: ContextVar[_Caller | None] = ContextVar("caller", default=None)


@flow(name=FLOW, flow_run_name="{spec[request]} → {spec[out]}", persist_result=False)
def annotate_flow(
    spec: dict[str, JsonValue], signature: str = ""
) -> "State[dict[str, Any]]":  # as text: worker processes cannot load a pickled State[…]
    """Do what an approved plan says to every item of a source, one task for each shard.

    Args:
        spec: what to do; see `RunSpec.to_json`.
        signature: of the specification, made by `flows.orchestration.approval.sign`; needed when no caller waits in
            this process.

    Returns:
        How it ended, as a state: Cached when there was nothing left to run.
    """
    called = _caller()
    caller = called or _Caller(Callbacks())
    try:
        if called is None:
            check(spec, signature)
        run = RunSpec.load(spec)
        if called is None:
            run = run.model_copy(update={"pilot": 0})  # there is no one to approve it
        reporter = ArtifactReporter(run.out, caller.callbacks.on_event)
        with hold_run_lock(current_flow_run()):
            summary = run_batch(
                run,
                replace(caller.callbacks, on_event=reporter.show),
                prefect_workers(run.workers, run.runner),
            )
        reporter.show_summary(summary)
    except (SuperlinkError, CancelledRun, KeyboardInterrupt) as error:
        caller.outcome = error
        if isinstance(error, SuperlinkError):
            return Failed(message=str(error))
        return Cancelled(message="Stopped. What is done stays done, and the next run goes on from there.")
    caller.outcome = summary
    stopped = f". Stopped: {summary.stopped}" if summary.stopped else ""
    message = (
        f"{summary.done} of {summary.items} done, {summary.failed} failed, {summary.left} left; "
        f"{summary.ran} calls run, {summary.cached} reused{stopped}"
    )
    # Cached is Prefect's own name for what did not have to run again.
    return Completed(name="Completed" if summary.ran or summary.left else "Cached", message=message)


def run_recorded(spec: RunSpec, callbacks: Callbacks) -> Summary:
    """`flows.annotate.run_batch` as a flow run of the server that is configured; returns and raises the same.

    Raises:
        ServerError: the server went away, or refused the run.
    """
    caller = _Caller(callbacks)
    token = _CALLER.set(caller)
    try:
        with get_client(sync_client=True) as client:
            prepare_server(client)
        end_abandoned_runs()
        state = annotate_flow(spec.portable().to_json(), return_state=True)
    except (HTTPError, PrefectException) as error:
        raise ServerError(
            f"The Prefect server stopped answering: {error}",
            "What is done stays done: start the server and give the same command again",
        ) from error
    finally:
        _CALLER.reset(token)
    outcome = caller.outcome
    if outcome is None:  # a server's state may name a result to unpickle, so that it is not read
        raise ServerError(
            f"The Prefect server did not let the run begin: {state.message or state.name}",
            "Look at it in the server's dashboard",
        )
    if isinstance(outcome, BaseException):
        raise KeyboardInterrupt if isinstance(outcome, CancelledRun) else outcome
    return outcome


def _caller() -> _Caller | None:
    # A function, since Prefect pickles the flow with the globals that it uses, and a ContextVar cannot be pickled.
    return _CALLER.get()
