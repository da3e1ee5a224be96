"""Trains the small models by the code that trains the product's."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from backbone.training import seeing_data
from backbone.training.eyes import DenseModel
from backbone.training.eyes import Recipe as EyesRecipe
from backbone.training.freezing import freeze, groups, hashes, prove
from backbone.training.loop import cosine
from backbone.training.trainer import Recipe as StageRecipe
from backbone.training.trainer import Trainer
from backbone.training.vision_data import batches
from backbone.vision.config import BackboneConfig
from backbone.vision.model import BackboneModel
from backbone.vision.tokens import DECODERS, SeeingLayout
from backbone.world import Rendered
from seeing.asking import Requests, answers, blind_finds, blind_poses, finds
from seeing.small import PredictingModel

Counts = Mapping[str, int]
"""Steps of each task."""

MAKERS: Mapping[str, seeing_data.Maker] = {
    "answers": answers,
    "regions": seeing_data.regions,
    "detect": finds,
    "pose": seeing_data.poses,
}
BLIND: Mapping[str, seeing_data.Maker] = {**MAKERS, "detect": blind_finds, "pose": blind_poses}
"""Decoders are addressed in words that do not see the picture."""

LENGTHS = {"answers": 192, "regions": 96, "detect": 144, "pose": 112, "words": 192}
"""Tokens in a row of each task."""

RATES = {"core": 0.5, "rows": 0.5, "projector": 1.0, "regions": 1.0, "links": 1.0, "decoders": 0.25}
"""Learning rate of each part, as a share of the recipe's. The core takes the place of the product's adapter."""


@dataclass(frozen=True)
class Recipe:
    """How much is trained; what each claim compares has the same steps.

    Attributes:
        pictures: Pictures of the training.
        tests: Pictures of the test.
        eyes: Steps of stage 0, of 16 pictures; eyes and decoders are the same in all models.
        base: Stage 1, with which all models but V4's one-stage model begin.
        linked: Of a link to the frozen core (V1, V2): eight finds for each pose.
        joint: Stage 2 of the three ways (V3), mixed as the product mixes it.
        second: Stage 2 of V4: one pass of all data.
        third: Stage 3 of V4: twelve times the decoders' data of stage 2.
        rows: Rows in a batch.
        rate: Peak learning rate.
        warmup: Steps in which the learning rate rises.
    """

    pictures: int = 2048
    tests: int = 288
    eyes: int = 1500
    base: Counts = field(default_factory=lambda: {"answers": 560, "regions": 160, "words": 480})
    linked: Counts = field(default_factory=lambda: {"detect": 480, "pose": 60})
    joint: Counts = field(
        default_factory=lambda: {"answers": 100, "regions": 50, "detect": 200, "pose": 100, "words": 150}
    )
    second: Counts = field(
        default_factory=lambda: {"answers": 140, "regions": 40, "words": 120, "detect": 40, "pose": 20}
    )
    third: Counts = field(default_factory=lambda: {"detect": 480, "pose": 240})
    rows: int = 8
    rate: float = 2e-3
    warmup: int = 30

    @property
    def once(self) -> Counts:
        """The steps of the one-stage model of V4: all that the three stages take, mixed."""
        tasks = dict.fromkeys((*self.base, *self.second, *self.third))
        return {task: sum(part.get(task, 0) for part in (self.base, self.second, self.third)) for task in tasks}


def passes(pictures: Sequence[Rendered], seed: str) -> Iterator[Rendered]:
    """Yield pictures without end, each pass in an order of its own."""
    for number in range(10**9):
        yield from random.Random(f"{seed}:{number}").sample(pictures, len(pictures))


def train_eyes(config: BackboneConfig, pictures: Sequence[Rendered], steps: int) -> DenseModel:
    """Train eyes and decoders on dense tasks: stage 0."""
    torch.manual_seed(0)
    recipe = EyesRecipe(steps=steps, warmup=min(100, steps // 4))
    model = DenseModel(config).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.groups(recipe, started=False), lr=recipe.rate, betas=(0.9, 0.99))
    shown = batches(passes(pictures, "eyes"), recipe.rows, recipe.seed, 0)
    model.train()
    for step in range(steps):
        found = model.loss(next(shown))
        _step(model, optimiser, found, recipe.rate_at(step))
    return model.eval()


def train(
    model: BackboneModel,
    layout: SeeingLayout,
    stage: str,
    counts: Counts,
    recipe: Recipe,
    seed: int,
    pictures: Sequence[Rendered],
    makers: Mapping[str, seeing_data.Maker] = MAKERS,
) -> None:
    """Train the parts of a stage; the core is trained where the product trains its adapter.

    Args:
        model: The model.
        layout: Its token layout.
        stage: One of ``freezing.TRAINED``.
        counts: Steps of each task, which take turns by chance.
        recipe: The recipe.
        seed: Seed of tasks and rows.
        pictures: The pictures.
        makers: Make the rows of each task with pictures.

    Raises:
        FrozenPartChanged: A part that the stage does not train has changed.
    """
    tasks = [task for task, count in counts.items() for _ in range(count)]
    random.Random(f"{seed}:{stage}").shuffle(tasks)
    before = hashes(model)
    freeze(model, stage)
    if stage != "stage3":
        model.core.requires_grad_(True)
    trainers = {task: Trainer(model, layout, _stage_recipe(recipe, task), makers) for task in counts}
    optimiser = torch.optim.AdamW(groups(model, RATES), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0)
    shown, requests = passes(pictures, f"{seed}:{stage}"), Requests(layout, seed)
    for step, task in enumerate(tasks):
        if task == "words":
            found = trainers[task].on_words(requests, step * recipe.rows)
        else:
            batch = [next(shown) for _ in range(recipe.rows)]
            found = trainers[task].on_pictures(task, batch, f"{seed}:{stage}:{step}")
        if isinstance(model, PredictingModel) and task in DECODERS:
            found["spelling"] = model.spelling
        _step(model, optimiser, found, cosine(step, len(tasks), recipe.warmup, recipe.rate, 0.05))
    after = hashes(model)
    prove(before, after if stage == "stage3" else {**after, "core": before["core"]}, stage)
    model.eval()


def _stage_recipe(recipe: Recipe, task: str) -> StageRecipe:
    return StageRecipe(rows=recipe.rows, length=LENGTHS[task], words=LENGTHS[task])


def _step(model: nn.Module, optimiser: torch.optim.Optimizer, found: Mapping[str, Tensor], rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]
    total = torch.stack([value for name, value in found.items() if not name.endswith("_right")]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
