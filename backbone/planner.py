"""The trained planner at work: request and cards in, plan out, under the grammar, with the shared prefix computed once."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import DynamicCache, LlamaForCausalLM

from backbone.cards import Card
from backbone.core import load_core, load_tokenizer, with_rows
from backbone.grammar import Grammar, Vocabulary, Walk
from backbone.layout import Call, Layout

WEIGHTS = Path(__file__).parent / "weights" / "planner"
"""The adapter that is shipped: LoRA matrices and the rows of the added tokens."""

ROWS = "rows.safetensors"
KEPT_PREFIXES = 4


class PlannerModel:
    """SmolLM2-135M with the trained adapter merged in.

    Args:
        core: folder of the unpacked core.
        adapter: folder of the adapter; the shipped one if left out.

    Safe to call from several threads; calls take turns.
    """

    def __init__(self, core: Path, adapter: Path | None = None) -> None:
        adapter = adapter or WEIGHTS
        self.layout, self.model = load_planner(core, adapter)
        self._vocabulary = Vocabulary(self.layout)
        self._prefixes: dict[tuple[int, ...], DynamicCache] = {}
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
        with self._lock, torch.inference_mode():
            return self._decode(grammar.walk(have, typed), prefix, self.layout.request(have, request)).calls

    def _decode(self, walk: Walk, prefix: list[int], request: list[int]) -> Walk:
        cache, waiting = self._prefix(prefix), list(request)
        try:
            while not walk.done:
                allowed = walk.allowed()
                if isinstance(allowed, list) and len(allowed) == 1:
                    token = allowed[0]
                else:
                    token = _best(self._forward(waiting, cache), allowed)
                    waiting = []
                walk.push(token)
                waiting.append(token)
        finally:
            if cache.get_seq_length() > len(prefix):
                cache.crop(len(prefix) - cache.get_seq_length())
        return walk

    def _forward(self, ids: list[int], cache: DynamicCache) -> Tensor:
        """Scores of the next token, (V,), after appending ``ids`` to the cache."""
        output = self.model(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        scores: Tensor = output.logits[0, -1]
        return scores

    def _prefix(self, prefix: list[int]) -> DynamicCache:
        """The cache of a prefix, computed at its first use; the least recently used one goes."""
        key = tuple(prefix)
        cache = self._prefixes.pop(key, None)
        if cache is None:
            cache = DynamicCache(config=self.model.config)
            if prefix:
                self._forward(prefix, cache)
        self._prefixes[key] = cache
        while len(self._prefixes) > KEPT_PREFIXES:
            self._prefixes.pop(next(iter(self._prefixes)))
        return cache


def _best(scores: Tensor, allowed: list[int] | np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    if isinstance(allowed, list):
        return allowed[int(scores[allowed].argmax())]
    return int(scores.masked_fill(~torch.from_numpy(allowed), -torch.inf).argmax())


def load_planner(core: Path, adapter: Path) -> tuple[Layout, LlamaForCausalLM]:
    """The layout, and the core with the added rows and the adapter merged in."""
    model = load_core(core)
    layout = Layout(load_tokenizer(core), model.config.vocab_size)
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    rows = load_file(adapter / ROWS)["rows"]
    merged.set_input_embeddings(with_rows(merged.get_input_embeddings(), rows))
    merged.lm_head.weight = merged.get_input_embeddings().weight
    merged.config.vocab_size += layout.added
    return layout, merged.eval()
