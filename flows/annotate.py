"""One plan over many items: plan, pilot, approve, work in shards, export."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agents.plan.check import wire_and_check
from agents.plan.interpreter import uses
from agents.plan.plan import Plan
from agents.plan.problems import Problem
from agents.plan.types import AnyTool
from agents.plan.warnings import warnings
from agents.planners.base import Planner
from agents.planners.repair import plan_request
from agents.session.state import listed
from common.kinds import MEDIA, MEDIA_KINDS
from flows.batch.budget import Budget
from flows.batch.job import BatchJob, open_job
from flows.batch.pilot import Forecast, run_pilot
from flows.batch.review import ReviewRouting
from flows.batch.shard import RunStopped, media_kind
from flows.exports import export, fitting
from flows.items.source import SourceItem, scan
from flows.ledger.keys import signature
from flows.ledger.ledger import FILE, Ledger
from flows.workers.local import Workers, in_process, in_processes
from tools.core.errors import StoreError, SuperlinkError, WriteError
from tools.core.settings import expanded, settings
from tools.runtime.registry import load
from tools.storage.atomic import write, write_error
from tools.storage.store import Store

FAILURES = "failures.txt"

OnEvent = Callable[[dict[str, Any]], None]
"""Called with what happens, as plain JSON by "event": ``plan`` (tree, hash, warnings), ``scan`` (items, new, changed, gone, left_out,
skipped, pending), ``forecast``, ``progress`` (done, failed, all, seconds, left), ``export`` (format, folder, counts), ``aside``
(file: of a person, that was in the way of an export and is kept), ``damaged`` (items: name, reason and hint of those that are
worked again)."""


class AnnotateError(SuperlinkError):
    """A run cannot begin as it was asked for."""


class PlanRefused(SuperlinkError):
    """The plan has problems, or a person did not approve it."""


@dataclass
class Summary:
    """How a run ended.

    Attributes:
        items: in the source, of the plan's kind.
        done: of these, over all runs.
        failed: likewise.
        left: likewise neither.
        nothing_found: of those that are done and should be edited, how many had nothing in them to edit.
        ran: calls of tools in this run.
        cached: calls that were finished before.
        seconds: that this run took.
        stopped: why it ended before its time, or "".
        failures: name, reason and hint of failed items.
        damaged: likewise of items that are done no more, as a value of theirs is damaged or lost.
        first_only: names of items of several pages or frames, of which only the first was worked on.
        exports: format to folder.
        forecast: of the pilot, if there was one.
    """

    items: int = 0
    done: int = 0
    failed: int = 0
    left: int = 0
    nothing_found: int = 0
    ran: int = 0
    cached: int = 0
    seconds: float = 0.0
    stopped: str = ""
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str, str]] = field(default_factory=list)
    first_only: list[str] = field(default_factory=list)
    exports: dict[str, Path] = field(default_factory=dict)
    forecast: Forecast | None = None


def annotate(
    request: str,
    source: str,
    out: Path,
    *,
    plan: Plan | None = None,
    planner: Planner | None = None,
    tools: Sequence[str] = (),
    approve: Callable[[Plan, Forecast | None], bool] | None = None,
    pilot: int = 8,
    shard: int = 64,
    workers: int | Workers = 1,
    retry_failed: bool = False,
    limit: int | None = None,
    budget: Sequence[str] = (),
    formats: Sequence[str] | None = None,
    routing: ReviewRouting | None = None,
    store: str = "",
    relocate: bool = False,
    on_event: OnEvent | None = None,
) -> Summary:
    """Do what a request says to every item of a source. Given again, it goes on where it stopped.

    Args:
        request: in words.
        source: as of `flows.items.source.scan`.
        out: folder of the run: its ledger, contact sheet and exports.
        plan: run this plan instead of asking the planner; the request may then be empty.
        planner: who plans; not asked when the folder has a plan for this request.
        tools: Python files with further tools.
        approve: asked after the pilot, unless this plan was approved here before; None approves.
        pilot: how many items to try first; 0 for none.
        shard: how many items are worked step by step together.
        workers: how many processes work at the same time, or who else works the shards.
        retry_failed: work only on the items that failed before.
        limit: so many items at most.
        budget: limits that stop the run, as of `Budget.parse`.
        formats: of exports; those that fit by default.
        routing: what goes to review.
        store: where values are; as the settings say by default.
        relocate: the files of this run were moved to this source, and its values to the store of the settings.
        on_event: called with each event.

    Raises:
        SourceError: nothing to work on.
        PlanRefused: the plan has problems or was not approved.
        AnnotateError: the folder is in use, or is of another source.
        RunStopped: weights are missing, or the disk is full; what is done stays done.
    """
    began = time.monotonic()
    limits = Budget.parse(budget)
    on_event = on_event or (lambda event: None)
    try:
        with lock_folder(out):
            job, pending, summary = prepare(
                request, source, out, plan, planner, tools, retry_failed, limit, routing, store, relocate, on_event
            )
            ledger = open_job(job)[0]
            try:
                ids = _piloted(job, ledger, pending, pilot, approve, summary, on_event)
                _work(job, ledger, ids, shard, workers, limits, summary, on_event)
            finally:
                _counted(ledger, summary)
            damaged = _export(ledger, Store(job.store), out, formats, summary, on_event)
            if damaged and not summary.stopped:
                try:
                    _work(job, ledger, damaged, shard, workers, limits, summary, on_event)
                finally:
                    _counted(ledger, summary)
                _export(ledger, Store(job.store), out, formats, summary, on_event)
            summary.damaged = list(ledger.reopened().values())
            ledger.close()  # its log goes into the file, which may then be copied alone
            summary.seconds = time.monotonic() - began
            return summary
    except WriteError as error:
        raise RunStopped(f"The run in {out} has stopped: {error.message}", error.hint) from error
    except OSError as error:  # of the run's own folder: what tools, store and exports meet is told by them
        said = write_error(error, error.filename or out)
        raise RunStopped(f"The run in {out} has stopped: {said.message}", said.hint) from error
    finally:
        open_job.cache_clear()


def approve_plan(
    request: str,
    source: str,
    out: Path,
    *,
    plan: Plan | None = None,
    planner: Planner | None = None,
    tools: Sequence[str] = (),
    approve: Callable[[Plan, Forecast | None], bool] | None = None,
    routing: ReviewRouting | None = None,
    on_event: OnEvent | None = None,
) -> Plan:
    """Plan and have it approved as `annotate` does, which then need not ask again; nothing is worked.

    Raises:
        SourceError, PlanRefused, AnnotateError: as of `annotate`.
    """
    with lock_folder(out):
        prepare(
            request,
            source,
            out,
            plan,
            planner,
            tools,
            False,
            None,
            routing,
            "",
            False,
            on_event or (lambda event: None),
        )
        ledger = Ledger(out / FILE)
        try:
            _approved(ledger, approve, None)
            return ledger.plan
        finally:
            ledger.close()


@contextmanager
def lock_folder(out: Path) -> Iterator[None]:
    """Keep other runs out of the folder."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock").acquire(timeout=0):
            yield
    except Timeout as error:
        raise AnnotateError(f"Another run is working in {out}", "Wait for it, or give another folder") from error


