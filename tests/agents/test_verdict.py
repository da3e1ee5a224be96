"""Lever-LM as a chooser, and when it chooses: if it is better than the majority list on held-out examples."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from agents import lever
from agents.examples import verdict
from agents.examples.bank import Bank, Example, Pool, Verdict, hash_of
from agents.examples.choose import Chooser, Majority, Words
from agents.examples.repair import repair_examples
from agents.examples.use import Examples
from agents.examples.verdict import LEAST_EXAMPLES, ByVerdict, is_held_out, measure
from agents.lever import LeverLM, lever_models, open_lever
from agents.plan.types import cards_of
from agents.planners.backbone import RequestEncoder
from agents.planners.base import Demonstration
from backbone.lever.features import COMPARED
from backbone.lever.model import FORMAT
from tests.agents.fakes import TOOLS
from tools.core.errors import WeightsMissing
from tools.core.settings import settings

ENCODER, CARDS = RequestEncoder(), list(cards_of(TOOLS).values())
REQUESTS = ["give it the Friday treatment", "pickle the fleet", "log this one", "the grandma version"]


def example(request: str, label: str = "dog") -> Example:
    shown = Demonstration(["Image"], request, [{"tool": "detect", "args": {"labels": [label]}}])
    return Example(shown, "added", "ada")


def pool(requests: Sequence[str]) -> Pool:
    return Pool([example(request) for request in requests], ENCODER.embed(requests), ENCODER, CARDS)


def write_lever(file: Path, end: float = -100.0) -> Path:
    """Weights of a Lever-LM that chooses for new words, and ends where they are worth less than `end`."""
    features, width = 3 * ENCODER.embed([]).shape[1] + 5, 4
    shapes: dict[str, tuple[int, ...]] = {
        "request": (width, features),
        "example": (width, features),
        "key": (width, features),
    }
    shapes |= dict.fromkeys(("bos", "query", "end", "norm"), (width,))
    for layer in range(2):
        shapes |= {f"{layer}.query_key_value": (3 * width, width), f"{layer}.out": (width, width)}
        shapes |= {f"{layer}.up": (4 * width, width), f"{layer}.down": (width, 4 * width)}
        shapes |= {f"{layer}.{name}": (width,) for name in ("attention_norm", "mlp_norm")}
    tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    tensors |= {"scale": np.ones((), np.float32), "end_bias": np.full((), end, np.float32)}
    tensors["compared"] = 20 * np.eye(COMPARED, dtype=np.float32)[3]  # gained by words that the plan does not repeat
    save_file(tensors, file, {"format": FORMAT, "heads": "1"})
    return file


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "examples.sqlite")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of Lever-LM in this installation."""
    file = write_lever(tmp_path / "lever.safetensors")
    monkeypatch.setattr(verdict, "lever_file", lambda: file)
    return file


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "lever_file", lambda: None)


# Lever-LM


def test_it_chooses_among_relevant_examples_the_first_choice_last(tmp_path: Path) -> None:
    model, house = LeverLM(write_lever(tmp_path / "lever.safetensors")), pool([*REQUESTS, "blur the dog"])

    def chosen(request: str, k: int, of: Pool = house) -> list[str]:
        return [shown.request for shown in model.choose(request, ["Image"], of, k)]

    both = "the grandma version of the Friday treatment, for the treatment of Friday"
    assert chosen(both, 2) == ["the grandma version", "give it the Friday treatment"]
    assert chosen(both, 1) == ["give it the Friday treatment"]
    assert chosen(both, 8) == chosen(both, 2), "the others are not relevant"
    assert chosen("find the kites", 2) == [] == chosen(both, 2, pool([]))
    rest = house.without({house.examples[0].id})
    assert chosen(both, 2, rest) == ["the grandma version"] and rest.index is house.index


def test_it_may_choose_fewer(tmp_path: Path) -> None:
    two = pool(["give it the Friday treatment", "the Friday treatment again"])
    eager, lazy = (LeverLM(write_lever(tmp_path / f"{end}.safetensors", end)) for end in (-100.0, 1.0))
    assert len(eager.choose("one more Friday treatment", ["Image"], two, 2)) == 2
    assert len(lazy.choose("one more Friday treatment", ["Image"], two, 2)) == 1


def test_damaged_weights_are_said_to_be_damaged(tmp_path: Path) -> None:
    file = tmp_path / "lever.safetensors"
    file.write_bytes(b"no weights")
    with pytest.raises(WeightsMissing, match="Lever-LM are damaged"):
        LeverLM(file)


