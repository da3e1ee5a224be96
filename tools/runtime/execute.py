"""Running one tool on stored values, and storing its results with their provenance."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple, cast

from tools.core import log
from tools.core.abandon import Stopped, raise_if_abandoned
from tools.core.errors import ArgumentsInvalid, SuperlinkError, ToolError
from tools.core.faults import Fault, stops_the_program
from tools.core.progress import counted_rows
from tools.runtime.arguments import Args, Reference, check_arguments, rows_of
from tools.runtime.memory import out_of_memory, retry_with_memory
from tools.runtime.model_cache import in_use
from tools.runtime.packing import Foreign
from tools.runtime.parts import keeping
from tools.runtime.tool import AnyTool, Input
from tools.storage.store import Provenance, Ref, Refs, Store, WeightsUsed, as_list
from tools.values import Text, Value
from tools.values.convert import convert
from tools.weights.usage import Remarks, recording, remarking

_log = log.logger.getChild("tools")


def call(tool: AnyTool, args: Args, store: Store, step: str = "") -> Refs:
    """Run a tool.

    A list given to an input that takes single values maps the tool over its items (several such lists go together
    item by item), and the result is a list; what a mapped tool returns as lists is joined to one.

    Args:
        tool: The tool.
        args: Inputs and plain parameters; see `Args`.
        store: Where inputs are read and results are written.
        step: Id of the plan step, for provenance and errors.

    Returns:
        The reference of the result, or a list of these.

    Raises:
        ArgumentsInvalid: when the arguments do not fit the tool.
        ToolError: when it fails; names tool, step and item.
        Stopped: when the current work was abandoned.
    """
    (outcome,) = _call_each(tool, [args], store, step, batch_size=16, stop=True)
    if isinstance(outcome, SuperlinkError):
        raise outcome
    return outcome.result


class Finished(NamedTuple):
    """A call that ended well: its result, and the seconds that its runs took together."""

    result: Refs
    seconds: float


def call_each(
    tool: AnyTool, calls: Sequence[Args], store: Store, step: str = "", *, batch_size: int = 16
) -> list[Finished | SuperlinkError]:
    """Run a tool on many independent sets of arguments, each as for `call`; all their runs share batches.

    Args:
        tool: The tool.
        calls: Arguments of each call; see `Args`.
        store: Where inputs are read and results are written.
        step: Id of the plan step.
        batch_size: Most runs at once.

    Returns:
        For each call its result, or its first error; an error of one call does not affect the others.
    """
    return _call_each(tool, calls, store, step, batch_size=batch_size, stop=False)


def _call_each(
    tool: AnyTool, calls: Sequence[Args], store: Store, step: str, *, batch_size: int, stop: bool
) -> list[Finished | SuperlinkError]:
    runs: list[Args] = []  # of all calls
    mapped: list[list[Args] | None | SuperlinkError] = []  # the runs of each call; see `rows_of`
    for args in calls:
        try:
            rows = rows_of(tool, args)
        except SuperlinkError as error:
            mapped.append(error)
        else:
            mapped.append(rows)
            runs += [args] if rows is None else rows
    results = iter(call_many(tool, runs, store, step, batch_size=batch_size, stop=stop))
    outcomes: list[Finished | SuperlinkError] = []
    for rows_or_error in mapped:
        if isinstance(rows_or_error, SuperlinkError):
            outcomes.append(rows_or_error)
            continue
        own = list(islice(results, 1 if rows_or_error is None else len(rows_or_error)))
        good = [result for result in own if not isinstance(result, SuperlinkError)]
        error_of_one = next((result for result in own if isinstance(result, SuperlinkError)), None)
        if error_of_one is not None:
            outcomes.append(error_of_one)
        else:
            outcomes.append(
                Finished(good[0] if rows_or_error is None else join_results(good), sum(map(_seconds, good)))
            )
    return outcomes


def _seconds(result: Refs) -> float:
    """How long one run took; the items of a list that it returned took that time together."""
    return next((ref["provenance"]["seconds"] for ref in as_list(result) if "provenance" in ref), 0.0)


def join_results(results: Sequence[Refs]) -> list[Ref]:
    """Return the results of the runs of a mapped call as one list."""
    return [ref for result in results for ref in as_list(result)]


def call_many(
    tool: AnyTool, rows: Sequence[Args], store: Store, step: str = "", *, batch_size: int = 16, stop: bool = False
) -> list[Refs | SuperlinkError]:
    """Run a tool on many independent sets of arguments.

    Tools that take a `Batch` get up to `batch_size` rows with equal parameters at once, and half as many whenever
    memory runs out.

    Args:
        tool: The tool.
        rows: Arguments, each as for `call`, but without mapped lists.
        store: Where inputs are read and results are written.
        step: Id of the plan step.
        batch_size: Most rows at once.
        stop: End at the first failure; the list is then shorter, with the failure last.

    Returns:
        For each row its result, or its error; an error of one row does not affect the others.
    """
    outcomes: list[Refs | SuperlinkError] = []
    jobs: list[_Job] = []
    with counted_rows(len(rows)) as tell:

        def flush() -> bool:
            """Run the jobs; return whether to end after them."""
            tell(len(outcomes), len(jobs))
            done = _run_batch(tool, jobs, store, step)
            outcomes.extend(done)
            jobs.clear()
            return stop and any(isinstance(outcome, SuperlinkError) for outcome in done)

        for number, args in enumerate(rows):
            item = number if len(rows) > 1 else None
            try:
                job = _Job(item, *check_arguments(tool, args))
            except ArgumentsInvalid as error:
                flush()
                outcomes.append(error)
                if stop:
                    return outcomes
                continue
            together = jobs and (job.params, job.refs.keys()) == (jobs[0].params, jobs[0].refs.keys())
            joins = tool.batch and together and len(jobs) < batch_size
            if not joins and flush():
                return outcomes
            jobs.append(job)
        flush()
    return outcomes


@dataclass(frozen=True)
class _Job:
    item: int | None
    refs: dict[str, Reference]
    params: dict[str, object]


def _run_batch(tool: AnyTool, jobs: Sequence[_Job], store: Store, step: str) -> list[Refs | SuperlinkError]:
    """Run jobs of equal parameters together, or each alone if that fails."""
    if not jobs:
        return []
    began = time.perf_counter()
    item = jobs[0].item if len(jobs) == 1 else None
    try:
        # Parts are those of one call: jobs that run together share them out in other ways next time.
        folder = store.parts_folder() if len(jobs) == 1 else None
        with keeping(folder, _described(tool, jobs[0])):
            with in_use(), recording() as weights, remarking() as remarks:
                results = _guarded(tool, step, item, lambda: _run(tool, jobs, store))
            seconds = (time.perf_counter() - began) / len(jobs)
            return [
                _put_result(tool, result, job, weights, remarks, seconds, store, step)
                for result, job in zip(results, jobs, strict=True)
            ]
    except Stopped:
        raise
    except SuperlinkError as error:
        if len(jobs) == 1:
            return [error]
        return [outcome for job in jobs for outcome in _run_batch(tool, [job], store, step)]


def _described(tool: AnyTool, job: _Job) -> dict[str, object]:
    """Return what tells a job's result from others, besides the weights."""
    inputs = {
        name: [ref if isinstance(ref, str) else ref["sha256"] for ref in as_list(refs)]
        for name, refs in job.refs.items()
    }
    return {"tool": tool.name, "version": tool.version, "args": job.params, "inputs": inputs}