def prepare(
    request: str,
    source: str,
    out: Path,
    plan: Plan | None,
    planner: Planner | None,
    tools: Sequence[str],
    retry_failed: bool,
    limit: int | None,
    routing: ReviewRouting | None,
    store: str,
    relocate: bool,
    on_event: OnEvent,
) -> tuple[BatchJob, list[int], Summary]:
    """Plan, scan, and find out what is to do; nothing is worked yet.

    Returns:
        The run as plain data, the numbers of the items to work on, and a summary to fill.
    """
    known = load(tools)
    found = scan(source, out)
    items = found.items
    ledger = Ledger(out / FILE)
    try:
        place = source if "://" in source else str(expanded(source).absolute())
        before = ledger.fact("source")
        if before not in (None, place) and ledger.after_move(before) != place and not relocate:
            raise AnnotateError(
                f"{out} holds a run over {before}",
                f"Give another folder with --out, or --relocate if those files are now at {place}",
            )
        values = _store_for(ledger, store, relocate)
        if plan is None and request and ledger.fact("request") == request:
            plan = ledger.plan
        checked = _planned(request, plan, planner, known, items)
        kind = media_kind(checked)
        mark = signature(checked, known)
        own = [item for item in items if item.media in ("", kind) or (kind == "audio" and item.media == "video")]
        taken = ledger.record_scan(own, place)
        ledger.set_facts(
            source=place, request=checked.request, plan=json.loads(checked.dumps()), signature=mark, store=values
        )
        pending = ledger.pending(mark, retry_failed)[:limit]
    finally:
        ledger.close()
    # Items of other kinds, which no step uses, are counted below.
    texts = [str(warning) for warning in warnings(checked, known, ())]
    on_event({"event": "plan", "tree": checked.tree(), "hash": checked.hash, "warnings": texts})
    on_event(
        {
            "event": "scan",
            "items": taken.items,
            "new": taken.new,
            "changed": taken.changed,
            "gone": taken.gone,
            "left_out": len(items) - len(own),
            "skipped": found.skipped_text,
            "pending": len(pending),
        }
    )
    facts = json.dumps((routing or ReviewRouting()).to_json(), sort_keys=True)
    job = BatchJob(str(out), values, tuple(map(str, tools)), facts, mark)
    return job, pending, Summary(items=taken.items)


