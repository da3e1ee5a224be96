"""Schedules of approved runs, made as `superlink schedule` makes them, in a process of its own.

Prefect's settings and its server's password are those of a whole process, so that they stay out of the page's.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime

from flows.batch.prepare import is_approved
from flows.ledger.ledger import Ledger
from flows.orchestration.times import ScheduleError, describe, next_times
from tools.storage.atomic import write
from ui.batches.process import PLAN, command
from ui.batches.runs import RunRecord, spec_of

_SECONDS = 330  # the first start of the server makes its database


@dataclass(frozen=True)
class ScheduleView:
    """A schedule.

    Attributes:
        name: Of the schedule.
        when: Its times in words.
        cron: Its times as cron writes them.
        timezone: Of these times.
        next: The next three times.
        request: What is done, in words.
        source: To which files.
        out: Folder of the run.
    """

    name: str
    when: str
    cron: str
    timezone: str
    next: tuple[datetime, ...]
    request: str
    source: str
    out: str


def preview(cron: str, timezone: str) -> str:
    """Return the times of a schedule in words, and the next three.

    Raises:
        ScheduleError: when they cannot be read.
    """
    times = ", ".join(f"{time:%a %d %b %Y %H:%M}" for time in next_times(cron, timezone))
    return f"{describe(cron)} ({timezone}). Next: {times}"


def create(record: RunRecord, cron: str, timezone: str, name: str = "") -> str:
    """Have a run's approved plan run again and again over the new files of its source.

    Args:
        record: Of the run.
        cron: When.
        timezone: IANA name.
        name: Of the schedule; by default that of the run's folder.

    Returns:
        What the command said.

    Raises:
        ScheduleError: when the plan was not approved, or the schedule cannot be made.
    """
    preview(cron, timezone)
    ledger = Ledger.open_existing(record.folder, read_only=True)
    try:
        if not is_approved(ledger):
            raise ScheduleError("The plan of this run was not approved", "Look at its pilot and run it first")
        plan = ledger.plan
    finally:
        ledger.close()
    spec = spec_of(record).model_copy(update={"scores": {}, "limit": None})  # the plan has the steps of the scores
    plan_file = write(record.folder / PLAN, json.dumps(plan.to_json(), indent=2, ensure_ascii=False))
    options = [option for option in command(spec, plan_file)[1:-2] if not option.startswith("--pilot=")]
    wanted = [f"--timezone={timezone}", "--yes", *([f"--name={name}"] if name else [])]
    # Its last lines, below the plan and the scan: the times.
    return "\n".join(_superlink("schedule", *options, *wanted, cron, "", spec.source).strip().splitlines()[-2:])


def all_schedules() -> list[ScheduleView]:
    """Return the schedules of the Prefect server, by name.

    Raises:
        ScheduleError: when the server cannot be asked.
    """
    text = _superlink("schedule", "--list", "--json")
    return [
        ScheduleView(
            one["name"],
            describe(one["cron"]),
            one["cron"],
            one["timezone"],
            tuple(next_times(one["cron"], one["timezone"])),
            one["request"],
            one["source"],
            one["out"],
        )
        for one in json.loads(text or "[]")
    ]


def remove(name: str) -> None:
    """Remove a schedule.

    Raises:
        ScheduleError: when there is none of this name.
    """
    _superlink("schedule", f"--remove={name}")


def _superlink(*arguments: str) -> str:
    """Run a command and return what it printed.

    Raises:
        ScheduleError: with the error that it printed.
    """
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "superlink", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        )
    except subprocess.TimeoutExpired as error:
        raise ScheduleError("The Prefect server does not answer", "Try again, or give superlink serve-flows") from error
    if ended.returncode:
        said = ended.stderr.strip().splitlines()
        raise ScheduleError(said[-1].removeprefix("superlink: ") if said else "The schedule cannot be made")
    return ended.stdout
