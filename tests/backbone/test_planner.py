"""The trained planner, and the machinery of training on a core small enough for a test."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from agents.planners.backbone import model_file
from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.core import Core
from backbone.planner.grammar import Grammar
from backbone.planner.layout import Layout
from backbone.planner.model import PlannerModel
from backbone.planner.quantize import write_quantized
from backbone.planner.vocabulary import Vocabulary
from backbone.planner.walk import Walk
from backbone.training.average import average
from backbone.training.dataset import TrainingDataset
from backbone.training.planner import Recipe, TrainingModel, attention_mask, train
from tools.weights import weights

from .conftest import write_tiny_core

CARDS = list(BUILTIN_CARDS.values())
SMALL = Recipe(steps=6, rows=1, length=700, warmup=2, rank=4)


@pytest.fixture(scope="module")
def adapter(tiny_core: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("training")
    train(tiny_core, out, SMALL, compiled=False, every=3)
    return out


def test_training_writes_a_curve_and_an_adapter(adapter: Path) -> None:
    lines = [json.loads(line) for line in (adapter / "curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    assert {"loss", "unseen_loss", "unseen_right", "rate"} <= lines[0].keys()
    assert (adapter / "adapter" / "adapter_model.safetensors").stat().st_size > 0


def test_a_training_cut_short_goes_on_as_if_it_had_not_been(tiny_core: Path, adapter: Path, tmp_path: Path) -> None:
    class Cut(Exception):
        pass

    def cut(*_: object) -> dict[str, float]:
        if (tmp_path / "checkpoint.pt").exists():
            raise Cut
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backbone.training.planner.validate", cut)
        with pytest.raises(Cut):
            train(tiny_core, tmp_path, SMALL, compiled=False, every=3)
    train(tiny_core, tmp_path, SMALL, compiled=False, every=3)
    whole, resumed = (torch.load(p / "checkpoint.pt", weights_only=True) for p in (adapter, tmp_path))
    assert whole["step"] == resumed["step"] == SMALL.steps
    for a, b in zip(whole["parameters"], resumed["parameters"], strict=True):
        assert torch.equal(a, b)


def test_a_training_ends_where_it_is_reported_and_keeps_adapters(
    tiny_core: Path, adapter: Path, tmp_path: Path
) -> None:
    out = tmp_path / "training"
    train(tiny_core, out, SMALL, compiled=False, every=3, stop=4, keep=[2, 4, 5])
    assert [json.loads(line)["step"] for line in (out / "curve.jsonl").read_text().splitlines()] == [2, 3, 4]
    assert sorted(folder.name for folder in out.glob("adapter*")) == ["adapter", "adapter-2", "adapter-4"]
    before = (out / "checkpoint.pt").stat().st_mtime_ns
    train(tiny_core, out, SMALL, compiled=False, every=3, stop=4)
    assert (out / "checkpoint.pt").stat().st_mtime_ns == before
    train(tiny_core, out, SMALL, compiled=False, every=3)
    assert _tensors(out / "adapter") == _tensors(adapter / "adapter")


def test_adapters_are_averaged_by_weight(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 4.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text("{}")
        for file in ("adapter_model.safetensors", "rows.safetensors"):
            save_file({"x": torch.full((2, 3), value, dtype=torch.bfloat16)}, tmp_path / name / file)
    average({tmp_path / "a": 2.0, tmp_path / "b": 1.0}, tmp_path / "mean")
    assert (tmp_path / "mean" / "adapter_config.json").read_text() == "{}"
    for file in ("adapter_model.safetensors", "rows.safetensors"):
        mean = load_file(tmp_path / "mean" / file)["x"]
        assert mean.dtype == torch.bfloat16 and mean.eq(2.0).all()
    save_file({"x": torch.zeros(2, 4)}, tmp_path / "b" / "rows.safetensors")
    with pytest.raises(ValueError, match="other tensors"):
        average({tmp_path / "a": 1.0, tmp_path / "b": 1.0}, tmp_path / "mean")
    with pytest.raises(ValueError, match="positive sum"):
        average({tmp_path / "a": 0.0}, tmp_path / "mean")


def _tensors(folder: Path) -> dict[str, list[float]]:
    files = ("adapter_model.safetensors", "rows.safetensors")
    return {name: value.flatten().tolist() for file in files for name, value in load_file(folder / file).items()}


def test_packing_changes_no_prediction(tiny_core: Path) -> None:
    """A request behind others in a row is seen as if it stood there alone."""
    model = TrainingModel(tiny_core, SMALL, compiled=False)
    row = TrainingDataset(model.layout, 5).row(8, 2048)
    last = max(row.block)
    kept = [i for i, block in enumerate(row.block) if block in (0, last)]
    hidden = []
    for positions in (range(len(row.ids)), kept):
        ids, block, position = (
            torch.tensor([[values[i] for i in positions]]) for values in (row.ids, row.block, row.position)
        )
        with torch.no_grad():
            output = model.trunk(
                inputs_embeds=model._embed(ids),
                attention_mask=attention_mask(block),
                position_ids=position,
                use_cache=False,
            )
        hidden.append(output.last_hidden_state[0][block[0] == last])
    assert torch.allclose(hidden[0].float(), hidden[1].float(), atol=2e-2)


@pytest.fixture(scope="module")
def planners(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, PlannerModel]:
    """A planner that has learnt nothing, by its engine; its weights are large, so that every token read matters."""
    folder, out = adapter / "adapter", tmp_path_factory.mktemp("model")
    core, file = write_tiny_core(out, spread=0.3), out / "model.safetensors"
    write_quantized(Core(core, folder), file)
    return {"onnx": PlannerModel.from_quantized(file), "reference": PlannerModel.reference(core, folder)}


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("engine", ["onnx", "reference"])
def test_plans_are_those_of_one_token_at_a_time(
    planners: dict[str, PlannerModel], engine: str, typed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Speculation, forced tokens in the same pass and what was read of other prefixes change no token of a plan."""
    # A model that has learnt nothing writes up to every bound, and its scores lie close together.
    for bound, value in (("MAX_CALLS", 3), ("MAX_ITEMS", 3), ("MAX_TEXT", 6)):
        monkeypatch.setattr(f"backbone.planner.walk.{bound}", value)
    planner = planners[engine]
    layout = planner.layout
    cards = [*CARDS, _rotate(), _mirror()]
    vocabulary = Vocabulary(layout)
    turn, tag, cut = (
        (["Image"], words, [{"tool": tool, "args": args}])
        for words, tool, args in (
            ("turn it", "rotate", {"degrees": 90}),
            ("tag it", "detect", {"labels": ["car"]}),
            ("cut it", "crop", {}),
        )
    )

    def step(walk: Walk, ids: list[int]) -> None:
        state = planner.engine.new_context().read(ids)[-1]
        allowed = walk.allowed()
        options = np.flatnonzero(allowed).tolist() if isinstance(allowed, np.ndarray) else allowed
        ids.append(options[int(planner.engine.scores(state, options).argmax())])
        walk.push(ids[-1])

    for words, shown in (
        ("turn it round", []),
        ("blur the dog and count the cats", [turn, tag]),
        ("tag them", [turn, cut]),
        ("tag them", [tag, turn]),
        ("turn it round", []),
    ):
        prefix = layout.prefix(cards, shown)
        request = layout.request(["Image"], words)
        # The likeliest tool with a card, whose card is then read again.
        walk, ids = Walk(Grammar(layout, vocabulary, [_rotate(), _mirror()]), ()), [*prefix, *request, layout.call]
        walk.push(layout.call)
        while not walk.calls:
            step(walk, ids)
        again = next(card for card in cards if card["name"] == walk.calls[0]["tool"])
        walk = Walk(Grammar(layout, vocabulary, cards), ["Image"], typed)
        ids = prefix + layout.prefix([again]) + request
        while not walk.done:
            step(walk, ids)
        assert planner.plan(words, ["Image"], cards, shown, typed) == walk.calls


