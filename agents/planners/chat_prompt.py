"""The prompt for a chat model that plans, and reading the plan from its answer.

The model reads the request, the names and kinds of the values at hand and the tools' cards; never the values.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict

from agents.plan.check import MAX_STEPS
from agents.plan.plan import PlanInvalid
from agents.plan.problems import Problem
from agents.planners.base import Demonstration
from common.card import Card, CardInput
from tools.runtime.schema import Schema, at_least

CALL = "submit_plan"


class ChatFunction(TypedDict):
    """A function that a chat model can call, as OpenAI's protocol describes functions."""

    name: str
    description: str
    parameters: Schema


class ChatMessage(TypedDict):
    """One message of a conversation."""

    role: str
    content: str


_RULES = """You plan work on pictures, sound and video. Turn the request into steps, each a call of one tool, \
and hand the plan in by calling {call} once. Do nothing else.
- Give the steps the ids s{first}, s{second}, … in the order in which they run.
- "$s{first}" refers to the result of step s{first}, "$name" to a value at hand. Only earlier ones can be used.
- An input that is left out takes the newest value of its type, which is usually what is meant.
- A list given to an input for single values runs the step on each item.
- A text that really begins with $ is written with $$.
- outputs names the results that the person wants to see; leave it out to show the last ones.
- If no tool fits the request, hand in no steps."""


def function(tools: Sequence[Card]) -> ChatFunction:
    """The function that the model calls with the plan."""
    return {"name": CALL, "description": "Hand in the plan.", "parameters": plan_schema(tools)}


def plan_schema(tools: Sequence[Card]) -> Schema:
    """JSON schema of plans that call only these tools."""
    return {
        "type": "object",
        "properties": {
            "steps": {
                "type": "array",
                "maxItems": MAX_STEPS,
                "items": {"anyOf": [_step(card) for card in tools]},
            },
            "outputs": {"type": "array", "items": _reference("Result to show")},
        },
        "required": ["steps"],
        "additionalProperties": False,
    }


def _step(card: Card) -> Schema:
    example = f' Example: "{card["examples"][0]}".' if card["examples"] else ""
    follows = card["returns"].get("follows")
    kind = " or ".join(card["inputs"][follows]["kinds"]) if follows else card["returns"]["kind"]
    gives = f"{'a list of ' if card['returns']['many'] else ''}{kind}"
    rule = f" Give at least one of {', '.join(card['one_of'])}." if card["one_of"] else ""
    return {
        "type": "object",
        "description": f"{card['doc']} Gives {gives}.{rule}{example}",
        "properties": {
            "id": {"type": "string"},
            "tool": {"const": card["name"]},
            "args": {
                "type": "object",
                "properties": {name: _input(given) for name, given in card["inputs"].items()} | dict(card["params"]),
                "required": card["required"],
                **at_least(card["one_of"]),
                "additionalProperties": False,
            },
        },
        "required": ["id", "tool", "args"],
        "additionalProperties": False,
    }


def _input(given: CardInput) -> Schema:
    kinds = " or ".join(given["kinds"])
    if given.get("literal"):
        return {"type": "string", "description": f"The text itself, or a reference to {kinds}"}
    one = _reference(f"Reference to {kinds}")
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _reference(description: str) -> Schema:
    return {"type": "string", "pattern": r"^\$\w+$", "description": description}


def messages(
    request: str,
    values: Mapping[str, str],
    demonstrations: Sequence[Demonstration],
    problems: Sequence[Problem],
    first: int,
) -> list[ChatMessage]:
    """The messages that ask for a plan whose first step is number ``first``."""
    system = _RULES.format(call=CALL, first=first, second=first + 1)
    for shown in demonstrations:
        steps = [{"id": f"s{n}", **call} for n, call in enumerate(shown.calls, 1)]
        have = ", ".join(shown.have) or "nothing"
        system += f"\nWith {have} at hand, {json.dumps(shown.request)} is planned as {json.dumps(steps)}"
    at_hand = "\n".join(f"${name}: {kind}" for name, kind in values.items()) or "none"
    asked = f"Values at hand, from old to new:\n{at_hand}\n\nRequest: {request}"
    if problems:
        faults = "\n".join(f"- {problem}" for problem in problems)
        asked += f"\n\nYour last plan could not run:\n{faults}\nHand in a plan without these problems."
    return [{"role": "system", "content": system}, {"role": "user", "content": asked}]


def parse_call(written: str) -> dict[str, object]:
    """The arguments of the call: the first JSON object in the text that is a plan, or a call with a plan.

    Raises:
        PlanInvalid: there is none.
    """
    decoder, start = json.JSONDecoder(), written.find("{")
    while start >= 0:
        try:
            found, end = decoder.raw_decode(written, start)
        except (ValueError, RecursionError):
            start = written.find("{", start + 1)
            continue
        # Local models write {"name": …, "arguments": {…}}, some with the arguments as text.
        inner = found.get("arguments", found.get("parameters", found))
        if isinstance(inner, str):
            return parse_call(inner)
        if isinstance(inner, dict) and "steps" in inner:
            return dict(inner)
        start = written.find("{", end)
    raise PlanInvalid(
        f"no call of {CALL} came back, but {written[:200]!r}" if written.strip() else f"no call of {CALL} came back",
        f"Call {CALL} once, with the steps",
    )
