"""Synthetic tools, and requests for them.

Each is drawn from a hand-written template: name, description, arguments and example differ every time, so that the
planner learns to read cards instead of memorising tools.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from backbone.planner.layout import Call
from backbone.training.phrasings import (
    ArgumentGroup,
    ArgumentTemplate,
    ToolTemplate,
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
ArgumentValue = str | bool | list[str]
_NUMBER = re.compile(r"\d{1,5}(\.\d{1,2})?")
_PERCENT = re.compile(r"(\d{1,2})(?=\s?(?:%|per ?cent))")


@dataclass(frozen=True)
class DrawnGroup:
    """A group of arguments that a synthetic tool has besides those of its template.

    Attributes:
        group: The hand-written group.
        names: Names of its arguments in the group, to the names drawn.
        required: Whether every request has to give the arguments.
        says: Phrases that may be added to a request; each gives all required arguments.
        full: Those of the group's phrases that give all of its arguments.
    """

    group: ArgumentGroup
    names: dict[str, str]
    required: bool
    says: tuple[str, ...]
    full: tuple[str, ...]


@dataclass(frozen=True)
class SyntheticTool:
    """A tool drawn from a template.

    Attributes:
        card: Its card.
        asks: Requests of the template that the card does not show as example.
        names: Names of the template's arguments, to the names drawn.
        template: The template.
        extras: Further groups of arguments.
    """

    card: Card
    asks: tuple[str, ...]
    names: dict[str, str]
    template: ToolTemplate
    extras: tuple[DrawnGroup, ...] = ()


def draw_tool(template: ToolTemplate, rng: random.Random, groups: Sequence[ArgumentGroup] = ()) -> SyntheticTool:
    """Draw a synthetic tool: names, description, further arguments and example.

    Args:
        template: The hand-written template.
        rng: Source of everything that is drawn.
        groups: Groups of arguments that may be added.
    """
    nonsense = rng.random() < 0.2
    name = "_".join("".join(rng.sample(SYLLABLES, 2)) for _ in range(rng.randint(1, 2)))
    name = name if nonsense else rng.choice(template.names)
    names = {a.names[0]: rng.choice(a.names) for a in template.arguments}
    if len(set(names.values())) < len(names):
        names = {a.names[0]: a.names[0] for a in template.arguments}
    extras = _extras(template, set(names.values()), rng, groups)
    asks = list(template.asks)
    rng.shuffle(asks)
    shown = asks[:1] if len(asks) > 1 and rng.random() < 0.8 else []
    own = [(a, names[a.names[0]], a.required) for a in template.arguments]
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
        for kind in template.takes
    }
    card: Card = {
        "name": name,
        "doc": _doc(template, extras, rng),
        "inputs": inputs,
        "params": {drawn: _schema(a.kind, a.choices) for a, drawn, _ in arguments},
        "required": [drawn for _, drawn, required in arguments if required],
        "one_of": [],
        "returns": {"kind": template.gives, "many": False},
        "examples": [],
    }
    synthetic = SyntheticTool(card, tuple(asks[len(shown) :]), names, template, extras)
    if shown:
        card["examples"] = [_worded(synthetic, shown[0], rng)[0]]
    return synthetic


def _extras(
    template: ToolTemplate, used_names: set[str], rng: random.Random, groups: Sequence[ArgumentGroup]
) -> tuple[DrawnGroup, ...]:
    found: list[DrawnGroup] = []
    for _ in range(rng.choices((0, 1, 2, 3), (24, 42, 23, 11))[0] if groups else 0):
        group = rng.choice(groups)
        names = {a.names[0]: rng.choice(a.names) for a in group.arguments}
        drawn = set(names.values())
        if len(drawn) < len(names) or drawn & used_names or len(used_names | drawn) > MOST_ARGUMENTS:
            continue
        used_names |= drawn
        full = tuple(say for say in group.says if marked(say) == set(names))
        required = len(full) > 2 and rng.random() < 0.35
        found.append(DrawnGroup(group, names, required, full if required else group.says, full))
    return tuple(found)


def _doc(template: ToolTemplate, extras: Sequence[DrawnGroup], rng: random.Random) -> str:
    """Draw a description: one of the template's or two joined, and those of further arguments."""
    doc = rng.choice(template.docs)
    if rng.random() < 0.25 and len(template.docs) > 1:
        first, second = rng.sample(template.docs, 2)
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


def draw_request(synthetic: SyntheticTool, rng: random.Random) -> Sample:
    """Draw a request for a synthetic tool, with its plan.

    A tool that takes text is given a text at hand, one within the request, or one that another step has to read or
    transcribe first. A tool that takes a picture is sometimes given one that another step edits first. A text that a
    tool returns is sometimes spoken.
    """
    template = synthetic.template
    request, args = _worded(synthetic, rng.choice(synthetic.asks), rng)
    have = template.takes or rng.choice(((), (), (), ("Image",), ("Audio",)))
    before: tuple[Call, ...] = ()
    after: tuple[Call, ...] = ()
    text = ""
    if template.takes == ("Text",):
        roll = rng.random()
        if roll < 0.6:
            kind = rng.choice(("Audio", "Audio", "Video", "Image", "Image"))
            have, before = (kind,), ({"tool": "read_text" if kind == "Image" else "transcribe", "args": {}},)
            if rng.random() < 0.7:
                request = _append(request, rng.choice(chains().on[kind]))
        elif roll < 0.9:
            text = rng.choice(_sentences())
            have = rng.choice(((), (), ("Image",)))
            request = request.rstrip(".!?: ") + rng.choice((": ", ": ", " - ", ", the text is: ", ': "')) + text
    elif template.takes == ("Image",) and rng.random() < 0.12:
        first = fill(rng.choice([phrasing for _, phrasing in chains().before]), rng)
        request, before = f"{first.request} {lower_first(request)}", first.calls
    if template.gives == "Text" and not text and rng.random() < 0.1:
        request = _append(request, rng.choice([words for kind, _, words in chains().after if kind == "Text"]))
        after = ({"tool": "speak", "args": {}},)
    order = [*synthetic.card["params"]]
    call = {
        "tool": synthetic.card["name"],
        "args": ({"text": text} if text else {}) | {n: args[n] for n in order if n in args},
    }
    return Sample(have, request if text else frame(request, rng, True), (*before, call, *after))


