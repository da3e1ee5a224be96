"""The statistics of the claims, and the ways to choose that nothing is trained for."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from backbone.retrieval.retriever import Retriever
from tools.runtime.registry import load

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def imported(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def verdicts() -> ModuleType:
    return imported("verdicts")


@pytest.fixture(scope="module")
def lever() -> ModuleType:
    return imported("lever")


def test_a_difference_has_an_interval_over_requests_and_seeds(verdicts: ModuleType) -> None:
    rng = np.random.default_rng(1)
    less = (rng.random((1, 400)) < 0.5).astype(float)
    more = np.maximum(less, (rng.random((3, 400)) < 0.2).astype(float))
    mean, low, high, same = verdicts.difference(more, less)
    assert mean == pytest.approx(100 * (more.mean() - less.mean())) and 5 < low < mean < high < 15 and same
    # The same shares on requests that are not paired tell less.
    assert np.subtract(*verdicts.difference(more, rng.permuted(less, axis=1))[2:0:-1]) > high - low


def test_what_only_some_seeds_gain_does_not_hold(verdicts: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    none = np.zeros((1, 400))
    assert verdicts.say("every seed", np.tile(np.arange(400) % 4 == 0, (3, 1)).astype(float), none, 10)
    one = np.stack([np.arange(400) % 2 == 0, *[np.arange(400) < 0] * 2]).astype(float)
    assert not verdicts.say("one of three", one, none, 10)
    assert not verdicts.say("too little", np.tile(np.arange(400) % 20 == 0, (3, 1)).astype(float), none, 10)
    assert verdicts.say("no worse", none, none, 0, losing=True)
    assert [line.rsplit("  ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "holds", "not reproduced", "not reproduced", "holds",
    ]  # fmt: skip


def test_equal_values_share_their_rank(verdicts: ModuleType) -> None:
    assert verdicts.spearman([1, 2, 3, 4], [0, 0, 1, 1]) == pytest.approx(0.894, abs=1e-3)
    assert verdicts.spearman([4, 3, 2, 1], [1, 5, 6, 9]) == pytest.approx(-1)
    assert verdicts.spearman([4, 3, 2, 1], [0, 0, 0, 0]) == 0


def test_choices_by_likeness_are_of_the_house_and_by_words_complete_each_other(lever: ModuleType) -> None:
    from benchmarks import house_tools, houses

    tools = {**load(entry_points=False), **{name: getattr(house_tools, name) for name in ("grey", "file_stamp")}}
    rows = [row for row in houses.read() if row["house"] == "harbour office"]
    house = lever.House(rows, tools, Retriever.read().words)
    assert len(house.pool) == 32 and len(house.group.parts["anchor"]) == 16 and len(house.tests) == 14
    both = next(row for row in house.tests if "fleet" in row["request"] and "Friday" in row["request"])
    told = {house.pool[at].request for at in lever.by_words(house, both, 2)}
    assert any("fleet" in request for request in told) and any("Friday" in request for request in told)
    for choose in (lever.similar, lever.by_words):
        chosen = choose(house, both, 8)
        assert len(set(chosen)) == 8 and choose(house, both, 2) == chosen[:2]
    assert lever.at_random(house, both, 4, 0) != lever.at_random(house, both, 4, 1)
    assert sorted(lever.shuffled([3, 1, 2], "a")) == [1, 2, 3] and lever.shuffled([3, 1], "a") == [1, 3]


def test_the_majority_list_is_of_what_helped_the_anchors_of_the_house(lever: ModuleType) -> None:
    from benchmarks import houses

    rows = [row for row in houses.read() if row["house"] == "harbour office"]
    house = lever.House(rows, load(entry_points=False), Retriever.read().words)
    a, b, c, *_ = house.ids
    grown = [
        {"group": house.name, "without": 0.1, "sequences": [{"examples": [b, a], "scores": [0.2, 0.5]}]},
        {"group": house.name, "without": 0.0, "sequences": [{"examples": [b], "scores": [0.1]}]},
        {"group": "another", "without": 0.0, "sequences": [{"examples": [c], "scores": [0.9]}]},
    ]
    assert lever.majority(house, grown, 2) == [0, 1]
