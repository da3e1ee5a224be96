"""The planner's confidence: calibrated probabilities that a plan, and each of its steps, is right.

Platt scaling: a logistic function of what the choices of the decoder say (`choices.py`), fitted on requests held out
from training by ``backbone.training.calibrate``. Its few numbers stand beside the adapter, as each adapter has its own.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backbone.planner.choices import Choice

CALIBRATION = "calibration.json"
"""File in the folder of an adapter."""

_CERTAIN = 1e-4
"""Probabilities are kept this far from 0 and 1."""


@dataclass(frozen=True)
class Calibration:
    """The calibration of one adapter.

    Attributes:
        plan: weight of each of `plan_features`, and "bias".
        step: weight of each of `step_features`, and "bias".
        least: confidence of a plan below which a person should look at it before it runs.
        adapter: sha256 of the adapter's matrices.
    """

    plan: Mapping[str, float]
    step: Mapping[str, float]
    least: float
    adapter: str

    @classmethod
    def read(cls, adapter: Path) -> "Calibration | None":
        """The calibration of the adapter in a folder; None where it has none.

        Raises:
            ValueError: the file is no calibration.
        """
        file = adapter / CALIBRATION
        if not file.exists():
            return None
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            return cls(data["plan"], data["step"], float(data["least"]), data["adapter"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{file} is no calibration: {error}") from error

    def to_json(self) -> dict[str, object]:
        """As the file holds it; numbers to four places."""
        rounded = [{name: round(weight, 4) for name, weight in weights.items()} for weights in (self.plan, self.step)]
        return {"plan": rounded[0], "step": rounded[1], "least": round(self.least, 4), "adapter": self.adapter}

    def of_plan(self, features: Mapping[str, float]) -> float:
        """Probability that a plan of these `plan_features` is right."""
        return _logistic(self.plan, features)

    def of_step(self, features: Mapping[str, float]) -> float:
        """Probability that a step of these `step_features` is right."""
        return _logistic(self.step, features)


def plan_features(choices: Sequence[Choice], known: bool, first: bool) -> dict[str, float]:
    """What the confidence in a plan is computed from; each speaks for the plan.

    Args:
        choices: of the plan.
        known: whether all tools that were offered are built in, so that no card had to be read.
        first: whether this is the first answer, and not one to the problems of a plan before.

    Returns:
        product: log odds of the product of the probabilities of all choices.
        known, first: 1 or 0.
    """
    product = _log_odds(sum(choice.logprob for choice in choices))
    return {"product": product, "known": float(known), "first": float(first)}


def step_features(choices: Sequence[Choice], step: int, known: bool, first: bool) -> dict[str, float]:
    """What the confidence in the step at a place is computed from: `plan_features` of its choices, and ``before``.

    ``before`` is the product of all choices up to it, as a step is in its place if those before it are.
    """
    own = [choice for choice in choices if choice.step == step and choice.kind != "end"]
    until = [choice.logprob for choice in choices if choice.step <= step and choice.kind != "end"]
    return {**plan_features(own, known, first), "before": _log_odds(sum(until))}


def _log_odds(logprob: float) -> float:
    probability = min(max(math.exp(logprob), _CERTAIN), 1 - _CERTAIN)
    return math.log(probability / (1 - probability))


def _logistic(weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    return 1 / (1 + math.exp(-weights["bias"] - sum(weights.get(name, 0) * x for name, x in features.items())))
