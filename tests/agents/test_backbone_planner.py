"""How the backbone is asked, and how its calls become a plan."""

import json
import math
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agents.plan.problems import Problem
from agents.planners.backbone import BackbonePlanner, model_file
from agents.planners.base import Demonstration, first_free
from backbone.planner.adapter import ADAPTER, ADAPTER_FILES
from backbone.planner.choices import Choice
from backbone.planner.confidence import CALIBRATION
from backbone.planner.tensors import DamagedFile
from common.card import Card
from tests.agents.fakes import TOOLS
from tools.core.errors import SettingsInvalid, WeightsMissing, WriteError
from tools.runtime.model_cache import evict_idle

CARDS = [tool.card() for tool in TOOLS.values()]


class Model:
    """Stands in for the trained model."""

    made: list["Model"] = []
    calls: list[dict[str, Any]] = []
    choices: list[Choice] = []

    def __init__(self, file: Path) -> None:
        self.file = file
        self.asked: list[dict[str, Any]] = []
        self.wanted: tuple[Any, Any] = (), ()
        self.refused: Any = ()
        self.needed: Any = None
        Model.made.append(self)

    @classmethod
    def from_quantized(cls, file: Path) -> "Model":
        if file.read_bytes() == b"cut":
            raise DamagedFile(f"{file} is cut short")
        return cls(file)

    def decode(
        self,
        request: str,
        have: Any,
        cards: Any,
        demonstrations: Any = (),
        typed: bool = False,
        first: Any = (),
        missing: Any = (),
        refused: Any = (),
        needed: Any = None,
    ) -> tuple[list[dict[str, Any]], list[Choice]]:
        self.asked.append(
            {"request": request, "have": have, "cards": cards, "shown": list(demonstrations), "typed": typed}
        )
        self.wanted, self.refused, self.needed = (first, missing), refused, needed
        return Model.calls, Model.choices


class Cores:
    """The cores of the models that were written, and how the next one fails."""

    def __init__(self) -> None:
        self.written: list[tuple[Path, Path]] = []
        self.error: Exception | None = None

    def open(self, gguf: Path, adapter: Path) -> tuple[Path, Path]:
        if self.error:
            raise self.error
        return gguf, adapter

    def write(self, core: tuple[Path, Path], file: Path) -> None:
        self.written.append(core)
        time.sleep(0.05)  # so that threads that started together meet here, if nothing keeps them apart
        file.write_bytes(b"model")


@pytest.fixture
def cores(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cores]:
    """The backbone replaced."""
    evict_idle()  # of what other tests have loaded
    cores = Cores()
    core, quantize, planner = (ModuleType(f"backbone.planner.{name}") for name in ("core", "quantize", "model"))
    core.Core, quantize.write_quantized, planner.PlannerModel = cores.open, cores.write, Model  # type: ignore[attr-defined]
    for module in (core, quantize, planner):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("tools.weights.weights.use", lambda weights_id: Path(f"/weights/{weights_id}.gguf"))
    monkeypatch.setattr("tools.weights.weights.verified_hash", lambda weights_id: f"hash of {weights_id}")
    Model.made = []
    yield cores
    evict_idle()


