"""Stage 0: train the eyes and the linked decoders on dense tasks of the rendered world.

    python -m backbone.training.eyes --out FOLDER [--imagenet FILE.pth] [--steps 1800] [--pictures 8192]

Boxes, masks and joints of each category and of whatever has a colour; the link vectors are learned embeddings of these
phrases, until the core gives them (``stages.py``). The encoder begins from EfficientNet-Lite0's weights, or from
nothing. Runs on one accelerator or on CPU cores. A training that was stopped continues from its last checkpoint when
the same command is given again. Writes ``curve.jsonl``, ``checkpoint.pt``, ``eyes.safetensors``, and the rendered
pictures in ``pictures/``.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from backbone.training.dense_loss import losses
from backbone.training.dense_scores import LEAST, average_precisions
from backbone.training.loop import add_schedule, cosine, log, recipe_of, save_checkpoint
from backbone.training.vision_data import (
    PHRASES,
    DenseTargets,
    batches,
    drawn_pictures,
    meant_by_phrases,
    normalised,
    targets,
)
from backbone.vision.config import BackboneConfig
from backbone.vision.dense_head import Dense, DenseHead, cells
from backbone.vision.eyes import Eyes
from backbone.vision.finds import Find, finds
from backbone.world import Rendered
from backbone.world.io.loader import pictures


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a training.

    Attributes:
        steps: Optimiser steps of the schedule.
        rows: Pictures in a batch.
        pictures: Pictures in a pass, a multiple of 32; each step takes the next ones.
        rate: Peak learning rate, reached after ``warmup`` steps; from there it falls along a cosine to a fiftieth.
        encoder: Learning rate of an encoder that begins with weights, as a share of ``rate``.
        warmup: Steps in which the learning rate rises.
        frozen: First stages of an encoder with weights that are not trained, nor is the stem; they are the slowest.
        decay: Weight decay of matrices and kernels.
        seed: Seed of the initial weights and of the order of pictures.
    """

    steps: int = 1800
    rows: int = 16
    pictures: int = 8192
    rate: float = 2e-3
    encoder: float = 0.5
    frozen: int = 2
    warmup: int = 200
    decay: float = 0.02
    seed: int = 7

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        return cosine(step, self.steps, self.warmup, self.rate, 0.02)


