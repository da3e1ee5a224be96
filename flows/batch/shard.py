"""Works a shard: each step of the plan over all its items, batched, so that a model is loaded once."""

import errno
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.plan.interpreter import can_run, resolve_arguments, uses
from agents.plan.plan import Plan, Step, reference
from agents.plan.types import AnyTool
from agents.session.state import Refs, listed
from common.kinds import MEDIA
from flows.batch.reading import DoneItem
from flows.batch.review import ReviewRouting, enqueue
from flows.batch.shard_store import ShardStore
from flows.items.source import SourceItem
from flows.ledger.keys import CurrentWeights, base_key, finished_call
from flows.ledger.ledger import Ledger
from flows.ledger.rows import FinishedCall, LedgerItem, StepRow
from tools.core.errors import (
    MediaError,
    SettingsInvalid,
    StoreError,
    StoreUnusable,
    SuperlinkError,
    WeightsMissing,
    WeightsUnsafe,
)
from tools.runtime.execute import call_each
from tools.storage.store import Ref

BATCH = 16
# Not the item's fault: every other item would end the same way.
_EVERYWHERE = (WeightsMissing, WeightsUnsafe, SettingsInvalid, StoreUnusable)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_NUMBER = re.compile(r"^(\w+(?: \(step \w+\))?), item \d+")


class RunStopped(SuperlinkError):
    """The run cannot go on, whatever the item; what is done stays done."""


class PlanUnfit(SuperlinkError):
    """A plan cannot be run on one file after another."""


@dataclass
class ShardResult:
    """What came of a shard.

    Attributes:
        done: numbers of the items on which every step finished.
        failed: number to reason and hint.
        ran: how many calls of tools were run.
        cached: how many were finished before, by an earlier run or for an item of the same content.
        seconds: by tool, of the calls that ran.
    """

    done: list[int] = field(default_factory=list)
    failed: dict[int, tuple[str, str]] = field(default_factory=dict)
    ran: int = 0
    cached: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RunContext:
    """What every shard of a run shares."""

    plan: Plan
    tools: Mapping[str, AnyTool]
    signature: str
    shard_store: ShardStore
    present: CurrentWeights
    routing: ReviewRouting


def media_kind(plan: Plan) -> str:
    """The one kind of file that a plan works on, "image", "audio" or "video".

    Raises:
        PlanUnfit: when it works on none, on several, or on a name that is no kind.
    """
    made = {step.id for step in plan.steps}
    given = {name for step in plan.steps for name in uses(step)} | {
        name for name in map(reference, plan.outputs) if name is not None
    }
    names = sorted(given - made)
    if len(names) == 1 and names[0] in MEDIA:
        return names[0]
    what = " and ".join(f"${name}" for name in names) or "no file at all"
    raise PlanUnfit(f"The plan works on {what}", "A plan for many files works on one: $image, $audio or $video")


def run_shard(
    ledger: Ledger, run: RunContext, ids: Sequence[int], on_step: Callable[[str, int], None] | None = None
) -> ShardResult:
    """Bring items to their end: open them, run every step on them, note how it came out.

    Everything is noted as soon as it is done, so that a killed process is taken up where it stopped.

    Args:
        ledger: where it is noted.
        run: what every shard of the run shares.
        ids: numbers of the items.
        on_step: called with the name of a step and how many calls of it have just ended.

    Raises:
        RunStopped: when the fault is no item's: weights are missing, or the disk is full.
        LedgerError: when the ledger cannot be written.
    """
    outcome = ShardResult()
    run.shard_store.clear()
    entries = ledger.items(ids)
    values: dict[int, dict[str, Refs]] = {}
    name = media_kind(run.plan)
    for number, opened in _open_items(ledger, run, entries, name):
        if isinstance(opened, SuperlinkError):
            outcome.failed[number] = (opened.message, opened.hint)
        else:
            values[number] = {name: opened}
    for step in run.plan.steps:
        _run_step(ledger, run, step, values, outcome, on_step or (lambda step, count: None))
    outcome.done = [number for number in ids if number not in outcome.failed]
    try:
        run.shard_store.flush_all()  # an item is done when its results outlast a power cut
    except StoreError as error:
        raise RunStopped(error.message, error.hint) from error
    done = set(outcome.done)
    # Before they are settled: a settled item is not looked at again.
    enqueue(
        ledger,
        run.shard_store,
        run.routing,
        [DoneItem(entry, values[entry.id]) for entry in entries if entry.id in done],
    )
    ledger.settle(
        [
            (number, "failed", *outcome.failed[number]) if number in outcome.failed else (number, "done", "", "")
            for number in ids
        ],
        run.signature,
    )
    return outcome


