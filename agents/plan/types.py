"""What is known of a value before it exists: its kind, whether it is a list, and what it belongs to."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from agents.plan.plan import references
from common.card import Card
from common.kinds import LOCATION_KINDS, MEDIA_KINDS, PICTURE_KINDS
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


@lru_cache(maxsize=1024)
def _card(tool: AnyTool) -> Card:
    # A card takes a thousand times longer to make than a plan to check.
    return tool.card()


@dataclass(frozen=True)
class Known:
    """What is known of a value before it exists.

    Attributes:
        kind: name of its kind, such as "Image".
        many: it is a list of such values.
        source: for a list, the value that gave it its length; lists of one source go together item by item.
        frame: the value in whose pixels its places are counted; an image and boxes of one frame go together.
        turn: of the conversation, in which it came to be.
        made: by a step, as opposed to given by a person.
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


def step_number(name: str) -> int:
    """7 for "s7"; 0 for names that are not a step's."""
    found = _STEP.fullmatch(name)
    return int(found[1]) if found else 0


def known(values: "Mapping[str, str | Known]") -> dict[str, Known]:
    """Complete what is known of the values at hand.

    Args:
        values: name to kind ("Image", "list[Image]") or to `Known`, ordered from old to new.
    """
    found = {}
    for name, value in values.items():
        if isinstance(value, str):
            inner = _LIST.fullmatch(value)
            value = Known(inner[1] if inner else value, inner is not None, made=step_number(name) > 0)
        found[name] = replace(value, source=value.source or (name if value.many else ""), frame=value.frame or name)
    return found


def argument(value: object, at_hand: Mapping[str, Known]) -> Known | None:
    """What is known of an argument: of the value it refers to, or of the list of these.

    Returns:
        None when it is no reference, refers to what is not there, or is a list of lists or of several kinds.
    """
    names = list(references(value))
    items = [at_hand[name] for name in names if name in at_hand]
    if not items or len(items) != (len(value) if isinstance(value, list) else 1):
        return None
    if not isinstance(value, list):
        return items[0]
    if any(item.many for item in items) or len({item.kind for item in items}) > 1:
        return None
    return Known(items[0].kind, True, "+".join(names), items[0].frame, max(item.turn for item in items))


def result(step: str, args: Mapping[str, object], card: Card, at_hand: Mapping[str, Known], turn: int) -> Known:
    """What is known of a step's result.

    A list given to an input for single values maps the step over it: the result is a list of the same
    source. What a mapped step gives as lists is joined to one list. A tool may give the kind that it was given. A picture made from a picture keeps its
    frame, and marks take the frame of what they were found in; pictures that come as a list were cut out
    and are frames of their own.
    """
    taken = {name: what for name in card["inputs"] if (what := argument(args.get(name), at_hand)) is not None}
    mapped = [what for name, what in taken.items() if what.many and not card["inputs"][name]["many"]]
    kind, listed = card["returns"]["kind"], card["returns"]["many"]
    followed = taken.get(card["returns"].get("follows", ""))
    if followed is not None and followed.kind in card["inputs"][card["returns"]["follows"]]["kinds"]:
        kind = followed.kind
    source = step if listed else mapped[0].source if mapped else ""
    frame = step
    if kind in MEDIA_KINDS and not listed:
        frame = next((what.frame for what in taken.values() if what.kind == kind), step)
    elif kind in LOCATION_KINDS:
        frame = next((what.frame for what in taken.values() if what.kind in PICTURE_KINDS | LOCATION_KINDS), step)
    return Known(kind, listed or bool(mapped), source, frame, turn, made=True)


def newest_first(at_hand: Mapping[str, Known]) -> Iterator[list[str]]:
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


def named(kinds: Iterable[str]) -> str:
    """Kinds as a message says them: "an image or a video"."""
    return " or ".join(_NAMES.get(kind, kind) for kind in kinds)
