"""InfoScore against a computation from scratch, and the growth of sequences."""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest

from backbone.lever.growth import Grown, grow
from backbone.lever.score import Example, Prompt, Scorer
from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.engine_reference import ReferenceEngine, Weights
from backbone.planner.layout import Layout
from backbone.planner.model import PlannerModel
from backbone.planner.quantized import Config
from backbone.planner.tensors import Array
from backbone.planner.walk import Walk
from common.card import Card

IMAGE = ["Image"]
DOG = Example(
    IMAGE, "give the dog a wash", [{"tool": "detect", "args": {"labels": ["dog"]}}, {"tool": "remove", "args": {}}]
)
LOG = Example(IMAGE, "log it", [{"tool": "read_text", "args": {}}, {"tool": "speak", "args": {}}])
CAT = Example(IMAGE, "a wash for the cat", [{"tool": "detect", "args": {"labels": ["cat"], "min_score": 0.5}}])
MUG = Example(IMAGE, "mug it", [{"tool": "tint", "args": {"colour": "brown"}}])
WASH = DOG._replace(request="a wash, dog")
TINT: Card = {
    "name": "tint",
    "doc": "Tint a picture.",
    "inputs": {"image": {"kinds": ["Image"], "many": False, "optional": False}},
    "params": {"colour": {"type": "string"}},
    "required": ["colour"],
    "one_of": [],
    "returns": {"kind": "Image", "many": False},
    "examples": [],
}
BUILT_IN = list(BUILTIN_CARDS.values())


@pytest.fixture(scope="module")
def model(layout: Layout) -> PlannerModel:
    """A planner of random weights."""
    rng, width = np.random.default_rng(3), 16
    shapes = {"embedding": (layout.first + layout.added, width), "output_norm": (width,)}
    for layer in (f"layers.{number}" for number in range(2)):
        shapes |= {f"{layer}.attn_norm": (width,), f"{layer}.ffn_norm": (width,)}
        shapes |= {f"{layer}.query_key_value": (width + 16, width), f"{layer}.out": (width, width)}
        shapes |= {f"{layer}.gate_up": (64, width), f"{layer}.down": (width, 32)}
    tensors = {name: rng.standard_normal(shape).astype(np.float32) / 2 for name, shape in shapes.items()}
    config = Config(2, heads=2, key_heads=1, head_size=8, eps=1e-5, theta=10000.0, vocabulary=layout.first)
    return PlannerModel(layout, ReferenceEngine(Weights(config, tensors)))


def from_scratch(model: PlannerModel, cards: list[Card], shown: Sequence[Example], asked: Example) -> float:
    """I, from one pass over the whole prompt."""
    layout, grammar, by_name = model.layout, model.grammar(cards), {card["name"]: card for card in cards}
    prefix, request = layout.prefix(cards, shown), layout.request(asked.have, asked.request)
    context = model.engine.new_context()
    if prefix:
        context.read(prefix)
    repeated = model.likeliest_card(grammar, context, request)
    assert bool(repeated) == (TINT in cards)
    plan = layout.calls(asked.calls, by_name)
    states = model.engine.new_context().read([*prefix, *repeated, *request, *plan])
    walk, logs = Walk(grammar, asked.have, request=asked.request), []
    for token, state in zip(plan, states[-len(plan) - 1 :], strict=False):
        allowed = walk.allowed()
        rows = allowed if isinstance(allowed, list) else np.flatnonzero(allowed).tolist()
        odds = np.exp(model.engine.scores(state).astype(np.float64)[rows])
        if len(rows) > 1:
            logs.append(np.log(odds[rows.index(token)] / odds.sum()))
        walk.push(token)
    return float(np.exp(np.mean(logs)))


@pytest.mark.parametrize("cards", [BUILT_IN, [*BUILT_IN, TINT]], ids=["built-in", "with a card"])
def test_the_score_is_the_likelihood_of_the_plan(model: PlannerModel, cards: list[Card]) -> None:
    asked = [DOG, CAT, LOG] if TINT not in cards else [DOG, MUG]
    prompts: list[Prompt] = [((), DOG), ((CAT, LOG), DOG)]
    prompts += [(shown, one) for one in asked for shown in permutations([e for e in asked if e != one])]
    found = Scorer(model, cards).scores(prompts)
    assert len(set(found)) > 3 and all(0 < score < 1 for score in found)
    np.testing.assert_allclose(found, [from_scratch(model, cards, *prompt) for prompt in prompts], rtol=1e-4)


def test_scores_do_not_depend_on_what_was_scored_before(model: PlannerModel) -> None:
    scorer = Scorer(model, BUILT_IN)
    prompts: list[Prompt] = [((CAT, LOG), DOG), ((CAT,), DOG), ((CAT, LOG), WASH)]
    together = scorer.scores(prompts)
    np.testing.assert_allclose([scorer.scores([prompt])[0] for prompt in reversed(prompts)], together[::-1], rtol=1e-5)
    # To the last digit, as the same passes are made. The digits of the 8-bit engine depend on them.
    passes: list[tuple[int, int]] = []
    read = scorer._context.read

    def recorded(ids: Sequence[int]) -> Array:
        passes.append((scorer._context.length, len(ids)))
        return read(ids)

    scorer._context.read = recorded  # type: ignore[method-assign]
    assert scorer.scores(prompts) == scorer.scores(prompts) == together
    half = len(passes) // 2
    assert passes[:half] == passes[half:] and passes[0][0] == 0


def test_a_plan_outside_of_the_grammar_is_refused(model: PlannerModel) -> None:
    asked = Example(IMAGE, "mug it", [{"tool": "redact", "args": {"how": "smear"}}])
    with pytest.raises(ValueError, match="cannot follow"):
        Scorer(model, BUILT_IN).scores([((), asked)])


def test_sequences_grow_by_the_candidate_that_helps_most() -> None:
    """Each of two candidates tells a part; a third one repeats the first; the fourth misleads."""
    candidates = [Example(IMAGE, name, []) for name in ("first", "second", "again", "misleads")]
    worth = {"first": 3, "second": 2, "again": 2.9, "misleads": -4}
    asked = []

    def score(prompts: Sequence[Prompt]) -> list[float]:
        asked.extend([[example.request for example in shown] for shown, _ in prompts])
        return [
            sum(worth[name] for name in names) - 2.8 * ({"first", "again"} <= names)
            for names in ({example.request for example in shown} for shown, _ in prompts)
        ]

    without, found = grow(score, DOG, candidates, beam=2, size=2)
    assert without == 0 and found == [Grown((0, 1), (3, 5)), Grown((2, 1), (2.9, 4.9))]
    assert ["second", "first"] in asked  # what is added stands in front
    (longest,) = grow(score, DOG, candidates, beam=2, size=3)[1]  # both orders of the three are one
    assert longest.chosen == (0, 1, 2) and longest.scores == pytest.approx((3, 5, 5.1))


def test_a_sequence_ends_where_nothing_helps() -> None:
    candidates = [Example(IMAGE, name, []) for name in "abc"]
    _, found = grow(lambda prompts: [float(len(shown) == 1) for shown, _ in prompts], DOG, candidates, beam=2)
    assert found == [Grown((0,), (1.0,)), Grown((1,), (1.0,))]
    assert grow(lambda prompts: [1.0 - len(shown) for shown, _ in prompts], DOG, candidates)[1] == []
