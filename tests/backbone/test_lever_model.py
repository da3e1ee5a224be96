"""Lever-LM: what it may choose, and that training computes what is used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backbone.lever.data import Lesson
from backbone.lever.features import Asked, Known, ask, compared, know
from backbone.lever.model import FORMAT, LeverModel
from backbone.lever.score import Example
from backbone.lever.train import LeverModule, Recipe, collate, loss, train
from backbone.planner.tensors import DamagedFile
from backbone.retrieval.retriever import Retriever

WORDS = Retriever.read().words
EXAMPLES = [
    Example(["Image"], "give the dog the Friday treatment", [{"tool": "segment", "args": {"labels": ["dog"]}}]),
    Example(["Image"], "please find the fleet", [{"tool": "detect", "args": {"labels": ["car", "bus"]}}]),
    Example(["Image"], "log it", [{"tool": "read_text", "args": {}}, {"tool": "speak", "args": {}}]),
    Example(["Audio"], "minutes please", [{"tool": "transcribe", "args": {}}]),
    Example(["Image"], "???", [{"tool": "caption", "args": {}}]),
    Example(["Image"], "blur the dog", [{"tool": "detect", "args": {"labels": ["dog"]}}]),
]
KNOWN = know(EXAMPLES, WORDS)
REQUESTS = ["the Friday treatment for the fleet", "log it now please", "!?"]
SMALL = Recipe(width=16, heads=2, steps=60, batch=8, rate=3e-3)


def asked(request: str, known: Known = KNOWN) -> Asked:
    return ask(["Image"], request, known, WORDS)


def written(module: LeverModule, folder: Path) -> LeverModel:
    save_file(module.tensors(), folder / "lever.safetensors", {"format": FORMAT, "heads": str(module.heads)})
    return LeverModel.read(folder / "lever.safetensors")


@pytest.fixture(scope="module", params=["pointer", "closed vocabulary"])
def module(request: pytest.FixtureRequest) -> LeverModule:
    torch.manual_seed(4)
    found = LeverModule(KNOWN.features.shape[1], SMALL, 9 if request.param == "closed vocabulary" else 0)
    with torch.no_grad():
        for value in found.weights.values():  # every weight matters, also those that begin as nothing
            value += 0.2 * torch.randn_like(value)
    return found


@pytest.fixture
def model(module: LeverModule, tmp_path: Path) -> LeverModel:
    return written(module, tmp_path)


ROWS = np.array([3, 4, 0, 8, 1, 7])


def test_training_computes_what_is_used(module: LeverModule, model: LeverModel) -> None:
    """Sequences of one to three, a batch of requests with other numbers of words and of candidates."""
    sequences, sizes = [(2, 0, 1), (1,), (0, 2)], [6, 4, 5]
    lessons = [
        Lesson(asked(text).of(range(n)), KNOWN.features[:n], ROWS[:n], [chosen], [(0.1,) * len(chosen)])
        for text, chosen, n in zip(REQUESTS, sequences, sizes, strict=True)
    ]
    batch = collate(lessons, np.random.default_rng(0))
    with torch.no_grad():
        trained = module(batch).numpy()
    for row, (text, chosen, n) in enumerate(zip(REQUESTS, sequences, sizes, strict=True)):
        known = know(EXAMPLES[:n], WORDS)
        bank = model.bank(known.features, ROWS[:n] if "rows" in module.weights else None)
        for step in range(len(chosen) + 1):
            used = model.logits(asked(text, known), bank, chosen[:step])
            np.testing.assert_allclose(used, [*trained[row, step, :n], trained[row, step, -1]], atol=1e-4)


def test_none_is_chosen_twice_and_sequences_go_on_beyond_those_of_training(
    module: LeverModule, model: LeverModel
) -> None:
    bank = model.bank(KNOWN.features, ROWS if "rows" in module.weights else None)
    for text in REQUESTS:
        every = model.choose(asked(text), bank, 20)
        assert sorted(every) == list(range(6))
        assert model.choose(asked(text), bank, 3) == every[:3]


def test_what_is_not_allowed_for_one_request_is_for_the_next(module: LeverModule, model: LeverModel) -> None:
    bank = model.bank(KNOWN.features, ROWS if "rows" in module.weights else None)
    before = [model.choose(asked(text), bank, 4) for text in REQUESTS]
    allowed = np.ones(6, bool)
    allowed[before[0][:2]] = False
    masked = model.choose(asked(REQUESTS[0]), bank, 4, allowed)
    assert len(masked) == 4 and not set(masked) & set(before[0][:2]) and allowed.sum() == 4
    assert [model.choose(asked(text), bank, 4) for text in REQUESTS] == before
    assert model.choose(asked(REQUESTS[0]), bank, 2, np.zeros(6, bool)) == []


def test_a_sequence_may_end_where_the_end_is_likelier_than_any_example(
    module: LeverModule, model: LeverModel, tmp_path: Path
) -> None:
    bank = model.bank(KNOWN.features, ROWS if "rows" in module.weights else None)
    one = asked(REQUESTS[0])
    every = model.choose(one, bank, 6)
    lead = [model.logits(one, bank, every[:step]) for step in range(6)]
    margins = [float(logits[every[step]] - logits[-1]) for step, logits in enumerate(lead)]
    before = float(module.weights["end_bias"])
    try:
        for raised in (min(margins) - 1, sorted(margins)[2] + 1e-3, max(margins) + 1):
            with torch.no_grad():
                module.weights["end_bias"].fill_(before + raised)
            ending = written(module, tmp_path)
            ends = next((step for step, margin in enumerate(margins) if margin < raised), 6)
            assert ending.choose(one, bank, 6, may_end=True) == every[:ends]
            assert ending.choose(one, bank, 6) == every
    finally:
        with torch.no_grad():
            module.weights["end_bias"].fill_(before)


def test_words_are_found_in_what_an_example_explains() -> None:
    first = asked("the Friday treatment for the fleet")
    comparisons = compared(first, [])
    assert comparisons[[0, 1], 3].min() > comparisons[[2, 3, 4], 3].max()
    gained = compared(first, [0])[:, 3]  # the treatment is explained; the fleet is not
    assert gained.argmax() == 1 and gained[0] == 0
    dog = asked("dog")
    assert dog.found[0, 5, 0] == pytest.approx(1) and dog.found[1, 5, 0] < 0.5  # it was copied to the plan
    assert compared(asked("!?"), [0]).shape == (6, 5) and not compared(asked("!?"), [0]).any()


def test_the_likeness_to_a_part_of_the_examples_is_the_same() -> None:
    part = asked(REQUESTS[0], know(EXAMPLES[1:4], WORDS))
    np.testing.assert_allclose(compared(asked(REQUESTS[0]).of([1, 2, 3]), [0]), compared(part, [0]), atol=1e-6)


def test_a_model_learns_which_examples_help(tmp_path: Path) -> None:
    """Two examples that are unlike the requests in words."""
    lessons = [Lesson(asked(text), KNOWN.features, ROWS, [(3, 5)], [(0.2, 0.1)]) for text in REQUESTS]
    losses = train([*lessons, replace(lessons[0], sequences=[], gains=[])], tmp_path / "m.safetensors", SMALL)
    assert np.mean(losses[-5:]) < losses[0] / 2
    model = LeverModel.read(tmp_path / "m.safetensors")
    assert model.choose(asked(REQUESTS[0]), model.bank(KNOWN.features), 2) == [3, 5]
    np.testing.assert_allclose(train(lessons, tmp_path / "n.safetensors", SMALL), losses, rtol=1e-3)
    with pytest.raises(ValueError, match="nothing to learn"):
        train([replace(lessons[0], sequences=[], gains=[])], tmp_path / "none.safetensors", SMALL)


def test_what_was_chosen_and_what_is_no_candidate_has_no_part_in_the_loss() -> None:
    lessons = [
        Lesson(asked(REQUESTS[0]), KNOWN.features, ROWS, [(3, 5)], [(0.2, 0.1)]),
        Lesson(asked(REQUESTS[1]).of([0, 1]), KNOWN.features[:2], ROWS[:2], [(1,)], [(0.3,)]),
    ]
    batch = collate(lessons, np.random.default_rng(0))
    logits = torch.randn(2, 3, 7)
    changed = logits.clone()
    changed[0, 1:, 3] += 9  # chosen at the first step
    changed[1, :, 2:6] += 9  # padding
    changed[1, 2] += torch.randn(7)  # after the end
    assert torch.equal(loss(logits, batch), loss(changed, batch))
    changed[1, 0, 0] += 1
    assert loss(logits, batch) != loss(changed, batch)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"not a file of weights"):
        (tmp_path / "lever.safetensors").write_bytes(content)
        with pytest.raises(DamagedFile):
            LeverModel.read(tmp_path / "lever.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "lever.safetensors", {"format": "other"})
    with pytest.raises(DamagedFile, match="another format"):
        LeverModel.read(tmp_path / "lever.safetensors")


def test_rows_belong_to_a_closed_vocabulary_alone(module: LeverModule, model: LeverModel) -> None:
    with pytest.raises(ValueError, match="rows"):
        model.bank(KNOWN.features, None if "rows" in module.weights else ROWS)
