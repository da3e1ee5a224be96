"""Set-up of a Prefect server for our runs, and the end of runs whose process was killed."""

import socket
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import State, StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.states import Cancelled, Crashed
from prefect.workers.process import ProcessWorker

from flows.orchestration.liveness import pop_abandoned_runs

FLOW = "annotate"
ENTRYPOINT = "flows.orchestration.flow.annotate_flow"
POOL = "superlink"
ACCELERATORS = "accelerators"
"""Concurrency limit of which each shard occupies a slot, on a server that has it."""

_SILENT = "superlink: a run that shows no life has crashed"
_BEATS = timedelta(seconds=90)  # three heartbeats


def prepare_server(client: SyncPrefectClient, accelerators: int | None = None) -> None:
    """Create the work pool, the limit on accelerators and the automation of a server; idempotent.

    Args:
        client: of the server.
        accelerators: number of shards that may use accelerators at the same time; None keeps the limit.
    """
    with suppress(ObjectAlreadyExists):
        # Of Prefect's own type: its worker can serve the pool, too, but that runs whatever code a deployment names.
        client.create_work_pool(
            WorkPoolCreate(name=POOL, type="process", base_job_template=ProcessWorker.get_default_base_job_template())
        )
    if accelerators is not None:
        client.upsert_global_concurrency_limit_by_name(ACCELERATORS, accelerators)
    if not client.read_automations_by_name(_SILENT):
        client.create_automation(_silent_runs_crash())


def _silent_runs_crash() -> AutomationCore:
    """The automation of Prefect's guide "Detect zombie flows": a run without three heartbeats has crashed."""
    ended = ("Completed", "Cached", "Failed", "Cancelled", "Crashed", "TimedOut")
    return AutomationCore(
        name=_SILENT,
        trigger=EventTrigger(
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": FLOW},
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *(f"prefect.flow-run.{name}" for name in ended)},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=_BEATS,
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed", state=StateType.CRASHED, force=False, message="No sign of life from its process."
            )
        ],
    )


def end_abandoned_runs() -> None:
    """Set the runs whose process on this computer was killed to Crashed, or Cancelled where that was asked for."""
    runs = [UUID(run) for run in pop_abandoned_runs()]
    if not runs:
        return
    with get_client(sync_client=True) as client:
        for run in runs:
            try:
                state = client.read_flow_run(run).state
            except ObjectNotFound:
                continue  # of another server, or deleted
            if state is None or state.is_final():
                continue
            message = (
                f"Its process on {socket.gethostname()} was killed. "
                "What is done stays done; the next run goes on from there."
            )
            ended: State[None] = Cancelled(message=message) if state.is_cancelling() else Crashed(message=message)
            client.set_flow_run_state(run, ended, force=True)