class DenseModel(nn.Module):
    """Eyes, the decoders of boxes and masks and of joints, and an embedding for each phrase in place of the link.

    Args:
        config: The configuration.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.eyes = Eyes(config)
        self.perception, self.pose = DenseHead(config, masks=True), DenseHead(config, joints=True)
        self.phrases = nn.Parameter(torch.randn(len(PHRASES), config.link_width))
        self.people = nn.Parameter(torch.randn(1, config.link_width))

    def forward(self, pixels: Tensor) -> tuple[Dense, Dense, Tensor]:
        """Return what both decoders find in pictures (B, 3, S, S), and the centres of the cells."""
        features = self.eyes(pixels)
        things, people = (
            head(features, vectors.expand(len(pixels), -1, -1))
            for head, vectors in ((self.perception, self.phrases), (self.pose, self.people))
        )
        return things, people, cells(features.levels)[0]

    def loss(self, batch: DenseTargets) -> dict[str, Tensor]:
        """Return the losses of a batch, those of the decoder of joints under ``pose_…``."""
        pixels = normalised(batch.pixels).to(memory_format=torch.channels_last)
        # On CPU cores depthwise convolutions are slower in bfloat16 than in float32, also where it is supported.
        with torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=pixels.is_cuda):
            things, people, centres = self(pixels)
        pose = losses(people, batch, batch.people[:, None], centres)
        return losses(things, batch, batch.matches, centres) | {f"pose_{name}": value for name, value in pose.items()}

    def groups(self, recipe: Recipe, started: bool) -> list[dict[str, object]]:
        """Return the parameters for an optimiser, with the share of the learning rate and the decay of each group.

        Args:
            recipe: The recipe.
            started: Whether the encoder begins with weights.
        """
        kinds: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:
                continue
            share = recipe.encoder if started and name.startswith(("eyes.stem", "eyes.stages")) else 1.0
            decay = recipe.decay if parameter.ndim == 4 else 0.0
            kinds.setdefault((share, decay), []).append(parameter)
        return [{"params": given, "share": share, "weight_decay": decay} for (share, decay), given in kinds.items()]


def train(
    out: Path,
    recipe: Recipe,
    config: BackboneConfig,
    imagenet: Path | None = None,
    every: int = 250,
    stop: int | None = None,
    validation: int = 128,
    workers: int = 1,
    compiled: bool = False,
) -> None:
    """Train, resuming from the checkpoint in ``out`` if there is one.

    Args:
        out: Folder of checkpoint, curve, weights and rendered pictures.
        recipe: Hyperparameters of the training.
        config: Those of the model.
        imagenet: Weights of EfficientNet-Lite0 that the encoder begins with; random weights by default.
        every: Steps between two checkpoints.
        stop: Step at which to end before the schedule does.
        validation: Pictures of the split ``val`` that each checkpoint is measured on; 0 for none.
        workers: Processes that render pictures.
        compiled: Whether to compile the model.
    """
    last = min(recipe.steps, stop or recipe.steps)
    checkpoint, step = out / "checkpoint.pt", 0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True) if checkpoint.exists() else None
    if state is not None and (step := state["step"]) >= last:
        return
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = DenseModel(config)
    if imagenet is not None:
        model.eyes.load_imagenet(imagenet)
        model.eyes.freeze(recipe.frozen)
    model.to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.groups(recipe, imagenet is not None), lr=recipe.rate, betas=(0.9, 0.99))
    out.mkdir(parents=True, exist_ok=True)
    if state is not None:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    if compiled:
        model.compile()
    cache, size = out / "pictures", config.image_size
    shown = drawn_pictures(recipe.pictures, recipe.seed, step * recipe.rows, size, workers, cache)
    began, cpu, sums, since = time.time(), time.process_time(), dict[str, float](), step
    for batch in batches(shown, recipe.rows, recipe.seed, step):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate_at(step) * group["share"]
        model.train()
        found = model.loss(batch.to(device))
        sum(found.values(), torch.zeros((), device=device)).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        step += 1
        if step % every == 0 or step == last:
            facts = {
                "step": step,
                "rate": recipe.rate_at(step - 1),
                **{name: round(value / (step - since), 4) for name, value in sums.items()},
                **{f"ap50_{name}": round(value, 4) for name, value in validate(model, validation, size, cache).items()},
                "seconds": round(time.time() - began),
                "cpu_seconds": round(time.process_time() - cpu),
            }
            log(out, facts)
            sums, since = {}, step
            # The weights come first: a training that is stopped between the two writes them again.
            save_file(
                {name: value.contiguous() for name, value in model.state_dict().items()}, out / "eyes.safetensors"
            )
            save_checkpoint(
                checkpoint, {"step": step, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
            )
        if step == last:
            return


@torch.no_grad()
def validate(model: DenseModel, count: int, size: int, cache: Path | None = None, rows: int = 16) -> dict[str, float]:
    """Return AP50 of boxes, masks and joints on pictures of the split ``val``."""
    if not count:
        return {}
    model.eval()
    device = model.people.device

    def find(batch: Sequence[Rendered]) -> list[tuple[list[Find], list[Find]]]:
        pixels = normalised(targets(batch).pixels.to(device)).to(memory_format=torch.channels_last)
        things, people, _ = model(pixels)
        return [(list(finds(things, n, LEAST, size)), list(finds(people, n, LEAST, size))) for n in range(len(batch))]

    run = pictures(range(count), "val", size, workers=0, cache=cache)
    shown = iter(lambda: list(islice(run, rows)), [])
    return average_precisions(shown, find, meant_by_phrases)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of pictures, checkpoint, curve and weights")
    parser.add_argument("--imagenet", type=Path, help="EfficientNet-Lite0's weights; random ones by default")
    add_schedule(parser, Recipe.steps, Recipe.rate, Recipe.seed)
    parser.add_argument("--every", type=int, default=250, help="steps between two checkpoints")
    parser.add_argument("--rows", type=int, default=Recipe.rows, help="pictures in a batch")
    parser.add_argument("--pictures", type=int, default=Recipe.pictures, help="pictures in a pass, a multiple of 32")
    parser.add_argument("--validation", type=int, default=128, help="pictures that each checkpoint is measured on")
    parser.add_argument("--warmup", type=int, default=Recipe.warmup, help="steps in which the learning rate rises")
    parser.add_argument(
        "--frozen", type=int, default=Recipe.frozen, help="stages that keep EfficientNet-Lite0's weights"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that render pictures")
    parser.add_argument("--compile", action="store_true", help="compile the model; needs a C++ compiler")
    given = parser.parse_args()
    train(
        given.out,
        recipe_of(Recipe, given),
        BackboneConfig(),
        given.imagenet,
        every=given.every,
        stop=given.stop,
        validation=given.validation,
        workers=given.workers,
        compiled=given.compile,
    )


if __name__ == "__main__":
    main()