def _run(tool: AnyTool, jobs: Sequence[_Job], store: Store) -> list[object]:
    """Return the function's result for each job."""
    inputs = [{name: _value(tool.inputs[name], ref, store) for name, ref in job.refs.items()} for job in jobs]
    params = jobs[0].params
    if not tool.batch:
        return [retry_with_memory(lambda: tool.run(**inputs[0], **params))]
    return _run_in_halves(tool, inputs, params)


def _run_in_halves(tool: AnyTool, inputs: Sequence[Args], params: Args) -> list[object]:
    """Run a tool over a batch; when memory runs out, over each half of it."""
    columns = {name: [row[name] for row in inputs] for name in inputs[0]}
    try:
        run = cast(Callable[[], Sequence[object]], lambda: tool.run(**columns, **params))
        results = list(retry_with_memory(run) if len(inputs) == 1 else run())
    except Exception as error:
        if len(inputs) == 1 or not out_of_memory(error):
            raise
        half = len(inputs) // 2
        return _run_in_halves(tool, inputs[:half], params) + _run_in_halves(tool, inputs[half:], params)
    if len(results) != len(inputs):
        raise ToolError(
            f"it returned {len(results)} results for {len(inputs)} items",
            "A function over a Batch returns one result for each item",
        )
    return results


