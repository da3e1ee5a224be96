"""Where the time of a training step of the model that sees goes, and what smaller settings would save.

    python benchmarks/stage_cost.py --core FILE.gguf [--eyes eyes.safetensors] [--task answers] [--steps 3]

CPU seconds of one step of stage 1 with one thread, the mean of some steps after a first one that is not counted: to
render the pictures (a second pass reads them from disk), the forward pass of the frozen eyes, that of the core with
projector and regions, the backward pass, the optimiser. Then the same with adapters in the upper half of the core
alone, and with pictures of 224 and 192 pixels, which have 49 and 36 visual tokens. Rows keep their length in tokens;
the last column is the number of answers in a step.
"""

import argparse
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from backbone.planner.adapter import ADAPTER
from backbone.training.assemble import assemble, load_eyes
from backbone.training.core import load_tokenizer
from backbone.training.freezing import freeze, groups
from backbone.training.planner import fastest_dtype
from backbone.training.stages import RATES
from backbone.training.trainer import MAKERS, Recipe, Trainer
from backbone.vision.model import BackboneModel
from backbone.vision.tokens import SeeingLayout
from backbone.world import Rendered, compose, render

PARTS = ("render", "eyes", "core", "rest of forward", "backward", "optimiser")


class Clock:
    """CPU seconds of named parts."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        """Do some work, and add the time that it takes."""
        began = time.process_time()
        done = work()
        self.seconds[name] += time.process_time() - began
        return done

    def watch(self, name: str, module: torch.nn.Module) -> None:
        """Add the time of each forward pass of a module from now on."""
        began: list[float] = []
        module.register_forward_pre_hook(lambda *_: began.append(time.process_time()))

        def ended(*_: object) -> None:
            self.seconds[name] += time.process_time() - began.pop()

        module.register_forward_hook(ended)


def upper_half(model: BackboneModel) -> None:
    """Train the adapters of the upper half of the layers alone."""
    half = model.config.core.num_hidden_layers // 2
    for number, layer in enumerate(model.core.layers):
        for name, value in layer.named_parameters():
            if ".lora_" in name and number < half:
                value.requires_grad_(False)


def measure(
    core: Path, eyes: Path | None, task: str, steps: int, change: Callable[[BackboneModel], None], size: int
) -> tuple[dict[str, float], float]:
    """Return the CPU seconds of each part of a step, and the number of answers in it.

    Args:
        core: GGUF file of the core.
        eyes: What stage 0 wrote; random eyes take the same time.
        task: One of ``MAKERS``.
        steps: Steps to measure.
        change: What is changed in the model before.
        size: Sides of the pictures in pixels.
    """
    torch.manual_seed(0)
    model = assemble(core, ADAPTER, dtype=fastest_dtype(), image_size=size)
    if eyes is not None and size == 256:
        load_eyes(model, eyes)
    freeze(model, "stage1")
    change(model)
    recipe, config, clock = Recipe(), model.config, Clock()
    layout = SeeingLayout(load_tokenizer(core), config.core.vocab_size, config.queries, config.patches)
    trainer = Trainer(model, layout, recipe)
    clock.watch("eyes", model.eyes)
    clock.watch("core", model.core)
    optimiser = torch.optim.AdamW(groups(model, RATES), lr=1e-6)
    answers = 0

    def step(number: int) -> None:
        nonlocal answers
        seeds = range(number * recipe.rows, (number + 1) * recipe.rows)
        drawn: list[Rendered] = clock.time("render", lambda: [render(compose(seed), size) for seed in seeds])
        before = clock.seconds["eyes"] + clock.seconds["core"]
        began = time.process_time()
        found = trainer.on_pictures(task, drawn, str(number))
        within = clock.seconds["eyes"] + clock.seconds["core"] - before
        clock.seconds["rest of forward"] += time.process_time() - began - within
        clock.time("backward", found[task].backward)
        clock.time("optimiser", optimiser.step)
        optimiser.zero_grad(set_to_none=True)
        rng = random.Random(str(number))
        answers += sum(len(MAKERS[task](layout, picture, rng, recipe.length).kinds) for picture in drawn)

    step(0)
    clock.seconds, answers = dict.fromkeys(PARTS, 0.0), 0
    for number in range(1, steps + 1):
        step(number)
    return {name: seconds / steps for name, seconds in clock.seconds.items()}, answers / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=Path, required=True, help="GGUF file of the core")
    parser.add_argument("--eyes", type=Path, help="what stage 0 wrote; random eyes by default")
    parser.add_argument("--task", choices=["answers", "regions"], default="answers")
    parser.add_argument("--steps", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)  # threads that wait for each other count as work
    settings: Mapping[str, tuple[Callable[[BackboneModel], None], int]] = {
        "as it is": (lambda _: None, 256),
        "upper half": (upper_half, 256),
        "49 tokens": (lambda _: None, 224),
        "36 tokens": (lambda _: None, 192),
    }
    recipe = Recipe()
    print(f"{recipe.rows} rows of {recipe.length} tokens, {fastest_dtype()}; CPU seconds a step, one thread")
    print(f"{'':<12}" + "".join(f"{name:>17}" for name in (*PARTS, "all", "answers")))
    for name, (change, size) in settings.items():
        seconds, answers = measure(given.core, given.eyes, given.task, given.steps, change, size)
        figures = [*seconds.values(), sum(seconds.values())]
        print(f"{name:<12}" + "".join(f"{value:>17.3f}" for value in figures) + f"{answers:>17.1f}", flush=True)


if __name__ == "__main__":
    main()
