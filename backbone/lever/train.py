"""Trains Lever-LM on sequences of examples that were grown for anchors.

    python -m backbone.lever.train BANK.jsonl GROWN.jsonl --out lever.safetensors

The module computes what `LeverModel` computes, with gradients and for many anchors at once. Each step of a sequence is
a choice among the candidates of its anchor that are not in it yet, and the end; other examples of the bank have not
been scored for the anchor, so nothing is learnt about them.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from backbone.lever.data import Lesson, lessons, read_bank, read_grown
from backbone.lever.features import COMPARED, LIKENESSES
from backbone.lever.model import FORMAT, LAYERS
from backbone.retrieval.retriever import Retriever

END_WEIGHT = 0.05
"""What the end of a sequence counts in the loss, beside steps that count what they gain."""

FAST, FASTER = ("compared", "end_bias"), 200.0
"""Weights of a few numbers, of which each has to go a long way, and how much higher their learning rate is."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        width: D, of the states.
        heads: of the attention.
        steps: of AdamW.
        batch: anchors in a step.
        rate: peak learning rate, reached after a twentieth of the steps; a cosine to 0 follows.
        decay: weight decay.
        dropout: share of the features of examples and requests that are left out at a time.
        seed: of weights and batches.
    """

    width: int = 128
    heads: int = 4
    steps: int = 600
    batch: int = 64
    rate: float = 1e-3
    decay: float = 1e-2
    dropout: float = 0.1
    seed: int = 7


@dataclass(frozen=True)
class Batch:
    """B anchors with C candidates each, and of each a sequence of K.

    Attributes:
        query: (B, F) features of the requests.
        candidates: (B, C, F) features of the candidates.
        rows: (B, C) their rows in a closed vocabulary.
        found: (B, L, C, T) as of `Asked`; 0 for words that are padding.
        words: (B,) number of words of each request, at least 1.
        explained: (B, C) as of `Asked`.
        real: (B, C) which candidates are no padding.
        chosen: (B, K) places of the candidates; -1 after the end.
        gains: (B, K) what each of them added to I.
    """

    query: Tensor
    candidates: Tensor
    rows: Tensor
    found: Tensor
    words: Tensor
    explained: Tensor
    real: Tensor
    chosen: Tensor
    gains: Tensor

    def compared(self) -> Tensor:
        """Return `features.compared` after each step, (B, K + 1, C, `COMPARED`)."""
        at = self.chosen.clamp(min=0)[:, None, :, None].expand(-1, self.found.shape[1], -1, self.found.shape[3])
        taken = self.found.gather(2, at) * (self.chosen >= 0)[:, None, :, None]
        before = functional.pad(taken.cummax(2).values, (0, 0, 1, 0)) if at.shape[2] else torch.zeros_like(taken)
        gained = (self.found[:, :, None] - before[:, :, :, None]).relu().sum(-1) / self.words[:, None, None, None]
        static = (self.found.sum(-1) / self.words[:, None, None])[:, :, None].expand_as(gained)
        explained = self.explained[:, None, None].expand(-1, 1, *gained.shape[2:])
        return torch.cat([static, gained, explained], 1).permute(0, 2, 3, 1)


class LeverModule(nn.Module):
    """Lever-LM with gradients; `backbone.lever.model` says what is computed.

    Args:
        features: F, the number of features.
        recipe: sizes.
        vocabulary: examples of a closed vocabulary; 0 for a pointer.
    """

    def __init__(self, features: int, recipe: Recipe, vocabulary: int = 0) -> None:
        super().__init__()
        width = recipe.width
        self.heads = recipe.heads
        shapes: dict[str, tuple[int, ...]] = {"request": (width, features), "example": (width, features)}
        if not vocabulary:
            shapes["key"] = (width, features)
        for layer in range(LAYERS):
            shapes |= {f"{layer}/query_key_value": (3 * width, width), f"{layer}/out": (width, width)}
            shapes |= {f"{layer}/up": (4 * width, width), f"{layer}/down": (width, 4 * width)}
        self.weights = nn.ParameterDict()
        for name, shape in shapes.items():
            self.weights[name] = nn.Parameter(torch.randn(shape) / math.sqrt(shape[1]))
        for name in ("bos", "query", "end", *(["rows"] if vocabulary else [])):
            shape = (vocabulary, width) if name == "rows" else (width,)
            self.weights[name] = nn.Parameter(torch.randn(shape) / math.sqrt(width))
        norms = [f"{layer}/{part}_norm" for layer in range(LAYERS) for part in ("attention", "mlp")]
        for name in ("norm", *norms):
            self.weights[name] = nn.Parameter(torch.ones(width))
        self.weights["scale"] = nn.Parameter(torch.tensor(0.5 / math.sqrt(width)))
        self.weights["end_bias"] = nn.Parameter(torch.tensor(0.0))
        with torch.no_grad():
            for layer in range(LAYERS):  # the layers begin as nothing
                self.weights[f"{layer}/out"] *= 0.1
                self.weights[f"{layer}/down"] *= 0.1
            if not vocabulary:  # and the pointer as likeness
                self.weights["key"].copy_(self.weights["request"])
                # and as how many new words of the request are explained
                self.weights["compared"] = nn.Parameter(20.0 * functional.one_hot(torch.tensor(3), COMPARED))

    def forward(self, batch: "Batch") -> Tensor:
        """Return the logits of what follows after each step, (B, K + 1, C + 1); those of the end are the last."""
        w, count = self.weights, len(batch.query)
        query, candidates, rows, chosen = batch.query, batch.candidates, batch.rows, batch.chosen.clamp(min=0)
        inputs = candidates @ w["example"].T
        if "rows" in w:
            keys = w["rows"][rows]
            inputs = inputs + keys
        else:
            keys = candidates @ w["key"].T
        read = inputs.gather(1, chosen[..., None].expand(-1, -1, inputs.shape[-1]))
        asked = w["query"] + query @ w["request"].T
        states = torch.cat([w["bos"].expand(count, 1, -1), asked[:, None], read], 1)
        for layer in range(LAYERS):
            normed = _normed(states, w[f"{layer}/attention_norm"])
            parts = (normed @ w[f"{layer}/query_key_value"].T).unflatten(-1, (3, self.heads, -1))
            heads = parts.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], is_causal=True)
            states = states + mixed.transpose(1, 2).flatten(2) @ w[f"{layer}/out"].T
            normed = _normed(states, w[f"{layer}/mlp_norm"])
            states = states + functional.relu(normed @ w[f"{layer}/up"].T) @ w[f"{layer}/down"].T
        states = _normed(states[:, 1:], w["norm"])
        ends = (states @ w["end"])[..., None]
        logits: Tensor = torch.cat([states @ keys.transpose(1, 2), ends], -1) * w["scale"]
        logits += functional.pad(w["end_bias"][None], (logits.shape[-1] - 1, 0))
        if "compared" in w:
            logits += functional.pad(batch.compared() @ w["compared"], (0, 1))
        return logits

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights as `LeverModel` names them."""
        return {name.replace("/", "."): value.detach().contiguous() for name, value in self.weights.items()}