def test_what_is_installed_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backbone.lever.model.WEIGHTS", tmp_path / "lever.safetensors")
    assert lever.lever_file() is None
    file = write_lever(tmp_path / "lever.safetensors")
    assert lever.lever_file() == file and open_lever(file) is open_lever(file)
    before = lever_models(file), open_lever(file)
    write_lever(file, end=2.0)
    os.utime(file, (0, 0))  # a clock that ticks in milliseconds may show both at the same time
    assert lever_models(file) != before[0] and open_lever(file) is not before[1]


# The measure


class First:
    """Chooses the first examples of a pool."""

    name = "first"

    def __init__(self) -> None:
        self.pools: list[Pool] = []

    def choose(self, request: str, have: Sequence[str], bank: Pool, k: int) -> list[Demonstration]:
        self.pools.append(bank)
        return [example.demonstration for example in bank.examples[:k]]


def test_held_out_examples_are_scored_by_what_is_chosen_from_the_others() -> None:
    house = pool([f"log number {n}" for n in range(60)])
    held_out = {one.demonstration.request for one in house.examples if is_held_out(one.id)}
    assert 10 < len(held_out) < 30
    asked, progress = list[str](), list[tuple[int, int]]()

    def score(seen: Sequence[Sequence[Demonstration]], one: Demonstration) -> list[float] | None:
        asked.append(one.request)
        assert [len(shown) for shown in seen] == [0, settings().examples_shown]
        return None if len(asked) == 1 else [0.25, 0.5 if len(asked) % 2 else 1.0]

    first = First()
    found = measure(house, score, {"first": first}, "models", lambda done, of: progress.append((done, of)))
    assert set(asked) == held_out and progress[-1] == (len(held_out), len(held_out))
    assert all(not is_held_out(one.id) for tried in first.pools for one in tried.examples)
    assert (found.models, found.bank, found.held_out) == ("models", hash_of(house), len(held_out) - 1)
    assert found.scores["none"] == 0.25 and 0.5 < found.scores["first"] < 1
    assert measure(house.without({"x"}), lambda seen, one: None, {"first": first}).held_out == 0


def test_a_later_example_moves_no_other_between_the_parts() -> None:
    ids = [example(f"log number {n}").id for n in range(300)]
    assert 60 < sum(map(is_held_out, ids)) < 140
    assert is_held_out("000000000000") and not is_held_out("ffffffffffff")


# The verdict


def test_a_verdict_is_kept_beside_the_examples_and_survives_a_repair(bank: Bank) -> None:
    assert bank.verdict() is None
    given = Verdict("models", "hash", 7, {"lever": 0.5, "majority": 0.4})
    bank.keep_verdict(Verdict("older", "hash", 1, {}))
    bank.keep_verdict(given)
    assert bank.verdict() == given and bank.verdict("bob") is None
    bank.add([example("tag it")])
    bank.close()
    whole = bank.file.read_bytes()
    at = whole.rindex(b'"args"')
    bank.file.write_bytes(whole[:at] + b'"argz"' + whole[at + 6 :])
    assert repair_examples(bank.file).faults and Bank(bank.file).verdict() == given


def chosen_by(bank: Bank, owner: str = "") -> tuple[str, str, str]:
    examples = Examples(bank, ByVerdict(), ENCODER, owner=owner)
    found = examples.decision()
    assert examples.chosen("log it", ["Image"], CARDS).chooser == found.chooser.name
    return found.chooser.name, found.why, found.hint


def test_a_small_bank_shows_similar_examples(bank: Bank, installed: Path) -> None:
    bank.add([example(f"log number {n}") for n in range(LEAST_EXAMPLES - 1)])
    assert chosen_by(bank) == ("similar", "it chooses from 20 examples on, and there are 19", "")
    bank.add([example("one more", "cat")])
    assert chosen_by(bank)[0] == "majority"
    bank.enable([bank.all()[0].id], False)
    assert chosen_by(bank)[0] == "similar"


def test_without_weights_the_majority_list_is_used_and_said_to_be(bank: Bank, missing: None) -> None:
    bank.add([example(f"log number {n}") for n in range(LEAST_EXAMPLES)])
    assert chosen_by(bank) == ("majority", "it is not in this installation", "")


