"""A reader with the planner's engine: 8-bit weights, run by onnxruntime on the CPU, which loads in a second."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from backbone.planner.engine_onnx import OnnxContext, OnnxEngine

RESCORED = 16
"""Tokens whose logits are computed again in float32."""


class OnnxReader:
    """A `Reader` that reads blocks one after the other, which with 8 bits takes no longer than all at once.

    Args:
        engine: Runs the core with the adapter merged in.
    """

    def __init__(self, engine: OnnxEngine) -> None:
        self.engine = engine

    def embed(self, ids: Tensor) -> Tensor:
        """Return embeddings; see `Reader`."""
        return torch.from_numpy(self.engine.embed(ids.tolist()))

    def prefix(self, embedded: Tensor) -> OnnxContext:
        """Return the context of the prefix; see `Reader`."""
        context = self.engine.new_context()
        context.read_embedded(embedded.numpy())
        return context

    def states(self, prefix: OnnxContext, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Read the blocks; see `Reader`."""
        start = prefix.length
        states = []
        for block in blocks:
            try:
                states.append(torch.from_numpy(prefix.read_embedded(block.numpy())))
            finally:
                prefix.length = start
        return states

    def write(self, prefix: OnnxContext, blocks: Sequence[Tensor], end: int, most: int) -> list[list[int]]:
        """Write the continuations; see `Reader`."""
        return [self._written(prefix, block, end, most) for block in blocks]

    def _written(self, prefix: OnnxContext, block: Tensor, end: int, most: int) -> list[int]:
        start, written = prefix.length, list[int]()
        try:
            state = prefix.read_embedded(block.numpy())[-1]
            while len(written) < most and (token := self._best(state, end)) != end:
                written.append(token)
                if len(written) < most:
                    state = prefix.read([token])[-1]
        finally:
            prefix.length = start
        return written

    def _best(self, state: np.ndarray[tuple[int, ...], np.dtype[np.float32]], end: int) -> int:
        """Return the likeliest next token: of the core's vocabulary, or the end."""
        approximate = self.engine.scores(state)[: self.engine.config.vocabulary]
        best = [*np.argpartition(approximate, -RESCORED)[-RESCORED:].tolist(), end]
        return int(best[int(self.engine.scores(state, best).argmax())])
