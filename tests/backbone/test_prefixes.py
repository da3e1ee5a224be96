"""Prefixes are read from where they differ from those before, and give what they give when they are read whole."""

import numpy as np
import pytest

from backbone.planner.core import Core
from backbone.planner.engine import INITIAL_CAPACITY, Engine
from backbone.planner.engine_onnx import OnnxEngine
from backbone.planner.engine_reference import ReferenceEngine, Weights
from backbone.planner.prefixes import Prefixes, common_length
from backbone.planner.quantize import write_quantized
from backbone.planner.quantized import read_quantized
from backbone.planner.tensors import Array

from .conftest import write_tiny_core
from .tiny_model import write_random_adapter

CARDS, LONG = list(range(30, 70)), [n % 200 for n in range(INITIAL_CAPACITY)]
TAG, FILE, SEND = [1, 2, 3, 4], [1, 2, 9, 8, 7], [5, 6]
AFTER = [20, 21, 22]


@pytest.fixture(scope="module", params=["reference", "onnx"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("model")
    gguf = write_tiny_core(folder, spread=0.3)
    write_random_adapter(gguf, folder)
    core = Core(gguf, folder)
    if request.param == "reference":
        return ReferenceEngine(Weights.of_core(core))
    write_quantized(core, folder / "model.safetensors")
    return OnnxEngine(read_quantized(folder / "model.safetensors"))


@pytest.fixture
def prefixes(engine: Engine) -> Prefixes:
    return Prefixes(engine)


def states_after(prefixes: Prefixes, *parts: list[int]) -> tuple[int, Array]:
    """Return the number of tokens that were not read again, and the states of `AFTER` behind these parts."""
    prefixes.begin(parts)
    known, whole = prefixes.context.length, [token for part in parts for token in part]
    states = prefixes.context.read([*whole[known:], *AFTER])[-len(AFTER) :]
    prefixes.keep(parts)
    return known, states


def test_only_what_is_new_is_read_and_the_states_are_those_of_the_whole(prefixes: Prefixes, engine: Engine) -> None:
    cards, long, tag, file = len(CARDS), len(LONG), len(TAG), len(FILE)
    for parts, known in (
        ((CARDS, TAG, SEND), 0),
        ((CARDS, TAG, FILE), cards + tag),
        ((CARDS, FILE, TAG), cards + 2),  # both examples begin alike
        ((CARDS, TAG, SEND), cards + tag + len(SEND)),
        ((CARDS,), cards),
        ((), 0),
        ((LONG, TAG), 0),  # longer than the memory of the context is at first
        ((TAG, CARDS), 0),
        ((CARDS, FILE), cards + file),
        ((LONG, TAG), long + tag),
        ((LONG, TAG, TAG), long + tag),
    ):
        got, states = states_after(prefixes, *parts)
        wanted = engine.new_context().read([*(token for part in parts for token in part), *AFTER])[-len(AFTER) :]
        assert got == known, parts
        error = np.linalg.norm(states - wanted) / np.linalg.norm(wanted)
        assert error < (1e-5 if isinstance(engine, ReferenceEngine) else 0.02), parts


def test_a_prefix_that_was_not_read_to_its_end_is_not_taken_for_read(prefixes: Prefixes) -> None:
    _, wanted = states_after(prefixes, CARDS, TAG)
    prefixes.begin([CARDS, FILE, SEND])
    prefixes.context.read(FILE[2:4])  # and then the planner was stopped
    known, states = states_after(prefixes, CARDS, TAG)
    assert known == len(CARDS) + len(TAG) and np.allclose(states, wanted, atol=1e-3)
    assert states_after(prefixes, CARDS, FILE, SEND)[0] == len(CARDS) + 2


def test_what_went_unused_the_longest_is_dropped_and_nothing_before_what_stands_behind_it(
    prefixes: Prefixes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backbone.planner.prefixes.KEPT_TOKENS", len(CARDS) + len(TAG) + len(SEND))
    states_after(prefixes, CARDS, TAG)
    states_after(prefixes, CARDS, SEND)
    assert states_after(prefixes, CARDS, TAG)[0] == len(CARDS) + len(TAG)
    states_after(prefixes, CARDS, FILE)  # for which the one that was used before goes
    states_after(prefixes, SEND)
    assert states_after(prefixes, CARDS)[0] == len(CARDS)
    assert states_after(prefixes, CARDS, SEND)[0] == len(CARDS)
    states_after(prefixes, LONG)
    assert states_after(prefixes, CARDS)[0] == 0, "one that is longer than all that is kept"


def test_how_far_two_begin_alike() -> None:
    assert [common_length([1, 2, 3], other) for other in ([], [1, 2], [1, 5, 3], [1, 2, 3, 4])] == [0, 2, 1, 3]
