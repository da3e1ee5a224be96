"""The arguments of a call: checked, and dealt out to the runs of a call that maps over lists."""

from collections.abc import Collection, Iterator, Mapping
from typing import cast

from tools.core.errors import ArgumentsInvalid
from tools.runtime.tool import AnyTool
from tools.storage.store import Ref

Args = Mapping[str, object]
"""Plain parameters as they are; inputs as a `Ref`, a list of these, or for text the words themselves."""
Reference = Ref | str | list[Ref | str]


def rows_of(tool: AnyTool, args: Args) -> list[Args] | None:
    """Return the arguments of each run of a call that maps over lists, or None for a single run.

    Raises:
        ArgumentsInvalid: when lists differ in length, or when they are empty and another argument is wrong.
    """
    mapped = {
        name: items
        for name, given in tool.inputs.items()
        if not given.many and isinstance(items := args.get(name), list)
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
        check_arguments(tool, {name: value for name, value in args.items() if name not in mapped}, mapped)
    return rows


def check_arguments(
    tool: AnyTool, args: Args, absent: Collection[str] = ()
) -> tuple[dict[str, Reference], dict[str, object]]:
    """Split arguments into inputs and plain parameters, and check them.

    Args:
        tool: The tool.
        args: The arguments.
        absent: Names of inputs that may be missing.

    Raises:
        ArgumentsInvalid: with all problems.
    """
    refs = {name: args[name] for name in tool.inputs if args.get(name) is not None}
    problems = list(_input_problems(tool, refs, absent))
    params: dict[str, object] = {}
    try:
        tool.check_one_of([name for name in (*args, *absent) if name in absent or args[name] is not None])
        params = tool.arguments({name: value for name, value in args.items() if name not in tool.inputs})
    except ArgumentsInvalid as error:
        problems += error.problems
    if problems:
        raise ArgumentsInvalid(tool.name, problems)
    return cast(dict[str, Reference], refs), params


def _input_problems(tool: AnyTool, refs: Args, absent: Collection[str]) -> Iterator[str]:
    for name, given in tool.inputs.items():
        if name not in refs:
            if not given.optional and name not in absent:
                yield f"{name}: is missing ({' or '.join(given.kinds)})"
            continue
        ref = refs[name]
        for value in ref if given.many and isinstance(ref, list) else [ref]:
            if isinstance(value, str):
                kind = "Text"
            elif isinstance(value, Mapping) and isinstance(value.get("kind"), str):
                kind = value["kind"]
            else:
                yield f"{name}: takes a reference to a stored value, not {type(value).__name__}"
                continue
            if not given.accepts(kind):
                yield f"{name}: takes {' or '.join(given.kinds)}, not {kind}"
