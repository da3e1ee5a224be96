"""Fit the calibration of the planner's confidence.

    python -m backbone.training.calibrate --core FILE.gguf --adapter FOLDER [--requests 480] [--seed 7]

Plans requests from the phrasings and tools that training holds out, with the planner in 8 bits as it is used, compares
the plans with the right ones, and fits two logistic functions (``backbone/planner/confidence.py``): that a plan is
right, and that a step is. Writes them, with the default limit below which plans wait for a person, into the adapter's
folder.
"""

import argparse
import hashlib
import json
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backbone.planner.adapter import ADAPTER, ADAPTER_FILES
from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.cards import parameters
from backbone.planner.confidence import CALIBRATION, Calibration, plan_features, step_features
from backbone.planner.core import Core
from backbone.planner.layout import Layout
from backbone.planner.model import Decoded, PlannerModel
from backbone.planner.quantize import write_quantized
from backbone.planner.tensors import Array
from backbone.retrieval.retriever import Retriever
from backbone.training.dataset import TrainingDataset
from backbone.training.samples import Sample, fill
from backbone.training.scoring import Expected, right, right_steps, words
from backbone.training.synthetic_tools import SyntheticTool, draw_request, draw_tool
from backbone.training.tool_templates import outputs
from common.card import Card

TOGETHER = 6
"""Requests that are planned with the same cards, of which the planner reads the prefix once."""

LOCATING = ("detect", "segment")
"""Either will do where another step takes what it finds."""

RIGHT_THAT_WAIT = 0.05
"""Share of the right plans that may lie below the default limit."""


class Example(NamedTuple):
    """A held-out request with its right plans, and the tools that are offered."""

    have: Sequence[str]
    request: str
    plans: Sequence[Expected]
    cards: Sequence[Card]


class Outcome(NamedTuple):
    """Features of a plan or a step, and whether it is right."""

    features: Mapping[str, float]
    right: bool


def examples(layout: Layout, seed: int) -> Iterator[Example]:
    """Draw requests from the held-out phrasings and tools: half of them with the built-in tools alone.

    Most are as they were written by hand, each phrasing once before any comes again. Those that the training joins at
    random ask for what nobody would ask, and are harder than what people ask for; one in six is of these.
    """
    data = TrainingDataset(layout, seed, validation=True)
    builtin = list(BUILTIN_CARDS.values())
    shuffled = random.Random(seed).sample(data.phrasings, len(data.phrasings))
    phrasings = (shuffled[n % len(shuffled)] for n in count())
    for group in count():
        rng = random.Random(f"{seed}:{group}")
        tools = _tools(data, rng) if group % 2 else []
        cards = [tool.card for tool in tools] + builtin
        for _ in range(TOGETHER):
            roll = rng.random()
            if roll < 1 / 6:
                sample = data.request_with_cards(rng, tools) if tools else data.builtin_request(rng)
            elif tools and roll < 5 / 6:
                sample = draw_request(rng.choice(tools), rng)
            else:
                sample = fill(next(phrasings), rng)
            yield Example(sample.have, sample.request, expected(sample, cards), cards)


def _tools(data: TrainingDataset, rng: random.Random) -> list[SyntheticTool]:
    """Draw tools of different names, without the groups of arguments that training puts on cards at random."""
    drawn = (draw_tool(template, rng) for template in data.catalogue(rng))
    return list({tool.card["name"]: tool for tool in drawn}.values())


def expected(sample: Sample, cards: Sequence[Card]) -> list[Expected]:
    """The right plans of a sample: its own, and those that find things by the other locating tool."""
    by_name = {card["name"]: card for card in cards}
    plan: list[tuple[str, dict[str, object]]] = []
    for call in sample.calls:
        card = by_name[call["tool"]]
        # What is not asked for is left out; built-in tools say the same by their defaults, such as how="blur".
        left_out = [] if call["tool"] in BUILTIN_CARDS else [*card["inputs"], *card["params"]]
        args: dict[str, object] = dict.fromkeys(left_out, "")
        kinds = {parameter.name: parameter.kind for parameter in parameters(card)}
        given = {name: _looser(value, kinds.get(name, "text")) for name, value in call["args"].items()}
        plan.append((call["tool"], {**args, **given}))
    plans: list[Expected] = [plan]
    for name in LOCATING:
        other = [(name if tool in LOCATING and n + 1 < len(plan) else tool, a) for n, (tool, a) in enumerate(plan)]
        if other not in plans:
            plans.append(other)
    return plans


def _looser(value: object, kind: str) -> object:
    """An argument as `same` expects it: numbers are numbers, and longer texts need not be copied exactly."""
    if isinstance(value, str) and kind in ("number", "integer"):
        return float(value)
    return f"~{value}" if isinstance(value, str) and len(words(value)) > 3 else value


def planned(model: PlannerModel, retriever: Retriever, example: Example) -> tuple[Decoded, bool]:
    """Plan a request, again under types where a tool of the plan has no input, as `agents.planners.repair` would.

    Returns:
        The plan, and whether it is the first one.
    """
    own = [card for card in example.cards if card["name"] not in BUILTIN_CARDS]
    needed = retriever.needed(example.request, example.have, own, list(BUILTIN_CARDS.values()))
    decoded = model.decode(example.request, example.have, example.cards, needed=needed)
    cards, kinds = {card["name"]: card for card in example.cards}, set(example.have)
    try:
        for call in decoded.calls:
            kinds |= outputs(cards[call["tool"]], kinds | ({"Text"} if "text" in call["args"] else set()))
    except ValueError:
        return model.decode(example.request, example.have, example.cards, typed=True, needed=needed), False
    return decoded, True


