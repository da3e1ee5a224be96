"""House conventions of the training data."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from backbone.planner.layout import Layout
from backbone.training import dataset
from backbone.training.dataset import TrainingDataset
from backbone.training.houses import MOST_EXAMPLES, words
from backbone.training.samples import Sample
from backbone.training.synthetic_tools import SyntheticTool


@pytest.fixture(scope="module")
def data(layout: Layout) -> TrainingDataset:
    return TrainingDataset(layout, 3)


def _row(
    data: TrainingDataset, monkeypatch: pytest.MonkeyPatch, seed: int
) -> tuple[Sequence[SyntheticTool], list[Sample], list[Sample]]:
    """Return tools, requests and examples of a house's row."""
    seen: list[Any] = []
    monkeypatch.setattr(data, "_packed", lambda *given: seen.append(given))
    data.house_row(random.Random(seed), 1024)
    ((tools, samples, _, shown),) = seen
    return tools, samples, shown


def _is_house_word(request: str) -> bool:
    """Return whether a request has a verb of a house in a frame of it."""
    return any(request.lower() in (f"{verb} it", f"please {verb} this", f"can you {verb} this?") for verb in _VERBS)


_VERBS = words(validation=False).verbs


@pytest.mark.parametrize("seed", range(40))
def test_an_example_gives_the_plan_of_a_nickname(
    data: TrainingDataset, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    _, samples, shown = _row(data, monkeypatch, seed)
    plans = [example.calls for example in shown]
    assert len(shown) <= MOST_EXAMPLES
    for sample in samples:
        if _is_house_word(sample.request):
            assert sample.calls in plans


def test_a_house_has_no_request_against_its_options(data: TrainingDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    found = 0
    for seed in range(120):
        _, samples, shown = _row(data, monkeypatch, seed)
        scores = [call["args"].get("min_score") for s in shown for call in s.calls if call["tool"] == "detect"]
        always = {score for score in scores if score is not None and scores.count(score) > 1}
        alone = [s for s in samples if len(s.calls) == 1 and s.calls[0]["tool"] == "detect"]
        if len(always) == 1 and None not in scores and alone:
            found += 1
            assert all("min_score" in s.calls[0]["args"] for s in alone)
    assert found


def test_words_are_held_out() -> None:
    trained, unseen = words(validation=False), words(validation=True)
    for name in ("verbs", "nouns", "aliases"):
        assert getattr(unseen, name)
        assert set(getattr(trained, name)).isdisjoint(getattr(unseen, name))


def test_rows_of_houses_are_a_share_of_all(data: TrainingDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    houses: list[int] = []
    monkeypatch.setattr(data, "house_row", lambda rng, length: houses.append(length))
    monkeypatch.setattr(data, "_packed", lambda *given: None)
    for index in range(300):
        data.row(index, 64)
    assert 30 < len(houses) < 80
    assert dataset.MOST_EXAMPLES == 8
