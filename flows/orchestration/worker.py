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

from flows.orchestration.flow import annotate_flow
from flows.orchestration.setup import ENTRYPOINT, POOL, end_abandoned_runs, prepare_server
from flows.orchestration.shards import stopping


class InProcessWorker(BaseWorker[BaseJobConfiguration, BaseVariables, BaseWorkerResult]):
    """Polls a work pool and runs due flow runs in this process; Prefect's own worker starts a process for each."""

    type = "process"  # of the pool, which Prefect's own worker may serve as well
    job_configuration = BaseJobConfiguration

    @classmethod
    def __dispatch_key__(cls) -> str:
        """A name other than the type, by which Prefect finds its own worker."""
        return "superlink"

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> BaseWorkerResult:
        """Run a flow run to its end; it fails when it is of another flow or asks for code to be fetched."""
        reason = await self._refused(flow_run)
        if task_status is not None:
            task_status.started(os.getpid())
        if reason:
            await self.client.set_flow_run_state(flow_run.id, Failed(message=reason), force=True)
        else:
            await anyio.to_thread.run_sync(_run, flow_run)
        return BaseWorkerResult(identifier=str(os.getpid()), status_code=0)  # the flow has set its own state by then

    async def _refused(self, flow_run: FlowRun) -> str:
        """Why a flow run cannot be run here, or ""."""
        found = None if flow_run.deployment_id is None else await self.client.read_deployment(flow_run.deployment_id)
        if found is None or found.entrypoint != ENTRYPOINT:
            return f"superlink serve-flows runs {ENTRYPOINT} only. Schedule it with superlink schedule"
        if found.pull_steps or found.storage_document_id:
            return (
                "superlink serve-flows fetches no code: this deployment has pull steps. "
                "Schedule it with superlink schedule"
            )
        if "spec" not in flow_run.parameters:
            return "This schedule is of an earlier superlink. Schedule it again with superlink schedule"
        return ""

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Poll for due flow runs, and end those whose process was killed."""
        await anyio.to_thread.run_sync(end_abandoned_runs)
        return await super().get_and_submit_flow_runs()


def serve(accelerators: int | None = None) -> None:
    """Run due flow runs until SIGINT or SIGTERM; to be called in the main thread.

    Args:
        accelerators: see `flows.orchestration.setup.prepare_server`.
    """
    with get_client(sync_client=True) as client:
        prepare_server(client, accelerators)
    anyio.run(_serve)


async def _serve() -> None:
    # One at a time: runs share one copy of each model, and the process's open ledger.
    worker = InProcessWorker(
        POOL, name=f"{socket.gethostname()} {os.getpid()}", limit=1, create_pool_if_not_found=False
    )
    async with anyio.create_task_group() as group:
        group.start_soon(partial(worker.start, printer=lambda line: None))
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                stopping.set()
                group.cancel_scope.cancel()
                break


def _run(flow_run: FlowRun) -> None:
    run_flow(annotate_flow, flow_run=flow_run, return_type="state")