def _guarded(tool: AnyTool, step: str, item: int | None, run: Callable[[], list[object]]) -> list[object]:
    """Return what `run` returns.

    Raises:
        ToolError: for any exception; names tool, step and item.
    """
    place = _place(tool, step, item)
    try:
        return run()
    except BaseException as error:
        if stops_the_program(error):
            raise
        raise_if_abandoned()
        code = tool.fn.__code__
        # An isolated tool's error has a fault with the traceback of the tool's own process.
        remote: Fault | None = getattr(error, "fault", None)
        fault = remote or Fault.of(error, code.co_filename)
        if isinstance(error, SuperlinkError):
            message, hint = error.message, error.hint
        else:
            message, hint = (
                fault.what,
                f"It was raised in {fault.where or f'{code.co_filename}, line {code.co_firstlineno}'}",
            )
        expected = isinstance(error, SuperlinkError) and remote is None
        _log.log(logging.DEBUG if expected else logging.ERROR, "%s: %s\n%s", place, message, fault.traceback)
        raise ToolError(
            f"{place}: {message}",
            hint,
            tool=tool.name,
            step=step,
            item=item,
            traceback="" if expected else fault.traceback,
        ) from error


def _place(tool: AnyTool, step: str, item: int | None) -> str:
    return (f"{tool.name} (step {step})" if step else tool.name) + (f", item {item + 1}" if item is not None else "")


def _value(given: Input, ref: Reference, store: Store) -> Value | list[Value]:
    """Return the value of an input, as a list for an input that takes a list as a whole."""
    if isinstance(ref, list):
        return [_load(given, each, store) for each in ref]
    value = _load(given, ref, store)
    return [value] if given.many else value


def _load(given: Input, ref: Ref | str, store: Store) -> Value:
    return convert(Text(ref) if isinstance(ref, str) else store.get(ref), given.kinds)


def _put_result(
    tool: AnyTool,
    result: object,
    job: _Job,
    weights: Sequence[WeightsUsed],
    remarks: Remarks,
    seconds: float,
    store: Store,
    step: str,
) -> Refs:
    """Store the result of one job, each value with its provenance.

    Raises:
        ToolError: when the result is not of the declared type.
    """
    kind = tool.returns.kind
    if tool.returns.follows:
        kind = cast(Ref, job.refs[tool.returns.follows])["kind"]
    results = result if tool.returns.many else [result]
    values = [each for each in results if isinstance(each, Value)] if isinstance(results, list | tuple) else []
    if not isinstance(results, list | tuple) or [value.kind for value in values] != [kind] * len(results):
        raise ToolError(
            f"{_place(tool, step, job.item)}: it returned {_type_name(result)} where "
            f"{'a list of ' if tool.returns.many else ''}{kind} was declared",
            f"Correct the tool in {tool.fn.__code__.co_filename}",
            tool=tool.name,
            step=step,
            item=job.item,
        )
    inputs = [ref for value in job.refs.values() for ref in as_list(value)]
    words = {name: value for name, value in job.refs.items() if isinstance(value, str)}
    provenance: Provenance = {
        "step": step,
        "tool": tool.name,
        "version": tool.version,
        "weights": list(weights),
        "args": {**job.params, **words},
        "inputs": [ref["sha256"] for ref in inputs if not isinstance(ref, str)],
        "seconds": round(seconds, 4),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if remarks.links:
        provenance["links"] = remarks.links
    if remarks.notes:
        provenance["notes"] = remarks.notes
    refs = [store.put(value, provenance) for value in values]
    return refs if tool.returns.many else refs[0]


def _type_name(result: object) -> str:
    return result.type if isinstance(result, Foreign) else type(result).__name__
