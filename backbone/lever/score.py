"""InfoScore: how likely the planner finds the right plan of a request, once it has seen some examples.

``I(S, x) = exp(mean log p)`` over the tokens of the right plan that the grammar does not force, its end included, where
p is the probability among the tokens that the grammar allows. Lever-LM (arXiv 2312.10104) defines it by all tokens of
an answer; those that are forced have probability 1 in our decoder, whatever the examples are.

The prompt is that of `PlannerModel.decode`. Prompts are scored in the order of their tokens, and what a prompt has in
common with the one before is not read again.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backbone.planner.grammar import Grammar
from backbone.planner.layout import Call
from backbone.planner.model import PlannerModel
from backbone.planner.prefixes import common_length
from backbone.planner.tensors import Array
from backbone.planner.walk import Walk
from common.card import Card


class Example(NamedTuple):
    """A request with its right plan.

    Attributes:
        have: kinds of value at hand, from old to new.
        request: in words.
        calls: of the plan, without the inputs that wiring fills in.
    """

    have: Sequence[str]
    request: str
    calls: Sequence[Call]


Prompt = tuple[Sequence[Example], Example]
"""Examples in the order in which the planner reads them, and the request."""

STATES = 64
"""States whose logits are computed together."""


class _Choice(NamedTuple):
    """A token of a plan, the tokens that the grammar allows there (ids, or a (V,) mask), and the state before, (D,)."""

    token: int
    allowed: NDArray[np.bool_] | list[int]
    state: Array


class Scorer:
    """Scores examples by the likelihood of right plans. Not safe to call from several threads.

    Args:
        model: the frozen planner.
        cards: the tools that may be called.
    """

    def __init__(self, model: PlannerModel, cards: Sequence[Card]) -> None:
        self._model = model
        self._grammar: Grammar = model.grammar(cards)
        self._cards: Mapping[str, Card] = self._grammar.cards
        self._context, self._read = model.engine.new_context(), list[int]()

    def scores(self, prompts: Sequence[Prompt]) -> list[float]:
        """Return I for each prompt. The same prompts have the same scores, to the last digit, whatever came before.

        Raises:
            ValueError: the grammar of these tools does not allow a request's plan.
        """
        prefixes = [self._model.layout.prefix([*self._cards.values()], shown) for shown, _ in prompts]
        choices: list[list[_Choice]] = [[] for _ in prompts]
        self._context.length, self._read = 0, []
        for at in sorted(range(len(prompts)), key=prefixes.__getitem__):
            self._move_to(prefixes[at])
            choices[at] = self._choices(prompts[at][1])
        free = [state for made in choices for _, allowed, state in made if not isinstance(allowed, list)]
        logits = self._logits(free)
        return [float(np.exp(np.mean([self._log_probability(choice, logits) for choice in made]))) for made in choices]

    def _move_to(self, prefix: list[int]) -> None:
        """Have the context hold this prefix, and read what is new in it."""
        common = common_length(self._read, prefix)
        self._context.length = common
        if common < len(prefix):
            self._context.read(prefix[common:])
        self._read = prefix

    def _choices(self, asked: Example) -> list[_Choice]:
        """The tokens of a plan that are not forced, read behind what the context holds."""
        layout, context = self._model.layout, self._context
        start, request = context.length, layout.request(asked.have, asked.request)
        plan = layout.calls(asked.calls, self._cards)
        walk = Walk(self._grammar, asked.have, request=asked.request)
        try:
            repeated = self._model.likeliest_card(self._grammar, context, request)
            states = context.read([*repeated, *request, *plan[:-1]])[-len(plan) :]
        finally:
            context.length = start
        found = []
        for token, state in zip(plan, states, strict=True):
            allowed = walk.allowed()
            walk.push(token)
            if (len(allowed) if isinstance(allowed, list) else np.count_nonzero(allowed)) > 1:
                found.append(_Choice(token, allowed, state))
        return found

    def _log_probability(self, choice: _Choice, logits: Iterator[Array]) -> float:
        """The log-probability of a choice; ``logits`` has those of the next one at which any token may follow."""
        token, allowed, state = choice
        if isinstance(allowed, list):
            among, at = self._model.engine.scores(state, allowed), allowed.index(token)
        else:
            among, at = next(logits)[allowed], int(allowed[:token].sum())
        most = among.max()
        return float(among[at] - most - np.log(np.exp(among - most).sum()))

    def _logits(self, states: Sequence[Array]) -> Iterator[Array]:
        """The logits of all tokens after each state, (V,). The weights are read once for many states."""
        for start in range(0, len(states), STATES):
            yield from np.stack(states[start : start + STATES]) @ self._embedding.T

    @cached_property
    def _embedding(self) -> Array:
        """The weights of all logits, (V, D), in float32."""
        layout = self._model.layout
        return self._model.engine.embed(range(layout.first + layout.added))
