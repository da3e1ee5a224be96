"""Schedules: approved plans that a Prefect server starts again and again, and what the server must know beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, cast

from prefect import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from agents.plan.plan import Plan
from flows.orchestration.approval import SIGNED, sign
from flows.orchestration.flow import annotate_flow
from flows.orchestration.setup import FLOW, POOL, prepare
from tools.core.errors import SuperlinkError

_TAG = "superlink"


class ScheduleError(SuperlinkError):
    """A schedule cannot be made, or is not there."""


@dataclass(frozen=True)
class Scheduled:
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


def times(cron: str, timezone: str) -> CronSchedule:
    """When something runs.

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


def schedule(
    name: str, when: CronSchedule, plan: Plan, source: str, out: Path, tools: Sequence[str] = (), **options: Any
) -> None:
    """Have an approved plan run again and again; the same name changes the schedule.

    Args:
        name: of the schedule.
        when: it runs.
        plan: that was approved.
        source: as of `flows.items.source.scan`.
        out: folder of the run.
        tools: Python files with further tools.
        options: of `flows.orchestration.flow.annotate_flow`.
    """
    parameters = approved(
        request=plan.request,
        source=source,
        out=str(out.absolute()),
        plan=plan.model_dump(mode="json"),
        tools=[str(Path(file).absolute()) for file in tools],
        **options,
    )
    with get_client(sync_client=True) as client:
        prepare(client)
    deployment = annotate_flow.to_deployment(
        name,
        schedules=[when],
        parameters=parameters,
        tags=[_TAG],
        work_pool_name=POOL,
        description=f"```\n{plan.tree()}\n```",
        entrypoint_type=EntrypointType.MODULE_PATH,
        # What is due while the run before is still at work is left out.
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
    )
    cast(RunnerDeployment, deployment).apply()


def approved(**given: Any) -> dict[str, Any]:
    """All parameters of a run of `flows.orchestration.flow.annotate_flow`, signed, for what a person approved.

    Args:
        given: parameters by name; the others have their defaults.

    Raises:
        NotApproved: a tools file cannot be read.
    """
    bound = signature(annotate_flow.fn).bind(**given)
    bound.apply_defaults()
    return {**bound.arguments, SIGNED: sign(bound.arguments)}


def schedules() -> list[Scheduled]:
    """The schedules of the server, by name."""
    with get_client(sync_client=True) as client:
        found = client.read_deployments(deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[_TAG])))
    return sorted(
        (
            Scheduled(
                one.name,
                each.schedule.cron,
                each.schedule.timezone or "UTC",
                *(str(one.parameters.get(key, "")) for key in ("request", "source", "out")),
            )
            for one in found
            for each in one.schedules
            if isinstance(each.schedule, CronSchedule)
        ),
        key=lambda row: row.name,
    )


def unschedule(name: str) -> None:
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
