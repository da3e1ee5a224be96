"""Lever-LM: a language model whose words are examples. It chooses those that the planner sees, and their order.

A sequence is ``[BOS] [QUERY] d1 … dK [EOS]``: two layers of a causal transformer predict the next example. It differs
from the paper (arXiv 2312.10104) in three ways:

- The output is a pointer: the state is compared with a key that is made from the features of each example in the bank,
  and to that comes a weighted sum of `compared`, the request's words against the example's. So an example that was
  never trained on can be chosen. The paper has one row of weights for each example; a file with ``rows`` is such a
  model, and can choose among those examples only.
- No position is encoded. The causal mask alone tells the order, and there is no position that training never reached,
  so sequences may be longer than those of the training.
- The features are those of `backbone.lever.features`, not CLIP's.

Each request is chosen for by itself: which examples it must not have is a mask of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from backbone.lever.features import Asked, compared
from backbone.planner.tensors import Array, DamagedFile

FORMAT = "superlink-lever-1"
"""Version of the file's layout."""

LAYERS = 2

WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / "lever" / "lever.safetensors"
"""The weights that are shipped, once there are any."""


@dataclass(frozen=True)
class Bank:
    """N examples, ready to be chosen from.

    Attributes:
        inputs: (N, D) what the model reads where an example was chosen.
        keys: (N, D) what its state is compared with.
    """

    inputs: Array
    keys: Array


class LeverModel:
    """A trained Lever-LM, run by numpy. Safe to call from several threads.

    Args:
        tensors: weights, as `LeverModule.tensors` of the training names them.
        heads: of the attention.
    """

    def __init__(self, tensors: dict[str, Array], heads: int) -> None:
        self._tensors, self._heads = tensors, heads

    @classmethod
    def read(cls, file: Path) -> "LeverModel":
        """Read a file of weights.

        Raises:
            DamagedFile: it is incomplete, or of another format.
        """
        try:
            with safe_open(file, "numpy") as opened:
                metadata = opened.metadata() or {}
                tensors = {name: opened.get_tensor(name).astype(np.float32) for name in opened.keys()}  # noqa: SIM118
        except Exception as error:  # the library raises its own SafetensorError, and OSError
            raise DamagedFile(f"{file} is no file of weights: {error}") from error
        if metadata.get("format") != FORMAT:
            raise DamagedFile(f"{file} has another format than {FORMAT}")
        return cls(tensors, int(metadata["heads"]))

    @property
    def features(self) -> int:
        """F, the number of features."""
        return int(self._tensors["example"].shape[1])

    def bank(self, features: Array, rows: Sequence[int] | None = None) -> Bank:
        """Prepare examples.

        Args:
            features: (N, F) of the examples.
            rows: of a model with a closed vocabulary: the row of each example.

        Raises:
            ValueError: the model has a closed vocabulary and no rows are given, or the other way round.
        """
        own = self._tensors.get("rows")
        if (own is None) != (rows is None):
            raise ValueError("rows belong to a model with a closed vocabulary, and to no other")
        inputs = features @ self._tensors["example"].T
        if own is None:
            return Bank(inputs, features @ self._tensors["key"].T)
        chosen = own[list(() if rows is None else rows)]
        return Bank(inputs + chosen, chosen)

    def choose(
        self, asked: Asked, bank: Bank, k: int, allowed: NDArray[np.bool_] | None = None, may_end: bool = False
    ) -> list[int]:
        """Choose examples for a request, the most likely one at each step.

        Args:
            asked: the request, compared with the examples.
            bank: the examples.
            k: how many; fewer where fewer are allowed.
            allowed: (N,) which may be chosen; all by default.
            may_end: whether to stop where the end is the most likely. The paper always chooses `k`.

        Returns:
            Rows of the bank, each once, in the order of choosing.
        """
        free = np.ones(len(bank.keys), bool) if allowed is None else allowed.copy()
        chosen: list[int] = []
        while len(chosen) < k and free.any():
            logits = self.logits(asked, bank, chosen)
            each = np.where(free, logits[:-1], -np.inf)
            if may_end and logits[-1] > each.max():
                break
            chosen.append(int(each.argmax()))
            free[chosen[-1]] = False
        return chosen

    def logits(self, asked: Asked, bank: Bank, chosen: Sequence[int]) -> Array:
        """Return the logits of what comes after some examples: of each in the bank, and of the end, (N + 1,)."""
        t = self._tensors
        query = t["query"] + asked.features @ t["request"].T
        states = np.concatenate([t["bos"][None], query[None], bank.inputs[list(chosen)]])
        for layer in range(LAYERS):
            states = states + self._attended(_normed(states, t[f"{layer}.attention_norm"]), layer)
            rows = _normed(states, t[f"{layer}.mlp_norm"]) @ t[f"{layer}.up"].T
            states = states + np.maximum(rows, 0) @ t[f"{layer}.down"].T
        state = _normed(states[-1], t["norm"])
        logits = np.append(bank.keys @ state, t["end"] @ state) * t["scale"]
        logits[-1] += t["end_bias"]
        if "compared" in t:
            logits[:-1] += compared(asked, chosen) @ t["compared"]
        return np.asarray(logits, np.float32)

    def _attended(self, states: Array, layer: int) -> Array:
        """Causal attention of the states, (T, D)."""
        count, width = states.shape
        rows = states @ self._tensors[f"{layer}.query_key_value"].T
        queries, keys, values = rows.reshape(count, 3, self._heads, -1).transpose(1, 2, 0, 3)
        scores = queries @ keys.swapaxes(1, 2) / np.float32((width // self._heads) ** 0.5)
        scores = np.where(np.tri(count, dtype=bool), scores, np.float32(-np.inf))
        weights = np.exp(scores - scores.max(2, keepdims=True))
        mixed = (weights / weights.sum(2, keepdims=True)) @ values
        return np.asarray(mixed.transpose(1, 0, 2).reshape(count, width) @ self._tensors[f"{layer}.out"].T)


def _normed(states: Array, weight: Array) -> Array:
    """Root-mean-square norm."""
    return np.asarray(states / np.sqrt((states * states).mean(-1, keepdims=True) + np.float32(1e-5)) * weight)