def _normed(states: Tensor, weight: Tensor) -> Tensor:
    normed: Tensor = functional.rms_norm(states, states.shape[-1:], weight, 1e-5)
    return normed


def loss(logits: Tensor, batch: Batch) -> Tensor:
    """Return the mean cross-entropy of sequences and their ends, each step weighted by what it gained.

    Args:
        logits: (B, K + 1, C + 1), of which the last column is the end.
        batch: what they are of.
    """
    count, _, width = logits.shape
    ended = batch.chosen.new_full((count, 1), -1)
    targets = torch.cat([batch.chosen, ended], 1)
    over = targets.lt(0).cumsum(1)
    targets = targets.where(over == 0, width - 1)
    weights = functional.pad(batch.gains, (0, 1)).where(over == 0, END_WEIGHT).masked_fill(over > 1, 0.0)
    taken = functional.one_hot(batch.chosen.clamp(min=0), width) * (batch.chosen >= 0)[..., None]
    taken = functional.pad(taken.cumsum(1), (0, 0, 1, 0)).bool()
    free = functional.pad(batch.real, (0, 1), value=True)[:, None] & ~taken
    each = functional.cross_entropy(logits.masked_fill(~free, -torch.inf).transpose(1, 2), targets, reduction="none")
    return (each * weights).sum() / weights.sum()