def test_the_same_request_gives_the_same_plan(planners: dict[str, PlannerModel]) -> None:
    cards = [*CARDS, _rotate()]
    plans = [planners["onnx"].plan("blur the dog", ["Image"], cards) for _ in range(3)]
    assert plans[0] == plans[1] == plans[2]


def test_demonstrations_stand_in_front(layout: Layout) -> None:
    shown = layout.prefix([_rotate()], [(["Image"], "turn it", [{"tool": "rotate", "args": {"degrees": 90}}])])
    assert shown[: len(layout.prefix([_rotate()]))] == layout.prefix([_rotate()])
    assert shown[-1] == layout.end and layout.req in shown


@pytest.mark.parametrize(
    ("request_", "have", "tools"),
    [
        ("blur the license plates", ["Image"], ["detect", "redact"]),
        ("how many seagulls are on the roof?", ["Image"], ["detect", "count"]),
        ("write down what is said", ["Audio"], ["transcribe"]),
        ("a cat in a spacesuit, watercolour", [], ["generate"]),
        ("good morning!", ["Image"], []),
    ],
)
def test_the_shipped_planner(trained_planner: PlannerModel, request_: str, have: list[str], tools: list[str]) -> None:
    assert [call["tool"] for call in trained_planner.plan(request_, have, CARDS)] == tools


