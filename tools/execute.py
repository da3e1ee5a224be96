"""Runs one tool on stored values and stores what it gives, with where it came from."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tools.base import Input, Tool, wrap
from tools.errors import ArgumentsInvalid, OutOfMemory, SuperlinkError, ToolError
from tools.store import Provenance, Ref, Store
from tools.values import Text, Value
from tools.values.convert import convert
from tools.weights import recorded

Result = Ref | list[Ref]
AnyTool = Tool[..., Any]


def call(tool: AnyTool, args: Mapping[str, Any], store: Store, step: str = "") -> Result:
    """Run a tool.

    Args:
        tool: the tool.
        args: plain arguments as they are; inputs as a `Ref`, a list of these, or, for text, the words themselves.
        store: where inputs are read and results are written.
        step: id of the plan step, for provenance and errors.

    Returns:
        The result's reference. A list given to an input for single values maps the tool over its items, and the
        result is a list; what a mapped tool gives as lists is joined to one list.

    Raises:
        ArgumentsInvalid: the arguments do not fit the tool.
        ToolError: the tool failed; names tool, step and item.
    """
    plain = tool.arguments({name: value for name, value in args.items() if name not in tool.inputs})
    taken = {name: args[name] for name in tool.inputs if args.get(name) is not None}
    problems = list(_problems(tool, taken))
    if problems:
        raise ArgumentsInvalid(tool.name, problems)
    mapped = [name for name, value in taken.items() if isinstance(value, list) and not tool.inputs[name].many]
    count = len(taken[mapped[0]]) if mapped else 1
    rows = [{name: value[i] if name in mapped else value for name, value in taken.items()} for i in range(count)]
    results: list[Result] = []
    for made in _run(tool, rows, plain, store, step):
        results.append(made)
    if not mapped:
        return results[0]
    return [ref for result in results for ref in (result if isinstance(result, list) else [result])]


def _problems(tool: AnyTool, taken: Mapping[str, Any]) -> Iterator[str]:
    lengths = set()
    for name, given in tool.inputs.items():
        if name not in taken:
            if not given.optional:
                yield f"{name}: {' or '.join(given.kinds)} is missing"
            continue
        for value in taken[name] if isinstance(taken[name], list) else [taken[name]]:
            kind = "Text" if isinstance(value, str) else value["kind"]
            if kind not in given.accepts:
                yield f"{name}: takes {' or '.join(given.kinds)}, not {kind}"
        if isinstance(taken[name], list) and not given.many:
            lengths.add(len(taken[name]))
    if len(lengths) > 1:
        yield f"lists of {' and '.join(map(str, sorted(lengths)))} values cannot go together item by item"


def _run(
    tool: AnyTool, rows: Sequence[Mapping[str, Any]], plain: Mapping[str, Any], store: Store, step: str
) -> Iterator[Result]:
    """Results of a tool on each row of inputs, stored."""
    if not tool.batched:
        for number, row in enumerate(rows):
            item = number if len(rows) > 1 else None
            began = time.perf_counter()
            with recorded() as weights:
                result = _guarded(tool, step, item, lambda row=row: tool.fn(**_values(tool, row, store), **plain))
            yield _stored(tool, result, row, plain, weights, time.perf_counter() - began, store, step, item)
        return
    began = time.perf_counter()
    with recorded() as weights:
        columns: dict[str, list[Any]] = {}
        for row in rows:
            for name, value in _values(tool, row, store).items():
                columns.setdefault(name, []).append(value)
        made = _guarded(tool, step, None, lambda: _split(tool, columns, plain, len(rows)))
    each = (time.perf_counter() - began) / max(1, len(rows))
    for number, (row, result) in enumerate(zip(rows, made, strict=True)):
        yield _stored(tool, result, row, plain, weights, each, store, step, number if len(rows) > 1 else None)


def _split(tool: AnyTool, columns: Mapping[str, list[Any]], plain: Mapping[str, Any], count: int) -> list[Any]:
    """A batched tool on all rows at once; halves of them when they do not fit into memory."""
    if not count:
        return []
    try:
        results = list(tool.fn(**columns, **plain))
    except Exception as error:
        if not out_of_memory(error):
            raise
        if count == 1:
            raise OutOfMemory(
                f"one item alone does not fit into memory: {error}", "Use a smaller picture or a smaller model"
            ) from error
        half = count // 2
        first = {name: values[:half] for name, values in columns.items()}
        second = {name: values[half:] for name, values in columns.items()}
        return _split(tool, first, plain, half) + _split(tool, second, plain, count - half)
    if len(results) != count:
        raise ToolError(f"it gave {len(results)} results for {count} items", "A batched tool gives one for each")
    return results


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on this machine or on the accelerator."""
    return isinstance(error, MemoryError | OutOfMemory) or "out of memory" in str(error).lower()


def _guarded(tool: AnyTool, step: str, item: int | None, run: Callable[[], Any]) -> Any:
    """What ``run`` gives; whatever it raises becomes an error that says where."""
    place = f"{step or tool.name}" + (f" ({tool.name})" if step else "") + (f", item {item + 1}" if item is not None else "")
    try:
        return run()
    except SuperlinkError as error:
        raise ToolError(f"{place}: {error.message}", error.hint, tool=tool.name, step=step, item=item) from error
    except Exception as error:
        hint = "Close other programs or use a smaller model" if out_of_memory(error) else ""
        raise ToolError(
            f"{place}: {type(error).__name__}: {error}", hint, tool=tool.name, step=step, item=item
        ) from error


def _values(tool: AnyTool, row: Mapping[str, Any], store: Store) -> dict[str, Any]:
    return {name: _value(tool.inputs[name], value, store) for name, value in row.items()}


def _value(given: Input, value: Any, store: Store) -> Any:
    if isinstance(value, list):
        return [_value(given, item, store) for item in value]
    return convert(Text(value) if isinstance(value, str) else store.get(value), given.kinds)


def _stored(
    tool: AnyTool, result: Any, row: Mapping[str, Any], plain: Mapping[str, Any], weights: list[Any],
    seconds: float, store: Store, step: str, item: int | None,
) -> Result:  # fmt: skip
    """Put a result into the store, each value with its provenance."""
    result = wrap(result)
    values = result if tool.returns.many else [result]
    if not isinstance(values, list) or any(not isinstance(v, Value) or v.kind != tool.returns.kind for v in values):
        got = type(result).__name__
        raise ToolError(
            f"{step or tool.name}: it gave {got} where {'a list of ' * tool.returns.many}{tool.returns.kind} was declared",
            f"Mend the tool {tool.name}", tool=tool.name, step=step, item=item,
        )  # fmt: skip
    inputs = [
        ref["sha256"] for value in row.values() for ref in (value if isinstance(value, list) else [value])
        if not isinstance(ref, str)
    ]  # fmt: skip
    words = {name: value for name, value in row.items() if isinstance(value, str)}
    provenance: Provenance = {
        "step": step, "tool": tool.name, "version": tool.version, "weights": list(weights),
        "args": {**plain, **words}, "inputs": inputs, "seconds": round(seconds, 4),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    refs = [store.put(value, provenance) for value in values]
    return refs if tool.returns.many else refs[0]
