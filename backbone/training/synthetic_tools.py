"""Made-up tools under names, descriptions, arguments and examples drawn afresh, and requests for them.

So that a planner learns to read a card instead of knowing a tool by heart: next to nothing of it is ever the same twice.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from backbone.planner.layout import Call
from backbone.training.phrasings import (
    ArgumentGroup,
    MadeUpArgument,
    MadeUpTool,
    chains,
    marked,
    pools,
    requests,
)
from backbone.training.samples import Sample, fill, frame, lower_first, put, slots_for
from common.card import Card, CardInput, ParameterSchema

SYLLABLES = (
    "ba",
    "ke",
    "lu",
    "mo",
    "ri",
    "ta",
    "vo",
    "zi",
    "qua",
    "shen",
    "dro",
    "fil",
    "gam",
    "hex",
    "jor",
    "nim",
    "pel",
    "sto",
    "tru",
    "wex",
    "yal",
    "orb",
    "ist",
    "und",
    "ax",
)
NUMBER_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
MOST_ARGUMENTS = 6
_NUMBER = re.compile(r"\d{1,5}(\.\d{1,2})?")
_PERCENT = re.compile(r"(\d{1,2})(?=\s?(?:%|per ?cent))")


@dataclass(frozen=True)
class Extra:
    """A group of arguments that a made-up tool was given besides its own.

    Attributes:
        group: as it is written by hand.
        names: of its arguments, to the names drawn.
        required: every request has to give them.
        says: what may be added to a request; all of these give what is required.
        full: those of them that give all of its arguments.
    """

    group: ArgumentGroup
    names: dict[str, str]
    required: bool
    says: tuple[str, ...]
    full: tuple[str, ...]


@dataclass(frozen=True)
class Guise:
    """A made-up tool under freshly drawn names: its card, and its requests that the card does not show."""

    card: Card
    asks: tuple[str, ...]
    names: dict[str, str]
    tool: MadeUpTool
    extras: tuple[Extra, ...] = ()


def disguise(tool: MadeUpTool, rng: random.Random, groups: Sequence[ArgumentGroup] = ()) -> Guise:
    """Draw the names, the wording, further arguments and the example of a made-up tool afresh.

    Args:
        tool: as it is written by hand.
        rng: draws everything.
        groups: arguments that it may be given besides its own.
    """
    nonsense = rng.random() < 0.2
    name = "_".join("".join(rng.sample(SYLLABLES, 2)) for _ in range(rng.randint(1, 2)))
    name = name if nonsense else rng.choice(tool.names)
    names = {a.names[0]: rng.choice(a.names) for a in tool.arguments}
    if len(set(names.values())) < len(names):
        names = {a.names[0]: a.names[0] for a in tool.arguments}
    extras = _extras(tool, set(names.values()), rng, groups)
    asks = list(tool.asks)
    rng.shuffle(asks)
    shown = asks[:1] if len(asks) > 1 and rng.random() < 0.8 else []
    own = [(a, names[a.names[0]], a.required) for a in tool.arguments]
    if rng.random() < 0.5:
        rng.shuffle(own)
    arguments = own + [(a, e.names[a.names[0]], e.required) for e in extras for a in e.group.arguments]
    arguments.sort(key=lambda argument: not argument[2])
    inputs: dict[str, CardInput] = {
        kind.lower(): {
            "kinds": ["Text", "Transcript", "Number"] if kind == "Text" else [kind],
            "many": False,
            "optional": False,
            "literal": kind == "Text",
        }
        for kind in tool.takes
    }
    card: Card = {
        "name": name,
        "doc": _doc(tool, extras, rng),
        "inputs": inputs,
        "params": {drawn: _schema(a.kind, a.choices) for a, drawn, _ in arguments},
        "required": [drawn for _, drawn, required in arguments if required],
        "one_of": [],
        "returns": {"kind": tool.gives, "many": False},
        "examples": [],
    }
    guise = Guise(card, tuple(asks[len(shown) :]), names, tool, extras)
    if shown:
        card["examples"] = [_worded(guise, shown[0], rng)[0]]
    return guise


def _extras(
    tool: MadeUpTool, taken: set[str], rng: random.Random, groups: Sequence[ArgumentGroup]
) -> tuple[Extra, ...]:
    found: list[Extra] = []
    for _ in range(rng.choices((0, 1, 2, 3), (24, 42, 23, 11))[0] if groups else 0):
        group = rng.choice(groups)
        names = {a.names[0]: rng.choice(a.names) for a in group.arguments}
        drawn = set(names.values())
        if len(drawn) < len(names) or drawn & taken or len(taken | drawn) > MOST_ARGUMENTS:
            continue
        taken |= drawn
        full = tuple(say for say in group.says if marked(say) == set(names))
        required = len(full) > 2 and rng.random() < 0.35
        found.append(Extra(group, names, required, full if required else group.says, full))
    return tuple(found)


def _doc(tool: MadeUpTool, extras: Sequence[Extra], rng: random.Random) -> str:
    """One wording, or two, as people who explain themselves write it; then what the further arguments are for."""
    doc = rng.choice(tool.docs)
    if rng.random() < 0.25 and len(tool.docs) > 1:
        first, second = rng.sample(tool.docs, 2)
        doc = first.rstrip(".") + rng.choice(("; ", ", ", ": ")) + lower_first(second)
    for extra in extras:
        if rng.random() < 0.65:
            said = rng.choice(extra.group.docs)
            for name, drawn in extra.names.items():
                said = re.sub(rf"\b{name}\b", drawn, said)
            doc = doc.rstrip(".") + rng.choice(("; ", "; ", ", ", ": ")) + said + "."
    return doc


def _schema(kind: str, choices: tuple[str, ...]) -> ParameterSchema:
    if kind == "choice":
        return {"enum": list(choices)}
    if kind == "list":
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string" if kind == "text" else kind}


# Requests


def ask(guise: Guise, rng: random.Random) -> Sample:
    """A request for a made-up tool, with the plan under its drawn names.

    A tool that works on text is asked for text that is there, that stands in the request, or that has to be read or heard
    first; one that works on pictures sometimes for one that another tool has changed; what it says may be spoken.
    """
    tool = guise.tool
    request, args = _worded(guise, rng.choice(guise.asks), rng)
    have = tool.takes or rng.choice(((), (), (), ("Image",), ("Audio",)))
    before: tuple[Call, ...] = ()
    after: tuple[Call, ...] = ()
    text = ""
    if tool.takes == ("Text",):
        roll = rng.random()
        if roll < 0.6:
            kind = rng.choice(("Audio", "Audio", "Video", "Image", "Image"))
            have, before = (kind,), ({"tool": "read_text" if kind == "Image" else "transcribe", "args": {}},)
            if rng.random() < 0.7:
                request = _ended(request, rng.choice(chains().on[kind]))
        elif roll < 0.9:
            text = rng.choice(_sentences())
            have = rng.choice(((), (), ("Image",)))
            request = request.rstrip(".!?: ") + rng.choice((": ", ": ", " - ", ", the text is: ", ': "')) + text
    elif tool.takes == ("Image",) and rng.random() < 0.12:
        first = fill(rng.choice([phrasing for _, phrasing in chains().before]), rng)
        request, before = f"{first.request} {lower_first(request)}", first.calls
    if tool.gives == "Text" and not text and rng.random() < 0.1:
        request = _ended(request, rng.choice([words for kind, _, words in chains().after if kind == "Text"]))
        after = ({"tool": "speak", "args": {}},)
    order = [*guise.card["params"]]
    call = {
        "tool": guise.card["name"],
        "args": ({"text": text} if text else {}) | {n: args[n] for n in order if n in args},
    }
    return Sample(have, request if text else frame(request, rng, True), (*before, call, *after))


def _worded(guise: Guise, asked: str, rng: random.Random) -> tuple[str, dict[str, Any]]:
    """The words of a request, and the values that it gives, under the names drawn."""
    kinds = {a.names[0]: a for a in guise.tool.arguments}
    names = dict(guise.names)
    text = _other_values(asked, kinds, guise.tool.asks, rng)
    for number, extra in enumerate(rng.sample(guise.extras, len(guise.extras))):
        if not extra.required and rng.random() < 0.3:
            continue
        own = {a.names[0]: a for a in extra.group.arguments}
        # Of several arguments the later ones are forgotten most easily.
        says = extra.full if extra.full and rng.random() < 0.4 else extra.says
        said = _other_values(rng.choice(says), own, extra.says, rng)
        # The group's names may be the tool's too.
        text = _with(text, re.sub(r"\[(\w+)=", rf"[{number}.\1=", said), rng)
        kinds |= {f"{number}.{name}": argument for name, argument in own.items()}
        names |= {f"{number}.{name}": drawn for name, drawn in extra.names.items()}
    request, values = _unmarked(text, kinds, slots_for(text, rng))
    return request, {names[name]: value for name, value in values.items()}


def _with(request: str, said: str, rng: random.Random) -> str:
    """A request and what is said besides: a sentence of its own before or after, or an end of the sentence."""
    first = re.sub(r"^\[[^|\]]*[=|]", "", said)[:1]
    if first.isupper() and (said[:1] != "[" or said[-1:] in ".!?"):
        if rng.random() < 0.3:
            return f"{said}{'' if said[-1:] in '.!?' else '.'} {request}"
        return f"{request}{'' if request[-1:] in '.!?' else '.'} {said}"
    if rng.random() < 0.12:
        return f"{said.rstrip('.!? ')}, {lower_first(request)}"
    return _ended(request, (", " if rng.random() < 0.4 else " ") + said)


def _ended(request: str, words: str) -> str:
    """A request that goes on before its full stop."""
    space = "" if words[:1] in " ,.;" else " "
    return request.rstrip(".!? ") + space + words


@cache
def _sentences() -> list[str]:
    """Texts that people have asked to be said aloud, for use wherever a text is needed."""
    spans = (
        span
        for phrasing in requests()
        if [name for name, _, _ in phrasing.calls] == ["speak"]
        for span in re.findall(r"\[([^\]]+)\]", phrasing.request)
    )
    return sorted({span for span in spans if "{" not in span and '"' not in span})


def _other_values(text: str, arguments: Mapping[str, MadeUpArgument], others: Sequence[str], rng: random.Random) -> str:
    """The request with other values where they stand in it word for word: numbers drawn, texts and lists swapped.

    So that a value is learnt to belong to an argument by what is said around it, not by heart.
    """

    def other(match: re.Match[str]) -> str:
        name, value, words = match[1], match[2], match[3]
        kind = arguments[name].kind
        if kind in ("number", "integer"):
            return f"[{name}={_number(value, words, rng)}]"
        if kind == "text" and words is None and "{" not in value and rng.random() < 0.5:
            if value[:1].isupper() and rng.random() < 0.4:
                return f"[{name}={rng.choice(rng.choice((pools().names, pools().places)))}]"
            found = [v for ask in others for v in re.findall(rf"\[{name}=([^\]|{{]+)\]", ask)]
            return f"[{name}={rng.choice(found)}]" if found else match[0]
        if kind == "list" and words is not None and "{" not in value and rng.random() < 0.6:
            return _list(name, value, words, rng) or match[0]
        return match[0]

    return re.sub(r"\[(\w+)=([^\]|]*)(?:\|([^\]]*))?\]", other, text)


def _number(value: str, words: str | None, rng: random.Random) -> str:
    """Another number of about the same size, in digits or in a word; as it was where the words are no plain number."""
    as_it_was = value if words is None else f"{value}|{words}"
    percent = _PERCENT.search(words or "")
    if percent and _NUMBER.fullmatch(value) and float(value) == int(percent[1]) / 100:
        drawn = rng.randint(1, 99)
        return f"{drawn / 100:g}|{_PERCENT.sub(str(drawn), words or '', count=1)}"
    spelt = words is not None and words in NUMBER_WORDS[1:]
    if rng.random() < 0.2 or not (spelt or words is None) or not _NUMBER.fullmatch(value):
        return as_it_was
    whole, point, part = value.partition(".")
    low = 10 ** (len(whole) - 1) if len(whole) > 1 else 1
    drawn = rng.randint(low, max(12, 10 ** len(whole) - 1) if spelt else 10 ** len(whole) - 1)
    if not point and drawn < len(NUMBER_WORDS) and drawn > 1 and (spelt or rng.random() < 0.2):
        return f"{drawn}|{NUMBER_WORDS[drawn]}"
    return f"{drawn}{point}{''.join(rng.choice('0123456789') for _ in part)}"


def _list(name: str, value: str, words: str, rng: random.Random) -> str:
    """Other items in a list whose items stand in the words as they are; nothing where they do not."""
    items = [item.strip() for item in value.split(";") if item.strip()]
    if len(items) < 2 or not all(item in words for item in items):
        return ""
    names = all(item[:1].isupper() for item in items)
    count = rng.randint(2, 6)
    drawn = (
        rng.sample(pools().names, count) if names else [rng.choice(pair) for pair in rng.sample(pools().things, count)]
    )
    last = rng.choice((" and ", " and ", ", ", " & ", ", and "))
    return f"[{name}={'; '.join(drawn)}|{', '.join(drawn[:-1])}{last}{drawn[-1]}]"


def _unmarked(text: str, arguments: Mapping[str, MadeUpArgument], slots: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The words of a marked request, and the values of its arguments."""
    values: dict[str, Any] = {}

    def unmark(match: re.Match[str]) -> str:
        name, value, words = match[1], put(match[2], slots), put(match[3] or match[2], slots)
        values[name] = _value(value.strip(), arguments[name].kind)
        return words

    return put(re.sub(r"\[([\w.]+)=([^\]|]*)(?:\|([^\]]*))?\]", unmark, text), slots), values


def _value(text: str, kind: str) -> Any:
    if kind == "list":
        return [item.strip() for item in text.split(";") if item.strip()]
    if kind == "boolean":
        return text.lower() in ("true", "yes")
    return text.replace(",", "") if kind in ("number", "integer") else text  # digits as they stand in the request
