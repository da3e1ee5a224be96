"""The reference engine: the forward pass in numpy, in float32, for tests and for the evaluation of trainings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backbone.planner.core import Core
from backbone.planner.engine import INITIAL_CAPACITY, grown_capacity, rotary_tables
from backbone.planner.quantized import NORMS, PRODUCTS, Config, Quantized, dequantize
from backbone.planner.tensors import Array


@dataclass(frozen=True)
class Weights:
    """A model's weights in float32, named as those of ``Quantized``."""

    config: Config
    tensors: dict[str, Array]

    @classmethod
    def of_core(cls, core: Core) -> "Weights":
        """The weights as they are before quantisation."""
        tensors = {"embedding": core.embedding(), "output_norm": core.norm(None, "output_norm")}
        for layer in range(core.config.layers):
            tensors |= {f"layers.{layer}.{name}": core.norm(layer, name) for name in NORMS}
            tensors |= {f"layers.{layer}.{name}": core.projection(layer, *PRODUCTS[name]) for name in PRODUCTS}
        return cls(core.config, tensors)

    @classmethod
    def of_quantized(cls, model: Quantized) -> "Weights":
        """The weights as they are after quantisation."""
        tensors: dict[str, Array] = {}
        for name, tensor in model.tensors.items():
            plain = name.removesuffix(".weight")
            if f"{plain}.scale" in model.tensors:
                tensors[plain] = dequantize(tensor, model.tensors[f"{plain}.scale"])
            elif not name.endswith(".scale"):
                tensors[name] = np.asarray(tensor, np.float32)
        return cls(model.config, tensors)


class ReferenceEngine:
    """A Llama with tied embeddings, in numpy; an ``Engine``."""

    def __init__(self, weights: Weights) -> None:
        self.config, self.tensors = weights.config, weights.tensors

    def new_context(self) -> "ReferenceContext":
        """An empty context."""
        return ReferenceContext(self)

    def embed(self, ids: Sequence[int]) -> Array:
        """Embeddings of tokens, (T, D)."""
        return np.asarray(self.tensors["embedding"][list(ids)])

    def scores(self, state: Array, rows: Sequence[int] | None = None) -> Array:
        """Logits of the next token, of all, (V,), or of some; both exact."""
        return np.asarray((self.tensors["embedding"] if rows is None else self.embed(rows)) @ state)


class ReferenceContext:
    """A ``Context`` of the reference engine."""

    def __init__(self, engine: ReferenceEngine) -> None:
        self.length = 0
        self._engine = engine
        config = engine.config
        # One array of keys and one of values: (2, layers, key heads, capacity, head size).
        self._cache = np.zeros((2, config.layers, config.key_heads, INITIAL_CAPACITY, config.head_size), np.float32)

    def keys_and_values(self, start: int, end: int) -> Array:
        """A copy of the keys and values of the tokens in a span, (2, layers, key heads, T, head size)."""
        return self._cache[:, :, :, start:end].copy()

    def append(self, kept: Array) -> None:
        """Append tokens by what `keys_and_values` gave, which holds behind the same tokens alone."""
        start, end = self.length, self.length + kept.shape[3]
        self._reserve(end)
        self._cache[:, :, :, start:end] = kept
        self.length = end

    def _reserve(self, end: int) -> None:
        """Have memory for ``end`` tokens."""
        capacity = self._cache.shape[3]
        if end > capacity:
            added = grown_capacity(capacity, end) - capacity
            self._cache = np.pad(self._cache, ((0, 0), (0, 0), (0, 0), (0, added), (0, 0)))

    def read(self, ids: Sequence[int]) -> Array:
        """Append tokens; returns the final hidden state after each, (T, D)."""
        config, weights = self._engine.config, self._engine.tensors
        start, end = self.length, self.length + len(ids)
        self._reserve(end)
        cos, sin = (table[start:end, None] for table in rotary_tables(config, end))
        future = np.arange(end) > np.arange(start, end)[:, None]
        x = self._engine.embed(ids)
        for layer in range(config.layers):
            name = f"layers.{layer}"
            rows = _rms_norm(x, weights[f"{name}.attn_norm"], config.eps) @ weights[f"{name}.query_key_value"].T
            heads = rows.reshape(len(ids), -1, config.head_size)
            queries, keys, values = np.split(heads, np.cumsum([config.heads, config.key_heads]), axis=1)
            cached = self._cache[:, layer]
            cached[0, :, start:end] = _rotated(keys, cos, sin).swapaxes(0, 1)
            cached[1, :, start:end] = values.swapaxes(0, 1)
            attended = _attention(_rotated(queries, cos, sin), cached[0, :, :end], cached[1, :, :end], future)
            x = x + attended @ weights[f"{name}.out"].T
            rows = _rms_norm(x, weights[f"{name}.ffn_norm"], config.eps) @ weights[f"{name}.gate_up"].T
            gate, up = np.split(rows, 2, axis=1)
            x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[f"{name}.down"].T
        self.length = end
        return _rms_norm(x, weights["output_norm"], config.eps)


def _rms_norm(x: Array, weight: Array, eps: float) -> Array:
    return np.asarray(x / np.sqrt((x * x).mean(1, keepdims=True) + np.float32(eps)) * weight)


def _rotated(heads: Array, cos: Array, sin: Array) -> Array:
    """Rotary embedding of (T, heads, head size), the two halves of a head being the coordinates that are rotated."""
    first, second = np.split(heads, 2, axis=2)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=2)


def _attention(
    queries: Array, keys: Array, values: Array, future: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> Array:
    """Causal attention: queries (T, H, S), keys and values (G, L, S), ``future`` (T, L) to (T, H * S)."""
    count, heads, size = queries.shape
    grouped = queries.reshape(count, len(keys), heads // len(keys), size).transpose(1, 2, 0, 3)
    scores = grouped @ keys[:, None].swapaxes(2, 3) / np.float32(size**0.5)
    scores = np.where(future, np.float32(-np.inf), scores)
    weights = np.exp(scores - scores.max(3, keepdims=True))
    attended = (weights / weights.sum(3, keepdims=True)) @ values[:, None]
    return np.asarray(attended.transpose(2, 0, 1, 3).reshape(count, heads * size))
