"""Running one tool on stored values, and storing what it makes with its provenance."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from tools.core import log
from tools.core.errors import ArgumentsInvalid, OutOfMemory, SuperlinkError, ToolError
from tools.core.faults import Fault, stops_the_program
from tools.runtime.model_cache import evict_idle, in_use
from tools.runtime.packing import Foreign
from tools.runtime.tool import Input, Tool
from tools.storage.store import Provenance, Ref, Store, WeightsUsed
from tools.values import Text, Value
from tools.values.convert import convert
from tools.weights.weights import recording

AnyTool = Tool[..., Any]
Args = Mapping[str, Any]
Result = Ref | list[Ref]

_log = log.logger.getChild("tools")


def call(tool: AnyTool, args: Args, store: Store, step: str = "") -> Result:
    """Run a tool.

    A list given to an input that takes single values maps the tool over its items (several such lists go together
    item by item), and the result is a list; what a mapped tool returns as lists is joined to one.

    Args:
        tool: The tool.
        args: Plain parameters as they are; inputs as a `Ref`, a list of these, or for text the words themselves.
        store: Where inputs are read and results are written.
        step: Id of the plan step, for provenance and errors.

    Returns:
        The reference of the result, or a list of these.

    Raises:
        ArgumentsInvalid: when the arguments do not fit the tool.
        ToolError: when it fails; names tool, step and item.
    """
    rows = rows_of(tool, args)
    if rows is None:
        return _or_raise(call_many(tool, [args], store, step)[0])
    return joined([_or_raise(result) for result in call_many(tool, rows, store, step, stop=True)])


def rows_of(tool: AnyTool, args: Args) -> list[Args] | None:
    """Return the arguments of each run that a call maps to, or None where it is a single run.

    Raises:
        ArgumentsInvalid: when lists of different lengths should go together, or there is nothing to run and another
            argument is wrong.
    """
    mapped = {
        name: args[name] for name, given in tool.inputs.items() if not given.many and isinstance(args.get(name), list)
    }
    if not mapped:
        return None
    lengths = {len(items) for items in mapped.values()}
    if len(lengths) > 1:
        raise ArgumentsInvalid(
            tool.name,
            [
                f"{' and '.join(mapped)}: lists of {' and '.join(map(str, sorted(lengths)))}"
                " values cannot go together item by item"
            ],
        )
    rows: list[Args] = [{**args, **{name: items[i] for name, items in mapped.items()}} for i in range(lengths.pop())]
    if not rows:  # nothing to run, but a wrong argument is still wrong
        _checked(tool, {name: value for name, value in args.items() if name not in mapped}, mapped)
    return rows


def joined(results: Sequence[Result]) -> list[Ref]:
    """Return what the runs of a mapped call gave as one list."""
    return [ref for result in results for ref in (result if isinstance(result, list) else [result])]


def call_many(
    tool: AnyTool, rows: Sequence[Args], store: Store, step: str = "", *, batch_size: int = 16, stop: bool = False
) -> list[Result | SuperlinkError]:
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
        For each row its result, or the error that it ended with; one bad row does not touch the others.
    """
    outcomes: list[Result | SuperlinkError] = []
    jobs: list[_Job] = []

    def flush() -> None:
        outcomes.extend(_run_batch(tool, jobs, store, step))
        jobs.clear()

    for number, args in enumerate(rows):
        item = number if len(rows) > 1 else None
        try:
            job = _Job(item, *_checked(tool, args))
        except ArgumentsInvalid as error:
            flush()
            outcomes.append(error)
        else:
            together = jobs and (job.params, job.refs.keys()) == (jobs[0].params, jobs[0].refs.keys())
            if not (tool.batch and together and len(jobs) < batch_size):
                flush()
            jobs.append(job)
        if stop and any(isinstance(outcome, SuperlinkError) for outcome in outcomes):
            return outcomes
    flush()
    return outcomes


@dataclass(frozen=True)
class _Job:
    item: int | None
    refs: dict[str, Any]
    params: dict[str, Any]