def _open_items(
    ledger: Ledger, run: RunContext, entries: Sequence[LedgerItem], name: str
) -> Iterator[tuple[int, Ref | SuperlinkError]]:
    fresh: dict[int, Ref] = {}
    for entry in entries:
        # Its size and stamp are as they were when it was opened; a plan before may have taken the sound of a video.
        if entry.ref is not None and entry.ref["kind"] == name.capitalize():
            lying = (
                "://" not in entry.address and run.shard_store.path(entry.ref) is not None and _is_source_file(entry)
            )
            if lying:
                run.shard_store.register_file(entry.ref["sha256"], Path(entry.address))
            if lying or run.shard_store.sound(entry.ref):
                yield entry.id, entry.ref
                continue
        try:
            item = SourceItem(entry.name, entry.address, entry.size, entry.stamp)
            fresh[entry.id] = run.shard_store.open(item, name.capitalize())
            yield entry.id, fresh[entry.id]
        except SuperlinkError as error:
            _stop_if_everywhere(error)
            yield entry.id, error
        except OSError as error:
            yield entry.id, MediaError(f"{entry.address} cannot be read: {error.strerror or error}", "Check the file")
        except Exception as error:  # a decoder's fault on a damaged file must not end the run
            yield entry.id, MediaError(f"{entry.address} cannot be read: {type(error).__name__}: {error}")
    ledger.set_content(fresh)


def _is_source_file(entry: LedgerItem) -> bool:
    """Whether the item's value is its file, as opposed to something that was taken out of it and stored."""
    try:
        return entry.ref is not None and Path(entry.address).stat().st_size == entry.ref["bytes"]
    except OSError:
        return True  # gone since the scan: told as such when it is read


def _run_step(
    ledger: Ledger,
    run: RunContext,
    step: Step,
    values: dict[int, dict[str, Refs]],
    outcome: ShardResult,
    on_step: Callable[[str, int], None],
) -> None:
    tool = run.tools[step.tool]
    groups: dict[str, list[int]] = {}
    calls: dict[str, dict[str, Any]] = {}
    for number, refs in values.items():
        if not can_run(step, refs):
            continue  # a step that it needs failed
        args = resolve_arguments(step, refs)
        base = base_key(tool, args)
        groups.setdefault(base, []).append(number)
        calls.setdefault(base, args)
    for bases in _parts(list(groups), BATCH if tool.batch else 1, 256):
        known = ledger.candidates([base for part in bases for base in part])
        for part in bases:
            _work_part(ledger, run, step, part, groups, calls, known, values, outcome)
            on_step(step.id, sum(len(groups[base]) for base in part))


def _work_part(
    ledger: Ledger,
    run: RunContext,
    step: Step,
    part: Sequence[str],
    groups: Mapping[str, list[int]],
    calls: Mapping[str, dict[str, Any]],
    known: Mapping[str, list[FinishedCall]],
    values: dict[int, dict[str, Refs]],
    outcome: ShardResult,
) -> None:
    """Find or do the work of some calls, and note all of it at once."""
    works: dict[str, FinishedCall] = {}
    for base in part:
        found = run.present.first_valid(known.get(base, []))
        if found is not None and all(map(run.shard_store.sound, listed(found.refs))):
            works[base] = found
            outcome.cached += len(groups[base])
    to_do = [base for base in part if base not in works]
    new: list[FinishedCall] = []
    rows: list[StepRow] = []
    tool = run.tools[step.tool]
    results = call_each(tool, [calls[base] for base in to_do], run.shard_store, step.id, batch_size=BATCH)
    for result in results:
        if isinstance(result, SuperlinkError):
            _stop_if_everywhere(result)
    for base, result in zip(to_do, results, strict=True):
        if isinstance(result, SuperlinkError):
            message = _NUMBER.sub(r"\1", result.message)
            for number in groups[base]:
                outcome.failed.setdefault(number, (message, result.hint))
                rows.append(StepRow(number, step.id, "failed", base, message, result.hint))
            continue
        refs, seconds = result
        works[base] = finished_call(base, step.tool, refs, seconds)
        new.append(works[base])
        outcome.ran += 1
        outcome.cached += len(groups[base]) - 1
        outcome.seconds[step.tool] = outcome.seconds.get(step.tool, 0.0) + seconds
    for base, work in works.items():
        for number in groups[base]:
            values[number][step.id] = work.refs
            rows.append(StepRow(number, step.id, "finished", work.key, seconds=work.seconds))
    ledger.record(new, rows)


def _stop_if_everywhere(error: BaseException) -> None:
    """Raise when an error is no fault of the item."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _EVERYWHERE):
            raise RunStopped(cause.message, cause.hint) from error
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
            raise RunStopped(
                f"The run has stopped: {cause.strerror}",
                "Free some space and give the same command again; it goes on where it stopped",
            ) from error
        cause = cause.__cause__


def _parts(bases: list[str], size: int, many: int) -> Iterator[list[list[str]]]:
    """Calls in parts that are run together, and parts in lots that are looked up together."""
    for at in range(0, len(bases), many):
        lot = bases[at : at + many]
        yield [lot[n : n + size] for n in range(0, len(lot), size)]
