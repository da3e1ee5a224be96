"""Trains the retriever (``backbone/weights/retrieval``): word vectors distilled from a sentence encoder, then fitted.

    python -m backbone.training.retrieval --encoder FOLDER --core FILE.gguf --out FOLDER

The encoder embeds each word on its own once. A projection of these embeddings, the weights of the words and of the
features are then trained on requests for synthetic tools (`RetrievalDataset`): each right tool of a request against all
wrong ones of a catalogue. What is shipped is the table of projected words.
"""

import argparse
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.core import read_tokenizer
from backbone.retrieval.retriever import FEATURES, NEEDED, Array, Retriever, known, unknown
from backbone.retrieval.words import FIELDS, split
from backbone.training.encoder import Encoder
from backbone.training.retrieval_data import Packed, RetrievalDataset, WordIds, pack

SIZE = 72
CATALOGUE, REQUESTS = 56, 32
KEPT_CARDS = 8
SHARPNESS = 4.0


class RetrievalModel(nn.Module):
    """The retriever with gradients; `Retriever.features` says what is computed.

    Args:
        embedded: (N, E) the encoder's embeddings of the words.
        size: D, dimensions of the word vectors.
    """

    def __init__(self, embedded: Tensor, size: int = SIZE) -> None:
        super().__init__()
        self.embedded = embedded
        self.project = nn.Linear(embedded.shape[1], size, bias=False)
        nn.init.orthogonal_(self.project.weight)
        self.weigh = nn.Linear(embedded.shape[1], 2)
        nn.init.zeros_(self.weigh.weight)
        nn.init.constant_(self.weigh.bias, 0.5)
        self.scale = nn.Parameter(torch.ones(len(FIELDS)))
        mix = [2.0, 2.0, *[0.5] * len(FIELDS), *[1.0] * (len(FIELDS) + 1), 1.0, 1.0]
        self.mix = nn.Parameter(torch.tensor(mix))

    def words(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors (…, D) and weights (…, 2) of words."""
        embedded = self.embedded[rows]
        return functional.normalize(self.project(embedded), dim=-1), functional.softplus(self.weigh(embedded))

    def features(self, batch: Packed) -> Tensor:
        """Return the features, (B, C, K)."""
        asked, said, field = (torch.from_numpy(ids) for ids in (batch.asked, batch.said, batch.field))
        rows, inverse = torch.unique(torch.cat([asked.flatten(), said.flatten()]).clamp(min=0), return_inverse=True)
        vectors, weights = self.words(rows)
        in_asked, in_said = inverse[: asked.numel()].view(asked.shape), inverse[asked.numel() :].view(said.shape)
        asking, saying = (asked >= 0).float(), (said >= 0).float()
        query, query_weight = vectors[in_asked] * asking[..., None], weights[in_asked][..., 0] * asking
        words, word_weight = vectors[in_said] * saying[..., None], weights[in_said][..., 1] * saying
        scaled = words * self.scale[field.clamp(min=0)][..., None]
        like = torch.einsum("bld,cmd->blcm", query, scaled).relu_()
        windows = torch.from_numpy(batch.windows) * query_weight[:, None]
        best = like.amax(-1)
        by_window = torch.einsum("bwl,blc->bwc", windows, best) / (windows.sum(-1)[..., None] + 1)
        found = [by_window[:, 0], by_window.amax(1)]
        covered = like.amax(1) * word_weight
        in_fields = [(field == number).float() for number in range(len(FIELDS))]
        for mask in in_fields:
            found.append((covered * mask).sum(-1) / ((word_weight * mask).sum(-1) + 0.5))
        pooled = functional.normalize(torch.einsum("bwl,bld->bwd", windows, query), dim=-1)
        for mask in (*in_fields, saying):
            card = functional.normalize((words * (word_weight * mask)[..., None]).sum(1), dim=-1)
            found.append((pooled @ card.T).amax(1))
        return torch.cat([torch.stack(found, -1), torch.from_numpy(batch.known)], -1)

    def forward(self, batch: Packed) -> Tensor:
        """Return the scores, (B, C)."""
        return self.features(batch) @ self.mix * SHARPNESS

    @torch.inference_mode()
    def tensors(self, words: Sequence[str]) -> dict[str, Array]:
        """Return the weights as they are shipped, with the first words of the model's as table."""
        vectors, weights = self.words(torch.arange(len(words)))
        return {
            "words": np.frombuffer("\n".join(words).encode(), np.uint8),
            "vectors": (vectors * 127).round().to(torch.int8).numpy(),
            "weights": weights.half().numpy(),
            "scale": self.scale.numpy(),
            "mix": self.mix.numpy(),
        }


def loss(scores: Tensor, right: Tensor) -> Tensor:
    """Return the mean cross-entropy of each right tool against all wrong ones."""
    wrong = scores.masked_fill(right, -torch.inf).logsumexp(1, keepdim=True)
    return functional.softplus(wrong - scores)[right].mean()


def recall(retriever: Retriever, data: RetrievalDataset, catalogues: int, size: int, requests: int) -> dict[int, float]:
    """Return the share of requests whose tools are all among the best eight, by the number of tools."""
    found: dict[int, list[bool]] = {}
    for index in range(catalogues):
        example = data.example(index, size, requests)
        for sample, right in zip(example.samples, example.right, strict=True):
            scores = retriever.scores(sample.request, sample.have, example.cards, list(BUILTIN_CARDS.values()))
            best = np.argsort(-scores, kind="stable")[:KEPT_CARDS]
            found.setdefault(int(right.sum()), []).append(set(np.flatnonzero(right)) <= set(best.tolist()))
    return {count: sum(hits) / len(hits) for count, hits in sorted(found.items())}


def fitted_needed(retriever: Retriever, data: RetrievalDataset, sizes: Sequence[int], catalogues: int) -> Array:
    """Fit the slope and the bias of `Retriever.needed`, by Newton's method.

    Args:
        retriever: with its weights.
        data: held-out requests and tools.
        sizes: of the catalogues.
        catalogues: number of them of each size, with 40 requests each.

    Returns:
        (2,) slope and bias.
    """
    above, right = list[Array](), list[NDArray[np.bool_]]()
    offered = list(BUILTIN_CARDS.values())
    for index, size in ((index, size) for size in sizes for index in range(catalogues)):
        example = data.example(index, size, 40)
        for sample, needed in zip(example.samples, example.right, strict=True):
            odds = retriever.needed(sample.request, sample.have, example.cards, offered)
            above.append(np.array([(odds[card["name"]] - NEEDED[1]) / NEEDED[0] for card in example.cards], np.float32))
            right.append(needed)
    x = np.stack([np.concatenate(above), np.ones(sum(map(len, above)))], 1)
    y, weights = np.concatenate(right).astype(np.float64), np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        weights -= np.linalg.solve((x.T * (p * (1 - p))) @ x + 1e-6 * np.eye(2), x.T @ (p - y))
    return np.asarray(weights, np.float32)


def vocabulary(core: Path, encoder: Encoder, data: RetrievalDataset) -> list[str]:
    """Return the words of the table: of both vocabularies and of the training data, in lower case, each once."""
    tokens = read_tokenizer(GGUFReader(core)).get_vocab()
    begun = [token[1:].lower() for token in sorted(tokens, key=tokens.__getitem__) if token.startswith("Ġ")]
    plain = [word for word in (*encoder.words(), *begun) if re.fullmatch(r"[a-z]{2,}", word)]
    return list(dict.fromkeys([*plain, *(word for text in data.texts() for word in split(text, 1000))]))


def train(core: Path, folder: Path, out: Path, steps: int, seed: int, rate: float) -> None:
    """Train, and write ``retriever.safetensors`` and ``curve.jsonl``.

    Args:
        core: The language core, for its vocabulary.
        folder: The sentence encoder.
        out: Where to write.
        steps: Steps of training.
        seed: Seed of data and weights.
        rate: Peak learning rate of the projection.
    """
    torch.manual_seed(seed)
    data, validation, encoder = RetrievalDataset(seed), RetrievalDataset(seed, validation=True), Encoder(folder)
    table = vocabulary(core, encoder, data)
    embedded = encoder.embed(table)
    embedded = (embedded - embedded.mean(0)) / embedded.std()
    print(f"{len(table)} words", flush=True)
    ids = WordIds()
    ids.of(table)
    batches = [pack(data.example(step, CATALOGUE, REQUESTS), ids) for step in range(steps)]
    rows = {word: row for row, word in enumerate(table)}
    strange = list(ids.words)[len(table) :]
    alike = [known(word, rows) for word in strange]
    width = embedded.shape[1]
    others = [
        unknown(word, width) * math.sqrt(width) if row is None else embedded[row]
        for word, row in zip(strange, alike, strict=True)
    ]
    model = RetrievalModel(torch.from_numpy(np.concatenate([embedded, np.array(others).reshape(-1, width)])).float())
    slow = [*model.project.parameters(), *model.weigh.parameters()]
    optimizer = torch.optim.AdamW([{"params": slow}, {"params": [model.scale, model.mix]}], weight_decay=0.0)
    out.mkdir(parents=True, exist_ok=True)
    total = 0.0
    with (out / "curve.jsonl").open("w") as curve:
        for step, batch in enumerate(batches, 1):
            pace = min(1.0, step / 50) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
            for group, peak in zip(optimizer.param_groups, (rate, 1e-2), strict=True):
                group["lr"] = peak * pace
            value = loss(model(batch), torch.from_numpy(batch.right))
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += value.item()
            if step % 200 == 0 or step == steps:
                file = out / "retriever.safetensors"
                save_file(model.tensors(table), file)
                shares = recall(Retriever.read(file), validation, 6 if step < steps else 25, 100, 40)
                line = {"step": step, "loss": round(total / (step % 200 or 200), 4), "recall": shares}
                print(json.dumps(line), flush=True)
                curve.write(json.dumps(line) + "\n")
                total = 0.0
    print(dict(zip(FEATURES, model.mix.tolist(), strict=True)))
    print("NEEDED", fitted_needed(Retriever.read(file), validation, (4, 8, 24, 60), 6).round(1))


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--core", type=Path, required=True, help="the language core, for its vocabulary")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    train(given.core, given.encoder, given.out, given.steps, given.seed, given.rate)


if __name__ == "__main__":
    main()
