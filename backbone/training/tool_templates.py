"""Reads the templates of synthetic tools and the groups of arguments in ``phrasings/``.

A template in ``tools_*.txt`` is a block of lines: ``tool`` (alternative names), ``doc`` (alternative descriptions),
``takes`` and ``gives`` (kinds of value), ``arg`` (names, then a type or choices; "?" marks an optional one), ``ask``
(whole requests) and ``do`` (imperative clauses, to be joined to one request). ``[name=value|words]`` marks the words
that give an argument, ``[text=words]`` those of the tool's text. A request or clause may end with ``=> steps``:
the built-in steps that its words ask for besides the tool, in the notation of ``phrasings.py``, ``*`` at the place of
the tool (last by default), and in front the media that come with it, where these do not follow from the steps
(``=> video: transcribe``).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.training.phrasings import FOLDER, PhrasedCall, PhrasingInvalid, read_call
from common.card import Card
from common.kinds import KIND_OF_INPUT, MEDIA_KINDS


@dataclass(frozen=True)
class Wording:
    """Words that ask for a synthetic tool.

    Attributes:
        words: With slots and marked values.
        have: Kinds of the media that come with it; None where it works on whatever value the tool takes.
        before: Calls of built-in tools that it asks for before the tool.
        after: Those after it.
    """

    words: str
    have: tuple[str, ...] | None = None
    before: tuple[PhrasedCall, ...] = ()
    after: tuple[PhrasedCall, ...] = ()


@dataclass(frozen=True)
class ArgumentTemplate:
    """An argument of a synthetic tool: alternative names, and a type or choices."""

    names: tuple[str, ...]
    kind: str
    choices: tuple[str, ...]
    required: bool


@dataclass(frozen=True, eq=False)
class ToolTemplate:
    """The template of a synthetic tool: alternative names and descriptions, arguments, requests and clauses.

    A template is equal only to itself: the calls of its wordings hold mappings, which have no hash.
    """

    names: tuple[str, ...]
    docs: tuple[str, ...]
    arguments: tuple[ArgumentTemplate, ...]
    asks: tuple[Wording, ...]
    clauses: tuple[Wording, ...] = ()
    takes: tuple[str, ...] = ()
    gives: str = "Text"


@dataclass(frozen=True)
class ArgumentGroup:
    """Arguments that go together on any tool.

    Attributes:
        arguments: One to three arguments, often of one type.
        docs: Phrases to add to a tool's description.
        says: Phrases to add to a request, with marked values.
    """

    arguments: tuple[ArgumentTemplate, ...]
    docs: tuple[str, ...]
    says: tuple[str, ...]


TEXTS = ("Text", "Transcript", "Number")
"""Kinds of value that an input of text takes."""


def outputs(card: Card, at_hand: set[str]) -> set[str]:
    """Return the kinds that a tool makes of the values at hand.

    Raises:
        ValueError: A required input is not at hand; the message names the tool.
    """
    for given in card["inputs"].values():
        if not given["optional"] and not given.get("literal") and not at_hand & set(given["kinds"]):
            raise ValueError(f"{card['name']} needs {' or '.join(given['kinds'])}")
    follows = card["returns"].get("follows")
    return at_hand & set(card["inputs"][follows]["kinds"]) if follows else {card["returns"]["kind"]}


def _blocks(files: str) -> Iterator[tuple[str, list[str]]]:
    """Yield file name and lines of each block of some files."""
    for path in sorted(FOLDER.glob(files)):
        for block in re.split(r"\n\s*\n", path.read_text()):
            lines = [line.strip() for line in block.splitlines() if line.strip() and not line.startswith("#")]
            if lines:
                yield path.name, lines


@cache
def argument_groups() -> tuple[ArgumentGroup, ...]:
    """Read the groups of arguments, in the order of the files.

    Raises:
        PhrasingInvalid: A block cannot be read; the message names file and first line.
    """
    found = []
    for name, lines in _blocks("arguments_*.txt"):
        try:
            fields = _fields(lines, ("doc", "arg", "say"))
            arguments = tuple(_argument_template(text) for text in fields["arg"])
            _check_marks(fields["say"], {a.names[0] for a in arguments})
            found.append(ArgumentGroup(arguments, _alternatives(fields["doc"][0]), tuple(fields["say"])))
        except (ValueError, KeyError, IndexError) as error:
            raise PhrasingInvalid(f"{name}: {lines[0]}: {error}") from error
    return tuple(found)


@cache
def tool_templates() -> tuple[ToolTemplate, ...]:
    """Read the templates of synthetic tools, in the order of the files.

    Raises:
        PhrasingInvalid: A block cannot be read; the message names file and tool.
    """
    more: dict[str, list[str]] = {}
    for _, (head, *lines) in _blocks("asks_*.txt"):
        more.setdefault(head.partition(":")[2].strip(), []).extend(lines)
    found = []
    for name, lines in _blocks("tools_*.txt"):
        try:
            found.append(_tool_template([*lines, *more.pop(lines[0].partition(":")[2].partition("|")[0].strip(), ())]))
        except (ValueError, KeyError) as error:
            raise PhrasingInvalid(f"{name}: {lines[0]}: {error}") from error
    if more:
        raise PhrasingInvalid(f"asks_*.txt: no template of a tool named {', '.join(more)}")
    return tuple(found)


def _tool_template(lines: list[str]) -> ToolTemplate:
    fields = _fields(lines, ("tool", "doc", "takes", "gives", "arg", "ask", "do"))
    arguments = tuple(_argument_template(text) for text in fields["arg"])
    takes = tuple(w for w in re.split(r"[,\s]+", " ".join(fields["takes"])) if w)
    gives = (fields["gives"] or ["Text"])[0]
    names = {a.names[0] for a in arguments} | {"text"}
    _check_marks(fields["ask"] + fields["do"], names)
    required = {a.names[0] for a in arguments if a.required}
    takes_text = "Text" in takes or any(a.names[0] == "text" for a in arguments)
    asks, clauses = (
        tuple(_wording(words, takes, gives, takes_text) for words in fields[key] if required <= marked(words))
        for key in ("ask", "do")
    )
    if not asks:
        raise ValueError("no request gives all required arguments")
    return ToolTemplate(
        _alternatives(fields["tool"][0]), _alternatives(fields["doc"][0]), arguments, asks, clauses, takes, gives
    )


def _wording(line: str, takes: Sequence[str], gives: str, takes_text: bool) -> Wording:
    """Read a request or clause with the steps that it asks for besides the tool.

    Raises:
        ValueError: A step cannot have its inputs where it stands.
    """
    words, arrow, steps = line.partition(" => ")
    given = "text" in marked(words)
    if given and not takes_text:
        raise ValueError(f"the tool takes no text: {line}")
    if not arrow:
        return Wording(words, tuple(kind for kind in takes if kind != "Text") if given and "Text" in takes else None)
    media, colon, plan = steps.rpartition(":")
    before, star, after = plan.partition("*")
    calls = [tuple(read_call(call) for call in re.findall(r"\w+(?:\([^)]*\))?", part)) for part in (before, after)]
    have = tuple(KIND_OF_INPUT[kind.strip()] for kind in media.split("+")) if colon else _media(calls[0], takes)
    at_hand = set(have) | ({"Text"} if given else set())
    for name, _, _ in calls[0]:
        at_hand |= outputs(BUILTIN_CARDS[name], at_hand)
    if not all(kind in at_hand or (kind == "Text" and at_hand & set(TEXTS)) for kind in takes):
        raise ValueError(f"no step before the tool makes {', '.join(takes)} of {', '.join(have) or 'nothing'}: {line}")
    at_hand.add(gives)
    for name, _, _ in calls[1]:
        at_hand |= outputs(BUILTIN_CARDS[name], at_hand)
    return Wording(words, have, *calls)


def _media(before: Sequence[PhrasedCall], takes: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of media that the steps before a tool and the tool itself need."""
    first = {"transcribe": "Audio", "track": "Video", "speak": "", "generate": ""}
    kinds = [kind for kind in takes if kind in MEDIA_KINDS]
    if before and before[0][0] in first and first[before[0][0]] not in kinds:
        kinds.append(first[before[0][0]])
    elif before and not {"Image", "Video"} & set(kinds):
        kinds.append("Image")
    return tuple(kind for kind in dict.fromkeys(kinds) if kind)


