"""Draws training samples: requests with slots filled, made-up tools under fresh names, and rows of tokens packed from them.

Everything is drawn from ``random.Random(f"{seed}:{row}")``: the same seed and row give the same tokens on every machine.
"""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from backbone.cards import Card
from backbone.layout import Call, Layout
from backbone.phrasings import CHOICE, FREE_TEXT, LABELS, MadeUpTool, Phrasing, made_up_tools, pools, requests
from backbone.routes import ROUTE_CARDS

JOINTS = (
    ", then ", " and then ", ". then ", ", and after that ", "; ", ", and ", " and also ", ". also, ", ", next ", ". after that ",
    ". once that's done, ", ", plus ", " - then ", ". oh, and ", ". and ", ", followed by this: ", " & ",
)  # fmt: skip
SYLLABLES = ["ba", "ke", "lu", "mo", "ri", "ta", "vo", "zi", "qua", "shen", "dro", "fil", "gam", "hex", "jor", "nim", "pel", "sto", "tru", "wex", "yal", "orb", "ist", "und", "ax"]


@dataclass(frozen=True)
class Sample:
    """One request with its plan: kinds at hand, words, calls."""

    have: tuple[str, ...]
    request: str
    calls: tuple[Call, ...]


def held_out(phrasing: Phrasing | str, share: float = 0.04) -> bool:
    """Whether a phrasing is kept for validation: by its own hash, so that adding others moves nothing."""
    text = phrasing if isinstance(phrasing, str) else phrasing.request
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32 < share


# Requests for the built-in tools


def fill(phrasing: Phrasing, rng: random.Random) -> Sample:
    """A phrasing with its slots filled, its spans taken out as arguments, and small accidents of typing."""
    slots = _slots(phrasing.request, rng)
    spans = iter(re.findall(r"\[([^\]]+)\]", phrasing.request))
    style = _style(rng)
    given = [style(_put(span, slots)) for span in spans]
    calls, position = [], 0
    hungry = sum(name in FREE_TEXT and name != "speak" for name, _, _ in phrasing.calls)
    spare = len(given) - hungry
    for name, values, options in phrasing.calls:
        args: dict[str, Any] = {}
        if name in FREE_TEXT and (name != "speak" or spare > 0):
            spare -= name == "speak"
            args[FREE_TEXT[name]] = given[position].strip()
            position += 1
        elif name in LABELS and values:
            args["labels"] = list(dict.fromkeys(_put(value, slots) for value in values))
        elif name in CHOICE and values:
            args[CHOICE[name]] = values[0]
        calls.append({"tool": name, "args": {**args, **options}})
    parts = re.split(r"(\[[^\]]+\]|\{\w+\})", phrasing.request)
    words = "".join(
        style(_put(part.strip("[]"), slots)) if part[:1] in ("[", "{") else style(_typo(part, rng)) for part in parts
    )
    return Sample(phrasing.have, _frame(words, rng, bool(calls)), tuple(calls))


def _slots(text: str, rng: random.Random) -> dict[str, str]:
    pool = pools()
    slots: dict[str, str] = {}
    for index in {match[1] for match in re.findall(r"\{(o|os|a)(\d?)\}", text)}:
        one, many = rng.choice(pool.things)
        if rng.random() < 0.2:
            adjective = rng.choice(pool.adjectives)
            one, many = f"{adjective} {one}", f"{adjective} {many}"
        article = "an" if one[0] in "aeiou" else "a"
        slots |= {f"o{index}": one, f"os{index}": many, f"a{index}": f"{article} {one}"}
    number = rng.randint(2, 12)
    words = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    slots |= {
        "name": rng.choice(pool.names), "place": rng.choice(pool.places), "colour": rng.choice(pool.colours),
        "n": words[number - 2] if rng.random() < 0.5 else str(number),
        "num": str(rng.choice((rng.randint(2, 30), rng.randint(10, 999), round(rng.uniform(0.5, 40), 1)))),
    }  # fmt: skip
    return slots


def _put(text: str, slots: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: slots.get(match[1], match[1]), text)


def _style(rng: random.Random) -> Any:
    """How somebody types: mostly as written, sometimes all lower case, rarely all capitals."""
    roll = rng.random()
    return str.lower if roll < 0.18 else str.upper if roll < 0.2 else str


