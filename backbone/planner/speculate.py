"""Speculative decoding: draft tokens of a plan, which the model verifies in one forward pass.

A rejected draft token costs its share of the pass and does not change the plan (Leviathan et al. 2023). Texts of a plan
are mostly copied from its request, so drafts are too (prompt lookup decoding, Saxena 2023).
"""

from collections.abc import Sequence

import numpy as np

from backbone.planner.walk import Walk

MAX_SPECULATED = 12
"""Draft tokens in one pass: a pass over up to about this many takes little longer than one over two."""


def speculate(walk: Walk, request: Sequence[int]) -> list[int]:
    """Draft tokens, forced ones included; empty if no continuation is likely.

    Args:
        walk: the plan so far; it is not changed.
        request: ids of the request, the source of copied texts.
    """
    ahead, drafted = walk.fork(), list[int]()
    while len(drafted) < MAX_SPECULATED:
        token = ahead.forced()
        if token is None:
            token = _likely_token(ahead, request)
        if token is None or token == walk.layout.end:
            break
        ahead.push(token)
        drafted.append(token)
    return drafted


def _likely_token(walk: Walk, request: Sequence[int]) -> int | None:
    if walk.text:
        return _copied_token(walk, walk.text, request)
    token = walk.first_argument() if walk.calls else walk.layout.tool_tokens.get(walk.first_feasible_tool() or "")
    return token if token in walk.allowed() else None


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