def _store_for(ledger: Ledger, store: str, relocate: bool) -> str:
    """The address of the values, found usable before the first item.

    Raises:
        StoreUnusable: when values cannot be written there.
        AnnotateError: when the store of the run is gone, and the settings name another.
    """
    before, now = str(ledger.fact("store") or ""), settings().store_url
    values = store or (now if relocate else before or now)
    if "://" not in values:
        values = str(expanded(values).absolute())  # the next run may be given elsewhere
    if not store and values == before != now and "://" not in values and not Path(values).exists():
        raise AnnotateError(
            f"The store {values}, where this run keeps its values, is not there",
            f"Put it back, or give --relocate to use {now}; what is not there is made again",
        )
    Store(values).check()
    return values


def _planned(
    request: str, plan: Plan | None, planner: Planner | None, tools: Mapping[str, AnyTool], items: Sequence[SourceItem]
) -> Plan:
    kinds = sorted({item.media for item in items if item.media}) or ["image"]
    values = {kind: kind.capitalize() for kind in kinds}
    problems: Sequence[Problem]
    if plan is not None:
        named = {name for step in plan.steps for name in uses(step)} & set(MEDIA)
        # A plan may work on the sound of videos.
        used, problems = wire_and_check(plan, tools, {name: name.capitalize() for name in sorted(named)} or values)
    elif planner is not None and request:
        # Each item is of one kind: a request that does not say which of several is meant may fit one of them alone.
        ways = [values, *({kind: values[kind]} for kind in kinds if len(kinds) > 1)]
        attempts = (plan_request(request, way, tools, planner) for way in ways)
        first = next(attempts)
        last = first if first.works else next((other for other in attempts if other.works), first)
        used, problems = last.plan or Plan(request=request), last.problems
    else:
        raise PlanRefused("There is neither a request to plan nor a plan", "Say what should happen, or give --plan")
    if problems:
        raise PlanRefused("The plan cannot run: " + "; ".join(str(problem) for problem in problems))
    if not used.steps:
        raise PlanRefused(f"Nothing that the tools can do fits the request {request!r}", "Say it in other words")
    return used.with_request(request or used.request)


def _piloted(
    job: BatchJob,
    ledger: Ledger,
    pending: list[int],
    count: int,
    approve: Callable[[Plan, Forecast | None], bool] | None,
    summary: Summary,
    on_event: OnEvent,
) -> list[int]:
    if ledger.plan.hash in (ledger.fact("approved") or ()) or not pending:
        return pending
    left = pending
    if count and len(pending) > count:
        summary.forecast, left = run_pilot(job, pending, count)
        summary.ran, summary.cached = summary.forecast.ran, summary.forecast.cached
        on_event({"event": "forecast", "forecast": summary.forecast})
    _approved(ledger, approve, summary.forecast)
    return left