def _typo(text: str, rng: random.Random) -> str:
    """A slip of the fingers in about one request of twelve."""
    if rng.random() > 0.04 or len(text) < 6:
        return text
    at = rng.randrange(1, len(text) - 2)
    if not text[at : at + 2].isalpha():
        return text
    swapped = text[at + 1] + text[at]
    return text[:at] + rng.choice((swapped, text[at], text[at] * 2 + text[at + 1])) + text[at + 2 :]


def _frame(text: str, rng: random.Random, asks: bool) -> str:
    """Openers, endings and the loss of final punctuation."""
    if asks and rng.random() < 0.07:
        text = rng.choice(pools().openers) + _lower_first(text)
    if asks and rng.random() < 0.07:
        text = text.rstrip(".!?") + rng.choice(pools().endings)
    if rng.random() < 0.15:
        text = text.rstrip(".!?")
    return text


def _lower_first(text: str) -> str:
    return text if re.match(r"I\b|I'|[A-Z]{2}", text) else text[:1].lower() + text[1:]


def join(first: Sample, second: Sample, rng: random.Random) -> Sample:
    """Two requests in one breath."""
    request = first.request.rstrip(".!?;, ") + rng.choice(JOINTS) + _lower_first(second.request)
    have = tuple(dict.fromkeys(first.have + second.have))
    return Sample(have, request, (*first.calls, *second.calls))


# Made-up tools


@dataclass(frozen=True)
class Guise:
    """A made-up tool under freshly drawn names: its card, and its requests that the card does not show."""

    card: Card
    asks: tuple[str, ...]
    names: dict[str, str]
    tool: MadeUpTool


def disguise(tool: MadeUpTool, rng: random.Random) -> Guise:
    """Draw the names, the wording and the example of a made-up tool afresh."""
    nonsense = rng.random() < 0.25
    name = "_".join("".join(rng.sample(SYLLABLES, 2)) for _ in range(rng.randint(1, 2)))
    name = name if nonsense else rng.choice(tool.names)
    names = {a.names[0]: rng.choice(a.names) for a in tool.arguments}
    if len(set(names.values())) < len(names):
        names = {a.names[0]: a.names[0] for a in tool.arguments}
    asks = list(tool.asks)
    rng.shuffle(asks)
    shown = asks[:1] if len(asks) > 1 and rng.random() < 0.8 else []
    example = [_marked(shown[0], {}, _slots(shown[0], rng))[0]] if shown else []
    arguments = sorted(tool.arguments, key=lambda a: (not a.required, rng.random()))
    inputs = {
        kind.lower(): {
            "kinds": ["Text", "Transcript", "Number"] if kind == "Text" else [kind],
            "many": False, "optional": False, "literal": kind == "Text",
        }
        for kind in tool.takes
    }  # fmt: skip
    card = {
        "name": name, "doc": _doc(tool, rng), "inputs": inputs,
        "params": {names[a.names[0]]: _schema(a.kind, a.choices) for a in arguments},
        "required": [names[a.names[0]] for a in arguments if a.required],
        "one_of": [], "returns": {"kind": tool.gives, "many": False}, "examples": example,
    }  # fmt: skip
    return Guise(card, tuple(asks[len(shown) :]), names, tool)


def _doc(tool: MadeUpTool, rng: random.Random) -> str:
    """One wording, or two, as people who explain themselves write it."""
    if rng.random() < 0.7:
        return rng.choice(tool.docs)
    first, second = rng.sample(tool.docs, 2) if len(tool.docs) > 1 else (tool.docs[0], tool.docs[0])
    return first.rstrip(".") + rng.choice(("; ", ", ", ": ")) + _lower_first(second)


def _schema(kind: str, choices: tuple[str, ...]) -> dict[str, Any]:
    if kind == "choice":
        return {"enum": list(choices)}
    if kind == "list":
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string" if kind == "text" else kind}


