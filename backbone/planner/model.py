"""The trained planner: request and cards in, plan out, by constrained decoding with a cached prefix."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from backbone.planner.adapter import ADAPTER
from backbone.planner.choices import Choice, choices_of
from backbone.planner.engine import Context, Engine
from backbone.planner.evidence import weighed
from backbone.planner.grammar import Grammar
from backbone.planner.layout import Call, Layout, PlannedCall
from backbone.planner.prefixes import Prefixes
from backbone.planner.quantized import read_quantized
from backbone.planner.speculate import speculate
from backbone.planner.tensors import Array
from backbone.planner.vocabulary import Vocabulary
from backbone.planner.walk import Walk
from common.card import Card

RESCORED = 16
"""Tokens whose logits are computed again in float32, where any token may follow."""


class Decoded(NamedTuple):
    """A plan as it was decoded.

    Attributes:
        calls: in order, ``{"tool": name, "args": {…}}``.
        choices: of the tokens that were not forced, in the order of writing.
    """

    calls: list[PlannedCall]
    choices: list[Choice]


class PlannerModel:
    """Plans with an engine. Safe to call from several threads; calls take turns.

    Args:
        layout: the added tokens.
        engine: the core with the adapter merged in.
    """

    def __init__(self, layout: Layout, engine: Engine) -> None:
        self.layout, self.engine = layout, engine
        self._vocabulary = Vocabulary(layout)
        self._prefixes = Prefixes(engine)
        self._lock = Lock()

    @classmethod
    def from_quantized(cls, file: Path) -> "PlannerModel":
        """The planner in 8 bits, run by onnxruntime.

        Args:
            file: as written by ``write_quantized``.

        Raises:
            DamagedFile: the file is incomplete or of another format.
        """
        from backbone.planner.engine_onnx import OnnxEngine

        model = read_quantized(file)
        return cls(Layout(Tokenizer.from_str(model.tokenizer), model.config.vocabulary), OnnxEngine(model))

    @classmethod
    def reference(cls, gguf: Path, adapter: Path = ADAPTER) -> "PlannerModel":
        """The planner in float32, run by numpy.

        Args:
            gguf: the core.
            adapter: folder of the adapter.
        """
        from backbone.planner.core import Core
        from backbone.planner.engine_reference import ReferenceEngine, Weights

        core = Core(gguf, adapter)
        return cls(Layout(core.tokenizer, core.config.vocabulary), ReferenceEngine(Weights.of_core(core)))

    def plan(
        self,
        request: str,
        have: Sequence[str],
        cards: Sequence[Card],
        demonstrations: Sequence[tuple[Sequence[str], str, Sequence[Call]]] = (),
        typed: bool = False,
    ) -> list[PlannedCall]:
        """Plan a request; `decode` without the choices."""
        return self.decode(request, have, cards, demonstrations, typed).calls

    def decode(
        self,
        request: str,
        have: Sequence[str],
        cards: Sequence[Card],
        demonstrations: Sequence[tuple[Sequence[str], str, Sequence[Call]]] = (),
        typed: bool = False,
        first: Collection[str] = (),
        missing: Sequence[Collection[str]] = (),
        refused: Collection[tuple[str, str]] = (),
        needed: Mapping[str, float] = MappingProxyType({}),
    ) -> Decoded:
        """Plan a request, and keep how probable each choice was.

        Args:
            request: what somebody asks for, in words.
            have: kinds of value at hand, old to new ("Image", "Audio" …).
            cards: the tools that may be called.
            demonstrations: requests with their plans, ``(have, request, calls)``, put in front.
            typed: allow only tools whose inputs are at hand or are outputs of earlier calls.
            first: names of tools, of which one comes first; any tool may if none is named.
            missing: names of tools, of each of which one has to be called.
            refused: tools with optional arguments that are left out, as their values were wrong.
            needed: log odds that the request needs a tool, by name, as evidence beside the model's (`evidence.py`).

        Returns:
            The calls, none when there is nothing to run, and the choices.
        """
        grammar = self.grammar(cards)
        parts = self.layout.parts(list(grammar.cards.values()), demonstrations)
        prefix, request_ids = [*chain.from_iterable(parts)], self.layout.request(have, request)
        needed = {name: odds for name, odds in needed.items() if name in grammar.cards}
        walk = Walk(grammar, have, typed, request, first, missing, refused)
        with self._lock:
            self._prefixes.begin(parts)
            context = self._prefixes.context
            repeated = self.likeliest_card(grammar, context, request_ids, needed, prefix)
            before, shown = [*prefix[context.length :], *repeated], [calls for _, _, calls in demonstrations]
            decoded = self._decode(walk, context, before, request_ids, needed, shown)
            self._prefixes.keep(parts)
            return decoded

    def grammar(self, cards: Iterable[Card]) -> Grammar:
        """The grammar of plans over some tools."""
        return Grammar(self.layout, self._vocabulary, cards)

    def likeliest_card(
        self,
        grammar: Grammar,
        context: Context,
        request: list[int],
        needed: Mapping[str, float] = MappingProxyType({}),
        prefix: Sequence[int] = (),
    ) -> list[int]:
        """Ids of the card of the first tool in the plan, if that had to be a tool with a card. Empty without cards.

        The card is repeated before the request: cards in the middle of many are read worst (Liu et al. 2023), and
        without the repetition a plan depends on the order of the tools.

        Args:
            grammar: of the tools.
            context: has read their cards, and the examples; nothing is left in it of the request.
            request: ids of the request.
            needed: log odds that the request needs a tool, by name.
            prefix: ids of cards and examples, if the context may lack the last ones. They are read with the request.
        """
        walk, unread = Walk(grammar, ()), [*prefix[context.length :], *request, self.layout.call]
        if self.layout.call not in walk.allowed():
            return []
        walk.push(self.layout.call)
        start = max(context.length, len(prefix))
        try:
            while not walk.calls:
                token = walk.forced()
                if token is None:
                    token = self._best(context.read(unread)[-1], walk, needed)[0]
                    unread = []
                walk.push(token)
                unread.append(token)
        finally:
            context.length = min(context.length, start)
        return self.layout.prefix([grammar.cards[walk.calls[0]["tool"]]])

    def _decode(
        self,
        walk: Walk,
        context: Context,
        before: list[int],
        request: list[int],
        needed: Mapping[str, float],
        shown: Sequence[Sequence[Call]],
    ) -> Decoded:
        """Write the plan, each token the best that the grammar allows; ``before`` stands in front of the request.

        One pass reads the tokens that are certain and draft tokens after them. While the drafts are what the model
        writes, their states give the tokens that follow.
        """
        certain, choices = [*before, *request], list[Choice]()
        while not walk.done:
            read = certain + speculate(walk, request, shown)
            states = context.read(read)
            at, certain = len(certain) - 1, []
            while not walk.done:
                token = walk.forced()
                if token is None:
                    if certain:
                        break
                    token, compared, logits = self._best(states[at], walk, needed)
                    if token == self.layout.end and walk.refuse_end():
                        token = self._best(states[at], walk, needed)[0]
                    choices += choices_of(walk, token, compared, logits)
                walk.push(token)
                if not certain and read[at + 1 : at + 2] == [token]:
                    at += 1
                else:
                    certain.append(token)
            context.length -= len(read) - 1 - at
        return Decoded(walk.calls, choices)

    def _best(self, state: Array, walk: Walk, needed: Mapping[str, float]) -> tuple[int, list[int], Array]:
        """The allowed token of the highest logit after a state, (D,), with the evidence about tools.

        Where any token may follow, the best ones by approximate logits are compared again in float32.

        Returns:
            The token, the tokens that were compared, and their logits.
        """
        allowed = walk.allowed()
        if not isinstance(allowed, list):
            approximate = np.where(allowed, self.engine.scores(state), -np.inf)
            best = np.argpartition(approximate, -RESCORED)[-RESCORED:]
            allowed = [int(token) for token in best if allowed[token]]
        logits = weighed(walk, allowed, self.engine.scores(state, allowed), needed)
        return allowed[int(logits.argmax())], allowed, logits