def _approved(
    ledger: Ledger, approve: Callable[[Plan, Forecast | None], bool] | None, forecast: Forecast | None
) -> None:
    """Ask for the plan of the ledger, unless it was approved before."""
    before = list(ledger.fact("approved") or [])
    if ledger.plan.hash in before:
        return
    if approve is not None and not approve(ledger.plan, forecast):
        raise PlanRefused("The plan was not approved", "What the pilot did is kept" if forecast else "")
    ledger.set_facts(approved=[*before, ledger.plan.hash])


def _work(
    job: BatchJob,
    ledger: Ledger,
    ids: list[int],
    size: int,
    workers: int | Workers,
    budget: Budget,
    summary: Summary,
    on_event: OnEvent,
) -> None:
    shards = [ids[at : at + size] for at in range(0, len(ids), size)]
    began = time.monotonic()
    ended = done = failed = 0
    before = ledger.value_bytes()
    if isinstance(workers, int):
        workers = in_processes(workers) if workers > 1 and len(shards) > 1 else in_process
    for outcome in workers(job, shards):
        ended += len(outcome.done) + len(outcome.failed)
        done, failed = done + len(outcome.done), failed + len(outcome.failed)
        summary.ran += outcome.ran
        summary.cached += outcome.cached
        passed = time.monotonic() - began
        left = passed / ended * (len(ids) - ended)
        on_event(
            {"event": "progress", "done": done, "failed": failed, "all": len(ids), "seconds": passed, "left": left}
        )
        summary.stopped = budget.spent(
            ledger.value_bytes() - before, done, failed, passed / ended * size if budget.seconds else 0
        )
        if summary.stopped and ended < len(ids):
            return
    summary.stopped = ""


def _counted(ledger: Ledger, summary: Summary) -> None:
    counts = ledger.counts()
    summary.done, summary.failed = counts.get("done", 0), counts.get("failed", 0)
    summary.left = counts.get("left", 0)
    summary.failures = ledger.failures()
    summary.first_only = ledger.multi_page_items()
    summary.nothing_found = _nothing_found(ledger)
    lines = [f"{name}\t{error}{'. ' + hint if hint else ''}\n" for name, error, hint in summary.failures]
    write(ledger.file.parent / FAILURES, "".join(lines))


def _nothing_found(ledger: Ledger) -> int:
    """How many items a plan that edits what it finds left as they are."""
    made = {ref["kind"] for step in ledger.plan.steps for ref in ledger.sample(step.id)[:1]}
    if "Detections" not in made or MEDIA_KINDS.isdisjoint(made):
        return 0  # the plan looks, and what it found is in the exports
    count = 0
    for _, refs in ledger.done():
        finds = (ref for one in refs.values() for ref in listed(one) if ref["kind"] == "Detections")
        count += not any(ref["summary"]["count"] for ref in finds)
    return count


def _export(
    ledger: Ledger, store: Store, out: Path, formats: Sequence[str] | None, summary: Summary, on_event: OnEvent
) -> list[int]:
    """Write the exports; return numbers of the items that are to be worked again, as values of theirs are damaged."""
    before = ledger.reopened()
    for name in fitting(ledger) if formats is None else formats:
        if not summary.done and (name != "report" or not summary.failed):
            continue  # an empty data set helps nobody; why everything failed does
        try:
            counts = export(
                ledger, store, name, out / name, aside=lambda file: on_event({"event": "aside", "file": str(file)})
            )
        except StoreError:
            if ledger.reopened() == before:
                raise
            continue  # of every item something is damaged: there is nothing to export before they are worked again
        summary.exports[name] = out / name
        on_event({"event": "export", "format": name, "folder": str(out / name), "counts": counts})
    damaged = {number: texts for number, texts in ledger.reopened().items() if number not in before}
    if damaged:
        on_event({"event": "damaged", "items": list(damaged.values())})
    return list(damaged)
