"""How probable each choice of a plan was: log-probabilities over the tokens that the grammar allowed.

Forced tokens are no choices. Where a call ends, one token says two things: that no further argument follows, and which
call follows. It is two choices then, so that each step has its own.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from backbone.planner.tensors import Array
from backbone.planner.walk import Walk

ChoiceKind = Literal["tool", "end", "argument", "value"]
"""Which tool is called next; that the plan ends; which argument follows, or that none does; part of a value."""


class Choice(NamedTuple):
    """A choice of the decoder.

    Attributes:
        step: position of the call that it belongs to, from 0. That of ``end`` is the number of calls.
        kind: what was chosen.
        logprob: natural logarithm of its probability.
    """

    step: int
    kind: ChoiceKind
    logprob: float


def choices_of(walk: Walk, token: int, compared: Sequence[int], logits: Array) -> list[Choice]:
    """The choices that a token makes.

    Args:
        walk: before the token.
        token: the chosen one.
        compared: the tokens that it was chosen from.
        logits: of these, (C,).
    """
    chosen, everything = float(logits[compared.index(token)]), _log_sum(logits)
    if walk.writing is not None:
        return [Choice(len(walk.calls) - (walk.writing != "tool"), walk.writing, chosen - everything)]
    added = walk.layout.first
    if token < added:  # only names of arguments are written in the core's own tokens
        return [Choice(len(walk.calls) - 1, "argument", chosen - everything)]
    calls = _log_sum(logits[[other >= added for other in compared]])
    found = [Choice(len(walk.calls), "end" if token == walk.layout.end else "tool", chosen - calls)]
    if calls < everything and walk.calls:
        found.insert(0, Choice(len(walk.calls) - 1, "argument", calls - everything))
    return found


def _log_sum(logits: Array) -> float:
    most = float(logits.max())
    return most + float(np.log(np.exp(logits - most).sum()))
