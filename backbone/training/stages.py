"""Train the model that sees, in three stages.

    python -m backbone.training.stages stage1 --core FILE.gguf --from eyes.safetensors --out FOLDER [--steps 3000]
    python -m backbone.training.stages stage2 --core FILE.gguf --from stage1/seeing.safetensors --out FOLDER
    python -m backbone.training.stages stage3 --core FILE.gguf --from stage2/seeing.safetensors --out FOLDER

Stage 1 teaches the core to read pictures and regions, stage 2 joins it with the decoders through the link, stage 3
trains links and decoders alone (``freezing.py``). A batch holds one task; tasks take turns by chance, and requests of
the planner's training are among them. A stage that was stopped continues from its last checkpoint when the same command
is given again. Writes ``curve.jsonl`` with hashes of all parts, ``checkpoint.pt`` and ``seeing.safetensors``, which
holds all but the core.

CPU seconds of a step of stage 1, four rows of 256 tokens in bfloat16, one thread of a busy machine
(``benchmarks/stage_cost.py``):

    =============== ========= ==== ============ ======== ==== =============
    setting         rendering eyes core forward backward all  answers
    =============== ========= ==== ============ ======== ==== =============
    as it is             0.05 0.08         1.36     2.02 3.53          47.5
    upper half           0.04 0.09         1.20     1.69 3.03          47.5
    224 px, 49 tokens    0.04 0.07         1.31     1.95 3.39          50.5
    192 px, 36 tokens    0.04 0.06         1.36     1.99 3.46          51.0
    =============== ========= ==== ============ ======== ==== =============

The frozen eyes take 2 % of a step, so their features are not kept on disk: 300 kB a picture would save nothing.
Adapters in the upper half of the core alone save 14 %: the gradient has to pass the lower half anyway, to the
projector. Fewer visual tokens save 2 to 4 %, and leave room for 7 % more answers in a row.
"""

import argparse
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backbone.planner.adapter import ADAPTER
from backbone.training import seeing_data
from backbone.training.assemble import assemble, load_eyes
from backbone.training.core import load_tokenizer
from backbone.training.dataset import Row, TrainingDataset
from backbone.training.dense_loss import losses
from backbone.training.freezing import TRAINED, freeze, groups, hashes, part_of, prove
from backbone.training.loop import add_schedule, cosine, log, recipe_of, save_checkpoint
from backbone.training.planner import attention_mask, fastest_dtype
from backbone.training.seeing_scores import Exact, linked_precisions
from backbone.training.vision_data import drawn_pictures, normalised, targets
from backbone.vision.dense_head import cells
from backbone.vision.eyes import Features
from backbone.vision.model import BackboneModel, Read
from backbone.vision.tokens import DECODERS, SeeingLayout
from backbone.world import Rendered
from backbone.world.io.loader import pictures

MAKERS: Mapping[str, seeing_data.Maker] = {
    "answers": seeing_data.answers,
    "regions": seeing_data.regions,
    "detect": seeing_data.finds,
    "pose": seeing_data.poses,
}
"""Tasks with pictures; the other task, ``words``, is that of the planner."""

MIXTURE: Mapping[str, Mapping[str, float]] = {
    "stage1": {"answers": 5, "regions": 2, "words": 2},
    "stage2": {"answers": 2, "regions": 1, "detect": 4, "pose": 2, "words": 3},
    "stage3": {"detect": 3, "pose": 1},
}
"""How often each task is drawn."""

