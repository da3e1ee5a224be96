"""Runs a shard: each step of the plan over all of its items, in batches, so that each model is loaded once."""

import errno
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agents.plan.interpreter import can_run, plan_inputs, resolve_arguments
from agents.plan.plan import Plan, Step
from agents.plan.types import AnyTool
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
from tools.storage.store import Ref, Refs, as_list

BATCH = 16
# Not the item's fault: every other item would end the same way.
_EVERYWHERE = (WeightsMissing, WeightsUnsafe, SettingsInvalid, StoreUnusable)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_NUMBER = re.compile(r"^(\w+(?: \(step \w+\))?), item \d+")


class RunStopped(SuperlinkError):
    """The run cannot go on, as the cause is no single item. What is done stays done."""


class PlanUnfit(SuperlinkError):
    """A plan does not work on exactly one file, so it cannot be run on many files one by one."""


@dataclass
class ShardResult:
    """The result of a shard.

    Attributes:
        done: numbers of the items on which every step finished.
        failed: number of an item to reason and hint.
        ran: number of calls of tools that were run.
        cached: number of calls whose results were there, from an earlier run or an item of the same content.
        seconds: of the calls that were run, by tool.
    """

    done: list[int] = field(default_factory=list)
    failed: dict[int, tuple[str, str]] = field(default_factory=dict)
    ran: int = 0
    cached: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RunContext:
    """What all shards of a run share.

    Attributes:
        plan: the plan.
        tools: name to tool.
        signature: of plan, tools and weights.
        shard_store: of the values.
        present: the weights that would be used now.
        routing: which results go to review.
    """

    plan: Plan
    tools: Mapping[str, AnyTool]
    signature: str
    shard_store: ShardStore
    present: CurrentWeights
    routing: ReviewRouting


def media_kind(plan: Plan) -> str:
    """The one kind of file that a plan works on, "image", "audio" or "video".

    Raises:
        PlanUnfit: it works on no file, on several, or on a value with another name.
    """
    names = sorted(plan_inputs(plan))
    if len(names) == 1 and names[0] in MEDIA:
        return names[0]
    what = " and ".join(f"${name}" for name in names) or "no file at all"
    raise PlanUnfit(f"The plan works on {what}", "A plan for many files works on one: $image, $audio or $video")


def run_shard(
    ledger: Ledger, run: RunContext, ids: Sequence[int], on_step: Callable[[str, int], None] | None = None
) -> ShardResult:
    """Open items, run every step on them, and record the results.

    The ledger has each batch as soon as it ended, so that the next run goes on where a killed one stopped.

    Args:
        ledger: of the run.
        run: what all shards of the run share.
        ids: numbers of the items.
        on_step: called after each batch with the id of the step and the number of items.

    Raises:
        RunStopped: the cause is no single item: weights are missing, or the disk is full.
        LedgerError: the ledger cannot be written.
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
    # Before they are settled, as settled items are not enqueued again.
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
        # The file is unchanged since it was opened; the plan before may have used the sound of a video instead.
        if entry.ref is not None and entry.ref["kind"] == name.capitalize():
            in_place = (
                "://" not in entry.address and run.shard_store.path(entry.ref) is not None and _is_source_file(entry)
            )
            if in_place:
                run.shard_store.register_file(entry.ref["sha256"], Path(entry.address))
            if in_place or run.shard_store.sound(entry.ref):
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
    """Whether the value of an item is its file, not something extracted from it, such as the sound of a video."""
    try:
        return entry.ref is not None and Path(entry.address).stat().st_size == entry.ref["bytes"]
    except OSError:
        return True  # deleted since the scan: reading it raises the error


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
    calls: dict[str, dict[str, object]] = {}
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
    calls: Mapping[str, dict[str, object]],
    known: Mapping[str, list[FinishedCall]],
    values: dict[int, dict[str, Refs]],
    outcome: ShardResult,
) -> None:
    """Find the results of some calls in the ledger or run them, and record all of them at once."""
    works: dict[str, FinishedCall] = {}
    for base in part:
        found = run.present.first_valid(known.get(base, []))
        if found is not None and all(map(run.shard_store.sound, as_list(found.refs))):
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
    """Raise `RunStopped` for an error that every other item would meet, too."""
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
