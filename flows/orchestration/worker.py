"""A Prefect worker that runs our flow in its own process, run after run, so that models stay loaded between them.

It runs no code that a deployment names: the flow is the one that is installed here, and checks its parameters itself.
"""

import os
import signal
import socket
from functools import partial

import anyio
import anyio.abc
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.states import Failed
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from flows.orchestration.flow import annotate_flow, stopping
from flows.orchestration.setup import ENTRYPOINT, POOL, end_killed, prepare


class Resident(BaseWorker[BaseJobConfiguration, BaseVariables, BaseWorkerResult]):
    """Polls a work pool and runs what is due here, where Prefect's own worker would start a new process for each run."""

    type = "process"  # of the pool, which Prefect's own worker may serve as well
    job_configuration = BaseJobConfiguration

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Another name than the type, so that Prefect's own worker stays the one that is found by it."""
        return "superlink"

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> BaseWorkerResult:
        """Run a flow run to its end, or let it fail when it is of another flow or wants code fetched."""
        reason = await self._refused(flow_run)
        if task_status is not None:
            task_status.started(os.getpid())
        if reason:
            await self.client.set_flow_run_state(flow_run.id, Failed(message=reason), force=True)
        else:
            await anyio.to_thread.run_sync(_run, flow_run)
        return BaseWorkerResult(identifier=str(os.getpid()), status_code=0)  # how the run ended is told by then

    async def _refused(self, flow_run: FlowRun) -> str:
        """Why a run is none of ours, or ""."""
        found = None if flow_run.deployment_id is None else await self.client.read_deployment(flow_run.deployment_id)
        if found is None or found.entrypoint != ENTRYPOINT:
            return f"superlink serve-flows runs {ENTRYPOINT} only. Schedule it with superlink schedule"
        if found.pull_steps or found.storage_document_id:
            return "superlink serve-flows fetches no code: this deployment has pull steps. Schedule it with superlink schedule"
        return ""

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Look for what is due, and for runs that were killed."""
        await anyio.to_thread.run_sync(end_killed)
        return await super().get_and_submit_flow_runs()


def serve(accelerators: int | None = None) -> None:
    """Run what is due, until this process is told to stop by SIGINT or SIGTERM; to be called in the main thread.

    Args:
        accelerators: as of `flows.orchestration.setup.prepare`.
    """
    with get_client(sync_client=True) as client:
        prepare(client, accelerators)
    anyio.run(_serve)


async def _serve() -> None:
    # One at a time: runs share one copy of each model, and the process's open ledger.
    worker = Resident(POOL, name=f"{socket.gethostname()} {os.getpid()}", limit=1, create_pool_if_not_found=False)
    async with anyio.create_task_group() as group:
        group.start_soon(partial(worker.start, printer=lambda line: None))
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                stopping.set()
                group.cancel_scope.cancel()
                break


def _run(flow_run: FlowRun) -> None:
    run_flow(annotate_flow, flow_run=flow_run, return_type="state")
