"""``superlink schedule``: an approved plan that runs on a schedule over the new files of a folder."""

import argparse
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands.annotate import Progress, add_work, approval, run_spec
from superlink.commands.options import add_planner, add_tools, examples_of_user, make_planner, words
from superlink.terminal import console, one_line, say_json

if TYPE_CHECKING:
    from prefect.client.schemas.schedules import CronSchedule
    from rich.console import Console

    from superlink.commands.options import Commands


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser("schedule", help="have a plan run at certain times; superlink serve-flows runs it")
    parser.add_argument("cron", nargs="?", help='when, as cron writes it: "0 2 * * *" is at two every night')
    parser.add_argument(
        "request", nargs="?", type=words, help='what should happen, such as "find every dog"; "" with --plan'
    )
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="as for superlink annotate")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where ledger and exports go")
    parser.add_argument("--name", help="of the schedule (default: the name of DIR); the same name again changes it")
    parser.add_argument("--timezone", default="UTC", metavar="ZONE", help="such as Europe/Rome (default: UTC)")
    parser.add_argument("--plan", type=Path, metavar="plan.json", help="this plan instead of asking the planner")
    parser.add_argument("--yes", action="store_true", help="approve the plan without being asked")
    parser.add_argument("--list", action="store_true", help="show the schedules there are")
    parser.add_argument("--json", action="store_true", help="with --list: as JSON")
    parser.add_argument("--remove", metavar="NAME", help="remove a schedule")
    add_work(parser)
    add_planner(parser)
    add_tools(parser)
    parser.set_defaults(command=schedule)


def schedule(given: argparse.Namespace) -> int:
    """List schedules, remove one, or make one."""
    from flows.orchestration.server import configure_prefect, server
    from tools.core.errors import ArgumentsInvalid

    screen = console()
    asked = given.cron is not None
    if asked and (given.source is None or given.out is None):
        raise ArgumentsInvalid("schedule", ['write superlink schedule "0 2 * * *" "find every dog" SOURCE --out DIR'])
    if not (asked or given.remove or given.list):
        raise ArgumentsInvalid("schedule", ["say when and what, or --list, or --remove NAME"])
    configure_prefect()
    from flows.orchestration.deployments import cron_schedule, delete_schedule, list_schedules

    when = cron_schedule(given.cron, given.timezone) if asked else None
    with server():
        if given.remove:
            delete_schedule(given.remove)
            screen.print(f"{one_line(given.remove)} is removed")
        if when is not None:
            _schedule(given, when, screen)
        if given.list and given.json:
            say_json([asdict(one) for one in list_schedules()], indent=2)
        elif given.list:
            schedules = list_schedules()
            if not schedules:
                screen.print("Nothing is scheduled.")
            for one in schedules:
                screen.print(
                    one_line(f"{one.name}: {one.cron} ({one.timezone}): {one.request}, {one.source} → {one.out}")
                )
    return 0


def _schedule(given: argparse.Namespace, when: "CronSchedule", screen: "Console") -> None:
    from flows.annotate import approve_plan
    from flows.batch.events import Callbacks
    from flows.orchestration.deployments import create_schedule
    from flows.orchestration.times import describe, next_times

    name = given.name or re.sub(r"[^\w-]+", "-", given.out.absolute().name)
    spec = run_spec(given, pilot=0).portable()
    approve, look = approval(screen, f"Run it at {given.cron!r}?", given.yes)
    with Progress(screen) as progress:
        callbacks = Callbacks(make_planner(given), approve, progress.show, look, examples_of_user())
        plan = approve_plan(spec, callbacks)
    create_schedule(name, when, spec.model_copy(update={"plan": plan, "request": plan.request}))
    screen.print(one_line(f"{name}: {describe(given.cron)} ({given.timezone}). superlink serve-flows runs it."))
    times = ", ".join(f"{time:%a %d %b %H:%M}" for time in next_times(given.cron, given.timezone))
    screen.print(f"Next: {times}", style="dim")