@pytest.mark.parametrize("quoted", ["“Who's there? It's me. Open the door.”", "'It's late. Come in! Sit down.'"])
def test_the_shipped_planner_copies_a_quotation_whole(trained_planner: PlannerModel, quoted: str) -> None:
    calls = trained_planner.plan(f"say {quoted} and transcribe the recording", ["Audio"], CARDS)
    assert {"tool": "speak", "args": {"text": quoted[1:-1]}} in calls


def test_the_shipped_planner_reads_a_card(trained_planner: PlannerModel) -> None:
    calls = trained_planner.plan("please turn this photo by 90 degrees", ["Image"], [*CARDS, _rotate()])
    assert calls == [{"tool": "rotate", "args": {"degrees": 90.0}}]


def test_the_shipped_planner_never_offers_what_cannot_be_wired(trained_planner: PlannerModel) -> None:
    rng = random.Random(0)
    for words in ("blur the face", "mask the dog and count the cats", "read the sign aloud"):
        calls = trained_planner.plan(words, rng.choice(([], ["Audio"])), CARDS, typed=True)
        assert not {call["tool"] for call in calls} & {"detect", "segment", "pose", "read_text", "redact"}


def _rotate() -> dict[str, object]:
    return {
        "name": "rotate",
        "doc": "Turn a picture clockwise by a number of degrees.",
        "inputs": {"image": {"kinds": ["Image"], "many": False, "optional": False, "literal": False}},
        "params": {"degrees": {"type": "number"}},
        "required": ["degrees"],
        "one_of": [],
        "returns": {"kind": "Image", "many": False},
        "examples": ["rotate it 45 degrees"],
    }


def _mirror() -> dict[str, object]:
    return {
        **_rotate(),
        "name": "mirror",
        "doc": "Flip a picture over.",
        "examples": ["flip the photo upside down"],
        "params": {"axis": {"enum": ["left to right", "top to bottom"]}},
        "required": [],
    }


PLAN = """
import sys
from pathlib import Path
from agents.planners.backbone import BackbonePlanner
import backbone.planner.walk, superlink.commands.plan
backbone.planner.walk.MAX_CALLS, backbone.planner.walk.MAX_TEXT = 1, 6
superlink.commands.plan.make_planner = lambda given: BackbonePlanner(Path(sys.argv[1]))
from superlink.cli import main
main(["plan", "blur the dog"])
assert "backbone.planner.engine_onnx" in sys.modules
print(sorted({"torch", "transformers", "peft", "gguf", "scipy", "pandas", "cv2", "matplotlib"} & sys.modules.keys()))
"""


def test_planning_imports_no_library_for_training(
    tiny_core: Path, adapter: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights.add("tiny", tiny_core, "planner", "MIT")
    monkeypatch.setenv("SUPERLINK_ROLE_PLANNER", "tiny")
    model_file("tiny", adapter / "adapter")
    done = subprocess.run([sys.executable, "-c", PLAN, adapter / "adapter"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
