"""The results of a turn, item by item: how each is looked at, in which picture it was found, and what it says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agents.session.results import source_of
from tools.storage.store import Ref, Refs, as_list
from ui.turns.view import ResultView, TurnView

PAGE = 24
"""Items on a page of a contact sheet."""

Look = Literal["picture", "compare", "shapes", "tracks", "film", "sound", "text"]
"""How a result is looked at: a picture; before and after; shapes over a picture; a video with what was followed in it;
a video; a recording; words."""


@dataclass(frozen=True)
class Item:
    """One value of a result.

    Attributes:
        ref: Of the value.
        source: Of the picture, video or recording that it came from; None where there is none.
        files: Files that show it.
    """

    ref: Ref
    source: Ref | None
    files: tuple[Path, ...]

    @property
    def look(self) -> Look:
        """How it is looked at."""
        kind, source = self.ref["kind"], "" if self.source is None else self.source["kind"]
        if kind == "Image":
            return "compare" if self.source is not None and _same_size(self.ref, self.source) else "picture"
        if kind in ("Detections", "Poses") and source:
            return "tracks" if source == "Video" else "shapes"
        if kind == "Transcript" and source:
            return "shapes" if source == "Image" else "film" if source == "Video" else "sound"
        return "sound" if kind == "Audio" else "film" if kind == "Video" else "text"


@dataclass(frozen=True)
class Shown:
    """A result of a turn.

    Attributes:
        name: Name of the value, such as "s2".
        tool: Tool that made it.
        kind: Kind of its values.
        items: Its values; one unless it is a list.
        many: Whether it is a list.
        final: Whether the plan names it as an output.
    """

    name: str
    tool: str
    kind: str
    items: tuple[Item, ...]
    many: bool
    final: bool


def read(turn: TurnView, at_hand: Mapping[str, Refs]) -> list[Shown]:
    """Return the results of a turn, outputs of the plan first, each in the order of the plan.

    Args:
        turn: The turn, which may still run.
        at_hand: References of all values that its steps may have used, by name.
    """
    found = [_shown(result, turn, at_hand) for result in turn.results]
    return sorted(found, key=lambda one: not one.final)


def facts(shown: Shown) -> str:
    """Return what a result says in a few words, such as "3 found: 2 × dog, 1 × cat" or "Nothing was found"."""
    summaries = [item.ref["summary"] for item in shown.items]
    match shown.kind:
        case "Detections" | "Poses":
            said = _found(shown.kind, summaries)
            dropped = sum(one.get("dropped", 0) for one in summaries)
            return f"{said} {dropped} answers of the model had no place in it and were left out." if dropped else said
        case "Transcript":
            lines = sum(one["segments"] for one in summaries)
            return f"{lines} {'line' if lines == 1 else 'lines'} of text." if lines else "No words were found."
        case "Text" if not any(one["characters"] for one in summaries):
            return "The text is empty."
        case "Audio" if all(one["silent"] for one in summaries):
            return "The recording is silent."
    if not shown.items:
        return "Nothing came out: the list is empty."
    if not shown.many:
        return ""
    return "1 item." if len(shown.items) == 1 else f"{len(shown.items)} items."


def _found(kind: str, summaries: Sequence[Mapping[str, object]]) -> str:
    labels: Counter[str] = Counter()
    for one in summaries:
        names = one.get("labels", {"person": one["count"]})
        assert isinstance(names, dict)
        labels.update(names)
    total = sum(labels.values())
    if not total:
        return "Nobody was found." if kind == "Poses" else "Nothing was found."
    said = ", ".join(f"{count} × {label}" for label, count in labels.most_common() if count)
    return f"{total} found: {said}."


def _shown(result: ResultView, turn: TurnView, at_hand: Mapping[str, Refs]) -> Shown:
    many = isinstance(result.refs, list)
    items = tuple(
        Item(ref, source_of(result.name, ref, turn.plan, at_hand, _sources(ref)), _files(result, number if many else 0))
        for number, ref in enumerate(as_list(result.refs), 1)
    )
    return Shown(result.name, result.tool, result.kind, items, many, result.final)


def _sources(ref: Ref) -> tuple[str, ...]:
    """Return the kinds of value that a value can be looked at in."""
    return {
        "Image": ("Image",),
        "Detections": ("Image", "Video"),
        "Poses": ("Image", "Video"),
        "Transcript": ("Image", "Audio", "Video"),
    }.get(ref["kind"], ())


def _files(result: ResultView, number: int) -> tuple[Path, ...]:
    """Return the files of item `number` of a list, from 1; of 0 all of them."""
    if not number:
        return result.files
    return tuple(file for file in result.files if file.stem.rpartition("_")[2] == str(number))


def _same_size(one: Ref, other: Ref) -> bool:
    return one["sha256"] != other["sha256"] and all(
        one["summary"].get(side) == other["summary"].get(side) for side in ("width", "height")
    )
