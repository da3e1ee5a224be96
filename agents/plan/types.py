"""Static types of plan values: kind, single or list, and the picture that their coordinates refer to."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from typing_extensions import TypedDict

from agents.plan.plan import references
from common.card import Card
from tools.runtime.tool import AnyTool as AnyTool

_NAMES = {
    "Image": "an image",
    "Audio": "a sound",
    "Video": "a video",
    "Text": "a text",
    "Transcript": "a transcript",
    "Detections": "detections",
    "Poses": "poses",
    "Number": "a number",
}
_LIST = re.compile(r"list\[(\w+)\]")
_STEP = re.compile(r"s([1-9]\d{0,8})", re.ASCII)


def cards_of(tools: Mapping[str, AnyTool]) -> dict[str, Card]:
    """The cards of tools, by name."""
    return {name: _card(tool) for name, tool in tools.items()}


def planner_cards(tools: Mapping[str, AnyTool]) -> list[Card]:
    """The cards of the tools that planners are offered."""
    return [card for name, card in cards_of(tools).items() if tools[name].planned]


@lru_cache(maxsize=1024)
def _card(tool: AnyTool) -> Card:
    # A card takes a thousand times longer to make than a plan to check.
    return tool.card()


class ValueTypeJson(TypedDict):
    """A `ValueType` as plain JSON."""

    kind: str
    many: bool
    source: str
    frame: str
    turn: int
    made: bool


@dataclass(frozen=True)
class ValueType:
    """The static type of a value: what the plan alone says of it.

    Attributes:
        kind: name of its kind, such as "Image".
        many: whether it is a list of such values.
        source: for a list, the name of the value that its length comes from; lists of one source have equal lengths.
        frame: name of the picture that coordinates in it refer to; an image and boxes of one frame go together.
        turn: number of the turn, from 1, in which the value is given or made; 0 outside a session.
        made: whether a step makes it, as opposed to a person giving it.
    """

    kind: str
    many: bool = False
    source: str = ""
    frame: str = ""
    turn: int = 0
    made: bool = False

    def __str__(self) -> str:
        """The kind as people write it: "Image" or "list[Image]"."""
        return f"list[{self.kind}]" if self.many else self.kind

    def to_json(self) -> ValueTypeJson:
        """As plain JSON, which ``ValueType(**…)`` reads."""
        return {
            "kind": self.kind,
            "many": self.many,
            "source": self.source,
            "frame": self.frame,
            "turn": self.turn,
            "made": self.made,
        }


def step_number(name: str) -> int:
    """7 for "s7"; 0 for names that are not a step's."""
    found = _STEP.fullmatch(name)
    return int(found[1]) if found else 0


def value_types(values: Mapping[str, str | ValueType]) -> dict[str, ValueType]:
    """The types of the values at hand.

    Args:
        values: name to kind ("Image", "list[Image]") or to `ValueType`, ordered from old to new. A missing source or
            frame is filled in with the value's own name.
    """
    found = {}
    for name, value in values.items():
        if isinstance(value, str):
            inner = _LIST.fullmatch(value)
            value = ValueType(inner[1] if inner else value, inner is not None, made=step_number(name) > 0)
        found[name] = replace(value, source=value.source or (name if value.many else ""), frame=value.frame or name)
    return found


def argument_type(value: object, at_hand: Mapping[str, ValueType]) -> ValueType | None:
    """The type of an argument: of the value it refers to, or of a list of references.

    Returns:
        None when it is no reference, refers to no value at hand, or is a list of lists or of several kinds.
    """
    names = list(references(value))
    items = [at_hand[name] for name in names if name in at_hand]
    if not items or len(items) != (len(value) if isinstance(value, list) else 1):
        return None
    if not isinstance(value, list):
        return items[0]
    if any(item.many for item in items) or len({item.kind for item in items}) > 1:
        return None
    return ValueType(items[0].kind, True, "+".join(names), items[0].frame, max(item.turn for item in items))


def newest_first(at_hand: Mapping[str, ValueType]) -> Iterator[list[str]]:
    """Names from new to old, in groups of equally new ones.

    Results of steps are newer than what a person gave in the same turn, each newer than the one before;
    everything that a person gave in one turn is equally new.
    """
    newest = list(at_hand)[::-1]
    for turn in sorted({what.turn for what in at_hand.values()}, reverse=True):
        yield from ([name] for name in newest if at_hand[name].turn == turn and at_hand[name].made)
        given = [name for name, what in at_hand.items() if what.turn == turn and not what.made]
        if given:
            yield given


def kind_names(kinds: Iterable[str]) -> str:
    """Kinds in words, for messages: "an image or a video"."""
    return " or ".join(_NAMES.get(kind, kind) for kind in kinds)
