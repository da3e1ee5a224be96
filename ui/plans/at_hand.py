"""What is at hand for a turn's plan: the scope of its edits, and pictures of its values."""

from collections.abc import Mapping
from pathlib import Path

from agents.plan.plan import Plan
from agents.plan.types import AnyTool, ValueType
from common.kinds import KIND_OF_INPUT, media_kind_of
from ui.access.links import file_url
from ui.plans.scope import Scope
from ui.plans.words import words
from ui.turns.view import FileView, SessionView, TurnView

_NAMED = 3
"""Maximum number of files of a value that are all named."""


def scope_of(view: SessionView, turn: TurnView, tools: Mapping[str, AnyTool], types: Mapping[str, ValueType]) -> Scope:
    """Return the tools, and the values at hand before a turn's plan runs.

    Args:
        view: The session.
        turn: One of its turns.
        tools: Tools by name.
        types: Types of all values of the session.
    """
    earlier = [other for other in view.turns if other.number < turn.number]
    before = {
        name: what
        for name, what in types.items()
        if what.turn < turn.number or (what.turn == turn.number and not what.made)
    }
    used = {step["id"] for other in earlier if other.plan is not None for step in other.plan["steps"]}
    captions = {name: _called(files) for name, files in _files(view, before).items()}
    for other in earlier:
        made = Plan() if other.plan is None else Plan.load(other.plan)
        captions |= {
            step.id: f"request {other.number}: {words(step, tools, types)}" for step in made.steps if step.id in before
        }
    return Scope(tools, before, frozenset(used), {name: text for name, text in captions.items() if text})


def thumbnails(view: SessionView, turn: TurnView, scope: Scope) -> dict[str, str]:
    """Return the address of a picture of each value that has one, by its name, up to a turn."""
    shown = {name: [file.path for file in files] for name, files in _files(view, scope.types).items()}
    for other in view.turns:
        if other.number <= turn.number:
            shown |= {result.name: list(result.files) for result in other.results}
    first = {name: next(filter(_is_picture, files), None) for name, files in shown.items()}
    return {name: file_url(path) for name, path in first.items() if path is not None}


def _called(files: list[FileView]) -> str:
    """Return the names of files; of many the first alone, and how many others there are."""
    if len(files) > _NAMED:
        return f"{files[0].name} and {len(files) - 1} more"
    return ", ".join(file.name for file in files)


def _files(view: SessionView, types: Mapping[str, ValueType]) -> dict[str, list[FileView]]:
    """Return the files of each value that a person gave; none where it is not clear which they are."""
    turns = {turn.number: turn for turn in view.turns}
    found: dict[str, list[FileView]] = {}
    for name, what in types.items():
        if what.made or what.turn not in turns:
            continue
        files = [file for file in turns[what.turn].files if KIND_OF_INPUT.get(file.kind) == what.kind]
        if len(files) == 1 or what.many:
            found[name] = files
    return found


def _is_picture(path: Path) -> bool:
    return media_kind_of(path.name) == "image"
