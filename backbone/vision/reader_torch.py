"""A reader with the model's own core: for training machines, and to check other readers against."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from backbone.vision.model import BackboneModel

AT_ONCE = 32
"""Answers that are written in one batch."""


class TorchReader:
    """A `Reader` with the model's own core, in its type and on its device.

    Args:
        model: The model.
    """

    def __init__(self, model: BackboneModel) -> None:
        self.model = model

    def embed(self, ids: Tensor) -> Tensor:
        """Return embeddings; see `Reader`."""
        embedded: Tensor = self.model.core.embed_tokens(ids)
        return embedded

    def prefix(self, embedded: Tensor) -> DynamicCache:
        """Return keys and values of the prefix; see `Reader`."""
        cache = DynamicCache(config=self.model.config.core)
        self._core(embedded[None], cache)
        return cache

    def states(self, prefix: DynamicCache, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Read all blocks in one pass; see `Reader`."""
        if not blocks:
            return []
        start, sizes = prefix.get_seq_length(), [len(block) for block in blocks]
        packed = torch.cat(list(blocks))
        device, total = packed.device, len(packed)
        number = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(device)
        sees = (number[:, None] == number[None]).tril()
        sees = torch.cat([sees.new_ones(total, start), sees], 1)
        places = torch.cat([torch.arange(start, start + size, device=device) for size in sizes])
        states: Tensor = self._core(packed[None], copy.deepcopy(prefix), sees[None, None], places[None])[0]
        return list(torch.split(states, sizes))

    def write(self, prefix: DynamicCache, blocks: Sequence[Tensor], end: int, most: int) -> list[list[int]]:
        """Write `AT_ONCE` continuations at once; see `Reader`."""
        written: list[list[int]] = []
        for at in range(0, len(blocks), AT_ONCE):
            written += self._written(prefix, blocks[at : at + AT_ONCE], end, most)
        return written

    def _written(self, prefix: DynamicCache, blocks: Sequence[Tensor], end: int, most: int) -> list[list[int]]:
        cache, start = copy.deepcopy(prefix), prefix.get_seq_length()
        cache.batch_repeat_interleave(len(blocks))
        sizes = torch.tensor([len(block) for block in blocks], device=blocks[0].device)
        # Shorter blocks are padded on the left, so that all are continued at the same place.
        unread = nn.utils.rnn.pad_sequence(list(blocks), batch_first=True, padding_side="left")
        longest = unread.shape[1]
        padding = torch.arange(longest, device=sizes.device) < (longest - sizes)[:, None]
        seen = torch.cat([padding.new_ones(len(blocks), start), ~padding], 1)
        places = (torch.arange(longest, device=sizes.device) - (longest - sizes)[:, None]).clamp_min(0) + start
        written: list[list[int]] = [[] for _ in blocks]
        going = list(range(len(blocks)))
        for _ in range(most):
            state = self._core(unread, cache, seen.long(), places)[:, -1]
            chosen = self._best(state, end)
            for row, token in enumerate(chosen.tolist()):
                if row in going and token != end:
                    written[row].append(token)
            going = [row for row in going if int(chosen[row]) != end]
            if not going:
                break
            unread = self.embed(torch.where(chosen == end, 0, chosen))[:, None]
            seen = torch.cat([seen, seen.new_ones(len(blocks), 1)], 1)
            places = places[:, -1:] + 1
        return written

    def _best(self, states: Tensor, end: int) -> Tensor:
        """Return the likeliest next tokens (B,) after states (B, D): of the core's vocabulary, or the end."""
        logits, size = self.model.logits(states), self.model.config.core.vocab_size
        best = logits[:, :size].max(1)
        return torch.where(logits[:, end] > best.values, end, best.indices)

    def _core(self, embedded: Tensor, cache: DynamicCache, mask: Tensor | None = None, at: Tensor | None = None) -> Any:
        return self.model.core(
            inputs_embeds=embedded, attention_mask=mask, position_ids=at, cache=cache, use_cache=True
        ).last_hidden_state
