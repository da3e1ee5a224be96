"""Reading with the language core behind what it has read already: a cached picture, then many questions about it."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor


class Reader(Protocol):
    """Runs the language core. What it has read of a picture is a prefix, which later calls leave as it is."""

    def embed(self, ids: Tensor) -> Tensor:
        """Return the core's embeddings (T, D) of tokens (T,) of its own vocabulary."""

    def prefix(self, embedded: Tensor) -> Any:
        """Read embeddings (P, D) from the beginning, and return the prefix."""

    def states(self, prefix: Any, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return the last states (T, D) of each block; a block (T, D) sees the prefix and itself."""

    def write(self, prefix: Any, blocks: Sequence[Tensor], end: int, most: int) -> list[list[int]]:
        """Continue each block with the likeliest tokens, one after the other.

        Args:
            prefix: What all blocks see.
            blocks: Embeddings (T, D) of each.
            end: Id of the token that ends a continuation.
            most: Tokens of a continuation, at most.

        Returns:
            Ids of the core's own vocabulary, without the end.
        """
