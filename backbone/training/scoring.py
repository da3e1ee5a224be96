"""Scores plans of the planner against those that are right for a request."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from backbone.planner.layout import Call

Expected = Sequence[tuple[str, Mapping[str, object] | None]]
"""A right plan: tool, and expected value of each argument that matters, of every call in order. See `same`."""

SAME_WORDS = 0.6
"""Least token F1 of a text that need not be copied exactly."""


def words(text: str) -> list[str]:
    """The words of a text in small letters."""
    return re.findall(r"\w+", text.lower())


def singular(label: str) -> str:
    """A label without article, in the singular."""
    parts = [w for w in words(label) if w not in ("the", "a", "an", "all", "every", "any")]
    if not parts:
        return ""
    last = {
        "people": "person",
        "buses": "bus",
        "men": "man",
        "women": "woman",
        "children": "child",
        "knives": "knife",
        "leaves": "leaf",
    }.get(parts[-1], parts[-1])
    if last.endswith("ies") and len(last) > 4:
        last = last[:-3] + "y"
    elif re.search(r"(ch|sh|x|ss|o)es$", last):
        last = last[:-2]
    elif last.endswith("s") and not last.endswith("ss") and len(last) > 3:
        last = last[:-1]
    return " ".join([*parts[:-1], last])


def overlap(a: str, b: str) -> float:
    """Token F1 of two texts."""
    x, y = Counter(words(a)), Counter(words(b))
    both = sum((x & y).values())
    return 2 * both / (sum(x.values()) + sum(y.values())) if both else 0.0


def same(gold: object, got: object) -> bool:
    """Whether an argument is as good as the expected one.

    Null accepts anything, "" only an argument that is left out, ``{"in order": […]}`` only these items in this order.
    Lists are compared as sets of singular words, choices and numbers must be equal, and texts have the same words; of
    a text marked with "~" a token F1 of `SAME_WORDS` is enough.
    """
    if gold is None:
        return True
    if gold == "":
        return got is None
    if isinstance(gold, dict):
        return isinstance(got, list) and [words(g) for g in gold["in order"]] == [words(str(g)) for g in got]
    if isinstance(gold, list):
        return isinstance(got, list) and {singular(str(g)) for g in gold} == {singular(str(g)) for g in got}
    if isinstance(gold, bool) or isinstance(got, bool):
        return gold is got
    if isinstance(gold, int | float):
        return isinstance(got, int | float) and abs(gold - got) < 1e-6
    if not isinstance(gold, str) or not isinstance(got, str):
        return False
    if gold.startswith("~"):
        return overlap(gold[1:], got) >= SAME_WORDS
    return words(gold) == words(got)


def right_steps(plan: Expected, calls: Sequence[Call]) -> list[bool]:
    """Whether each call is the expected one at its place, with the expected arguments."""
    verdicts = [
        name == call["tool"] and all(same(value, call["args"].get(key)) for key, value in (args or {}).items())
        for (name, args), call in zip(plan, calls, strict=False)
    ]
    return verdicts + [False] * (len(calls) - len(verdicts))


def right(plan: Expected, calls: Sequence[Call]) -> tuple[bool, bool]:
    """Whether the tools are as expected, in order, and whether the arguments are, too."""
    tools = [name for name, _ in plan] == [call["tool"] for call in calls]
    return tools, tools and all(right_steps(plan, calls))
