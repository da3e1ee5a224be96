"""One plan over many items: prepare, pilot, approve, work in shards, export."""

import time
from dataclasses import dataclass
from pathlib import Path

from agents.examples.use import Examples
from agents.plan.plan import Plan
from agents.planners.base import Planner
from flows.batch.budget import Budget
from flows.batch.events import Approve, Callbacks, OnEvent
from flows.batch.folder_lock import lock_folder
from flows.batch.job import BatchJob, open_job
from flows.batch.pilot import RecordedPilot, run_pilot
from flows.batch.prepare import (
    PlanRefused,
    ask_approval,
    is_approved,
    keep_example,
    note_approval,
    prepare,
    refuse_doubtful,
)
from flows.batch.shard import RunStopped
from flows.batch.spec import RunSpec
from flows.batch.status import StatusNotes, end_noted
from flows.batch.summary import Summary
from flows.exports import default_formats, export
from flows.items.run_files import LEDGER
from flows.ledger.ledger import Ledger
from flows.workers.local import Workers, in_process, in_processes
from tools.core.errors import StoreError, WriteError
from tools.storage.atomic import write_error
from tools.storage.store import Store


def annotate(
    request: str,
    source: str,
    out: Path,
    *,
    planner: Planner | None = None,
    approve: Approve | None = None,
    on_event: OnEvent | None = None,
    workers: int | Workers = 1,
    **options: object,
) -> Summary:
    """Do what a request says to every item of a source. Given again, it goes on where it stopped.

    Args:
        request: in words; may be empty when there is a plan.
        source: a folder, glob, list or address; see `flows.items.source.scan`.
        out: folder of the run: its ledger, contact sheet and exports.
        planner: see `Callbacks`.
        approve: see `Callbacks`.
        on_event: see `Callbacks`.
        workers: how many processes work at the same time, or who else works the shards.
        options: the other fields of `RunSpec`: plan, scores, tools, pilot, shard, retry_failed, reason, limit, budget,
            formats, routing, store, relocate.

    Raises:
        SpecInvalid: there is no such option, or it has a value that it cannot have.
        SourceError: nothing to work on.
        PlanRefused: the plan has problems or was not approved.
        PlanDoubtful: the planner doubts its plan, and there is nobody to ask.
        AnnotateError: the folder is in use, or is of another source.
        RunStopped: weights are missing, or the disk is full; what is done stays done.
    """
    count = workers if isinstance(workers, int) else 1
    spec = RunSpec.load({**options, "request": request, "source": source, "out": out, "workers": count})
    callbacks = Callbacks(planner, approve, on_event)
    return run_batch(spec, callbacks, None if isinstance(workers, int) else workers)


def run_batch(
    spec: RunSpec, callbacks: Callbacks, workers: Workers | None = None, *, pilot_only: bool = False
) -> Summary:
    """Do what `annotate` does.

    Args:
        spec: of the run.
        callbacks: of this process.
        workers: who works the shards; by default this process, or as many processes as the specification says.
        pilot_only: end after the pilot, which also works where few items are left; approval is not asked. The plan may
            be approved later, by `approve_pilot` or by the same run without this.

    Raises:
        SourceError, PlanRefused, AnnotateError, RunStopped: see `annotate`.
    """
    began, budget = time.monotonic(), Budget.parse(spec.budget)
    try:
        with lock_folder(spec.out), end_noted(spec.out):
            job, pending, items = prepare(spec, callbacks)
            ledger = open_job(job).ledger
            notes = StatusNotes(ledger)
            ledger.set_facts(spec=spec.portable().to_json())
            batch = _Batch(spec, callbacks, workers, job, ledger, budget, Summary(items=items), notes)
            try:
                pending = batch.run_pilot(pending, pilot_only)
                if pilot_only:
                    return batch.summary
                batch.work(pending)
            finally:
                batch.summary.update(ledger)
            notes.stage("exporting")
            damaged = batch.export()
            if damaged and not batch.summary.stopped:
                try:
                    batch.work(damaged)
                finally:
                    batch.summary.update(ledger)
                batch.export()
            batch.summary.damaged = list(ledger.reopened_items().values())
            notes.stage("stopped" if batch.summary.stopped else "done", batch.summary.stopped)
            ledger.close()  # its log goes into the file, which may then be copied alone
            batch.summary.seconds = time.monotonic() - began
            return batch.summary
    except WriteError as error:
        raise RunStopped(f"The run in {spec.out} has stopped: {error.message}", error.hint) from error
    except OSError as error:  # of the run's own folder: tools, store and exports raise errors of their own
        fault = write_error(error, error.filename or spec.out)
        raise RunStopped(f"The run in {spec.out} has stopped: {fault.message}", fault.hint) from error
    finally:
        open_job.cache_clear()


