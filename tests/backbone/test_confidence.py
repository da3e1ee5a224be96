"""How probable the choices of a plan were, and the calibration that is fitted to them."""

import json
import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from backbone.planner.adapter import ADAPTER
from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.choices import Choice, choices_of
from backbone.planner.confidence import CALIBRATION, Calibration, plan_features, step_features
from backbone.planner.grammar import Grammar
from backbone.planner.layout import Layout
from backbone.planner.vocabulary import Vocabulary
from backbone.planner.walk import Walk
from backbone.training.calibrate import (
    LOCATING,
    Outcome,
    adapter_hash,
    calibration_error,
    examples,
    expected,
    fitted,
    limit,
)
from backbone.training.samples import Sample
from backbone.training.scoring import right, right_steps
from tests.backbone.test_planner import _rotate

RNG = np.random.default_rng(5)


def test_what_each_token_of_a_plan_chooses(layout: Layout, vocabulary: Vocabulary) -> None:
    """The choices of a token multiply to its probability, and each belongs to a step."""
    cards = [*BUILTIN_CARDS.values(), _rotate()]
    calls = [
        {"tool": "detect", "args": {"labels": ["dog", "cat"]}},
        {"tool": "redact", "args": {"how": "blur"}},
        {"tool": "rotate", "args": {"degrees": 90}},
    ]
    walk, found, total = Walk(Grammar(layout, vocabulary, cards), ["Image"]), list[Choice](), 0.0
    for token in layout.calls(calls, {card["name"]: card for card in cards}):
        allowed = walk.allowed()
        options = np.flatnonzero(allowed).tolist() if isinstance(allowed, np.ndarray) else allowed
        if walk.forced() is None:
            logits = RNG.normal(size=len(options)).astype(np.float32)
            made = choices_of(walk, token, options, logits)
            share = float(np.exp(logits)[options.index(token)] / np.exp(logits).sum())
            assert sum(choice.logprob for choice in made) == pytest.approx(math.log(share), abs=1e-5)
            total += math.log(share)
            found += made
        walk.push(token)
    by_kind = {kind: [choice.step for choice in found if choice.kind == kind] for kind in ("tool", "end", "argument")}
    assert set(by_kind["tool"]) == {0, 1, 2} and by_kind["end"] == [3]
    assert {0, 1} <= set(by_kind["argument"])
    assert {choice.step for choice in found if choice.kind == "value"} == {0, 1, 2}
    assert [choice.step for choice in found] == sorted(choice.step for choice in found)
    assert all(choice.logprob <= 1e-6 for choice in found)


def test_a_doubtful_choice_lowers_its_step_and_the_plan() -> None:
    sure = [Choice(0, "tool", -0.01), Choice(0, "value", -0.01), Choice(1, "tool", -0.01), Choice(2, "end", -0.01)]
    doubtful = [*sure[:2], Choice(1, "tool", -2.0), sure[3]]
    weights = {"bias": -1.0, "product": 1.0, "known": 0.5, "first": 0.5, "before": 0.1}
    made = Calibration(weights, weights, 0.4, "")
    assert made.of_plan(plan_features(doubtful, True, True)) < made.of_plan(plan_features(sure, True, True)) - 0.3
    steps = [[made.of_step(step_features(c, step, True, True)) for step in (0, 1)] for c in (sure, doubtful)]
    assert steps[0][0] == steps[1][0] and steps[1][1] < steps[0][1] - 0.3
    assert made.of_plan(plan_features(sure, False, True)) < made.of_plan(plan_features(sure, True, True))
    assert made.of_plan(plan_features(sure, True, False)) < made.of_plan(plan_features(sure, True, True))
    assert 0 < made.of_plan(plan_features([Choice(0, "end", -1e9)], True, True)) < 0.01
    assert made.of_plan(plan_features([], True, True)) < 1


