"""Referring expressions as labels, where the engine of a search takes any words.

The planner writes names as labels, which is all that most engines know: ``dog`` where the request says "the dog left of
the red car". A linked engine reads the whole expression.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from tools.core.errors import SuperlinkError
from tools.engines import labels

SEARCHES = ("detect", "segment", "track")
"""Tools with labels; each is also the name of the role whose weights look for them first."""

_NO_HEAD = r"(?:and|or|then|the|an?)\b"
_CLAUSE_END = r"(?=\s*(?:$|[,.;:!?]|\b(?:and|then)\b))"
_RELATION = (
    r"(?:(?:standing|sitting|lying|walking) )?(?:(?:to the )?(?:left|right) of|above|below|under|beneath|behind|beside|"
    r"in front of|next to|near|close to|closest to|on top of)"
)
_RELATED = re.compile(
    rf"\b(?P<which>the|an?|every|each|all(?: the)?|any) (?P<head>(?:(?!{_NO_HEAD})[\w-]+ ){{1,4}}?)"
    rf"(?P<how>{_RELATION} [^,.;:!?]+?){_CLAUSE_END}",
    re.IGNORECASE,
)
_WHATEVER = re.compile(
    rf"\b(?:what(?:so)?ever|who(?:so)?ever|whichever [\w-]+) [^,.;:!?]+?{_CLAUSE_END}", re.IGNORECASE
)


def with_references(request: str, calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a plan's calls, in whose searches by linked engines names are replaced by what the request says of them.

    Args:
        request: The request.
        calls: ``{"tool": name, "args": {…}}`` each.
    """
    request = " ".join(request.split())
    changed = []
    for call in calls:
        named = call["args"].get("labels")
        args = dict(call["args"])
        if call["tool"] in SEARCHES and isinstance(named, list) and named and _is_linked(call["tool"]):
            args["labels"] = list(dict.fromkeys(_referring(request, [str(name) for name in named])))
        changed.append({**call, "args": args})
    return changed


def _referring(request: str, named: Sequence[str]) -> list[str]:
    whatever = [found[0] for found in _WHATEVER.finditer(request)]
    related = list(_RELATED.finditer(request))
    result = []
    for name in named:
        clause = next((one for one in whatever if _speaks_of(one, name)), None)
        own = next((one for one in related if _speaks_of(one["head"], name)), None)
        if clause is not None:
            result.append(clause)
        elif own is not None:
            which = "the " if own["which"].lower() == "the" else ""
            result.append(f"{which}{own['head'].strip()} {own['how']}")
        else:
            result.append(name)
    return result


def _speaks_of(text: str, name: str) -> bool:
    """Whether words name a thing, in any form or synonym."""
    words = text.split()
    parts = {" ".join(words[at : at + size]) for size in (1, 2, 3) for at in range(len(words) - size + 1)}
    return bool(labels.choose([name], dict(enumerate(sorted(parts))))[0])


def _is_linked(role: str) -> bool:
    from tools.engines import dispatch

    with suppress(SuperlinkError):  # of settings that name no weights: who runs the plan is told
        return dispatch.is_linked(role)
    return False