def ask(guise: Guise, rng: random.Random) -> Sample:
    """A request for a made-up tool, with the plan under its drawn names.

    A tool that works on text is asked for text that is there, that stands in the request, or that has to be read or heard first.
    """
    text = _other_values(rng.choice(guise.asks), guise.tool, rng)
    kinds = {a.names[0]: a.kind for a in guise.tool.arguments}
    request, values = _marked(text, kinds, _slots(text, rng))
    have = guise.tool.takes or rng.choice(((), (), (), ("Image",), ("Audio",)))
    args = {guise.names[name]: value for name, value in values.items()}
    order = [*guise.card["params"]]
    call = {"tool": guise.card["name"], "args": {n: args[n] for n in order if n in args}}
    before: tuple[Call, ...] = ()
    if guise.tool.takes == ("Text",):
        roll = rng.random()
        if roll < 0.25:
            have, before = rng.choice((("Audio",), ("Video",))), ({"tool": "transcribe", "args": {}},)
        elif roll < 0.45:
            have, before = ("Image",), ({"tool": "read_text", "args": {}},)
        elif roll < 0.75:
            words = rng.choice(_sentences())
            have = rng.choice(((), (), ("Image",)))
            request = request.rstrip(".!?: ") + rng.choice((": ", ": ", " - ", ", the text is: ", ": \"")) + words
            call["args"] = {"text": words, **call["args"]}
    return Sample(have, request if "text" in call["args"] else _frame(request, rng, True), (*before, call))


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


