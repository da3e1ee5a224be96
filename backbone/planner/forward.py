"""The core's forward pass, written out for one sequence at a time on a CPU.

A plan takes a handful of short forward passes, and in those the modules of ``transformers`` cost about as much as the
arithmetic. Here the same weights run in plain torch: they are laid out once as products of a few rows want them, queries,
keys and values come from one product, so do the two halves of the gated layer, keys and values are written into memory
that was set aside before, and a cache is cut back by moving its end.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

ROOM = 256
"""Tokens for which a cache has room at first; it grows by doubling."""

TYPICAL = 24
"""Tokens in one pass, roughly: what weights are laid out for."""


class Cache:
    """Keys and values of the tokens so far.

    Attributes:
        keys: (layers, 1, key heads, room, head size).
        values: as ``keys``.
        length: how many tokens are held; set it lower to forget the last ones.
    """

    def __init__(self, like: Tensor, layers: int, heads: int, size: int) -> None:
        self.keys, self.values = (like.new_empty(layers, 1, heads, ROOM, size) for _ in range(2))
        self.length = 0

    def reserve(self, length: int) -> None:
        """Make room for ``length`` tokens in all."""
        room = self.keys.shape[3]
        if length > room:
            room = max(length, 2 * room)
            self.keys, self.values = (self._grown(old, room) for old in (self.keys, self.values))

    def _grown(self, old: Tensor, room: int) -> Tensor:
        new = old.new_empty(*old.shape[:3], room, old.shape[4])
        new[:, :, :, : self.length] = old[:, :, :, : self.length]
        return new


_Product = Callable[[Tensor], Tensor]


class _Layer(NamedTuple):
    """Norms and products of one layer, the products that read the same input joined into one."""

    before_attention: Tensor
    query_key_value: _Product
    out: _Product
    before_gate: Tensor
    gate_up: _Product
    down: _Product


def _product(*weights: Tensor) -> _Product:
    """(T, K) to (T, N) by the rows of all weights, one below the other.

    ``linear`` has oneDNN rearrange the weight anew for every product of several rows, which at a few rows takes longer
    than the product; where torch offers to do that once, it is done here.
    """
    weight = torch.cat([each.detach() for each in weights])
    mkldnn = torch.ops.mkldnn
    if not hasattr(mkldnn, "_reorder_linear_weight"):
        return partial(functional.linear, weight=weight)
    packed = mkldnn._reorder_linear_weight(weight, TYPICAL)
    return lambda rows: mkldnn._linear_pointwise(rows, packed, None, "none", [], "")


class Decoder:
    """A Llama with tied embeddings, without biases, without gradients.

    Args:
        model: where the weights are taken from; the joined ones are copies, so the model may be let go.
    """

    def __init__(self, model: LlamaForCausalLM) -> None:
        config, trunk = model.config, model.model
        self.heads, self.key_heads = config.num_attention_heads, config.num_key_value_heads
        self.size = trunk.layers[0].self_attn.head_dim
        self.eps = config.rms_norm_eps
        self.embedding: Tensor = trunk.embed_tokens.weight.detach()
        self._last_norm: Tensor = trunk.norm.weight.detach()
        self._layers = [
            _Layer(
                layer.input_layernorm.weight.detach(),
                _product(*(getattr(layer.self_attn, f"{name}_proj").weight for name in "qkv")),
                _product(layer.self_attn.o_proj.weight),
                layer.post_attention_layernorm.weight.detach(),
                _product(layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight),
                _product(layer.mlp.down_proj.weight),
            )
            for layer in trunk.layers
        ]
        self._rotary = trunk.rotary_emb
        self._cos, self._sin = self._rotations(ROOM)

    def cache(self) -> Cache:
        """An empty cache."""
        return Cache(self.embedding, len(self._layers), self.key_heads, self.size)

    def forward(self, ids: list[int], cache: Cache) -> Tensor:
        """States after each of ``ids``, (T, D), ready for ``scores``; the ids are appended to the cache."""
        start, count = cache.length, len(ids)
        end = start + count
        cache.reserve(end)
        if end > len(self._cos):
            self._cos, self._sin = self._rotations(2 * end)
        cos, sin = self._cos[start:end], self._sin[start:end]
        group = self.heads // self.key_heads
        mask = None
        if count > 1:
            # Heads that share a key head stand one below the other, so that each key head is one plain attention.
            late = torch.ones(count, end, dtype=torch.bool).triu_(start + 1).repeat(group, 1)
            mask = torch.zeros(late.shape, dtype=self.embedding.dtype).masked_fill_(late, -torch.inf)
        width, rotated = self.embedding.shape[1:], self.heads + self.key_heads
        x = functional.embedding(torch.tensor(ids), self.embedding)
        for n, layer in enumerate(self._layers):
            joined = layer.query_key_value(functional.rms_norm(x, width, layer.before_attention, self.eps))
            joined = joined.view(count, rotated + self.key_heads, self.size)
            turned = joined[:, :rotated]
            turned = turned * cos + turned.roll(self.size // 2, 2) * sin
            keys, values = cache.keys[n], cache.values[n]
            keys[0, :, start:end] = turned[:, self.heads :].transpose(0, 1)
            values[0, :, start:end] = joined[:, rotated:].transpose(0, 1)
            seen = functional.scaled_dot_product_attention(
                turned[:, : self.heads].transpose(0, 1).reshape(1, self.key_heads, group * count, self.size),
                keys[:, :, :end],
                values[:, :, :end],
                attn_mask=mask,
            )
            seen = seen.view(self.heads, count, self.size).transpose(0, 1).reshape(count, -1)
            x = x + layer.out(seen)
            gate, up = layer.gate_up(functional.rms_norm(x, width, layer.before_gate, self.eps)).chunk(2, dim=1)
            x = x + layer.down(functional.silu(gate) * up)
        cache.length = end
        return functional.rms_norm(x, width, self._last_norm, self.eps)

    def scores(self, state: Tensor, rows: list[int] | None = None) -> Tensor:
        """Scores of the next token, from one state, (D,): of all, (V,), or in float32 of some only, in their order."""
        if rows is None:
            return functional.linear(state, self.embedding)
        return functional.linear(state.float(), self.embedding[rows].float())

    def _rotations(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines for ``length`` positions, (length, 1, head size), the sines signed as a half turn of the head needs."""
        cos, sin = (table[0, :, None] for table in self._rotary(self.embedding, torch.arange(length)[None]))
        half = self.size // 2
        return cos, torch.cat([-sin[..., :half], sin[..., half:]], dim=2)
