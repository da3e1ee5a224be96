"""Train the planner's adapter.

    python -m backbone.training.planner --core FILE.gguf --out FOLDER [--from ADAPTER] [--steps 3000] [--stop STEP]
        [--keep STEP ...]

Trains LoRA matrices on every linear layer of SmolLM2-135M and the embeddings of the added tokens, on rows packed from
hand-written requests and synthetic tools (``dataset.py``). Runs on one accelerator or on CPU cores. A training that
was stopped continues from its last checkpoint when the same command is given again. Writes ``curve.jsonl``,
``checkpoint.pt`` and ``adapter/``; ``backbone/weights/planner`` ships a mean of such adapters (``average.py``).
"""

import argparse
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from backbone.planner.adapter import ADAPTER_FILES
from backbone.planner.layout import BUILTIN_TOOLS, CONTROL, Layout
from backbone.training.core import load_core, load_tokenizer
from backbone.training.dataset import Row, TrainingDataset
from backbone.training.loop import add_schedule, cosine, log, recipe_of, save_checkpoint


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a training.

    Attributes:
        steps: Optimiser steps of the schedule.
        rows: Rows in a batch.
        length: Tokens in a row.
        rate: Peak learning rate, reached after ``warmup`` steps; from there it falls along a cosine to a twentieth.
        warmup: Steps in which the learning rate rises.
        rank: Rank of the LoRA matrices.
        seed: Seed of the initial weights and of the rows.
    """

    steps: int = 3000
    rows: int = 2
    length: int = 512
    rate: float = 8e-4
    warmup: int = 100
    rank: int = 16
    seed: int = 7

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        return cosine(step, self.steps, self.warmup, self.rate, 0.05)


class TrainingModel(nn.Module):
    """The core with LoRA matrices, and trainable embeddings of the added tokens, tied between input and output."""

    def __init__(self, core: Path, recipe: Recipe, compiled: bool, dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        self.dtype = dtype
        base = load_core(core, dtype)
        self.layout = Layout(load_tokenizer(core), base.config.vocab_size)
        self.embedding = base.get_input_embeddings()
        self.rows = nn.Parameter(_initial_rows(self.layout, self.embedding.weight.data))
        config = LoraConfig(r=recipe.rank, lora_alpha=2 * recipe.rank, target_modules="all-linear", lora_dropout=0.0)
        self.peft = get_peft_model(base, config)
        trunk = self.peft.base_model.model.model
        self.trunk = torch.compile(trunk) if compiled else trunk

    def load_adapter(self, folder: Path) -> None:
        """Take over the matrices and rows of an adapter of the same rank.

        Raises:
            ValueError: The adapter has other matrices than this model.
        """
        state = {name: value.float() for name, value in load_file(folder / ADAPTER_FILES[1]).items()}
        found = set_peft_model_state_dict(self.peft, state)
        if found.unexpected_keys or any("lora" in name for name in found.missing_keys):
            raise ValueError(f"{folder} holds other matrices than this model has")
        self.rows.data.copy_(load_file(folder / ADAPTER_FILES[2])["rows"])

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Return all parameters that are trained."""
        return [self.rows, *(p for p in self.peft.parameters() if p.requires_grad)]

    def loss(self, rows: list[Row]) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy of the target tokens, and the share of them whose prediction is right."""
        device = self.rows.device
        ids, block, position = (
            torch.tensor([getattr(row, name) for row in rows], device=device) for name in ("ids", "block", "position")
        )
        target = torch.tensor([row.target for row in rows], device=device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            hidden = self.trunk(
                inputs_embeds=self._embed(ids),
                attention_mask=attention_mask(block),
                position_ids=position,
                use_cache=False,
            ).last_hidden_state
            predicting = hidden[:, :-1][target[:, 1:]]
            target_ids = ids[:, 1:][target[:, 1:]]
            scores = torch.cat(
                [predicting @ self.embedding.weight.T, predicting @ self.rows.to(predicting.dtype).T], dim=1
            )
        scores = scores.float()
        return functional.cross_entropy(scores, target_ids), (scores.argmax(1) == target_ids).float().mean()

    def _embed(self, ids: Tensor) -> Tensor:
        added = ids >= self.layout.first
        plain = self.embedding(ids.masked_fill(added, 0))
        new = self.rows.to(plain.dtype)[(ids - self.layout.first).clamp_min(0)]
        return torch.where(added[..., None], new, plain)


def fastest_dtype() -> torch.dtype:
    """Return bfloat16 where the accelerator or the processor computes in it, else float32.

    Processors without it emulate it: 7 tokens a second instead of 171.
    """
    fast = torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def attention_mask(block: Tensor) -> Tensor:
    """Return the attention mask (B, 1, T, T) of block numbers (B, T).

    A token attends to the tokens before it that belong to the prefix or to its own block.
    """
    length = block.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=block.device).tril()
    same = (block[:, :, None] == block[:, None, :]) | (block[:, None, :] == 0)
    return (same & before)[:, None]


def _initial_rows(layout: Layout, weight: Tensor) -> Tensor:
    """Return initial embeddings of the added tokens: the mean over the tokens of a tool's name or of a word."""
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


