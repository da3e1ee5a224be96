"""Evidence about which tools a request needs, from outside of the model: it is weighed with the model's own choices.

The name of a tool gets the product of the model's probability and of the probability that the tool is needed (a
product of experts, Hinton 2002). Where the model would end a plan, the odds that it has overlooked a tool are the odds
that this tool is needed, times how often the model overlooks one. If they are better than even, a tool with a card is
called. Nothing else changes: built-in tools and arguments are for the model to choose.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from backbone.planner.tensors import Array
from backbone.planner.walk import Walk

OVERLOOKED = 0.1
"""How often the model ends a plan although a tool is needed, as far as is assumed."""

AGAIN = -4.0
"""Log odds that a tool which was called is needed once more, as far as is assumed."""


def weighed(walk: Walk, tokens: Sequence[int], logits: Array, needed: Mapping[str, float]) -> Array:
    """Logits with the evidence about tools, where a tool is chosen; elsewhere the same ones.

    The best logit among the calls stays what it is: the evidence says nothing about whether an argument comes before.

    Args:
        walk: before the choice.
        tokens: that may follow.
        logits: of these, (C,).
        needed: log odds that the request needs a tool, by name.
    """
    called = {call["tool"] for call in walk.calls}
    left = {name: odds for name, odds in needed.items() if name not in called}
    if not left or walk.writing in ("value", "argument"):
        return logits
    changed = logits.copy()
    if walk.writing == "tool":
        against = {name: _softplus(-left.get(name, AGAIN)) for name in needed}  # of others only the model knows
        for at, token in enumerate(tokens):
            changed[at] -= min(against.get(name, 0.0) for name in walk.named(token))
    elif {walk.layout.call, walk.layout.end} <= set(tokens):
        call, end = tokens.index(walk.layout.call), tokens.index(walk.layout.end)
        likeliest = max((left[name] for name in walk.feasible() if name in left), default=-math.inf)
        overlooked = logits[end] + math.log(OVERLOOKED) + likeliest
        changed[call] = np.logaddexp(logits[call], overlooked)
        calls = [at for at, token in enumerate(tokens) if token >= walk.layout.first]
        changed[calls] += logits[calls].max() - changed[calls].max()
    return changed


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
