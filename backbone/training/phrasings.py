"""Reads the hand-written requests in ``phrasings/``.

- Most ``*.txt`` hold one request a line, ``request => plan``. The plan is calls separated by spaces,
  ``name(label, label; option=value)``. Words in square brackets are the next free-text argument, empty brackets after
  a tool that takes one (``generate()``) mean that an earlier step makes it. ``{o}``, ``{os}``
  and ``{a}`` are a thing, its plural, and the thing with its article; ``{o2}`` is another thing. ``@media
  image+audio`` says what is attached to the requests below it, ``@have image, Detections`` which values of earlier
  turns are at hand.
- ``tools_*.txt``, ``asks_*.txt`` and ``arguments_*.txt`` hold synthetic tools (``tool_templates.py``).
- ``chains.txt`` holds phrases for a tool that works before or after another.
- ``pools.toml`` holds the things, names and places that fill the slots.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from backbone.planner.layout import ABOVE, BUILTIN_TOOLS
from common.kinds import KIND_OF_INPUT

FOLDER = Path(__file__).parent / "phrasings"

FREE_TEXT = {"edit": "prompt", "generate": "prompt", "ask": "question", "speak": "text"}
"""Built-in tools that take a span of the request, and as which argument."""

LABELS = {"detect", "segment", "track"}
CHOICE = {"pick": "which", "redact": "how"}


PhrasedCall = tuple[str, tuple[str, ...], Mapping[str, float | str]]
"""A call of a phrasing: the tool, its labels or choice, and further arguments."""


class PhrasingInvalid(ValueError):
    """A line of a phrasings file cannot be read; the message names it."""


@dataclass(frozen=True)
class Phrasing:
    """One hand-written request.

    Attributes:
        request: Its words, with slots and with brackets around spans.
        calls: Its plan.
        have: Kinds of value at hand, from old to new.
        family: The file and the names of the tools.
    """

    request: str
    calls: tuple[PhrasedCall, ...]
    have: tuple[str, ...]
    family: str


@dataclass(frozen=True)
class Chains:
    """Phrases for a tool that works before or after another.

    Attributes:
        after: (kind that the tool returns, tool that takes it, words).
        before: (kind that the tool takes, request for the step before it).
        on: Kind of file, to the words that say that a text is in it.
    """

    after: tuple[tuple[str, str, str], ...]
    before: tuple[tuple[str, Phrasing], ...]
    on: dict[str, tuple[str, ...]]


@dataclass
class Pools:
    """The values that fill the slots."""

    things: list[tuple[str, str]] = field(default_factory=list)
    adjectives: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)
    openers: list[str] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)


@cache
def pools() -> Pools:
    """Read ``pools.toml``."""
    raw = tomllib.loads((FOLDER / "pools.toml").read_text())
    things = [tuple(pair.split("|")) for pair in raw["things"]]
    return Pools(
        [(one, many) for one, many in things],
        raw["adjectives"],
        raw["names"],
        raw["places"],
        raw["colours"],
        raw["openers"],
        raw["endings"],
    )


@cache
def requests() -> tuple[Phrasing, ...]:
    """Read the requests for built-in tools, in the order of the files.

    Raises:
        PhrasingInvalid: A line cannot be read; the message names file and line.
    """
    found = []
    for path in sorted(FOLDER.glob("*.txt")):
        if path.name.startswith(("tools_", "asks_", "arguments_", "chains")):
            continue
        have: tuple[str, ...] = ()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("@"):
                have = _have(line)
                continue
            try:
                found.append(_phrasing(line, have, path.stem))
            except ValueError as error:
                raise PhrasingInvalid(f"{path.name}:{number}: {error}: {line}") from error
    return tuple(found)


def _have(line: str) -> tuple[str, ...]:
    words = re.split(r"[+,\s]+", line.split(None, 1)[1].strip())
    return tuple(KIND_OF_INPUT.get(word, word) for word in words if word not in ("", "none"))


def _phrasing(line: str, have: tuple[str, ...], stem: str) -> Phrasing:
    request, arrow, plan = line.rpartition("=>")
    if not arrow:
        raise ValueError("no '=>'")
    calls = [] if plan.strip() == "none" else [read_call(c) for c in re.findall(r"\w+(?:\([^)]*\))?", plan)]
    spans = len(re.findall(r"\[[^\]]+\]", request))
    needed = sum(name in FREE_TEXT and name != "speak" and values != (ABOVE,) for name, values, _ in calls)
    if not needed <= spans <= needed + sum(name == "speak" for name, _, _ in calls):
        raise ValueError(f"{spans} spans in brackets for {needed} free-text calls")
    return Phrasing(request.strip(), tuple(calls), have, f"{stem}:{' '.join(name for name, _, _ in calls)}")


def read_call(text: str) -> PhrasedCall:
    """Read a call, ``name(label, label; option=value)``; ``detect()`` is of everything that there is.

    Raises:
        ValueError: The call is none of a built-in tool, or lacks labels.
    """
    name, _, inner = text.rstrip(")").partition("(")
    if name not in BUILTIN_TOOLS:
        raise ValueError(f"no tool {name!r}")
    inner, _, options = inner.partition(";")
    values = tuple(part.strip() for part in inner.split(",") if part.strip() and part.strip() != "[..]")
    given: dict[str, float | str] = {}
    for option in filter(None, (o.strip() for o in options.split(","))):
        key, _, value = option.partition("=")
        given[key.strip()] = float(value)
    if "@regions" in values:
        values, given = (), {**given, "regions": ABOVE}
    if name in LABELS and not values and "regions" not in given and not re.search(r"\(\s*[;)]", text):
        raise ValueError(f"{name} without labels")
    if text.endswith("()") and name in FREE_TEXT:
        values = (ABOVE,)
    elif values and name not in LABELS | set(CHOICE):
        raise ValueError(f"{name} takes nothing in brackets")
    return name, values, given


@cache
def chains() -> Chains:
    """Read ``chains.txt``.

    Raises:
        PhrasingInvalid: A section cannot be read.
    """
    after: list[tuple[str, str, str]] = []
    before: list[tuple[str, Phrasing]] = []
    on: dict[str, list[str]] = {}
    section, kind, plan = "", "", ""
    for line in (FOLDER / "chains.txt").read_text().splitlines():
        if line.startswith("@"):
            section, kind, plan = (line[1:] + "  ").split(" ", 2)
            if section not in ("after", "before", "on"):
                raise PhrasingInvalid(f"chains.txt: no section {line!r}")
        elif line.strip() and not line.startswith("#"):
            match section:
                case "after":
                    after.append((kind, plan.strip(), line))
                case "before":
                    before.append((kind, _phrasing(f"{line} => {plan}", (kind,), "chains")))
                case _:
                    on.setdefault(kind, []).append(line)
    return Chains(tuple(after), tuple(before), {kind: tuple(words) for kind, words in on.items()})
