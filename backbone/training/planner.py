"""Train the planner's adapter.

    python -m backbone.train_planner --core FOLDER --out FOLDER [--steps 3000] [--compile]

LoRA on every linear layer of SmolLM2-135M and the rows of the added tokens, on rows packed from hand-written requests
and made-up tools (``samples.py``). Runs on one accelerator or on CPU cores; stop it at any time and give the same command
to go on. Writes ``curve.jsonl``, the adapter, and at the end what ``backbone/weights/planner`` ships.
"""

import argparse
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from backbone.planner.core import load_core, load_tokenizer
from backbone.planner.layout import BUILTIN_TOOLS, CONTROL, Layout
from backbone.planner.model import ROWS
from backbone.training.dataset import Mixture, Row


@dataclass(frozen=True)
class Recipe:
    """What fixes a training.

    Attributes:
        steps: optimiser steps. rows: rows a step. length: tokens a row.
        rate: peak learning rate, after ``warmup`` steps, then down a cosine to a twentieth.
        rank: of the LoRA matrices.
    """

    steps: int = 3000
    rows: int = 2
    length: int = 512
    rate: float = 8e-4
    warmup: int = 100
    rank: int = 16
    seed: int = 7

    def rate_at(self, step: int) -> float:
        """Learning rate at a step."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.rate * (0.05 + 0.95 * (1 + math.cos(math.pi * progress)) / 2)


class Trainee(nn.Module):
    """The core with adapters, and trainable rows for the added tokens, tied between input and output."""

    def __init__(self, core: Path, recipe: Recipe, compiled: bool) -> None:
        super().__init__()
        base = load_core(core)
        self.layout = Layout(load_tokenizer(core), base.config.vocab_size)
        self.embedding = base.get_input_embeddings()
        self.rows = nn.Parameter(_first_rows(self.layout, self.embedding.weight.data))
        config = LoraConfig(r=recipe.rank, lora_alpha=2 * recipe.rank, target_modules="all-linear", lora_dropout=0.0)
        self.peft = get_peft_model(base, config)
        trunk = self.peft.base_model.model.model
        self.trunk = torch.compile(trunk) if compiled else trunk

    def trained(self) -> list[nn.Parameter]:
        """Every parameter that is trained."""
        return [self.rows, *(p for p in self.peft.parameters() if p.requires_grad)]

    def loss(self, rows: list[Row]) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of the plan tokens, and the share that would be predicted right."""
        device = self.rows.device
        ids, block, position = (
            torch.tensor([getattr(row, name) for row in rows], device=device) for name in ("ids", "block", "position")
        )
        target = torch.tensor([row.target for row in rows], device=device)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            hidden = self.trunk(
                inputs_embeds=self._embed(ids), attention_mask=sight(block), position_ids=position, use_cache=False
            ).last_hidden_state
            picked = hidden[:, :-1][target[:, 1:]]
            wanted = ids[:, 1:][target[:, 1:]]
            scores = torch.cat([picked @ self.embedding.weight.T, picked @ self.rows.to(picked.dtype).T], dim=1)
        scores = scores.float()
        return functional.cross_entropy(scores, wanted), (scores.argmax(1) == wanted).float().mean()

    def _embed(self, ids: Tensor) -> Tensor:
        added = ids >= self.layout.first
        plain = self.embedding(ids.masked_fill(added, 0))
        new = self.rows.to(plain.dtype)[(ids - self.layout.first).clamp_min(0)]
        return torch.where(added[..., None], new, plain)


def sight(block: Tensor) -> Tensor:
    """(B, T) block numbers to a (B, 1, T, T) mask: a token sees what stands before it in the prefix and in its own block."""
    length = block.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=block.device).tril()
    same = (block[:, :, None] == block[:, None, :]) | (block[:, None, :] == 0)
    return (same & before)[:, None]