def test_what_is_fitted_is_calibrated_and_never_falls() -> None:
    n = 4000
    x = RNG.normal(0, 2, size=n)
    correct = RNG.random(n) < 1 / (1 + np.exp(-(0.5 + 0.8 * x)))
    found = [Outcome({"product": a, "least": -a}, bool(b)) for a, b in zip(x, correct, strict=True)]
    weights = fitted(found, ridge=0.1)
    assert weights["bias"] == pytest.approx(0.5, abs=0.15) and weights["product"] == pytest.approx(0.8, abs=0.15)
    assert weights["least"] == 0.0
    made = Calibration(weights, weights, 0, "")
    confidences = np.array([made.of_plan(outcome.features) for outcome in found])
    assert calibration_error(confidences, correct.astype(float)) < 0.03
    assert calibration_error(np.full(n, 0.99), correct.astype(float)) > 0.2
    least = limit(confidences, correct.astype(float))
    assert (confidences[correct] < least).mean() == pytest.approx(0.05, abs=0.01)


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Calibration.read(tmp_path) is None
    made = Calibration({"bias": 0.25, "product": 1.5}, {"bias": -0.5}, 0.375, "abc")
    (tmp_path / CALIBRATION).write_text(json.dumps(made.to_json()))
    assert Calibration.read(tmp_path) == made
    for text in ("{}", "[]", '{"plan": {}, "step": {}, "least": null, "adapter": ""}', "no JSON"):
        (tmp_path / CALIBRATION).write_text(text)
        with pytest.raises(ValueError):
            Calibration.read(tmp_path)


def test_the_shipped_calibration_is_of_the_shipped_adapter() -> None:
    """After a training: python -m backbone.training.calibrate (see runs/planner.sh)."""
    made = Calibration.read(ADAPTER)
    assert made is not None and made.adapter == adapter_hash(ADAPTER)
    assert 0 < made.least < 0.9 and all(made.plan[name] >= 0 for name in made.plan if name != "bias")
    sure = made.of_plan(plan_features([Choice(0, "tool", -1e-4)], True, True))
    doubtful = made.of_plan(plan_features([Choice(0, "tool", -3.0)], True, True))
    assert sure > 0.85 and doubtful < made.least


def test_either_tool_that_finds_things_is_right_before_another_step() -> None:
    cards = list(BUILTIN_CARDS.values())
    cut = Sample(("Image",), "", ({"tool": "detect", "args": {"labels": ["dogs"]}}, {"tool": "remove", "args": {}}))
    tools = [[tool for tool, _ in plan] for plan in expected(cut, cards)]
    assert sorted(tools) == [[name, "remove"] for name in LOCATING]
    found = Sample(("Image",), "", ({"tool": "detect", "args": {"labels": ["dogs"]}},))
    (plan,) = expected(found, cards)
    assert right(plan, [{"tool": "detect", "args": {"labels": ["dog"]}}]) == (True, True)
    assert right(plan, [{"tool": "segment", "args": {"labels": ["dog"]}}]) == (False, False)


def test_numbers_texts_and_what_is_left_out_are_compared_as_they_are_meant() -> None:
    turned = Sample(("Image",), "", ({"tool": "rotate", "args": {"degrees": "90"}},))
    (plan,) = expected(turned, [_rotate()])
    assert right(plan, [{"tool": "rotate", "args": {"degrees": 90.0}}])[1]
    assert not right(plan, [{"tool": "rotate", "args": {"degrees": 45.0}}])[1]
    more = [{"tool": "rotate", "args": {"degrees": 90.0}}, {"tool": "caption", "args": {}}]
    assert right_steps(plan, more) == [True, False] and not right(plan, more)[1]


def test_requests_for_the_calibration_are_held_out(layout: Layout) -> None:
    from backbone.training.dataset import TrainingDataset

    held_out = TrainingDataset(layout, 0, validation=True)
    names = {name for template in held_out.templates for name in template.names}
    drawn = list(islice(examples(layout, 3), 24))
    assert drawn == list(islice(examples(layout, 3), 24))
    offered = [[card["name"] for card in example.cards if card["name"] not in BUILTIN_CARDS] for example in drawn]
    assert any(offered) and not all(offered)
    # A fifth of the names are nonsense.
    assert any(name in names for own in offered for name in own)
    assert any(example.plans[0] for example in drawn)
