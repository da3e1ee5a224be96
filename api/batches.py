"""Batch runs for programs: one request over a folder inside the roots, and where such a run stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import TypedDict

from agents.plan.plan import Plan
from api.roots import OutsideRoots
from api.service import Service
from flows.annotate import run_batch
from flows.batch.events import Approve, Callbacks, OnEvent
from flows.batch.failures import group_failures
from flows.batch.folder_lock import is_locked
from flows.batch.prepare import is_approved
from flows.batch.spec import RunSpec
from flows.batch.status import RunStatus
from flows.batch.summary import Summary
from flows.items.run_files import FAILURES
from flows.items.source import scan
from flows.ledger.file import LedgerError
from flows.ledger.ledger import Ledger

_SHOWN = 20


class BatchStatus(TypedDict):
    """A batch run.

    Attributes:
        folder: of the run.
        request: in words.
        tree: `Plan.tree` of its plan.
        stage: what it does, or how it ended; see `flows.batch.status.Stage`.
        at_work: whether a process works on it now.
        reason: why it stopped or failed; "" otherwise.
        approved: whether a person approved the plan.
        done: number of items.
        failed: number of items.
        left: number of items.
        failures: "number × reason. hint" each, the most frequent first.
        exports: format to folder, of a run that has just ended.
    """

    folder: str
    request: str
    tree: str
    stage: str
    at_work: bool
    reason: str
    approved: bool
    done: int
    failed: int
    left: int
    failures: list[str]
    exports: dict[str, str]


@dataclass(frozen=True)
class BatchRequest:
    """What a batch run is asked to do.

    Attributes:
        request: in words; may be empty with a plan.
        source: a folder, or a file of paths, inside the roots.
        out: folder of the run, inside the roots.
        plan: to run instead of asking the planner.
        limit: most items; None for all.
        pilot: items to try before approval.
        formats: of exports; None for those that fit.
    """

    request: str
    source: str
    out: str
    plan: Plan | None = None
    limit: int | None = None
    pilot: int = 8
    formats: Sequence[str] | None = None


def annotate(service: Service, asked: BatchRequest, approve: Approve, on_event: OnEvent) -> BatchStatus:
    """Run a batch to its end; given again, it goes on.

    Args:
        service: whose planner, tools and roots are used.
        asked: what to do.
        approve: asked after the pilot; says whether the rest runs.
        on_event: called with each event of the run.

    Raises:
        OutsideRoots: the source, one of its items or the folder of the run is outside the roots.
        SourceError, PlanRefused, AnnotateError, RunStopped: see `flows.annotate.annotate`.
    """
    source, out = service.roots.resolve(asked.source), service.roots.resolve(asked.out)
    for item in scan(str(source), out).items:  # a link to a file, or a line of a list, may lead out
        if "://" in item.address:
            raise OutsideRoots(f"{item.address} is no file of this computer", "List files inside the roots")
        service.roots.resolve(item.address)
    spec = RunSpec.load(
        {
            "request": asked.request,
            "source": str(source),
            "out": out,
            "plan": asked.plan,
            "limit": asked.limit,
            "pilot": asked.pilot,
            "formats": asked.formats,
            "tools": service.tool_files,
        }
    )
    summary = run_batch(spec, Callbacks(service.planner, approve, on_event, examples=service.examples))
    return batch_status(service, str(out), summary)


def plan_hash(service: Service, folder: str) -> str:
    """`Plan.hash` of the last run of a folder; "" where there was none.

    Raises:
        OutsideRoots: the folder is outside the roots.
    """
    try:
        ledger = Ledger.open_existing(service.roots.resolve(folder), read_only=True)
    except LedgerError:
        return ""
    try:
        return ledger.plan.hash
    except LedgerError:
        return ""
    finally:
        ledger.close()


def batch_status(service: Service, folder: str, summary: Summary | None = None) -> BatchStatus:
    """Where the run of a folder stands.

    Args:
        service: whose roots are used.
        folder: that the run writes to.
        summary: of the run that has just ended.

    Raises:
        OutsideRoots: the folder is outside the roots.
        LedgerError: no run has been there.
    """
    place = service.roots.resolve(folder)
    ledger = Ledger.open_existing(place, read_only=True)
    try:
        counts, groups, status = ledger.counts(), group_failures(ledger), RunStatus.read(ledger)
        plan, request, approved = ledger.plan, ledger.text("request"), is_approved(ledger)
    finally:
        ledger.close()
    failures = [f"{group.count} × {group.reason}. {group.hint}".removesuffix(". ") for group in groups[:_SHOWN]]
    if groups:
        failures.append(f"All failures are in {place / FAILURES}")
    return {
        "folder": str(place),
        "request": request,
        "tree": plan.tree(),
        "stage": status.stage,
        "at_work": is_locked(place),
        "reason": f"{status.reason}. {status.hint}".removesuffix(". ") if status.reason else "",
        "approved": approved,
        "done": counts.get("done", 0),
        "failed": counts.get("failed", 0),
        "left": counts.get("left", 0),
        "failures": failures,
        "exports": {name: str(path) for name, path in summary.exports.items()} if summary else {},
    }