def test_the_model_is_loaded_once_and_asked_plainly_first(cores: Cores, home: Path) -> None:
    Model.calls = [{"tool": "detect", "args": {"labels": ["dog"]}}, {"tool": "pose", "args": {"regions": "above"}}]
    planner = BackbonePlanner()
    shown = Demonstration(["Image"], "find cats", [{"tool": "detect", "args": {"labels": ["cat"]}}])
    values = {"image": "Image", "album": "list[Image]", "s1": "Text", "s4": "Detections"}
    plan = planner.plan("look at the dogs", values, CARDS, [shown])
    assert [(step.id, step.tool, step.args) for step in plan.steps] == [
        ("s5", "detect", {"labels": ["dog"]}),
        ("s6", "pose", {"regions": "above"}),
    ]
    assert plan.request == "look at the dogs" and plan.outputs == ()
    few = {"image": "Image", "s1": "Detections", "s2": "Image"}
    BackbonePlanner().plan("again", few, CARDS, problems=[Problem("s1", "image", "none")])
    (model,) = Model.made
    assert model.file.parent == home / "planner" and model.file.suffix == ".safetensors"
    assert cores.written == [(Path("/weights/smollm2-135m.gguf"), ADAPTER)]
    first, second = model.asked
    assert first["have"] == ["Image", "Text", "Detections"] and first["cards"] == CARDS
    assert first["shown"] == [(["Image"], "find cats", [{"tool": "detect", "args": {"labels": ["cat"]}}])]
    assert second["have"] == ["Image", "Detections", "Image"]
    assert (first["typed"], second["typed"]) == (False, True)
    left_out = [Problem("", "", "unused", "", ["read", "crop"], True), Problem("", "", "verb", "", ["blur"])]
    planner.plan("again", few, CARDS, problems=left_out)
    assert model.wanted == ({"read", "crop"}, [("blur",)])
    planner.plan("again", few, CARDS, problems=[Problem("s1", "often", "too big", tool="blur")])
    assert model.refused == {("blur", "often")}


def test_texts_are_escaped_and_choices_get_their_type(cores: Cores) -> None:
    from typing import Literal

    from tools import Text, tool

    @tool
    def turn(text: Text, by: Literal[90, 180], tags: list[str]) -> Text:
        """Turn a text."""
        return text

    Model.calls = [{"tool": "turn", "args": {"text": "$5", "by": "180", "tags": ["$a", "b"]}}]
    (step,) = BackbonePlanner().plan("turn", {}, [turn.card()]).steps
    assert step.args == {"text": "$$5", "by": 180, "tags": ["$$a", "b"]}


def test_confidence_comes_from_the_calibration_beside_the_adapter(cores: Cores, tmp_path: Path) -> None:
    Model.calls = [{"tool": "detect", "args": {"labels": ["dog"]}}, {"tool": "count", "args": {}}]
    Model.choices = [Choice(0, "tool", -0.7), Choice(1, "tool", 0.0), Choice(2, "end", 0.0)]
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for name in ADAPTER_FILES:
        (adapter / name).write_bytes(b"")
    assert BackbonePlanner(adapter).plan_with_confidence("count the dogs", {}, CARDS)[1] is None
    weights = {"bias": 0.0, "product": 1.0}
    (tmp_path / "other").symlink_to(adapter)
    (adapter / CALIBRATION).write_text(json.dumps({"plan": weights, "step": weights, "least": 0.4, "adapter": ""}))
    plan, confidence = BackbonePlanner(tmp_path / "other").plan_with_confidence("count the dogs", {}, CARDS)
    assert confidence is not None and confidence.least == 0.4 and len(confidence.steps) == len(plan.steps)
    assert confidence.plan == pytest.approx(math.exp(-0.7)) and confidence.steps[0] == pytest.approx(math.exp(-0.7))
    assert confidence.steps[1] > 0.99


def test_the_model_is_written_once_by_several_at_a_time(cores: Cores) -> None:
    threads = [threading.Thread(target=model_file) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cores.written) == 1


def test_another_core_or_adapter_is_another_file(cores: Cores, tmp_path: Path) -> None:
    for name in ADAPTER_FILES:
        (tmp_path / name).write_bytes(b"own")
    files = {model_file(), model_file("other"), model_file(adapter=tmp_path)}
    (tmp_path / ADAPTER_FILES[1]).write_bytes(b"trained on")
    files |= {model_file(), model_file(adapter=tmp_path)}
    assert len(files) == len(cores.written) == 4


def test_a_core_that_cannot_be_used_leaves_no_file(cores: Cores, home: Path) -> None:
    cores.error = ValueError("x.gguf is no Llama")
    with pytest.raises(SettingsInvalid, match=r"smollm2-135m are no language core for the planner: x\.gguf"):
        model_file()
    assert not list((home / "planner").glob("*.safetensors"))


def test_a_folder_that_cannot_be_written_is_named(cores: Cores, home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "planner").write_text("in the way")
    with pytest.raises(WriteError, match="planner.* cannot be written"):
        model_file()