def _worded(synthetic: SyntheticTool, asked: str, rng: random.Random) -> tuple[str, dict[str, ArgumentValue]]:
    """Return the words of a request, and the values of its arguments under their drawn names."""
    kinds = {a.names[0]: a for a in synthetic.template.arguments}
    names = dict(synthetic.names)
    text = _other_values(asked, kinds, synthetic.template.asks, rng)
    for number, extra in enumerate(rng.sample(synthetic.extras, len(synthetic.extras))):
        if not extra.required and rng.random() < 0.3:
            continue
        own = {a.names[0]: a for a in extra.group.arguments}
        # Phrases that give all arguments of a group are drawn more often, as the planner tends to leave the later
        # ones out.
        says = extra.full if extra.full and rng.random() < 0.4 else extra.says
        said = _other_values(rng.choice(says), own, extra.says, rng)
        # An argument of the group may have the name of one of the template's.
        text = _add_phrase(text, re.sub(r"\[(\w+)=", rf"[{number}.\1=", said), rng)
        kinds |= {f"{number}.{name}": argument for name, argument in own.items()}
        names |= {f"{number}.{name}": drawn for name, drawn in extra.names.items()}
    request, values = _unmarked(text, kinds, slots_for(text, rng))
    return request, {names[name]: value for name, value in values.items()}


def _add_phrase(request: str, phrase: str, rng: random.Random) -> str:
    """Add a phrase to a request: as a sentence before or after it, or within its sentence."""
    first = re.sub(r"^\[[^|\]]*[=|]", "", phrase)[:1]
    if first.isupper() and (phrase[:1] != "[" or phrase[-1:] in ".!?"):
        if rng.random() < 0.3:
            return f"{phrase}{'' if phrase[-1:] in '.!?' else '.'} {request}"
        return f"{request}{'' if request[-1:] in '.!?' else '.'} {phrase}"
    if rng.random() < 0.12:
        return f"{phrase.rstrip('.!? ')}, {lower_first(request)}"
    return _append(request, (", " if rng.random() < 0.4 else " ") + phrase)


def _append(request: str, words: str) -> str:
    """Append words to a request, before its full stop."""
    space = "" if words[:1] in " ,.;" else " "
    return request.rstrip(".!? ") + space + words


@cache
def _sentences() -> list[str]:
    """Return the texts of requests to speak, as texts for other tools."""
    spans = (
        span
        for phrasing in requests()
        if [name for name, _, _ in phrasing.calls] == ["speak"]
        for span in re.findall(r"\[([^\]]+)\]", phrasing.request)
    )
    return sorted({span for span in spans if "{" not in span and '"' not in span})


def _other_values(
    text: str, arguments: Mapping[str, ArgumentTemplate], others: Sequence[str], rng: random.Random
) -> str:
    """Exchange values that stand in the request word for word: numbers are drawn, texts and lists swapped.

    So the planner learns from the words around a value which argument it belongs to.
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
    """Draw another number of similar size, in digits or as a word; unchanged where the words are no plain number."""
    unchanged = value if words is None else f"{value}|{words}"
    percent = _PERCENT.search(words or "")
    if percent and _NUMBER.fullmatch(value) and float(value) == int(percent[1]) / 100:
        drawn = rng.randint(1, 99)
        return f"{drawn / 100:g}|{_PERCENT.sub(str(drawn), words or '', count=1)}"
    spelt = words is not None and words in NUMBER_WORDS[1:]
    if rng.random() < 0.2 or not (spelt or words is None) or not _NUMBER.fullmatch(value):
        return unchanged
    whole, point, part = value.partition(".")
    low = 10 ** (len(whole) - 1) if len(whole) > 1 else 1
    drawn = rng.randint(low, max(12, 10 ** len(whole) - 1) if spelt else 10 ** len(whole) - 1)
    if not point and drawn < len(NUMBER_WORDS) and drawn > 1 and (spelt or rng.random() < 0.2):
        return f"{drawn}|{NUMBER_WORDS[drawn]}"
    return f"{drawn}{point}{''.join(rng.choice('0123456789') for _ in part)}"


def _list(name: str, value: str, words: str, rng: random.Random) -> str:
    """Exchange the items of a list that all stand in the words; returns "" where they do not."""
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


def _unmarked(
    text: str, arguments: Mapping[str, ArgumentTemplate], slots: dict[str, str]
) -> tuple[str, dict[str, ArgumentValue]]:
    """Return the words of a marked request without marks, and the values of its arguments."""
    values: dict[str, ArgumentValue] = {}

    def unmark(match: re.Match[str]) -> str:
        name, value, words = match[1], put(match[2], slots), put(match[3] or match[2], slots)
        values[name] = _value(value.strip(), arguments[name].kind)
        return words

    return put(re.sub(r"\[([\w.]+)=([^\]|]*)(?:\|([^\]]*))?\]", unmark, text), slots), values


def _value(text: str, kind: str) -> ArgumentValue:
    if kind == "list":
        return [item.strip() for item in text.split(";") if item.strip()]
    if kind == "boolean":
        return text.lower() in ("true", "yes")
    return text.replace(",", "") if kind in ("number", "integer") else text  # the digits as in the request
