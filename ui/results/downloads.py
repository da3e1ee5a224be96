"""A turn as one command."""

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.plan.plan import PlanJson, references
from agents.plan.types import AnyTool
from tools.core.errors import SuperlinkError
from tools.runtime.registry import file_of
from tools.storage import atomic
from tools.storage.store import Refs, as_list
from ui.turns.view import FileView, TurnView

PLAN = "plan.json"
"""Name of the file with the plan, among those of the turn, and in the command."""


class NotRepeatable(SuperlinkError):
    """One command cannot do what a turn did."""


@dataclass(frozen=True)
class Repeat:
    """A turn as one command.

    Attributes:
        request: In words.
        plan: Of this turn and of what it used of earlier ones, with names as the command gives them.
        files: Files that the command needs, in its order.
        tools: Names of the user's files that define tools of the plan.
    """

    request: str
    plan: PlanJson
    files: tuple[FileView, ...]
    tools: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command, to be run where the files, those with tools, and `plan.json` are."""
        files = [shlex.quote(f"./{file.name}" if file.name.startswith("-") else file.name) for file in self.files]
        tools = [f"--tools {shlex.quote(name)}" for name in self.tools]
        return " ".join(["superlink run", shlex.quote(self.request), *files, f"--plan {PLAN}", *tools])


def repeat(turns: Sequence[TurnView], number: int, tools: Mapping[str, AnyTool]) -> Repeat:
    """Return turn `number` as one command, with the steps of earlier turns that it used.

    Args:
        turns: Of the session.
        number: Of the turn, from 1.
        tools: Tools by name.

    Raises:
        NotRepeatable: when there is no plan, or it used what no file holds, or inputs of one kind
            that came separately.
    """
    turn = turns[number - 1]
    at_hand = turn.given
    if turn.plan is None:
        raise NotRepeatable("nothing was planned for this request", "Ask again in other words")
    known = {step["id"]: step for one in turns[:number] if one.plan is not None for step in one.plan["steps"]}
    used: dict[str, Any] = {}
    given: dict[str, str] = {}
    waiting = [name for output in turn.plan["outputs"] for name in references(output)]
    waiting += [step["id"] for step in turn.plan["steps"]]
    while waiting:
        name = waiting.pop()
        if name in used or name in given:
            continue
        if name not in known:
            # The command calls a picture "image", however many came before it, and runs on each of a list.
            refs = as_list(at_hand.get(name, []))
            given[name] = refs[0]["kind"].lower() if refs else name
            continue
        used[name] = known[name]
        waiting += [one for value in known[name].get("args", {}).values() for one in references(value)]
    if len(set(given.values())) < len(given):
        raise NotRepeatable("this used several files of one kind from different requests", "Ask once with all of them")
    files = [file for name in given for file in _files_of(name, at_hand, turns[:number])]
    steps = [_renamed(step, given) for name, step in known.items() if name in used]
    own = dict.fromkeys(file_of(tools[step["tool"]]) for step in steps if step["tool"] in tools)
    names = tuple(Path(file).name for file in own if file)
    return Repeat(turn.request, {**turn.plan, "steps": steps}, tuple(files), names)


def _files_of(name: str, at_hand: Mapping[str, Refs], turns: Sequence[TurnView]) -> Iterator[FileView]:
    """Yield the files of a value that a person gave, found by their content."""
    wanted = [ref["sha256"] for ref in as_list(at_hand.get(name, []))]
    files = {_hash(file.path): file for turn in turns for file in turn.files}
    if not wanted or not all(sha256 in files for sha256 in wanted):
        raise NotRepeatable(f"this used {name}, which no file holds", "It can be repeated in this session only")
    yield from (files[sha256] for sha256 in wanted)


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _renamed(step: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    """Return a step whose references have the names of the command."""

    def new(value: object) -> object:
        if isinstance(value, list):
            return [new(one) for one in value]
        if isinstance(value, str) and (found := list(references(value))) and found[0] in names:
            return f"${names[found[0]]}"
        return value

    return {**step, "args": {key: new(value) for key, value in step.get("args", {}).items()}}


def write_plan(folder: Path, plan: PlanJson) -> Path:
    """Write `plan.json` unless it is there.

    Args:
        folder: Of the turn's files.
        plan: Of `Repeat`.

    Raises:
        WriteError: when it cannot be written.
    """
    text = json.dumps(plan, indent=2, ensure_ascii=False) + "\n"
    place = folder / PLAN
    return place if place.exists() else atomic.write(place, text)
