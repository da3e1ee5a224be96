"""Guesses at how a plan goes on, so that several of its tokens are checked in one forward pass.

The model has the last word on every token: a guess that is wrong costs the time of reading it, and changes nothing.
Texts of a plan are mostly copied from its request, which is what makes guessing worth while (prompt lookup decoding,
Saxena 2023; checked as in speculative decoding, Leviathan et al. 2023).
"""

from collections.abc import Sequence

import numpy as np

from backbone.planner.grammar import Walk

LONGEST = 12
"""Tokens in one guess: up to about so many, a pass takes hardly longer than with two."""


def draft(walk: Walk, request: Sequence[int]) -> list[int]:
    """The tokens that may well come next, the forced ones among them; none where nothing is likely.

    Args:
        walk: the plan so far; it is left as it is.
        request: ids of the request, which texts are copied from.
    """
    ahead, guessed = walk.fork(), list[int]()
    while len(guessed) < LONGEST:
        token = ahead.forced()
        if token is None:
            token = _guess(ahead, request)
        if token is None or token == walk.layout.end:
            break
        ahead.push(token)
        guessed.append(token)
    return guessed


def _guess(walk: Walk, request: Sequence[int]) -> int | None:
    if walk.text:
        return _copied(walk, walk.text, request)
    if not walk.calls:
        token = walk.layout.route.get(walk.wireable() or "")
        return token if token in walk.allowed() else None
    return None


def _copied(walk: Walk, text: list[int], request: Sequence[int]) -> int | None:
    """What follows in the request after the longest end of the text that is in it, or else the end of the text.

    An item of a list is taken to be one word.
    """
    allowed = walk.allowed()
    assert isinstance(allowed, np.ndarray)
    for length in range(len(text), 0, -1):
        for end in range(length, len(request)):
            if list(request[end - length : end]) == text[-length:]:
                token = request[end]
                if allowed[token] and not (walk.listed and walk.vocabulary.spaced[token]):
                    return token
                return walk.layout.sep if allowed[walk.layout.sep] else None
    return walk.layout.sep if allowed[walk.layout.sep] else None
