"""The losses of all tasks of the model that sees."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from backbone.training import seeing_data
from backbone.training.dataset import Row, TrainingDataset
from backbone.training.dense_loss import losses
from backbone.training.naming import LEAST, distance, named_patches, named_regions
from backbone.training.planner import attention_mask, fastest_dtype
from backbone.training.seeing_scores import Exact, linked_precisions
from backbone.training.vision_data import DenseTargets, normalised, targets
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
"""Tasks with pictures and something that is asked; ``names`` and ``phrases`` align, ``words`` is the planner's."""

MIXTURE: Mapping[str, Mapping[str, float]] = {
    "align": {"names": 2, "phrases": 1},
    "stage1": {"answers": 5, "regions": 2, "words": 2},
    "stage2": {"answers": 2, "regions": 1, "detect": 4, "pose": 2, "words": 3},
    "stage3": {"detect": 3, "pose": 1},
}
"""How often each task is drawn."""


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
        vectors: What stage 0 has learned in place of the link, for each decoder: (Q, E), in the order of
            ``everything``. Only ``phrases`` needs it.
    """

    def __init__(
        self,
        model: BackboneModel,
        layout: SeeingLayout,
        recipe: Recipe,
        makers: Mapping[str, seeing_data.Maker] = MAKERS,
        vectors: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        self.model, self.layout, self.recipe, self.makers, self.vectors = model, layout, recipe, makers, vectors
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

    def on_names(self, drawn: Sequence[Rendered], seed: str) -> dict[str, Tensor]:
        """Return how far visual tokens and regions are from the words for what they show (``naming.py``).

        Args:
            drawn: The pictures.
            seed: Seed of the regions.
        """
        model, rng = self.model, random.Random(seed)
        batch = targets(drawn).to(self.device)
        pixels, features = self._seen(batch)
        embeddings = model.core.embed_tokens.weight
        with torch.no_grad():
            words, covered = named_patches(self.layout, drawn, batch, embeddings)
            asked = named_regions(self.layout, drawn, rng, embeddings)
        # Where a patch lies is no part of its name.
        named = covered >= LEAST
        tokens = model.projector(features) - model.projector.places
        found = {"names": distance(tokens[named], words[named], self._spread)}
        if asked is not None:
            masks, pictures, spelled = (each.to(self.device) for each in asked)
            regions = model.encode_regions(pixels, masks, features, pictures)
            found["names_regions"] = distance(regions, spelled, self._spread)
        return found

    def on_phrases(self, drawn: Sequence[Rendered]) -> dict[str, Tensor]:
        """Return how far links are from the vectors of stage 0, as one less the cosine.

        Args:
            drawn: The pictures; one is read.
        """
        made = [seeing_data.everything(self.layout)]
        pixels, features = self._seen(targets(drawn[:1]).to(self.device))
        with self._autocast():
            links = self.read(made, pixels, features)[2].links
        apart = [
            1 - functional.cosine_similarity(links[decoder].vectors.float(), vectors.to(self.device), dim=1)
            for decoder, vectors in self.vectors.items()
        ]
        return {"phrases": torch.cat(apart).mean()}

    def on_pictures(self, task: str, drawn: list[Rendered], seed: str, exact: Exact | None = None) -> dict[str, Tensor]:
        """Return the losses of a task on a batch of pictures, and the share of right tokens of an answer.

        Args:
            task: ``names``, ``phrases``, or one of those that have a maker.
            drawn: The pictures.
            seed: Seed of what is asked.
            exact: Counts the answers, and those that are right.
        """
        if task == "names":
            return self.on_names(drawn, seed)
        if task == "phrases":
            return self.on_phrases(drawn)
        rng = random.Random(seed)
        made = [self.makers[task](self.layout, picture, rng, self.recipe.length) for picture in drawn]
        batch = targets(drawn, [one.meant for one in made]).to(self.device)
        pixels, features = self._seen(batch)
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

    @cached_property
    def _spread(self) -> Tensor:
        """Variance of the core's embeddings, which no stage trains."""
        spread: Tensor = self.model.core.embed_tokens.weight.float().var()
        return spread

    @torch.no_grad()
    def _seen(self, batch: DenseTargets) -> tuple[Tensor, Features]:
        """Return the pixels of pictures as the eyes take them, and what these see."""
        pixels = normalised(batch.pixels).to(memory_format=torch.channels_last)
        return pixels, self.model.eyes(pixels)

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