def train(
    core: Path,
    out: Path,
    recipe: Recipe,
    compiled: bool,
    every: int = 100,
    stop: int | None = None,
    keep: Collection[int] = (),
    validation: int = 6,
    start: Path | None = None,
) -> None:
    """Train, resuming from the checkpoint in ``out`` if there is one.

    Args:
        core: GGUF file of the core.
        out: Folder of checkpoint, curve and adapter.
        recipe: Hyperparameters.
        compiled: Whether to compile the model.
        every: Steps between two checkpoints.
        stop: Step at which to end before the schedule does.
        keep: Steps whose adapters are also written to ``out/adapter-STEP``.
        validation: Rows of held-out requests that each checkpoint is validated on.
        start: Folder of an adapter that the training starts from; random matrices by default.
    """
    last = min(recipe.steps, stop or recipe.steps)
    checkpoint, step, state = out / "checkpoint.pt", 0, None
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        step = state["step"]
    if step >= last:
        return
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = TrainingModel(core, recipe, compiled, fastest_dtype()).to(device)
    if start is not None and state is None:
        model.load_adapter(start)
    optimiser = torch.optim.AdamW(model.trainable_parameters(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0)
    out.mkdir(parents=True, exist_ok=True)
    if state is not None:
        optimiser.load_state_dict(state["optimiser"])
        for parameter, value in zip(model.trainable_parameters(), state["parameters"], strict=True):
            parameter.data.copy_(value)
    dataset = TrainingDataset(model.layout, recipe.seed)
    held_out = TrainingDataset(model.layout, recipe.seed, validation=True)
    began, cpu, losses = time.time(), time.process_time(), []
    while step < last:
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate_at(step)
        rows = [dataset.row(step * recipe.rows + n, recipe.length) for n in range(recipe.rows)]
        loss, _ = model.loss(rows)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.trainable_parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
        step += 1
        if step % every == 0 or step == last or step in keep:
            facts = {
                "step": step,
                "loss": round(sum(losses) / len(losses), 4),
                "rate": recipe.rate_at(step),
                **validate(model, held_out, recipe, validation),
                "seconds": round(time.time() - began),
                "cpu_seconds": round(time.process_time() - cpu),
            }
            log(out, facts)
            losses = []
            # The adapters come first: a training that is stopped between the two writes them again.
            for name in ("adapter", f"adapter-{step}") if step in keep else ("adapter",):
                write_adapter(model, out / name)
            save_checkpoint(
                checkpoint,
                {
                    "step": step,
                    "optimiser": optimiser.state_dict(),
                    "parameters": [p.data for p in model.trainable_parameters()],
                },
            )


@torch.no_grad()
def validate(model: TrainingModel, held_out: TrainingDataset, recipe: Recipe, rows: int) -> dict[str, float]:
    """Return loss and token accuracy on rows of requests and synthetic tools that are held out from training."""
    batches = ([held_out.row(n + k, recipe.length) for k in range(recipe.rows)] for n in range(0, rows, recipe.rows))
    results = [model.loss(batch) for batch in batches]
    loss, right = (torch.stack(list(values)).mean().item() for values in zip(*results, strict=True))
    return {"unseen_loss": round(loss, 4), "unseen_right": round(right, 4)}


def write_adapter(model: TrainingModel, folder: Path) -> None:
    """Write the adapter in PEFT's format and the embeddings of the added tokens, both in bfloat16."""
    model.peft.save_pretrained(str(folder))
    file = folder / "adapter_model.safetensors"
    save_file({name: value.bfloat16() for name, value in load_file(file).items()}, file, metadata={"format": "pt"})
    save_file({"rows": model.rows.data.bfloat16().cpu().contiguous()}, folder / ADAPTER_FILES[2])


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=Path, required=True, help="GGUF file of the core")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint, curve and adapter")
    parser.add_argument("--from", type=Path, dest="start", help="folder of the adapter to start from")
    add_schedule(parser, Recipe.steps, Recipe.rate, Recipe.seed)
    parser.add_argument("--keep", type=int, nargs="+", default=[], help="also write the adapters of these steps")
    parser.add_argument("--rows", type=int, default=Recipe.rows, help="rows in a batch")
    parser.add_argument("--length", type=int, default=Recipe.length, help="tokens in a row")
    parser.add_argument("--validation", type=int, default=6, help="rows of held-out requests to validate on")
    parser.add_argument(
        "--compile", action="store_true", help="compile the model: a third faster; needs a C++ compiler"
    )
    given = parser.parse_args()
    train(
        given.core,
        given.out,
        recipe_of(Recipe, given),
        given.compile,
        stop=given.stop,
        keep=given.keep,
        validation=given.validation,
        start=given.start,
    )


if __name__ == "__main__":
    main()