RATES = {"adapter": 0.2, "rows": 0.2, "projector": 1.0, "regions": 1.0, "links": 1.0, "decoders": 0.5}
"""Learning rate of each part, as a share of the recipe's."""


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a stage.

    Attributes:
        steps: Optimiser steps of the schedule.
        rows: Rows in a batch, each with one picture or with requests.
        length: Tokens in a row with a picture.
        words: Tokens in a row of requests.
        pictures: Pictures in a pass, a multiple of 32.
        rate: Peak learning rate, reached after ``warmup`` steps; from there it falls along a cosine to a twentieth.
        warmup: Steps in which the learning rate rises.
        seed: Seed of tasks, rows and initial weights.
    """

    steps: int = 3000
    rows: int = 4
    length: int = 256
    words: int = 512
    pictures: int = 16384
    rate: float = 1e-3
    warmup: int = 100
    seed: int = 7

    def task(self, stage: str, step: int) -> str:
        """Return the task of a step."""
        tasks = MIXTURE[stage]
        return random.Random(f"{self.seed}:{stage}:{step}").choices(list(tasks), list(tasks.values()))[0]

    def shown(self, stage: str, step: int) -> int:
        """Return the number of pictures that the steps before this one take."""
        return self.rows * sum(self.task(stage, before) != "words" for before in range(step))


class Rows(Protocol):
    """Rows of requests, as `TrainingDataset` draws them."""

    def row(self, index: int, length: int) -> Row:
        """Return row ``index``, of ``length`` tokens."""


class Trainer:
    """The losses of all tasks.

    Args:
        model: The model.
        layout: Its token layout.
        recipe: The hyperparameters.
        makers: Make the rows of each task with pictures.
    """

    def __init__(
        self,
        model: BackboneModel,
        layout: SeeingLayout,
        recipe: Recipe,
        makers: Mapping[str, seeing_data.Maker] = MAKERS,
    ) -> None:
        self.model, self.layout, self.recipe, self.makers = model, layout, recipe, makers
        self.device = model.rows.device
        self.reduced = fastest_dtype() == torch.bfloat16 and model.core.embed_tokens.weight.dtype == torch.bfloat16

    def on_words(self, dataset: Rows, first: int) -> dict[str, Tensor]:
        """Return the loss of requests without pictures, and the share of right tokens."""
        rows = [dataset.row(first + n, self.recipe.words) for n in range(self.recipe.rows)]
        ids, block, position, target = (
            torch.tensor([getattr(row, name) for row in rows], device=self.device)
            for name in ("ids", "block", "position", "target")
        )
        with self._autocast():
            read = self.model.read(ids, attention_mask(block), position)
            loss, right = self.model.prediction(ids, read.states, target)
        return {"words": loss, "words_right": right}

    def on_pictures(self, task: str, drawn: list[Rendered], seed: str, exact: Exact | None = None) -> dict[str, Tensor]:
        """Return the losses of a task on a batch of pictures, and the share of right tokens of an answer.

        Args:
            task: One of those that have a maker.
            drawn: The pictures.
            seed: Seed of what is asked.
            exact: Counts the answers, and those that are right.
        """
        rng = random.Random(seed)
        made = [self.makers[task](self.layout, picture, rng, self.recipe.length) for picture in drawn]
        batch = targets(drawn, [one.meant for one in made]).to(self.device)
        pixels = normalised(batch.pixels).to(memory_format=torch.channels_last)
        with torch.no_grad():
            features = self.model.eyes(pixels)
        with self._autocast():
            ids, target, read = self.read(made, pixels, features)
            if task not in DECODERS:
                loss, right = self.model.prediction(ids, read.states, target)
                if exact is not None:
                    exact.add(self.model, made, ids, read.states)
                return {task: loss, f"{task}_right": right}
        decoder = DECODERS[task]
        dense, slots = self.model.decode(decoder, features, read.links[decoder])
        # A picture with fewer segments than others is not asked for more.
        dense = dense._replace(scores=dense.scores.masked_fill((slots < 0)[..., None], -1e4))
        found = losses(dense, batch, batch.matches[:, : slots.shape[1]], cells(features.levels)[0])
        return {f"{task}_{name}": value for name, value in found.items()}

    def read(
        self, made: Sequence[seeing_data.PictureRow], pixels: Tensor, features: Features
    ) -> tuple[Tensor, Tensor, Read]:
        """Read rows with one picture each.

        Args:
            made: B rows of T tokens.
            pixels: (B, 3, S, S), from -1 to 1.
            features: What the eyes see in them.

        Returns:
            The tokens (B, U), whether each is to be predicted (B, U), and what was read; U is the number of tokens of
            the longest row without its padding.
        """
        ids, block, position, target = (
            torch.tensor([getattr(one.row, name) for one in made], device=self.device)
            for name in ("ids", "block", "position", "target")
        )
        # What is padding in all rows is not read.
        used = int((block >= 0).any(0).sum())
        ids, block, position, target = (each[:, :used] for each in (ids, block, position, target))
        masks = owner = None
        if regions := [torch.from_numpy(region) for one in made for region in one.regions]:
            owners = [number for number, one in enumerate(made) for _ in one.regions]
            masks = torch.stack(regions).to(self.device)
            owner = torch.tensor(owners, device=self.device)
        return ids, target, self.model.read(ids, attention_mask(block), position, pixels, features, masks, owner)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.reduced)

    @torch.no_grad()
    def validate(
        self, stage: str, held_out: TrainingDataset, batches: int, cache: Path | None = None
    ) -> dict[str, float]:
        """Measure all tasks of a stage on pictures of ``val`` and held-out requests.

        Args:
            stage: One of ``TRAINED``.
            held_out: The requests.
            batches: Number of batches.
            cache: Folder of the rendered pictures.

        Returns:
            Mean losses; the share of answers that are right to the last token, of all questions and of each kind; AP50
            of boxes, masks and joints through the link, whose phrases are those of stage 0.
        """
        trained = [module for module in self.model.modules() if module.training]
        self.model.eval()
        sums: dict[str, float] = {}
        rows, size, exact = self.recipe.rows, self.model.config.image_size, Exact()
        shown = list(pictures(range(batches * rows), "val", size, workers=0, cache=cache))
        for number in range(batches):
            for task in MIXTURE[stage]:
                batch = shown[number * rows : (number + 1) * rows]
                found = (
                    self.on_words(held_out, number * rows)
                    if task == "words"
                    else self.on_pictures(task, batch, f"val:{task}:{number}", exact)
                )
                for name, value in found.items():
                    sums[f"unseen_{name}"] = sums.get(f"unseen_{name}", 0.0) + value.item() / batches
        sums |= exact.shares()
        if not DECODERS.keys().isdisjoint(MIXTURE[stage]):
            precisions = linked_precisions(self.model, self.layout, shown, rows, self.reduced)
            sums |= {f"ap50_{name}": value for name, value in precisions.items()}
        for module in trained:
            module.training = True
        return sums


def train(
    stage: str,
    core: Path,
    start: Path,
    out: Path,
    recipe: Recipe,
    every: int = 100,
    stop: int | None = None,
    validation: int = 4,
    workers: int = 1,
    cache: Path | None = None,
    adapter: Path = ADAPTER,
    **settings: Any,
) -> None:
    """Train one stage, resuming from the checkpoint in ``out`` if there is one.

    Args:
        stage: One of ``TRAINED``.
        core: GGUF file of the core.
        start: What the stage before wrote: ``eyes.safetensors`` for stage 1, else ``seeing.safetensors``.
        out: Folder of checkpoint, curve and weights.
        recipe: The hyperparameters.
        every: Steps between two checkpoints.
        stop: Step at which to end before the schedule does.
        validation: Batches of each task that a checkpoint is validated on; 0 for none.
        workers: Processes that render pictures.
        cache: Folder of the rendered pictures.
        adapter: Folder of the planner's adapter, with which stage 1 begins.
        settings: Fields of `BackboneConfig`.
    """
    last = min(recipe.steps, stop or recipe.steps)
    checkpoint, step = out / "checkpoint.pt", 0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True) if checkpoint.exists() else None
    if state is not None and (step := state["step"]) >= last:
        return
    torch.manual_seed(recipe.seed)
    model = assemble(core, adapter, dtype=fastest_dtype(), **settings)
    if stage == "stage1":
        load_eyes(model, start)
    else:
        load_seeing(model, load_file(start), start)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    before = hashes(model)
    if state is not None:
        load_seeing(model, state["model"], checkpoint)
    freeze(model, stage)
    optimiser = torch.optim.AdamW(groups(model, RATES), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0)
    out.mkdir(parents=True, exist_ok=True)
    if state is None:
        log(out, {"stage": stage, "step": 0, "trained": list(TRAINED[stage]), "hashes": before})
    else:
        optimiser.load_state_dict(state["optimiser"])
    config = model.config
    layout = SeeingLayout(load_tokenizer(core), config.core.vocab_size, config.queries, config.patches)
    trainer = Trainer(model, layout, recipe)
    dataset, held_out = (TrainingDataset(layout, recipe.seed, validation=unseen) for unseen in (False, True))
    begun, cache = recipe.shown(stage, step), cache or out / "pictures"
    shown: Iterator[Rendered] = drawn_pictures(recipe.pictures, recipe.seed, begun, config.image_size, workers, cache)
    began, cpu, sums = time.time(), time.process_time(), dict[str, list[float]]()
    while step < last:
        for group in optimiser.param_groups:
            group["lr"] = cosine(step, recipe.steps, recipe.warmup, recipe.rate, 0.05) * group["share"]
        task = recipe.task(stage, step)
        if task == "words":
            found = trainer.on_words(dataset, step * recipe.rows)
        else:
            batch = list(islice(shown, recipe.rows))
            found = trainer.on_pictures(task, batch, f"{recipe.seed}:{stage}:{step}")
        total = sum((value for name, value in found.items() if not name.endswith("_right")), model.rows.new_zeros(()))
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        for name, value in found.items():
            sums.setdefault(name, []).append(value.item())
        step += 1
        if step % every == 0 or step == last:
            after = hashes(model)
            prove(before, after, stage)
            facts: dict[str, object] = {name: round(sum(values) / len(values), 4) for name, values in sums.items()}
            if validation:
                unseen = trainer.validate(stage, held_out, validation, cache)
                facts |= {name: round(value, 4) for name, value in unseen.items()}
            spent = {"seconds": round(time.time() - began), "cpu_seconds": round(time.process_time() - cpu)}
            log(out, {"stage": stage, "step": step, **facts, **spent, "hashes": after})
            sums = {}
            # The weights come first: a training that is stopped between the two writes them again.
            save_file(seeing(model), out / "seeing.safetensors")
            save_checkpoint(checkpoint, {"step": step, "model": seeing(model), "optimiser": optimiser.state_dict()})


def seeing(model: BackboneModel) -> dict[str, Tensor]:
    """Return all parameters and buffers but those of the core."""
    return {name: v.contiguous() for name, v in model.state_dict().items() if part_of(name) != "core"}


def load_seeing(model: BackboneModel, state: Mapping[str, Tensor], file: Path) -> None:
    """Take over all parameters but those of the core.

    Raises:
        ValueError: They are of another model.
    """
    own = seeing(model)
    if own.keys() != state.keys() or any(own[name].shape != value.shape for name, value in state.items()):
        raise ValueError(f"{file} is of another model, or of a stage before; give seeing.safetensors of the last stage")
    model.load_state_dict(dict(state), strict=False)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=list(TRAINED))
    parser.add_argument("--core", type=Path, required=True, help="GGUF file of the core")
    parser.add_argument("--from", type=Path, dest="start", required=True, help="weights that the stage before wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint, curve and weights")
    add_schedule(parser, Recipe.steps, Recipe.rate, Recipe.seed)
    parser.add_argument("--every", type=int, default=100, help="steps between two checkpoints")
    parser.add_argument("--rows", type=int, default=Recipe.rows, help="rows in a batch")
    parser.add_argument("--length", type=int, default=Recipe.length, help="tokens in a row with a picture")
    parser.add_argument("--words", type=int, default=Recipe.words, help="tokens in a row of requests")
    parser.add_argument("--pictures", type=int, default=Recipe.pictures, help="pictures in a pass, a multiple of 32")
    parser.add_argument("--cache", type=Path, help="folder of the rendered pictures, that of another stage for example")
    parser.add_argument("--validation", type=int, default=4, help="batches of each task to validate on")
    parser.add_argument("--workers", type=int, default=1, help="processes that render pictures")
    given = parser.parse_args()
    train(
        given.stage,
        given.core,
        given.start,
        given.out,
        recipe_of(Recipe, given),
        every=given.every,
        stop=given.stop,
        validation=given.validation,
        workers=given.workers,
        cache=given.cache,
    )


if __name__ == "__main__":
    main()