def _first_rows(layout: Layout, weight: Tensor) -> Tensor:
    """Rows to begin with: a routing token as the mean of its name's tokens, the others as the mean of a few words."""
    words = {
        "card": " tool",
        "req": " request",
        "plan": " plan",
        "call": " call",
        "sep": ";",
        "item": ",",
        "end": " done",
    }
    texts = [f" {name.replace('_', ' ')}" for name in BUILTIN_TOOLS] + [words[name] for name in CONTROL]
    return torch.stack([weight[layout.text(text)].float().mean(0) for text in texts])


def train(core: Path, out: Path, recipe: Recipe, compiled: bool, every: int = 100) -> None:
    """Train, resuming from ``out`` if it holds a checkpoint."""
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainee = Trainee(core, recipe, compiled).to(device)
    optimiser = torch.optim.AdamW(trainee.trained(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, step = out / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        optimiser.load_state_dict(state["optimiser"])
        for parameter, value in zip(trainee.trained(), state["parameters"], strict=True):
            parameter.data.copy_(value)
        step = state["step"]
    mixture, unseen = Mixture(trainee.layout, recipe.seed), Mixture(trainee.layout, recipe.seed, validation=True)
    began, cpu, losses = time.time(), time.process_time(), []
    while step < recipe.steps:
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate_at(step)
        rows = [mixture.row(step * recipe.rows + n, recipe.length) for n in range(recipe.rows)]
        loss, _ = trainee.loss(rows)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trainee.trained(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
        step += 1
        if step % every == 0 or step == recipe.steps:
            line: dict[str, Any] = {
                "step": step,
                "loss": round(sum(losses) / len(losses), 4),
                "rate": recipe.rate_at(step),
            }
            line |= validate(trainee, unseen, recipe)
            line |= {"seconds": round(time.time() - began), "cpu_seconds": round(time.process_time() - cpu)}
            with (out / "curve.jsonl").open("a") as curve:
                curve.write(json.dumps(line) + "\n")
            losses = []
            _save(
                checkpoint,
                {
                    "step": step,
                    "optimiser": optimiser.state_dict(),
                    "parameters": [p.data for p in trainee.trained()],
                },
            )
            ship(trainee, out / "adapter")


@torch.no_grad()
def validate(trainee: Trainee, unseen: Mixture, recipe: Recipe, rows: int = 6) -> dict[str, float]:
    """Loss and token accuracy on phrasings and made-up tools that are never trained on."""
    batches = ([unseen.row(n + k, recipe.length) for k in range(recipe.rows)] for n in range(0, rows, recipe.rows))
    results = [trainee.loss(batch) for batch in batches]
    loss, right = (torch.stack(list(values)).mean().item() for values in zip(*results, strict=True))
    return {"unseen_loss": round(loss, 4), "unseen_right": round(right, 4)}


def ship(trainee: Trainee, folder: Path) -> None:
    """Write the adapter in PEFT's format, in bfloat16, and the added rows."""
    trainee.peft.save_pretrained(str(folder))
    file = folder / "adapter_model.safetensors"
    save_file({name: value.bfloat16() for name, value in load_file(file).items()}, file, metadata={"format": "pt"})
    save_file({"rows": trainee.rows.data.bfloat16().cpu().contiguous()}, folder / ROWS)


def _save(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=Path, required=True, help="folder of the unpacked core")
    parser.add_argument("--out", type=Path, required=True, help="where checkpoints, curve and adapter go")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--rows", type=int, default=Recipe.rows, help="rows a step")
    parser.add_argument("--length", type=int, default=Recipe.length, help="tokens a row")
    parser.add_argument("--rate", type=float, default=Recipe.rate, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--compile", action="store_true", help="a third faster; needs a C++ compiler")
    given = parser.parse_args()
    recipe = Recipe(steps=given.steps, rows=given.rows, length=given.length, rate=given.rate, seed=given.seed)
    train(given.core, given.out, recipe, given.compile)


if __name__ == "__main__":
    main()