def outcomes(model: PlannerModel, seed: int, requests: int) -> tuple[list[Outcome], list[Outcome]]:
    """Plan held-out requests.

    Returns:
        Outcomes of the plans, and of their steps.
    """
    plans: list[Outcome] = []
    steps: list[Outcome] = []
    retriever = Retriever.read()
    for example in islice(examples(model.layout, seed), requests):
        (calls, choices), first = planned(model, retriever, example)
        known = all(card["name"] in BUILTIN_CARDS for card in example.cards)
        best = max(example.plans, key=lambda plan: (right(plan, calls), sum(right_steps(plan, calls))))
        plans.append(Outcome(plan_features(choices, known, first), right(best, calls)[1]))
        for step, correct in enumerate(right_steps(best, calls)):
            steps.append(Outcome(step_features(choices, step, known, first), correct))
    return plans, steps


def fitted(found: Sequence[Outcome], ridge: float = 1.0, rounds: int = 50) -> dict[str, float]:
    """Weights of a logistic function of the features, and "bias"; none of the features weighs less than nothing.

    Args:
        found: outcomes to fit.
        ridge: strength of the penalty on the squares of the weights.
        rounds: steps of Newton's method.
    """
    names = list(found[0].features)
    y = np.array([outcome.right for outcome in found], np.float64)
    while True:
        x = np.array([[1.0, *(outcome.features[name] for name in names)] for outcome in found])
        weights = np.zeros(x.shape[1])
        penalty = np.diag([0.0, *[ridge] * len(names)])
        for _ in range(rounds):
            p = 1 / (1 + np.exp(-x @ weights))
            slope = x.T @ (p - y) + penalty @ weights
            weights -= np.linalg.solve(
                x.T @ (x * (p * (1 - p))[:, None]) + penalty + 1e-9 * np.eye(len(weights)), slope
            )
        falling = [name for name, weight in zip(names, weights[1:], strict=True) if weight < 0]
        if not falling:
            break
        names.remove(min(falling, key=lambda name: weights[1 + names.index(name)]))
    every = dict.fromkeys(found[0].features, 0.0)
    return {**every, **{name: float(weight) for name, weight in zip(["bias", *names], weights, strict=True)}}


def limit(confidences: Array, correct: Array) -> float:
    """The highest confidence below which `RIGHT_THAT_WAIT` of the right plans lie; 1 where none is right.

    Args:
        confidences: (N,) of the plans.
        correct: (N,) whether they are right.
    """
    return float(np.quantile(confidences[correct > 0], RIGHT_THAT_WAIT)) if correct.any() else 1.0


def calibration_error(confidences: Array, correct: Array, bins: int = 10) -> float:
    """Expected calibration error over bins of equal mass; both are (N,)."""
    order = np.argsort(confidences, kind="stable")
    parts = np.array_split(order, bins)
    gaps = [abs(confidences[part].mean() - correct[part].mean()) * len(part) for part in parts if len(part)]
    return float(sum(gaps) / len(order))


def calibrate(model: PlannerModel, adapter: Path, requests: int, seed: int) -> tuple[Calibration, dict[str, float]]:
    """Plan requests and `fit` the calibration of an adapter to the outcomes."""
    plans, steps = outcomes(model, seed, requests)
    return fit(plans, steps, adapter)


def fit(plans: Sequence[Outcome], steps: Sequence[Outcome], adapter: Path) -> tuple[Calibration, dict[str, float]]:
    """Fit the calibration of an adapter to outcomes.

    Returns:
        The calibration, and figures about the fit.
    """
    made = Calibration(fitted(plans), fitted(steps), 0.0, adapter_hash(adapter))
    confidences = np.array([made.of_plan(outcome.features) for outcome in plans], np.float32)
    correct = np.array([outcome.right for outcome in plans], np.float32)
    least = limit(confidences, correct)
    wait = confidences < least
    figures = {
        "requests": len(plans),
        "right": float(correct.mean()),
        "calibration_error": calibration_error(confidences, correct),
        "wrong_that_wait": _share(wait, correct == 0),
        "right_that_wait": _share(wait, correct == 1),
    }
    return Calibration(made.plan, made.step, least, made.adapter), figures


def _share(flags: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(flags[among].mean()) if among.any() else 0.0


def adapter_hash(adapter: Path) -> str:
    """The sha256 of an adapter's matrices and rows."""
    return hashlib.sha256(b"".join((adapter / name).read_bytes() for name in ADAPTER_FILES[1:])).hexdigest()


def main() -> None:
    """Read the command line, calibrate, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=Path, required=True, help="GGUF file of the language core")
    parser.add_argument("--adapter", type=Path, default=ADAPTER, help="folder of the adapter, which gets the file")
    parser.add_argument("--requests", type=int, default=480, help="held-out requests to plan")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "planner.safetensors"
        write_quantized(Core(given.core, given.adapter), file)
        model = PlannerModel.from_quantized(file)
    made, figures = calibrate(model, given.adapter, given.requests, given.seed)
    rounded = {name: round(figure, 4) for name, figure in figures.items()}
    text = json.dumps({**made.to_json(), "fit": {**rounded, "seed": given.seed}}, indent=1)
    (given.adapter / CALIBRATION).write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
