"""The process of a run: `superlink annotate`, detached, so that it outlives the page and its server.

A process is known by its number, the time at which it began, and the lock that it holds on the run's folder; a name
is never looked for. What it prints goes to `run.log` in the folder.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from flows.annotate import approve_pilot
from flows.batch.folder_lock import LOCK, AnnotateError, is_locked
from flows.batch.spec import RunSpec
from flows.batch.status import RunStatus
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError
from tools.storage.atomic import write
from ui.batches.runs import Asked, RunRecord, Runs, spec_of, with_spec
from ui.context import examples_of

LOG = "run.log"
PLAN = "plan.json"
_ERROR = "superlink: "  # with which the command begins an error
_GRACE = 15.0  # seconds that a cancelled run has to end by itself
SAME = 3.0
"""Seconds by which two readings of one start time may differ, as the system rounds the time at which it booted."""


def command(spec: RunSpec, plan_file: Path, *more: str) -> list[str]:
    """Return the arguments of superlink for a run, as a person could give them.

    Args:
        spec: What to do, with absolute paths.
        plan_file: File with the plan and the request.
        more: Further options.
    """
    routing = spec.routing
    bands = [f"{routing.band[0]}:{routing.band[1]}", *(f"{n}={a}:{b}" for n, (a, b) in routing.bands.items())]
    options: list[tuple[str, Sequence[object]]] = [
        ("--tools", spec.tools),
        ("--min-score", [f"{label}={score}" for label, score in spec.scores.items()]),
        ("--budget", spec.budget),
        ("--format", spec.formats or ()),
        ("--band", bands),
        ("--limit", [] if spec.limit is None else [spec.limit]),
    ]
    given = [f"{name}={value}" for name, values in options for value in values]
    return [
        "annotate",
        *(f"--{name}={value}" for name, value in (("out", spec.out), ("plan", plan_file), ("pilot", spec.pilot))),
        *(f"--{name}={value}" for name, value in (("shard", spec.shard), ("workers", spec.workers))),
        f"--runner={spec.runner}",
        f"--audit={routing.audit}",
        *given,
        *more,
        "",
        spec.source,
    ]


def start_pilot(runs: Runs, number: str, owner: str, spec: RunSpec) -> RunRecord:
    """Have the pilot of a run worked; nothing else is.

    Raises:
        AnnotateError: when the run is at work.
        SuperlinkError: when its process cannot be started.
    """
    with runs.changing(number, owner) as record:
        return _start(runs, with_spec(record, spec), "pilot", "--pilot-only")


def approve_and_run(runs: Runs, number: str, owner: str, plan_hash: str) -> RunRecord:
    """Approve the plan whose pilot a person has looked at, and work on all items.

    Raises:
        PlanRefused: when the run has another plan by now, or no pilot.
        AnnotateError: when the run is at work.
    """
    with runs.changing(number, owner) as record:
        _check_idle(record)
        approve_pilot(record.folder, plan_hash, examples_of(owner))
        return _start(runs, record, "run")


def resume(runs: Runs, number: str, owner: str) -> RunRecord:
    """Go on with a run by the same command; it refuses to work on a plan that was not approved.

    Raises:
        AnnotateError: when the run is at work.
    """
    with runs.changing(number, owner) as record:
        return _start(runs, record, "run")


def retry(runs: Runs, number: str, owner: str, reason: str = "") -> RunRecord:
    """Work again on the items that failed.

    Args:
        runs: The registry.
        number: Id of the run.
        owner: Whose run it is.
        reason: Only on those that failed for this reason; "" for all.

    Raises:
        AnnotateError: when the run is at work.
    """
    with runs.changing(number, owner) as record:
        return _start(runs, record, "run", "--retry-failed", *([f"--reason={reason}"] if reason else []))


def pause(runs: Runs, number: str, owner: str) -> RunRecord:
    """Have a run end after what it has in hand; `resume` goes on. One that has ended is left as it is."""
    return _end(runs, number, owner, "pause")


def cancel(runs: Runs, number: str, owner: str) -> RunRecord:
    """Have a run end; a process that does not end in time is killed. What is done stays done."""
    return _end(runs, number, owner, "cancel")


def process_of(record: RunRecord) -> psutil.Process | None:
    """Return the process that is working on a run; None when there is none, or it is on another computer.

    It is the one that was started here, or one from elsewhere that the ledger names and that has the folder's lock.
    """
    with suppress(psutil.Error):
        process = psutil.Process(record.pid) if record.pid else None
        if process is not None and abs(process.create_time() - record.started) < SAME and _alive(process):
            return process
    if not is_locked(record.folder):
        return None
    with suppress(psutil.Error, SuperlinkError):
        ledger = Ledger.open_existing(record.folder, read_only=True)
        try:
            status = RunStatus.read(ledger)
        finally:
            ledger.close()
        process = psutil.Process(status.pid)
        lock = os.path.realpath(record.folder / LOCK)
        if process.create_time() <= status.began + SAME and any(one.path == lock for one in process.open_files()):
            return process
    return None


def is_running(record: RunRecord) -> bool:
    """Return whether a run is at work, by a process of this page or any other."""
    return process_of(record) is not None or is_locked(record.folder)


def log_tail(record: RunRecord, lines: int = 12) -> str:
    """Return the last lines that the run's process printed; "" when there are none."""
    try:
        with (record.folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def last_words(record: RunRecord) -> str:
    """Return the error with which the run's last process ended; "" when it printed none."""
    _, _, text = log_tail(record, 40).rpartition("\n--- ")
    return next((line.removeprefix(_ERROR) for line in reversed(text.splitlines()) if line.startswith(_ERROR)), "")


def _check_idle(record: RunRecord) -> None:
    if is_running(record):
        raise AnnotateError(f"The run in {record.folder} is at work already", "Wait for it, or pause it")


def _start(runs: Runs, record: RunRecord, asked: Asked, *more: str) -> RunRecord:
    """Start the process of a run and note it; the caller holds the record."""
    _check_idle(record)
    spec = spec_of(record)
    if spec.plan is None:
        raise AnnotateError("The run has no plan yet", "Make one in the step Plan")
    plan = spec.plan.with_request(spec.request or spec.plan.request)
    written = {**plan.to_json(), "demonstrations": spec.demonstrations, "chooser": spec.chooser}
    plan_file = write(record.folder / PLAN, json.dumps(written, indent=2, ensure_ascii=False))
    given = [sys.executable, "-m", "superlink", *command(spec, plan_file, *more)]
    # Not those of Gradio's own, which are of this server.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")}
    try:
        with (record.folder / LOG).open("ab") as log:
            log.write(f"\n--- {time.strftime('%Y-%m-%d %H:%M:%S')} {asked}\n".encode())
            log.flush()
            child = subprocess.Popen(
                given,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, "NO_COLOR": "1", "COLUMNS": "120"},
                start_new_session=True,  # signals to the server do not reach it
            )
    except OSError as error:
        raise AnnotateError(
            f"The run cannot be started: {error.strerror}", "Close other programs and try again"
        ) from error
    threading.Thread(target=child.wait, daemon=True, name=f"run {record.id}").start()  # so that no zombie stays
    try:
        started = psutil.Process(child.pid).create_time()
    except psutil.Error:  # it has ended already; why is in its log
        started = time.time()
    return runs.save(replace(record, pid=child.pid, started=started, asked=asked))


def _end(runs: Runs, number: str, owner: str, asked: Asked) -> RunRecord:
    with runs.changing(number, owner) as record:
        process = process_of(record)
        if process is not None:
            _signal(process, signal.SIGINT)
            if asked == "cancel":
                threading.Thread(target=_kill_later, args=(process,), daemon=True, name=f"end {number}").start()
        elif is_locked(record.folder):
            raise AnnotateError(
                f"The run in {record.folder} is worked on by a process that cannot be reached from here",
                "End it where it was started",
            )
        elif asked == "pause":
            return record
        return runs.save(replace(record, asked=asked))


def _alive(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to a process, and to its workers where it leads a group of its own, as a terminal does."""
    with suppress(OSError, psutil.Error):
        if _alive(process):  # psutil compares the start time once more
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)


def _kill_later(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.wait(_GRACE)
    _signal(process, signal.SIGKILL)
