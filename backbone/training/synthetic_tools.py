"""Synthetic tools, and requests for them.

Each is drawn from a hand-written template: name, description, arguments and example differ every time, so that the
planner learns to read cards instead of memorising tools.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backbone.planner.layout import Call
from backbone.training.marked_values import ArgumentValue, other_values, sentences, unmarked
from backbone.training.phrasings import chains
from backbone.training.samples import Sample, called, fill, frame, lower_first, slots_for
from backbone.training.tool_templates import TEXTS, ArgumentGroup, ArgumentTemplate, ToolTemplate, Wording, marked
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
MOST_ARGUMENTS = 6


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
        example: The request that the card shows, with its plan.
    """

    card: Card
    asks: tuple[Wording, ...]
    names: dict[str, str]
    template: ToolTemplate
    extras: tuple[DrawnGroup, ...] = ()
    example: Sample | None = None


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
    extras = _extras(template, {*names.values(), *map(str.lower, template.takes)}, rng, groups)
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
            "kinds": [*TEXTS] if kind == "Text" else [kind],
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
        example = worded(synthetic, shown[0], rng)
        card["examples"] = [example.request]
        return replace(synthetic, example=example)
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
    template, wording = synthetic.template, rng.choice(synthetic.asks)
    sample = worded(synthetic, wording, rng)
    if wording.have is not None:
        literal = "text" in marked(wording.words)
        return sample if literal else replace(sample, request=frame(sample.request, rng, True))
    request, (call,) = sample.request, sample.calls
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
            text = rng.choice(sentences())
            have = rng.choice(((), (), ("Image",)))
            request = request.rstrip(".!?: ") + rng.choice((": ", ": ", " - ", ", the text is: ", ': "')) + text
            request += '"' * request.endswith(f': "{text}')
            call = {"tool": call["tool"], "args": {"text": text} | call["args"]}
    elif template.takes == ("Image",) and rng.random() < 0.12:
        first = fill(rng.choice([phrasing for _, phrasing in chains().before]), rng)
        request, before = f"{first.request} {lower_first(request)}", first.calls
    if template.gives == "Text" and not text and rng.random() < 0.1:
        request = _append(request, rng.choice([words for kind, _, words in chains().after if kind == "Text"]))
        after = ({"tool": "speak", "args": {}},)
    return Sample(have, request if text else frame(request, rng, True), (*before, call, *after))


def worded(synthetic: SyntheticTool, wording: Wording, rng: random.Random, further: float = 0.7) -> Sample:
    """Fill a wording: other values, phrases for further arguments, and the steps that it asks for.

    Args:
        synthetic: The tool.
        wording: One of its requests or clauses.
        rng: Source of everything that is drawn.
        further: Share of the optional groups of arguments that are asked for.
    """
    kinds = {a.names[0]: a for a in synthetic.template.arguments}
    kinds.setdefault("text", ArgumentTemplate(("text",), "input", (), False))
    names = {"text": "text", **synthetic.names}
    text = other_values(wording.words, kinds, [ask.words for ask in synthetic.template.asks], rng)
    for number, extra in enumerate(rng.sample(synthetic.extras, len(synthetic.extras))):
        if not extra.required and rng.random() >= further:
            continue
        own = {a.names[0]: a for a in extra.group.arguments}
        # Phrases that give all arguments of a group are drawn more often, as the planner tends to leave the later
        # ones out.
        says = extra.full if extra.full and rng.random() < 0.4 else extra.says
        said = other_values(rng.choice(says), own, extra.says, rng)
        # An argument of the group may have the name of one of the template's.
        text = _add_phrase(text, re.sub(r"\[(\w+)=", rf"[{number}.\1=", said), rng)
        kinds |= {f"{number}.{name}": argument for name, argument in own.items()}
        names |= {f"{number}.{name}": drawn for name, drawn in extra.names.items()}
    labels = " ".join(label for _, values, _ in (*wording.before, *wording.after) for label in values)
    slots = slots_for(f"{text} {labels}", rng)
    request, values = unmarked(text, kinds, slots)
    given = {names[name]: value for name, value in values.items()}
    args: dict[str, ArgumentValue] = {n: given[n] for n in ("text", *synthetic.card["params"]) if n in given}
    call: Call = {"tool": synthetic.card["name"], "args": args}
    before, after = ([called(one, slots) for one in calls] for calls in (wording.before, wording.after))
    have = synthetic.template.takes if wording.have is None else wording.have
    return Sample(have, request, (*before, call, *after))


def _add_phrase(request: str, phrase: str, rng: random.Random) -> str:
    """Add a phrase to a request: as a sentence before or after it, or within its sentence."""
    first = re.sub(r"^\[[^|\]]*[=|]", "", phrase)[:1]
    if "[text=" in request:  # where the text ends has to stay clear
        return f"{phrase.rstrip('.!? ')}. {request}" if first.isupper() else f"{phrase.rstrip('.!? ')}, {request}"
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