def marked(text: str) -> set[str]:
    """Return the names of the arguments whose values are marked in a request."""
    return set(re.findall(r"\[([\w.]+)=", text))


def _fields(lines: Sequence[str], keys: Sequence[str]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {key: [] for key in keys}
    for line in lines:
        key, _, rest = line.partition(":") if not line.startswith("arg ") else ("arg", "", line[4:])
        fields[key.strip()].append(rest.strip())
    return fields


def _check_marks(texts: Sequence[str], names: set[str]) -> None:
    for text in texts:
        if marked(text) - names:
            raise ValueError(f"no argument {marked(text) - names} for: {text}")


def _alternatives(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|") if part.strip())


def _argument_template(text: str) -> ArgumentTemplate:
    head, _, kind = text.partition(":")
    head, kind = head.strip(), kind.strip()
    names = tuple(n.strip().rstrip("?") for n in head.split("|") if n.strip())
    required = not head.split("|")[0].strip().endswith("?")
    plain = kind in ("text", "number", "integer", "boolean", "list")
    choices = () if plain else tuple(c.strip() for c in kind.split(",") if c.strip())
    if not plain and len(choices) < 2:
        raise ValueError(f"argument {names[0]}: {kind!r} is neither a type nor choices")
    return ArgumentTemplate(names, kind if plain else "choice", choices, required)
