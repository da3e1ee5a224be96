"""Schedules: approved plans that a Prefect server starts again and again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from prefect import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from flows.batch.spec import RunSpec
from flows.orchestration.approval import sign
from flows.orchestration.flow import annotate_flow
from flows.orchestration.setup import FLOW, POOL, prepare_server
from flows.orchestration.times import ScheduleError

_TAG = "superlink"


@dataclass(frozen=True)
class ScheduleEntry:
    """A schedule as the server has it.

    Attributes:
        name: of the schedule.
        cron: when, as cron writes it.
        timezone: of these times.
        request: what is done, in words.
        source: to which files.
        out: folder of the run.
    """

    name: str
    cron: str
    timezone: str
    request: str
    source: str
    out: str


def cron_schedule(cron: str, timezone: str) -> CronSchedule:
    """The schedule of a cron expression.

    Args:
        cron: five fields: minute, hour, day of month, month, day of week.
        timezone: IANA name, such as "Europe/Rome".

    Raises:
        ScheduleError: one of them cannot be read.
    """
    try:
        return CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        raise ScheduleError(
            f"{cron!r} in {timezone!r} is no schedule: {error.errors()[0]['msg']}",
            'Write minute, hour, day, month and weekday, as in "0 2 * * *", and a zone like Europe/Rome',
        ) from error


def create_schedule(name: str, when: CronSchedule, spec: RunSpec) -> None:
    """Have an approved plan run again and again; the same name changes the schedule.

    Args:
        name: of the schedule.
        when: it runs.
        spec: what to do, with the plan that was approved.

    Raises:
        NotApproved: a tools file cannot be read.
    """
    spec = spec.portable()
    if spec.plan is None:
        raise ScheduleError(f"The schedule {name!r} has no plan", "Schedule the plan that approve_plan returns")
    with get_client(sync_client=True) as client:
        prepare_server(client)
    deployment = annotate_flow.to_deployment(
        name,
        schedules=[when],
        parameters=signed_parameters(spec),
        tags=[_TAG],
        work_pool_name=POOL,
        description=f"```\n{spec.plan.tree()}\n```",
        entrypoint_type=EntrypointType.MODULE_PATH,
        # What is due while the run before is still at work is left out.
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
    )
    cast(RunnerDeployment, deployment).apply()


def signed_parameters(spec: RunSpec) -> dict[str, Any]:
    """Parameters of `flows.orchestration.flow.annotate_flow` for what a person approved.

    Raises:
        NotApproved: a tools file cannot be read.
    """
    values = spec.to_json()
    return {"spec": values, "signature": sign(values)}


def list_schedules() -> list[ScheduleEntry]:
    """The schedules of the server, by name."""
    with get_client(sync_client=True) as client:
        found = client.read_deployments(deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[_TAG])))
    return sorted(
        (
            ScheduleEntry(
                one.name,
                each.schedule.cron,
                each.schedule.timezone or "UTC",
                *(str(_spec_of(one).get(key, "")) for key in ("request", "source", "out")),
            )
            for one in found
            for each in one.schedules
            if isinstance(each.schedule, CronSchedule)
        ),
        key=lambda row: row.name,
    )


def _spec_of(deployment: DeploymentResponse) -> Mapping[str, Any]:
    spec = deployment.parameters.get("spec")
    return spec if isinstance(spec, Mapping) else deployment.parameters  # of an earlier superlink


def delete_schedule(name: str) -> None:
    """Remove a schedule and the runs that it has not begun.

    Raises:
        ScheduleError: there is none of this name.
    """
    with get_client(sync_client=True) as client:
        try:
            client.delete_deployment(client.read_deployment_by_name(f"{FLOW}/{name}").id)
        except ObjectNotFound as error:
            raise ScheduleError(
                f"There is no schedule {name!r}", "superlink schedule --list shows those there are"
            ) from error
