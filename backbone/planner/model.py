"""The trained planner at work: request and cards in, plan out, under the grammar, with the shared prefix computed once."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlamaForCausalLM

from backbone.planner.core import load_core, load_tokenizer, merge_adapter, with_rows
from backbone.planner.forward import Cache, Decoder
from backbone.planner.grammar import Grammar, Vocabulary, Walk
from backbone.planner.layout import Call, Layout
from backbone.planner.speculate import speculate
from common.card import Card

WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / "planner"
"""The adapter that is shipped: LoRA matrices and the rows of the added tokens."""

ROWS = "rows.safetensors"
KEPT_PREFIXES = 4

FINALISTS = 16
"""Tokens whose scores are computed exactly, where any token may follow; no more of them draw."""


class PlannerModel:
    """SmolLM2-135M with the trained adapter merged in.

    Args:
        core: folder of the unpacked core.
        adapter: folder of the adapter; the shipped one if left out.

    Safe to call from several threads; calls take turns.
    """

    def __init__(self, core: Path, adapter: Path | None = None) -> None:
        adapter = adapter or WEIGHTS
        self.layout, model = load_planner(core, adapter)
        self._decoder = Decoder(model)
        self._vocabulary = Vocabulary(self.layout)
        self._prefixes: dict[tuple[int, ...], Cache] = {}
        self._lock = Lock()

    def plan(
        self,
        request: str,
        have: Sequence[str],
        cards: Sequence[Card],
        demonstrations: Sequence[tuple[Sequence[str], str, Sequence[Call]]] = (),
        typed: bool = False,
    ) -> list[dict[str, Any]]:
        """Plan a request.

        Args:
            request: what somebody asks for, in words.
            have: kinds of value at hand, old to new ("Image", "Audio" …).
            cards: the tools that may be called.
            demonstrations: requests with their plans, ``(have, request, calls)``, put in front.
            typed: only offer tools whose inputs can be had.

        Returns:
            The calls in order, ``{"tool": name, "args": {…}}``; empty when there is nothing to run.
        """
        grammar = Grammar(self.layout, self._vocabulary, cards)
        prefix = self.layout.prefix(list(grammar.cards.values()), demonstrations)
        asked = self.layout.request(have, request)
        with self._lock, torch.inference_mode():
            again = self._likeliest(grammar, prefix, asked)
            return self._decode(grammar.walk(have, typed), prefix, again, asked).calls

    def _likeliest(self, grammar: Grammar, prefix: list[int], request: list[int]) -> list[int]:
        """The card, as ids, of the tool that the plan would begin with if it had to begin with one that has a card.

        It is read once more right before the request. What stands in the middle of many cards is read worst (Liu et al. 2023),
        and without this a plan depends on the order of the tools. Empty without cards.
        """
        walk, read = grammar.walk(()), [*request, self.layout.call]
        if self.layout.call not in walk.allowed():
            return []
        walk.push(self.layout.call)
        cache = self._prefix(prefix)
        try:
            while not walk.calls:
                token = walk.forced()
                if token is None:
                    token = self._best(self._decoder.forward(read, cache)[-1], walk.allowed())
                    read = []
                walk.push(token)
                read.append(token)
        finally:
            cache.length = len(prefix)
        return self.layout.prefix([grammar.cards[walk.calls[0]["tool"]]])

    def _decode(self, walk: Walk, prefix: list[int], again: list[int], request: list[int]) -> Walk:
        """Write the plan, each token the best that the grammar allows.

        A pass reads the tokens that are certain and a guess at those that follow; as far as the guess is what the model
        would have written, its states give the tokens after it.
        """
        cache, certain = self._prefix(prefix), [*again, *request]
        try:
            while not walk.done:
                read = certain + speculate(walk, request)
                states = self._decoder.forward(read, cache)
                at, certain = len(certain) - 1, []
                while not walk.done:
                    token = walk.forced()
                    if token is None:
                        if certain:
                            break
                        token = self._best(states[at], walk.allowed())
                    walk.push(token)
                    if not certain and read[at + 1 : at + 2] == [token]:
                        at += 1
                    else:
                        certain.append(token)
                cache.length -= len(read) - 1 - at
        finally:
            cache.length = len(prefix)
        return walk

    def _best(self, state: Tensor, allowed: list[int] | NDArray[np.bool_]) -> int:
        """The allowed token of the highest score after a state, (D,).

        In bfloat16 scores are so coarse that the best ones often draw, so the few best are weighed again in float32.
        """
        if not isinstance(allowed, list):
            coarse = self._decoder.scores(state).masked_fill_(~torch.from_numpy(allowed), -torch.inf)
            allowed = [token for token in coarse.topk(FINALISTS).indices.tolist() if allowed[token]]
        return allowed[int(self._decoder.scores(state, allowed).argmax())]

    def _prefix(self, prefix: list[int]) -> Cache:
        """The cache of a prefix, computed at its first use; the least recently used one goes."""
        key = tuple(prefix)
        cache = self._prefixes.pop(key, None)
        if cache is None:
            cache = self._decoder.cache()
            if prefix:
                self._decoder.forward(prefix, cache)
        self._prefixes[key] = cache
        while len(self._prefixes) > KEPT_PREFIXES:
            self._prefixes.pop(next(iter(self._prefixes)))
        return cache


def load_planner(core: Path, adapter: Path) -> tuple[Layout, LlamaForCausalLM]:
    """The layout, and the core with the added rows and the adapter merged in, as ``transformers`` runs it."""
    model = load_core(core, _fast_dtype())
    layout = Layout(load_tokenizer(core), model.config.vocab_size)
    merge_adapter(model, adapter)
    rows = load_file(adapter / ROWS)["rows"]
    model.set_input_embeddings(with_rows(model.get_input_embeddings(), rows))
    model.lm_head.weight = model.get_input_embeddings().weight
    model.config.vocab_size += layout.added
    return layout, model.eval()


def _fast_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies in it; elsewhere torch falls back to a plain loop, and float32 is faster."""
    mkldnn = torch.ops.mkldnn
    native = hasattr(mkldnn, "_is_mkldnn_bf16_supported") and mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if native else torch.float32