def train(taught: Sequence[Lesson], out: Path, recipe: Recipe, vocabulary: int = 0) -> list[float]:
    """Train a model, and write it.

    Args:
        taught: what was grown; anchors without a sequence are left out.
        out: the file of weights.
        recipe: how.
        vocabulary: examples of a closed vocabulary; 0 for a pointer.

    Returns:
        The loss of each step.

    Raises:
        ValueError: no anchor has a sequence.
    """
    taught = [lesson for lesson in taught if lesson.sequences]
    if not taught:
        raise ValueError("no example helped any anchor, so there is nothing to learn")
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    module = LeverModule(taught[0].candidates.shape[1], recipe, vocabulary)
    weights, fast = module.weights, [name for name in FAST if name in module.weights]
    slow = [value for name, value in weights.items() if name not in fast]
    groups: list[dict[str, Any]] = [{"params": slow}, {"params": [weights[name] for name in fast], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.decay)
    losses = []
    for step in range(1, recipe.steps + 1):
        pace = step / max(1, recipe.steps // 20)
        pace = min(pace, 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))
        for group, rate in zip(optimizer.param_groups, (recipe.rate, recipe.rate * FASTER), strict=True):
            group["lr"] = rate * pace
        drawn = [taught[at] for at in rng.integers(len(taught), size=recipe.batch)]
        batch = collate(drawn, rng)
        noisy = {name: functional.dropout(getattr(batch, name), recipe.dropout) for name in ("query", "candidates")}
        value = loss(module(replace(batch, **noisy)), batch)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(value.item())
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(module.tensors(), out, {"format": FORMAT, "heads": str(recipe.heads)})
    return losses


def collate(lessons: Sequence[Lesson], rng: np.random.Generator) -> Batch:
    """Pad anchors to a batch; of the sequences of each, one is drawn."""
    drawn = [int(rng.integers(len(lesson.sequences))) for lesson in lessons]
    count, size = len(lessons), max(len(lesson.rows) for lesson in lessons)
    longest = max(len(sequence) for lesson in lessons for sequence in lesson.sequences)
    lengths = [lesson.asked.found.shape[2] for lesson in lessons]
    candidates = np.zeros((count, size, lessons[0].candidates.shape[1]), np.float32)
    found = np.zeros((count, LIKENESSES, size, max(*lengths, 1)), np.float32)
    explained = np.zeros((count, size), np.float32)
    rows, real = np.zeros((count, size), np.int64), np.zeros((count, size), bool)
    chosen, gains = np.full((count, longest), -1, np.int64), np.zeros((count, longest), np.float32)
    for row, (lesson, at, length) in enumerate(zip(lessons, drawn, lengths, strict=True)):
        own, steps = slice(len(lesson.rows)), slice(len(lesson.sequences[at]))
        candidates[row, own], rows[row, own], real[row, own] = lesson.candidates, lesson.rows, True
        found[row, :, own, :length], explained[row, own] = lesson.asked.found, lesson.asked.explained
        chosen[row, steps], gains[row, steps] = lesson.sequences[at], lesson.gains[at]
    query, words = np.stack([lesson.asked.features for lesson in lessons]), np.maximum(lengths, 1).astype(np.float32)
    arrays = (query, candidates, rows, found, words, explained, real, chosen, gains)
    return Batch(*map(torch.from_numpy, arrays))


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", type=Path)
    parser.add_argument("grown", type=Path, help="what `python -m flows.lever` wrote for the bank")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    taught = lessons(read_bank(given.bank), read_grown(given.grown), Retriever.read().words)
    losses = train(taught, given.out, Recipe(steps=given.steps, seed=given.seed))
    tenth = max(1, len(losses) // 10)
    print(f"{len(taught)} anchors, loss {sum(losses[:tenth]) / tenth:.3f} to {sum(losses[-tenth:]) / tenth:.3f}")


if __name__ == "__main__":
    main()
