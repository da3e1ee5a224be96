"""Draws samples from hand-written requests: fills slots, takes out arguments, varies the typing, joins requests."""

import hashlib
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backbone.planner.layout import ABOVE, Call
from backbone.training.phrasings import CHOICE, FREE_TEXT, LABELS, Phrasing, pools

JOINTS = (
    ", then ",
    " and then ",
    ". then ",
    ", and after that ",
    "; ",
    ", and ",
    " and also ",
    ". also, ",
    ", next ",
    ". after that ",
    ". once that's done, ",
    ", plus ",
    " - then ",
    ". oh, and ",
    ". and ",
    ", followed by this: ",
    " & ",
)


@dataclass(frozen=True)
class Sample:
    """A request with its plan.

    Attributes:
        have: Kinds of value at hand, from old to new.
        request: The words.
        calls: The plan.
    """

    have: tuple[str, ...]
    request: str
    calls: tuple[Call, ...]


def held_out(phrasing: Phrasing | str, share: float = 0.04) -> bool:
    """Return whether a phrasing is held out for validation, by its hash: new phrasings move no others."""
    text = phrasing if isinstance(phrasing, str) else phrasing.request
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32 < share


def fill(phrasing: Phrasing, rng: random.Random) -> Sample:
    """Draw a sample: fill the slots, take the spans out as arguments, and vary the typing."""
    slots = slots_for(phrasing.request, rng)
    spans = iter(re.findall(r"\[([^\]]+)\]", phrasing.request))
    style = _style(rng)
    given = [style(put(span, slots)) for span in spans]
    calls, position = [], 0
    needed = sum(name in FREE_TEXT and name != "speak" and values != (ABOVE,) for name, values, _ in phrasing.calls)
    spare = len(given) - needed
    for name, values, options in phrasing.calls:
        args: dict[str, object] = {}
        if name in FREE_TEXT and values != (ABOVE,) and (name != "speak" or spare > 0):
            spare -= name == "speak"
            args[FREE_TEXT[name]] = given[position].strip()
            position += 1
        calls.append(called((name, values, {**args, **options}), slots))
    parts = re.split(r"(\[[^\]]+\]|\{\w+\})", phrasing.request)
    words = "".join(
        style(put(part.strip("[]"), slots)) if part[:1] in ("[", "{") else style(_typo(part, rng)) for part in parts
    )
    return Sample(phrasing.have, frame(words, rng, bool(calls)), tuple(calls))


def called(call: tuple[str, tuple[str, ...], Mapping[str, object]], slots: Mapping[str, str]) -> Call:
    """Return a call of a phrasing as it stands in a plan, with the slots of its labels filled."""
    name, values, options = call
    args: dict[str, object] = {}
    if name in LABELS and values:
        args["labels"] = list(dict.fromkeys(put(value, slots) for value in values))
    elif name in CHOICE and values:
        args[CHOICE[name]] = values[0]
    return {"tool": name, "args": {**args, **options}}


def slots_for(text: str, rng: random.Random) -> dict[str, str]:
    """Draw a value for each slot of a text."""
    pool = pools()
    slots: dict[str, str] = {}
    # Sorted: the order of a set of strings differs from process to process.
    for index in sorted({match[1] for match in re.findall(r"\{(o|os|a)(\d?)\}", text)}):
        one, many = rng.choice(pool.things)
        if rng.random() < 0.2:
            adjective = rng.choice(pool.adjectives)
            one, many = f"{adjective} {one}", f"{adjective} {many}"
        article = "an" if one[0] in "aeiou" else "a"
        slots |= {f"o{index}": one, f"os{index}": many, f"a{index}": f"{article} {one}"}
    number = rng.randint(2, 12)
    words = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    slots |= {
        "name": rng.choice(pool.names),
        "place": rng.choice(pool.places),
        "colour": rng.choice(pool.colours),
        "n": words[number - 2] if rng.random() < 0.5 else str(number),
        "num": str(rng.choice((rng.randint(2, 30), rng.randint(10, 999), round(rng.uniform(0.5, 40), 1)))),
    }
    return slots


def put(text: str, slots: Mapping[str, str]) -> str:
    """Return a text with its slots filled."""
    return re.sub(r"\{(\w+)\}", lambda match: slots.get(match[1], match[1]), text)


def _style(rng: random.Random) -> Callable[[str], str]:
    """Draw the case of a request: mostly as written, sometimes lower, rarely upper."""
    roll = rng.random()
    return str.lower if roll < 0.18 else str.upper if roll < 0.2 else str


def _typo(text: str, rng: random.Random) -> str:
    """Swap, drop or double a letter, in about one request of twelve."""
    if rng.random() > 0.04 or len(text) < 6:
        return text
    at = rng.randrange(1, len(text) - 2)
    if not text[at : at + 2].isalpha():
        return text
    swapped = text[at + 1] + text[at]
    return text[:at] + rng.choice((swapped, text[at], text[at] * 2 + text[at + 1])) + text[at + 2 :]


def frame(text: str, rng: random.Random, asks: bool) -> str:
    """Add an opener or an ending, or drop the final punctuation, each at times."""
    if asks and rng.random() < 0.07:
        text = rng.choice(pools().openers) + lower_first(text)
    if asks and rng.random() < 0.07:
        text = text.rstrip(".!?") + rng.choice(pools().endings)
    if rng.random() < 0.15:
        text = text.rstrip(".!?")
    return text


def lower_first(text: str) -> str:
    """Return a text with a small first letter; "I" and abbreviations stay."""
    return text if re.match(r"I\b|I'|[A-Z]{2}", text) else text[:1].lower() + text[1:]


def join(first: Sample, second: Sample, rng: random.Random) -> Sample:
    """Join two requests to one."""
    request = first.request.rstrip(".!?;, ") + rng.choice(JOINTS) + lower_first(second.request)
    have = tuple(dict.fromkeys(first.have + second.have))
    return Sample(have, request, (*first.calls, *second.calls))
