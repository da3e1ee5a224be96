"""Speculative decoding: draft tokens of a plan, which the model verifies in one forward pass.

A rejected draft token costs its share of the pass and does not change the plan (Leviathan et al. 2023). Texts of a plan
are mostly copied from its request, so drafts are too (prompt lookup decoding, Saxena 2023); its tools are often those
of the example that the planner reads last.
"""

from collections.abc import Sequence

import numpy as np

from backbone.planner.layout import Call
from backbone.planner.walk import Walk

MAX_SPECULATED = 12
"""Draft tokens in one pass: a pass over up to about this many takes little longer than one over two."""


def speculate(walk: Walk, request: Sequence[int], shown: Sequence[Sequence[Call]] = ()) -> list[int]:
    """Draft tokens, forced ones included; empty if no continuation is likely.

    Args:
        walk: the plan so far; it is not changed.
        request: ids of the request, the source of copied texts.
        shown: the plans of the examples, the likest last.
    """
    ahead, drafted = walk.fork(), list[int]()
    while len(drafted) < MAX_SPECULATED:
        token = ahead.forced()
        if token is None:
            token = _likely_token(ahead, request, shown)
        if token is None or token == walk.layout.end:
            break
        ahead.push(token)
        drafted.append(token)
    return drafted


def _likely_token(walk: Walk, request: Sequence[int], shown: Sequence[Sequence[Call]]) -> int | None:
    if walk.text:
        return _copied_token(walk, walk.text, request)
    token = walk.first_argument() if walk.calls else None
    if token is None and walk.text is None:
        token = _shown_token(walk, shown)
    if token is None and not walk.calls:
        token = walk.layout.tool_tokens.get(walk.first_feasible_tool() or "")
    return token if token in walk.allowed() else None


def _shown_token(walk: Walk, shown: Sequence[Sequence[Call]]) -> int | None:
    """The next token of the call that comes next in an example whose calls begin as the plan does."""
    for calls in reversed(shown):
        done = len(walk.calls)
        if len(calls) <= done or any(one["tool"] != two["tool"] for one, two in zip(calls, walk.calls, strict=False)):
            continue
        if not done or calls[done - 1]["args"].keys() <= walk.calls[-1]["args"].keys():
            return walk.following(walk.layout.head(calls[done]["tool"]))
    return None


def _copied_token(walk: Walk, text: list[int], request: Sequence[int]) -> int | None:
    """The token after the longest suffix of the text that occurs in the request, or else the end of the text.

    Items of lists are drafted as single words.
    """
    allowed = walk.allowed()
    assert isinstance(allowed, np.ndarray)
    for length in range(len(text), 0, -1):
        for end in range(length, len(request)):
            if list(request[end - length : end]) == text[-length:]:
                token = request[end]
                if allowed[token] and not (walk.in_list and walk.vocabulary.spaced[token]):
                    return token
                return walk.layout.sep if allowed[walk.layout.sep] else None
    return walk.layout.sep if allowed[walk.layout.sep] else None
