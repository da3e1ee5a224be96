"""Plans as examples for planners: without what wiring fills in, and without the names of values."""

from collections.abc import Mapping

from pydantic import JsonValue

from agents.plan.check import wire_and_check
from agents.plan.plan import ABOVE, Plan, Step, escape, leaves, references, unescape
from agents.plan.types import AnyTool, ValueType, cards_of
from agents.planners.base import Demonstration, ToolCall
from common.card import Card
from tools.core.errors import SuperlinkError
from tools.values.base import canonical_json

MOST_CHARACTERS = 4000
"""Of an example as JSON. A longer one would take more of the prompt than the request."""


class NoExample(SuperlinkError):
    """A plan cannot be an example."""


def demonstration_of(
    plan: Plan, request: str, values: Mapping[str, ValueType], tools: Mapping[str, AnyTool]
) -> Demonstration:
    """A plan as an example: only its tools and plain arguments, as planners write them.

    References to values are left out where `wire` fills them in again. So no example holds the name of a value.

    Args:
        plan: wired and checked.
        request: in words.
        values: what was at hand, ordered from old to new.
        tools: name to tool.

    Raises:
        NoExample: there are no words or no steps, it is too long, or a planner cannot write it: an argument is an
            object or a list of lists, or an input is another value than the one that `wire` would fill in.
    """
    if not request.strip():
        raise NoExample("There is no request in words for this plan", "Say what the plan is for")
    if not plan.steps:
        raise NoExample("The plan has no steps", "Give a plan that does something")
    cards = cards_of(tools)
    calls: list[ToolCall] = [{"tool": step.tool, "args": _plain_args(step, cards)} for step in plan.steps]
    shown = Demonstration([value.kind for value in values.values()], request, calls)
    check_size(shown)
    # Steps keep their ids, which are what the references of the wired plan name.
    bare = tuple(
        step.model_copy(update={"args": {name: escape(value) for name, value in call["args"].items()}})
        for step, call in zip(plan.steps, calls, strict=True)
    )
    wired, problems = wire_and_check(Plan(request=request, steps=bare), tools, values)
    if problems or wired.steps != plan.steps:
        raise NoExample(
            "This plan names values that are not the usual ones for its steps, which an example cannot hold",
            "Leave the inputs of the steps out, as far as they are found by themselves",
        )
    return shown


def fits(shown: Demonstration, cards: Mapping[str, Card]) -> bool:
    """Whether all that an example calls is there: its tools, and their arguments by name."""
    return all(
        call["tool"] in cards
        and call["args"].keys() <= cards[call["tool"]]["inputs"].keys() | cards[call["tool"]]["params"].keys()
        for call in shown.calls
    )


def check_size(shown: Demonstration) -> None:
    """Raise `NoExample` for one that is longer than `MOST_CHARACTERS`."""
    size = len(canonical_json(shown.to_json()))
    if size > MOST_CHARACTERS:
        raise NoExample(
            f"An example of {size} characters is too long", f"Give one of {MOST_CHARACTERS} characters at most"
        )


def _plain_args(step: Step, cards: Mapping[str, Card]) -> dict[str, JsonValue]:
    inputs = cards[step.tool]["inputs"] if step.tool in cards else {}
    args: dict[str, JsonValue] = {}
    for name, value in step.args.items():
        if value is None:
            continue
        if any(references(value)):
            if name in inputs and inputs[name]["optional"]:
                args[name] = ABOVE
        elif is_writable(value):
            args[name] = unescape(value)
        else:
            raise NoExample(
                f"{step.tool} has an argument {name} that planners cannot write: an object, or a list of lists",
                "Give a plan with plain arguments",
            )
    return args


def is_writable(value: JsonValue) -> bool:
    """Whether planners can write an argument: a plain value, or a list of plain values."""
    return not isinstance(value, dict) and (not isinstance(value, list) or list(leaves(value)) == value)


def in_words(shown: Demonstration) -> str:
    """The calls of an example in one line, such as ``detect(labels=["dog"]) → redact()``."""
    lines = []
    for call in shown.calls:
        args = ", ".join(f"{name}={canonical_json(value).decode()}" for name, value in call["args"].items())
        lines.append(f"{call['tool']}({args})")
    return " → ".join(lines)
