"""The retriever: what it compares, that training computes the same, and how well the shipped weights do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.retrieval.retriever import FEATURES, Retriever
from backbone.retrieval.words import fields, split, stem, texts
from backbone.training.retrieval import RetrievalModel
from backbone.training.retrieval_data import Example, RetrievalDataset, WordIds, pack
from common.card import Card

BUILT_IN = list(BUILTIN_CARDS.values())


@pytest.fixture(scope="module")
def shipped() -> Retriever:
    return Retriever.read()


@pytest.fixture(scope="module")
def held_out() -> Example:
    return RetrievalDataset(11, validation=True).example(0, 100, 60)


def test_words_are_split_at_capitals_and_underscores_and_numbers_are_one() -> None:
    assert split("Count sheepDogs in my_photo's 2 fields, don’t 1984") == [
        "count", "sheep", "dogs", "in", "my", "photo", "#", "fields", "don", "#",
    ]  # fmt: skip
    assert len({stem(word) for word in ("rotate", "rotated", "rotating", "rotates")}) == 1
    assert stem("is") == "is" and stem("boxes") == stem("box") == "box"


def test_a_card_is_read_with_its_choices_and_all_examples() -> None:
    card: Card = {
        "name": "turnIt",
        "doc": "Turn a picture.",
        "inputs": {},
        "params": {"side": {"anyOf": [{"enum": ["left", "right"]}, {"type": "null"}]}},
        "required": [],
        "one_of": [],
        "returns": {"kind": "Image", "many": False},
        "examples": ["turn it", "the other way"],
    }
    assert fields(texts(card)) == (
        ("turn", "it"),
        ("turn", "a", "picture"),
        ("side", "left", "right"),
        ("turn", "it", "the", "other", "way"),
    )
    assert fields(("___", "", "", ""))[0] == ("___",)


def test_training_computes_the_features_that_are_used(tmp_path: Path, held_out: Example) -> None:
    example = Example(held_out.cards[:12], held_out.samples[:8], held_out.right[:8, :12])
    ids = WordIds()
    batch = pack(example, ids)
    torch.manual_seed(0)
    model = RetrievalModel(torch.randn(len(ids.words), 24), size=16)
    torch.nn.init.normal_(model.weigh.weight)
    with torch.no_grad():
        model.scale += torch.tensor([0.1, -0.2, 0.3, 0.0])
        trained = model.features(batch).numpy()
    save_file(model.tensors(list(ids.words)), tmp_path / "w.safetensors")
    used = Retriever.read(tmp_path / "w.safetensors")
    for sample, expected in zip(example.samples, trained, strict=True):
        found = used.features(sample.request, sample.have, example.cards, BUILT_IN)
        assert found.shape == (12, len(FEATURES))
        np.testing.assert_allclose(found, expected, atol=0.03)


def test_tools_are_found_by_their_own_examples(shipped: Retriever, held_out: Example) -> None:
    places = []
    for row, card in enumerate(held_out.cards):
        for example in card["examples"]:
            scores = shipped.scores(example, ["Image"], held_out.cards, BUILT_IN)
            places.append((scores > scores[row]).sum())
    assert len(places) > 40 and np.mean(np.array(places) < 8) > 0.9


def test_scores_depend_on_nothing_but_what_is_given(shipped: Retriever, held_out: Example) -> None:
    asked = held_out.samples[0]
    first = shipped.scores(asked.request, asked.have, held_out.cards, BUILT_IN)
    shipped.scores("something else", [], held_out.cards[:3])
    backwards = Retriever.read().scores(asked.request, asked.have, held_out.cards[::-1], BUILT_IN)
    np.testing.assert_array_equal(first, shipped.scores(asked.request, asked.have, held_out.cards, BUILT_IN))
    np.testing.assert_allclose(first, backwards[::-1], atol=1e-4)


def test_requests_and_catalogues_without_words_are_scored(shipped: Retriever, held_out: Example) -> None:
    assert shipped.scores("find", [], []).shape == (0,)
    assert np.isfinite(shipped.scores("!?", [], held_out.cards)).all()
    assert np.isfinite(shipped.scores("изменить яркость " * 500, ["Image"], held_out.cards)).all()


def test_strange_words_are_like_themselves(shipped: Retriever) -> None:
    like = shipped.words.vectors(["zqxwv", "zqxwvs", "qqjjkk"])[0]
    assert like[0] @ like[1] > 0.99 > 0.6 > like[0] @ like[2]


def test_tools_whose_inputs_cannot_be_had_are_marked(shipped: Retriever, held_out: Example) -> None:
    poses = next(card for card in held_out.cards if card["inputs"])
    needing: Card = {**poses, "inputs": {"p": {"kinds": ["Poses"], "many": False, "optional": False}}}

    def reachable(have: list[str], offered: list[Card]) -> float:
        return float(shipped.features("find", have, [needing], offered)[0, FEATURES.index("reachable")])

    assert (reachable(["Image"], BUILT_IN), reachable(["Audio"], BUILT_IN), reachable(["Image"], [])) == (1, 0, 0)
    assert reachable(["Poses"], []) == 1


def test_the_shipped_weights_find_tools_among_a_hundred_unseen_ones(shipped: Retriever, held_out: Example) -> None:
    hits = []
    for sample, right in zip(held_out.samples, held_out.right, strict=True):
        if right.sum() == 1:
            scores = shipped.scores(sample.request, sample.have, held_out.cards, BUILT_IN)
            hits.append(right[np.argsort(-scores)[:8]].any())
    assert np.mean(hits) > 0.6  # a tenth by chance; the benchmark says more


def test_how_likely_a_tool_is_needed_is_calibrated_for_few_cards_and_for_many(shipped: Retriever) -> None:
    data = RetrievalDataset(5, validation=True)
    for size in (4, 30):
        odds, needed = list[float](), list[bool]()
        for index in range(3):
            example = data.example(index, size, 30)
            for sample, right in zip(example.samples, example.right, strict=True):
                odds += shipped.needed(sample.request, sample.have, example.cards, BUILT_IN).values()
                needed += right.tolist()
        told, true = 1 / (1 + np.exp(-np.array(odds))), np.array(needed)
        assert abs(told.mean() - true.mean()) < 0.1
        assert true[told > 0.8].mean() > 0.8 and true[told < 0.2].mean() < 0.2


def test_what_is_needed_of_one_tool_is_told_by_comparison_with_the_built_in_ones(shipped: Retriever) -> None:
    bill: Card = {
        "name": "share_bill",
        "doc": "Share the bill of a restaurant among friends.",
        "inputs": {},
        "params": {"friends": {"type": "integer"}},
        "required": ["friends"],
        "one_of": [],
        "returns": {"kind": "Number", "many": False},
        "examples": ["share the bill among five friends"],
    }
    asked, other = (
        shipped.needed(request, ["Image"], [bill], BUILT_IN)["share_bill"]
        for request in ("please share the bill among 3 friends", "blur every face")
    )
    assert asked > 0 > other
    assert shipped.needed("blur every face", ["Image"], [], BUILT_IN) == {}
