"""The small models and their figures, each made once and kept in a folder, so that a stopped run goes on."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from verdicts import Shares

from backbone.training.freezing import PARTS
from backbone.vision.model import BackboneModel
from backbone.vision.tokens import SeeingLayout
from backbone.world import Rendered
from seeing import scores
from seeing.asking import Item, train_tokenizer
from seeing.scenes import drawn
from seeing.small import build, configuration, share_queries, take
from seeing.training import BLIND, MAKERS, Counts, Recipe, train, train_eyes
from tools.storage import atomic

ROOT = Path(__file__).parents[2]
MADE_OF = ("backbone/training", "backbone/vision", "backbone/world", "benchmarks/seeing")
"""Folders of the code that models and figures depend on."""

WAYS = ("link", "tokens", "message")
"""How a decoder is addressed: by the super link, by tokens that the core predicts, by words alone."""
ALL_BUT_LINKS = tuple(part for part in PARTS if part != "links")

State = dict[str, Tensor]


class Variant(NamedTuple):
    """How a model is unlike the product's.

    Attributes:
        queries: Number of queries of each decoder.
        way: One of ``WAYS``.
        shared: Whether both decoders share their queries.
    """

    queries: int = 4
    way: str = "link"
    shared: bool = False


PLAIN = Variant()


class Lab:
    """Makes models and figures.

    Args:
        recipe: The recipe.
        seeds: Seeds of the models.
        out: Folder for all that is made; there is another one in it for each recipe and state of the code.
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int], out: Path) -> None:
        self.recipe, self.seeds = recipe, seeds
        sha = hashlib.sha256(repr(recipe).encode())
        for file in sorted(file for folder in MADE_OF for file in (ROOT / folder).rglob("*.py")):
            sha.update(file.read_bytes())
        self.folder = out / sha.hexdigest()[:12]
        self.folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def pictures(self) -> list[Rendered]:
        """The pictures of the training."""
        return drawn(self.recipe.pictures, "train", self.folder)

    @cached_property
    def tests(self) -> list[Rendered]:
        """The pictures of the test."""
        return drawn(self.recipe.tests, "test", self.folder)

    @cached_property
    def said(self) -> list[list[Item]]:
        """What the pictures of the test are asked for."""
        return scores.said_of(self.tests)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of all models."""
        file = self.folder / "tokenizer.json"
        if not file.exists():
            atomic.write(file, train_tokenizer(self.pictures).to_str())
        return Tokenizer.from_file(str(file))

    @cached_property
    def eyes(self) -> State:
        """Eyes and decoders from stage 0, under the names of `BackboneModel`; they are the same for all seeds."""
        config = configuration(self.tokenizer.get_vocab_size(), 1)
        given = self.kept("eyes", lambda: train_eyes(config, self.pictures, self.recipe.eyes).state_dict())
        heads = ("perception.", "pose.")
        return {
            f"decoders.{name}" if name.startswith(heads) else name: value
            for name, value in given.items()
            if name.startswith(("eyes.", *heads))
        }

    def kept(self, name: str, make: Callable[[], Mapping[str, Tensor]]) -> State:
        """Return the weights of that name; they are made unless they are there."""
        file = self.folder / f"{name}.safetensors"
        if not file.exists():
            cpu = time.process_time()
            # Shared tables are stored twice.
            state = {key: value.detach().contiguous().clone() for key, value in make().items()}
            with atomic.replace_file(file) as partial:
                save_file(state, partial)
            print(f"  trained {name}: {time.process_time() - cpu:.0f} CPU seconds", flush=True)
        return load_file(file)

    def figures(self, name: str, make: Callable[[int], scores.Figures]) -> dict[str, Shares]:
        """Return figures of the models of all seeds, (S, N) each; they are made unless they are there.

        Args:
            name: Name of the figures.
            make: Makes those of a seed.
        """
        found = []
        for seed in self.seeds:
            file = self.folder / f"{name}-{seed}.json"
            if not file.exists():
                atomic.write(file, json.dumps(make(seed)))
            found.append(json.loads(file.read_text()))
        return {key: np.array([of[key] for of in found]) for key in found[0]}

    def small(self, seed: int, variant: Variant) -> tuple[BackboneModel, SeeingLayout]:
        """Return a model with random weights, and its layout."""
        config = configuration(self.tokenizer.get_vocab_size(), variant.queries)
        model = build(config, seed, predicting=variant.way == "tokens")
        if variant.shared:
            share_queries(model)
        layout = SeeingLayout(self.tokenizer, config.core.vocab_size, config.queries, config.patches)
        return model, layout

    def trained(
        self,
        name: str,
        seed: int,
        stage: str,
        counts: Counts,
        start: Callable[[], State],
        parts: Collection[str],
        variant: Variant = PLAIN,
    ) -> tuple[BackboneModel, SeeingLayout]:
        """Return a trained model in evaluation mode, and its layout.

        Args:
            name: Name of its weights.
            seed: Seed of initial weights and rows.
            stage: The stage.
            counts: Steps of each task.
            start: Returns the weights that it begins with.
            parts: Parts that are taken from them.
            variant: What is unlike the product's model.
        """
        model, layout = self.small(seed, variant)

        def make() -> State:
            take(model, start(), parts)
            makers = BLIND if variant.way == "message" else MAKERS
            train(model, layout, stage, counts, self.recipe, seed, self.pictures, makers)
            state: State = model.state_dict()
            return state

        take(model, self.kept(f"{name}-{seed}", make), PARTS)
        return model.eval(), layout

    def base(self, seed: int) -> State:
        """Return the weights after stage 1."""
        model, _ = self.trained("base", seed, "stage1", self.recipe.base, lambda: self.eyes, ("eyes", "decoders"))
        state: State = model.state_dict()
        return state

    def linked(self, seed: int, variant: Variant) -> tuple[BackboneModel, SeeingLayout]:
        """Return a model with a new link to the frozen core of stage 1, trained as in stage 3."""
        name = f"linked-{variant.queries}{'-shared' if variant.shared else ''}"
        return self.trained(name, seed, "stage3", self.recipe.linked, lambda: self.base(seed), ALL_BUT_LINKS, variant)

    def untrained(self, seed: int) -> tuple[BackboneModel, SeeingLayout]:
        """Return the model after stage 1 with a random link: what is found by chance."""
        model, layout = self.small(seed, PLAIN)
        take(model, self.base(seed), ALL_BUT_LINKS)
        return model.eval(), layout

    def joint(self, seed: int, way: str) -> tuple[BackboneModel, SeeingLayout]:
        """Return a model whose decoders are addressed in one of ``WAYS``, trained as in stage 2."""
        return self.trained(
            f"joint-{way}", seed, "stage2", self.recipe.joint, lambda: self.base(seed), ALL_BUT_LINKS, Variant(way=way)
        )

    def second(self, seed: int) -> tuple[BackboneModel, SeeingLayout]:
        """Return the model of three stages after the second."""
        return self.trained("second", seed, "stage2", self.recipe.second, lambda: self.base(seed), ALL_BUT_LINKS)

    def third(self, seed: int) -> tuple[BackboneModel, SeeingLayout]:
        """Return the model of three stages."""
        return self.trained(
            "third", seed, "stage3", self.recipe.third, lambda: self.second(seed)[0].state_dict(), PARTS
        )

    def once(self, seed: int) -> tuple[BackboneModel, SeeingLayout]:
        """Return the model of one stage: it begins as stage 1 does, and trains all parts on all data."""
        return self.trained("once", seed, "stage2", self.recipe.once, lambda: self.eyes, ("eyes", "decoders"))