def _checked(
    tool: AnyTool, args: Args, absent: Sequence[str] | Mapping[str, Any] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split arguments into inputs and checked parameters; inputs named in `absent` are not missed."""
    refs = {name: args[name] for name in tool.inputs if args.get(name) is not None}
    problems = list(_input_problems(tool, refs, absent))
    params: dict[str, Any] = {}
    try:
        tool.check_one_of([name for name in (*args, *absent) if name in absent or args[name] is not None])
        params = tool.arguments({name: value for name, value in args.items() if name not in tool.inputs})
    except ArgumentsInvalid as error:
        problems += error.problems
    if problems:
        raise ArgumentsInvalid(tool.name, problems)
    return refs, params


def _input_problems(tool: AnyTool, refs: Mapping[str, Any], absent: Sequence[str] | Mapping[str, Any]) -> Iterator[str]:
    for name, given in tool.inputs.items():
        if name not in refs:
            if not given.optional and name not in absent:
                yield f"{name}: is missing ({' or '.join(given.kinds)})"
            continue
        values = refs[name] if given.many and isinstance(refs[name], list) else [refs[name]]
        for value in values:
            if isinstance(value, str):
                kind = "Text"
            elif isinstance(value, Mapping) and isinstance(value.get("kind"), str):
                kind = value["kind"]
            else:
                yield f"{name}: takes a reference to a stored value, not {type(value).__name__}"
                continue
            if not given.accepts(kind):
                yield f"{name}: takes {' or '.join(given.kinds)}, not {kind}"


def _run_batch(tool: AnyTool, jobs: Sequence[_Job], store: Store, step: str) -> list[Result | SuperlinkError]:
    """Run jobs of equal parameters together, each alone if that fails."""
    if not jobs:
        return []
    began = time.perf_counter()
    item = jobs[0].item if len(jobs) == 1 else None
    try:
        with in_use(), recording() as weights:
            made = _guarded(tool, step, item, lambda: _run(tool, jobs, store))
        seconds = (time.perf_counter() - began) / len(jobs)
        return [_stored(tool, value, job, weights, seconds, store, step) for value, job in zip(made, jobs, strict=True)]
    except SuperlinkError as error:
        if len(jobs) == 1:
            return [error]
        return [outcome for job in jobs for outcome in _run_batch(tool, [job], store, step)]


def _run(tool: AnyTool, jobs: Sequence[_Job], store: Store) -> list[Any]:
    """Return what the function makes of each job."""
    inputs = [{name: _value(tool.inputs[name], ref, store) for name, ref in job.refs.items()} for job in jobs]
    params = jobs[0].params
    if not tool.batch:
        return [with_room(lambda: tool.run(**inputs[0], **params))]
    return _halving(tool, inputs, params)


def _halving(tool: AnyTool, inputs: Sequence[Mapping[str, Value]], params: Mapping[str, Any]) -> list[Any]:
    columns = {name: [row[name] for row in inputs] for name in inputs[0]}
    try:
        run = cast(Callable[[], Sequence[Any]], lambda: tool.run(**columns, **params))
        made = list(with_room(run) if len(inputs) == 1 else run())
    except Exception as error:
        if len(inputs) == 1 or not out_of_memory(error):
            raise
        half = len(inputs) // 2
        return _halving(tool, inputs[:half], params) + _halving(tool, inputs[half:], params)
    if len(made) != len(inputs):
        raise ToolError(
            f"it returned {len(made)} results for {len(inputs)} items",
            "A function over a Batch returns one result for each item",
        )
    return made


def with_room(run: Callable[[], Any]) -> Any:
    """Run, and once more with all idle models evicted where memory ran out."""
    try:
        return run()
    except Exception as error:
        if not out_of_memory(error):
            raise
    evict_idle()
    try:
        return run()
    except Exception as error:
        if not out_of_memory(error) or isinstance(error, OutOfMemory):
            raise
        raise OutOfMemory(
            f"memory ran out: {error}" if str(error) else "memory ran out",
            "Use a smaller picture or recording, a smaller model, or close other programs",
        ) from error


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that main or accelerator memory ran out."""
    if isinstance(error, MemoryError | OutOfMemory) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "out of memory" in str(error).lower()


def _guarded(tool: AnyTool, step: str, item: int | None, run: Callable[[], list[Any]]) -> list[Any]:
    """Return what `run` returns; whatever it raises becomes a ToolError that says where."""
    place = _place(tool, step, item)
    try:
        return run()
    except BaseException as error:
        if stops_the_program(error):
            raise
        code = tool.fn.__code__
        brought: Fault | None = getattr(
            error, "fault", None
        )  # by an isolated tool: its traceback is of its own process
        fault = brought or Fault.of(error, code.co_filename)
        if isinstance(error, SuperlinkError):
            message, hint = error.message, error.hint
        else:
            message, hint = (
                fault.what,
                f"It was raised in {fault.where or f'{code.co_filename}, line {code.co_firstlineno}'}",
            )
        foreseen = isinstance(error, SuperlinkError) and brought is None
        _log.log(logging.DEBUG if foreseen else logging.ERROR, "%s: %s\n%s", place, message, fault.traceback)
        raise ToolError(
            f"{place}: {message}",
            hint,
            tool=tool.name,
            step=step,
            item=item,
            traceback="" if foreseen else fault.traceback,
        ) from error


def _place(tool: AnyTool, step: str, item: int | None) -> str:
    return (f"{tool.name} (step {step})" if step else tool.name) + (f", item {item + 1}" if item is not None else "")


def _value(given: Input, ref: Any, store: Store) -> Any:
    if isinstance(ref, list):
        return [_value(given, each, store) for each in ref]
    value = convert(Text(ref) if isinstance(ref, str) else store.get(ref), given.kinds)
    return [value] if given.many else value


def _stored(
    tool: AnyTool, made: Any, job: _Job, weights: Sequence[WeightsUsed], seconds: float, store: Store, step: str
) -> Result:
    """Store what one job made, each value with its provenance."""
    values = made if tool.returns.many else [made]
    kind = job.refs[tool.returns.follows]["kind"] if tool.returns.follows else tool.returns.kind
    right = isinstance(values, list | tuple) and all(
        isinstance(value, Value) and value.kind == kind for value in values
    )
    if not right:
        raise ToolError(
            f"{_place(tool, step, job.item)}: it returned {_type_name(made)} where "
            f"{'a list of ' if tool.returns.many else ''}{kind} was declared",
            f"Correct the tool in {tool.fn.__code__.co_filename}",
            tool=tool.name,
            step=step,
            item=job.item,
        )
    given = [ref for value in job.refs.values() for ref in (value if isinstance(value, list) else [value])]
    words = {name: value for name, value in job.refs.items() if isinstance(value, str)}
    provenance: Provenance = {
        "step": step,
        "tool": tool.name,
        "version": tool.version,
        "weights": list(weights),
        "args": {**job.params, **words},
        "inputs": [ref["sha256"] for ref in given if not isinstance(ref, str)],
        "seconds": round(seconds, 4),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    refs = [store.put(value, provenance) for value in values]
    return refs if tool.returns.many else refs[0]


def _type_name(made: Any) -> str:
    return made.type if isinstance(made, Foreign) else type(made).__name__


def _or_raise(outcome: Result | SuperlinkError) -> Result:
    if isinstance(outcome, SuperlinkError):
        raise outcome
    return outcome