def approve_pilot(out: Path, plan_hash: str, examples: Examples | None = None) -> None:
    """Approve the plan of a run whose pilot a person has looked at; the run then goes on without asking.

    Args:
        out: folder of the run.
        plan_hash: of the plan that the person saw.
        examples: of the person, among which the plan is kept; None for none.

    Raises:
        PlanRefused: the run has another plan by now, or no pilot.
        LedgerError, AnnotateError: there is no run, or it is at work.
    """
    with lock_folder(out):
        ledger = Ledger.open_existing(out)
        try:
            if ledger.plan.hash != plan_hash or RecordedPilot.read(ledger) is None:
                raise PlanRefused("The plan has changed since its pilot", "Have the pilot worked again and look at it")
            note_approval(ledger)
            keep_example(ledger, examples)
        finally:
            ledger.close()


def approve_plan(spec: RunSpec, callbacks: Callbacks) -> Plan:
    """Plan and have it approved as `annotate` does, which then need not ask again; nothing is worked.

    Raises:
        SourceError, PlanRefused, AnnotateError: see `annotate`.
    """
    with lock_folder(spec.out):
        prepare(spec, callbacks)
        ledger = Ledger(spec.out / LEDGER)
        try:
            ask_approval(ledger, callbacks, None)
            return ledger.plan
        finally:
            ledger.close()


@dataclass(frozen=True)
class _Batch:
    """The work and the exports of a run that is prepared."""

    spec: RunSpec
    callbacks: Callbacks
    workers: Workers | None
    job: BatchJob
    ledger: Ledger
    budget: Budget
    summary: Summary
    notes: StatusNotes

    def run_pilot(self, pending: list[int], pilot_only: bool = False) -> list[int]:
        """Work on a few items, unless a pilot of this plan is recorded, and have the plan approved, unless it was.

        Returns:
            Numbers of the items that are left.
        """
        recorded = RecordedPilot.read(self.ledger)
        if not pilot_only and (is_approved(self.ledger) or not (pending or recorded)):
            return pending
        if not pilot_only:
            refuse_doubtful(self.ledger, self.callbacks)
        left, summary, count = pending, self.summary, self.spec.pilot
        if recorded is not None:
            summary.forecast = recorded.forecast
        elif 0 < count < len(pending) or (pilot_only and pending):
            self.notes.stage("pilot")
            summary.forecast, left = run_pilot(self.job, pending, count)
            summary.ran, summary.cached = summary.forecast.ran, summary.forecast.cached
            others = set(left)
            self.notes.pilot_ended([number for number in pending if number not in others])
        if summary.forecast is not None:
            self.callbacks.notify({"event": "forecast", "forecast": summary.forecast})
        self.notes.stage("waiting")
        if not pilot_only:
            ask_approval(self.ledger, self.callbacks, summary.forecast)
        return left

    def work(self, ids: list[int]) -> None:
        """Work items in shards, until all are done or the budget is spent."""
        size, summary = self.spec.shard, self.summary
        shards = [ids[at : at + size] for at in range(0, len(ids), size)]
        workers = self.workers
        if workers is None:
            workers = in_processes(self.spec.workers) if self.spec.workers > 1 and len(shards) > 1 else in_process
        began = time.monotonic()
        self.notes.begin(len(ids))
        done = failed = 0
        bytes_before = self.ledger.value_bytes()
        for result in workers(self.job, shards):
            done, failed = done + len(result.done), failed + len(result.failed)
            summary.ran += result.ran
            summary.cached += result.cached
            passed, ended = time.monotonic() - began, done + failed
            self.notes.shard_ended(ended, result.done)
            self.callbacks.notify(
                {
                    "event": "progress",
                    "done": done,
                    "failed": failed,
                    "all": len(ids),
                    "seconds": passed,
                    "left": passed / ended * (len(ids) - ended),
                }
            )
            next_shard = passed / ended * size if self.budget.seconds else 0
            written = self.ledger.value_bytes() - bytes_before
            summary.stopped = self.budget.spent(written, done, failed, next_shard)
            if summary.stopped and ended < len(ids):
                return
        summary.stopped = ""

    def export(self) -> list[int]:
        """Write the exports; return numbers of the items that must be worked again, as values of theirs are damaged."""
        before = self.ledger.reopened_items()
        formats = default_formats(self.ledger) if self.spec.formats is None else self.spec.formats
        for name in formats:
            if not self.summary.done and (name != "report" or not self.summary.failed):
                continue  # an empty data set helps nobody; a report of why everything failed does
            folder = self.spec.out / name
            try:
                counts = export(self.ledger, Store(self.job.store), name, folder, aside=self._report_aside)
            except StoreError:
                if self.ledger.reopened_items() == before:
                    raise
                continue  # every item lost a value: there is nothing to export before they are worked again
            self.summary.exports[name] = folder
            self.callbacks.notify({"event": "export", "format": name, "folder": str(folder), "counts": counts})
        damaged = {number: fault for number, fault in self.ledger.reopened_items().items() if number not in before}
        if damaged:
            self.callbacks.notify({"event": "damaged", "items": list(damaged.values())})
        return list(damaged)

    def _report_aside(self, file: Path) -> None:
        self.callbacks.notify({"event": "aside", "file": str(file)})