def test_a_damaged_model_is_named_with_what_to_do(cores: Cores) -> None:
    model_file().write_bytes(b"cut")
    with pytest.raises(WeightsMissing, match=r"damaged: .* cut short. Delete .*the next plan makes it again"):
        BackbonePlanner().plan("look", {}, CARDS)


def test_numbers_go_on() -> None:
    assert first_free({}) == 1
    assert first_free({"image": 0, "s1": 0, "s7": 0, "song": 0, "s": 0}) == 8


def own_tools() -> list[Card]:
    """Cards of twelve registered tools; one makes the loops that another one counts."""
    from tools import Image, Number, Text, tool

    def named(name: str, doc: str) -> Card:
        return {**plain.card(), "name": name, "doc": doc}

    @tool
    def plain(image: Image) -> Text:
        """Anything."""
        return Text("")

    @tool(examples=["how many knots are in the rope?"])
    def count_knots(image: Image) -> Number:
        """Count the knots of a rope."""
        return Number(0)

    fillers = ["weather", "postage", "recipes", "trains", "horoscopes", "tax", "lottery", "tides", "rhymes", "moles"]
    cards = [named(f"about_{n}", f"Tell about {what}.") for n, what in enumerate(fillers)]
    counting: Card = {**count_knots.card(), "inputs": {"loops": {"kinds": ["Loops"], "many": False, "optional": False}}}
    making: Card = {**named("zz", "Prepare."), "returns": {"kind": "Loops", "many": False}}
    return [counting, *cards, making]


def test_of_many_registered_tools_the_model_gets_the_cards_that_fit(cores: Cores) -> None:
    Model.calls = []
    own = own_tools()
    tools = [CARDS[0], *own]
    planner = BackbonePlanner()
    planner.plan("how many knots are in the rope?", {"image": "Image"}, tools)
    planner.plan("how many knots are in the rope?", {"image": "Image"}, tools[:9])
    shown = Demonstration(["Image"], "tides?", [{"tool": "about_7", "args": {}}])
    planner.plan("find the dog", {"image": "Image"}, tools, [shown])
    planner.load(tools)
    many, few, demonstrated, loaded = (model["cards"] for model in Model.made[0].asked)
    assert few == tools[:9]
    names = [card["name"] for card in many]
    assert names == [card["name"] for card in tools if card["name"] in names]
    assert {CARDS[0]["name"], "count_knots", "zz"} <= set(names)
    assert "about_7" in {card["name"] for card in demonstrated}
    assert len(many) == len(demonstrated) == len(loaded) == 1 + 8


def test_what_was_considered_is_what_the_model_gets(cores: Cores) -> None:
    Model.calls = []
    tools = [CARDS[0], *own_tools()]
    planner = BackbonePlanner()
    planner.plan("the tides please", {"song": "Audio"}, tools)
    chosen = planner.shortlist("the tides please", {"song": "Audio"}, tools)
    assert chosen.names == {card["name"] for card in Model.made[0].asked[0]["cards"]}
    assert chosen.considered[0].tool == "about_7" and len(chosen.considered) == 12
    few = planner.shortlist("the tides please", {}, tools[:5])
    assert all(one.read and one.reason == "all fit in" for one in few.considered) and len(few.considered) == 4


def test_the_model_is_told_which_tools_with_a_card_are_needed(cores: Cores) -> None:
    Model.calls = []
    planner, own = BackbonePlanner(), own_tools()
    planner.plan("how many knots are in the rope?", {"image": "Image"}, [CARDS[0], *own])
    needed = Model.made[0].needed
    assert needed.keys() == {card["name"] for card in own}
    assert max(needed, key=needed.get) == "count_knots" and needed["count_knots"] > 0
    shown = Demonstration(["Image"], "what would Grandpa ask?", [{"tool": "count_knots", "args": {}}])
    planner.plan("what would Grandpa ask?", {"image": "Image"}, [CARDS[0], *own], [shown])
    assert needed.keys() - Model.made[0].needed.keys() == {"count_knots"}
    planner.plan("find the dog", {"image": "Image"}, CARDS[:1])
    assert Model.made[0].needed == {}
