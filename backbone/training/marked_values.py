"""Values in marked requests: exchanged for others, and taken out as arguments."""

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache

from backbone.training.phrasings import pools, requests
from backbone.training.samples import put
from backbone.training.tool_templates import ArgumentTemplate

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
ArgumentValue = str | bool | list[str]
_NUMBER = re.compile(r"\d{1,5}(\.\d{1,2})?")
_PERCENT = re.compile(r"(\d{1,2})(?=\s?(?:%|per ?cent))")


@cache
def sentences() -> list[str]:
    """Return the texts of requests to speak, as texts for other tools."""
    spans = (
        span
        for phrasing in requests()
        if [name for name, _, _ in phrasing.calls] == ["speak"]
        for span in re.findall(r"\[([^\]]+)\]", phrasing.request)
    )
    return sorted({span for span in spans if "{" not in span and '"' not in span})


def other_values(
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
        if kind == "input":  # any text may take its place
            return f"[text={rng.choice(sentences())}]" if rng.random() < 0.3 and words is None else match[0]
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


def unmarked(
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