def _other_values(text: str, tool: MadeUpTool, rng: random.Random) -> str:
    """The request with other values where they stand in it word for word: numbers drawn, texts swapped with other requests'.

    So that a value is learnt to belong to an argument by what is said around it, not by heart.
    """
    kinds = {a.names[0]: a.kind for a in tool.arguments}

    def other(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        kind = kinds.get(name, "text")
        if kind in ("number", "integer") and re.fullmatch(r"\d{1,5}(\.\d{1,2})?", value) and rng.random() < 0.75:
            whole, point, part = value.partition(".")
            drawn = str(rng.randint(10 ** (len(whole) - 1) if len(whole) > 1 else 1, 10 ** len(whole) - 1))
            return f"[{name}={drawn}{point}{''.join(rng.choice('0123456789') for _ in part)}]"
        if kind == "text" and "{" not in value and rng.random() < 0.4:
            others = [v for ask in tool.asks for v in re.findall(rf"\[{name}=([^\]|{{]+)\]", ask)]
            return f"[{name}={rng.choice(others)}]" if others else match[0]
        return match[0]

    return re.sub(r"\[(\w+)=([^\]|]*)\]", other, text)


def _marked(text: str, kinds: dict[str, str], slots: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The words of a marked request, and the values of its arguments."""
    values: dict[str, Any] = {}

    def unmark(match: re.Match[str]) -> str:
        name, value, words = match[1], _put(match[2], slots), _put(match[3] or match[2], slots)
        values[name] = _value(value.strip(), kinds.get(name, "text"))
        return words

    return _put(re.sub(r"\[(\w+)=([^\]|]*)(?:\|([^\]]*))?\]", unmark, text), slots), values


def _value(text: str, kind: str) -> Any:
    if kind == "list":
        return [item.strip() for item in text.split(";") if item.strip()]
    if kind == "boolean":
        return text.lower() in ("true", "yes")
    return text.replace(",", "") if kind in ("number", "integer") else text  # digits as they stand in the request


# Rows of tokens


@dataclass(frozen=True)
class Row:
    """A packed row.

    Attributes:
        ids: (T,) tokens: a shared prefix of cards, then requests with their plans, side by side.
        block: (T,) 0 for the prefix, 1, 2, … for the requests, -1 for padding: a token sees the prefix and its own block.
        position: (T,) each block counts on from the prefix.
        target: (T,) whether the token is to be predicted (it belongs to a plan).
    """

    ids: list[int]
    block: list[int]
    position: list[int]
    target: list[bool]


def pack(layout: Layout, prefix: Sequence[int], pairs: Sequence[tuple[list[int], list[int]]], length: int) -> Row:
    """Pack a prefix and (request ids, plan ids) pairs into one row of ``length`` tokens."""
    ids, block, position, target = list(prefix), [0] * len(prefix), list(range(len(prefix))), [False] * len(prefix)
    for number, (asked, planned) in enumerate(pairs, 1):
        size = len(asked) + len(planned)
        if len(ids) + size > length:
            continue
        ids += [*asked, *planned]
        block += [number] * size
        position += range(len(prefix), len(prefix) + size)
        target += [False] * len(asked) + [True] * len(planned)
    rest = length - len(ids)
    return Row(ids + [layout.end] * rest, block + [-1] * rest, position + [0] * rest, target + [False] * rest)


class Mixture:
    """The training mixture.

    Args:
        layout: the tokens.
        seed: of everything drawn.
        validation: draw from the held-out phrasings and tools instead of the others.
    """

    def __init__(self, layout: Layout, seed: int, validation: bool = False) -> None:
        self.layout, self.seed = layout, seed
        self.phrasings = [p for p in requests() if held_out(p) == validation]
        self.tools = [t for t in made_up_tools() if held_out(t.names[0]) == validation]
        self.by_family: dict[str, list[Phrasing]] = {}
        for phrasing in self.phrasings:
            self.by_family.setdefault(phrasing.family, []).append(phrasing)
        self.nothing = [p for p in self.phrasings if not p.calls]
        self.asking = [p for p in self.phrasings if p.calls]

    def built_in(self, rng: random.Random) -> Sample:
        """A request for built-in tools: one phrasing, or two joined; or one that asks for nothing."""
        roll = rng.random()
        if roll < 0.1:
            return fill(rng.choice(self.nothing), rng)
        if roll < 0.14:
            return self.absent(rng, ())
        first = fill(rng.choice(self.asking), rng)
        if roll < 0.24 and "Detections" not in first.have:
            second = fill(rng.choice(self.asking), rng)
            if second.have == first.have:
                return join(first, second, rng)
        return first

    def absent(self, rng: random.Random, present: Sequence[Guise]) -> Sample:
        """A request for a tool that is not there: nothing can be run."""
        tool = rng.choice(self.tools)
        while any(tool is guise.tool for guise in present):
            tool = rng.choice(self.tools)
        sample = ask(disguise(tool, rng), rng)
        return Sample(sample.have, sample.request, ())

    def row(self, index: int, length: int) -> Row:
        """Row ``index`` of the mixture: without cards, or behind a catalogue of made-up tools."""
        rng = random.Random(f"{self.seed}:{index}")
        if rng.random() < 0.3:
            samples = [self.built_in(rng) for _ in range(length // 20)]
            return self._packed([], samples, length, ())
        count = rng.randint(2, 12)
        room = length * rng.uniform(0.25, 0.65)
        guises = [disguise(tool, rng) for tool in rng.sample(self.tools, min(count, len(self.tools)))]
        guises = list({guise.card["name"]: guise for guise in guises}.values())
        while len(self.layout.prefix([guise.card for guise in guises])) > room:
            guises.pop()
        samples = [self.carded(rng, guises) for _ in range(length // 20)]
        demonstrations = [self.carded(rng, guises) for _ in range(rng.choice((0, 0, 0, 0, 1, 2)))]
        return self._packed(guises, samples, length, demonstrations)

    def carded(self, rng: random.Random, guises: Sequence[Guise]) -> Sample:
        """A request made before a catalogue of made-up tools."""
        roll = rng.random()
        if roll < 0.18:
            return self.built_in(rng)
        if roll < 0.26:
            return self.absent(rng, guises)
        sample = ask(rng.choice(guises), rng)
        if roll < 0.36:
            other = ask(rng.choice(guises), rng) if rng.random() < 0.6 else fill(rng.choice(self.asking), rng)
            if other.calls[0]["tool"] != sample.calls[0]["tool"] and "Detections" not in other.have:
                return join(sample, other, rng) if rng.random() < 0.5 else join(other, sample, rng)
        return sample

    def _packed(
        self, guises: Sequence[Guise], samples: Sequence[Sample], length: int, demonstrations: Sequence[Sample]
    ) -> Row:
        cards = {**ROUTE_CARDS, **{guise.card["name"]: guise.card for guise in guises}}
        prefix = self.layout.prefix(
            [guise.card for guise in guises], [(d.have, d.request, d.calls) for d in demonstrations], cards
        )
        different = {sample.request.lower(): sample for sample in samples}.values()
        pairs = [(self.layout.request(s.have, s.request), self.layout.calls(s.calls, cards)) for s in different]
        return pack(self.layout, prefix, pairs, length)
