"""The interface of engines: the core's forward pass over one sequence."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from backbone.planner.quantized import Config
from backbone.planner.tensors import Array

INITIAL_CAPACITY = 256
"""Tokens for which a context has memory at first; it doubles when it is full."""


class Context(Protocol):
    """The tokens read so far, with their keys and values.

    Attributes:
        length: number of tokens; a lower number discards the last ones.
    """

    length: int

    def read(self, ids: Sequence[int]) -> Array:
        """Append tokens; returns the final hidden state after each, (T, D)."""

    def keys_and_values(self, start: int, end: int) -> Array:
        """A copy of the keys and values of the tokens in a span, (2, layers, key heads, T, head size)."""

    def append(self, kept: Array) -> None:
        """Append tokens by what `keys_and_values` gave, which holds behind the same tokens alone."""


class Engine(Protocol):
    """Runs the core."""

    def new_context(self) -> Context:
        """An empty context."""

    def embed(self, ids: Sequence[int]) -> Array:
        """Embeddings of tokens, (T, D); also the weights of their logits."""

    def scores(self, state: Array, rows: Sequence[int] | None = None) -> Array:
        """Logits of the next token from one state, (D,).

        Args:
            state: one row of what ``Context.read`` returned.
            rows: ids of the wanted tokens. Their logits come from a product in float32; without ``rows``, the logits of
                all tokens, (V,), may be approximate.
        """


def grown_capacity(capacity: int, length: int) -> int:
    """The capacity that has room for ``length`` tokens."""
    return capacity if length <= capacity else max(length, 2 * capacity)


def rotary_tables(config: Config, length: int) -> tuple[Array, Array]:
    """Cosines and sines of the rotary embedding, (length, head size / 2) each."""
    frequencies = config.theta ** (-np.arange(0, config.head_size, 2, dtype=np.float64) / config.head_size)
    angles = np.outer(np.arange(length), frequencies)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