def test_lever_lm_chooses_if_and_only_if_it_was_better(bank: Bank, installed: Path) -> None:
    bank.add([example(f"log number {n}") for n in range(LEAST_EXAMPLES)])
    name, why, hint = chosen_by(bank)
    assert name == "majority" and "not measured" in why and "status --measure" in hint
    models, now = lever_models(installed), hash_of(bank.pool(ENCODER))
    for scores, better in (((0.6, 0.5), "lever"), ((0.5, 0.5), "majority"), ((0.4, 0.5), "majority")):
        bank.keep_verdict(Verdict(models, now, 6, dict(zip(("lever", "majority"), scores, strict=True))))
        name, why, hint = chosen_by(bank)
        assert name == better and hint == ""
        assert f"({scores[0]:.3f}, {scores[1]:.3f})" in why and "6 held-out" in why
    bank.keep_verdict(Verdict(models, now, 6, {"lever": 0.6, "majority": 0.5}))
    bank.add([example("one more", "cat")])
    assert chosen_by(bank)[0] == "lever" and "have changed since" in chosen_by(bank)[2]
    assert chosen_by(bank, "bob")[0] == "majority", "the verdict on what others see is another one"
    write_lever(installed, end=3.0)
    assert chosen_by(bank)[0] == "majority" and "not measured" in chosen_by(bank)[1], "another Lever-LM"
    bank.keep_verdict(Verdict(lever_models(installed), now, 0, {}))
    assert chosen_by(bank)[0] == "majority"


def test_damaged_weights_stop_what_they_would_choose(bank: Bank, installed: Path) -> None:
    bank.add([example(f"log number {n}") for n in range(LEAST_EXAMPLES)])
    installed.write_bytes(b"no weights")
    scores = {"lever": 0.6, "majority": 0.5}
    bank.keep_verdict(Verdict(lever_models(installed), hash_of(bank.pool(ENCODER)), 6, scores))
    with pytest.raises(WeightsMissing, match="damaged"):
        Examples(bank, ByVerdict(), ENCODER).chosen("log it", ["Image"], CARDS)


def test_a_measure_with_lever_lm_is_the_verdict_on_this_bank(
    bank: Bank, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner is a stand-in that knows what helps it."""
    bank.add([example(f"log number {n}", "cat" if n % 2 else "dog") for n in range(40)])
    bank.add([Example(Demonstration([], "gone", [{"tool": "gone", "args": {}}]), "added", "ada")])

    class Helped:
        def __init__(self, cards: object, called: set[str]) -> None:
            assert called == {"detect"}

        def __call__(self, seen: Sequence[Sequence[Demonstration]], asked: Demonstration) -> list[float]:
            return [0.9 * bool(shown) for shown in seen]

    monkeypatch.setattr("agents.examples.use.Likelihood", Helped)
    monkeypatch.setattr("agents.examples.use.lever_file", lambda: installed)
    found = Examples(bank, ByVerdict(), ENCODER).measure(TOOLS)
    assert set(found.scores) == {"none", "similar", "words", "majority", "lever"} and bank.verdict() == found
    assert found.bank == hash_of(bank.pool(ENCODER)), "the examples whose tools are missing are of the bank, too"
    monkeypatch.setattr("agents.examples.use.lever_file", lambda: None)
    monkeypatch.setattr(verdict, "lever_file", lambda: None)
    without = Examples(bank, ByVerdict(), ENCODER).measure(TOOLS)
    assert "lever" not in without.scores and bank.verdict() == found


# Word by word


def test_each_next_example_is_for_words_that_those_before_do_not_explain() -> None:
    house = pool(["pickle the fleet", "fleet again", "give it the Friday treatment", "blur the dog"])
    chosen = Words().choose("the Friday treatment for the fleet", ["Image"], house, 2)
    told = {shown.request for shown in chosen}
    assert "give it the Friday treatment" in told and told & {"fleet again", "pickle the fleet"}
    assert chosen[-1].request == "give it the Friday treatment", "what explains most is read last"
    assert len(Words().choose("the fleet once more", ["Image"], house, 9)) == 2, "the others are not relevant"
    assert Words().choose("find the kites", ["Image"], house, 2) == [] == Words().choose("x", [], pool([]), 2)


def test_the_choosers_are_named_as_in_the_settings() -> None:
    every: dict[str, Chooser] = verdict.choosers()
    assert all(name == chooser.name for name, chooser in every.items()) and Majority.name in every
