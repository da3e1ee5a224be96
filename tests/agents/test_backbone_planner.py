"""How the backbone is asked, and how its calls become a plan."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agents.plan.problems import Problem
from agents.planners.backbone import BackbonePlanner, core_folder
from agents.planners.base import Demonstration, first_free
from tests.agents.fakes import TOOLS
from tools.runtime.model_cache import evict_idle

CARDS = [tool.card() for tool in TOOLS.values()]


class Model:
    """Stands in for the trained model."""

    made: list["Model"] = []
    calls: list[dict[str, Any]] = []

    def __init__(self, core: Path, adapter: Path | None = None) -> None:
        self.core, self.adapter = core, adapter
        self.asked: list[dict[str, Any]] = []
        Model.made.append(self)

    def plan(
        self, request: str, have: Any, cards: Any, demonstrations: Any = (), typed: bool = False
    ) -> list[dict[str, Any]]:
        self.asked.append(
            {"request": request, "have": have, "cards": cards, "shown": list(demonstrations), "typed": typed}
        )
        return Model.calls


@pytest.fixture
def unpacked(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The backbone replaced; gives the folders that were unpacked."""
    evict_idle()  # of what other tests have loaded
    folders: list[Path] = []

    def unpack(packed: Path, folder: Path) -> None:
        folders.append(folder)
        folder.mkdir()

    core, planner = ModuleType("backbone.planner.core"), ModuleType("backbone.planner.model")
    core.unpack, planner.PlannerModel = unpack, Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "backbone.planner.core", core)
    monkeypatch.setitem(sys.modules, "backbone.planner.model", planner)
    monkeypatch.setattr("tools.weights.weights.use", lambda weights_id: Path(f"/weights/{weights_id}.gguf"))
    Model.made = []
    yield folders
    evict_idle()


def test_the_model_is_loaded_once_and_asked_plainly_first(unpacked: list[Path], home: Path) -> None:
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
    assert model.core == home / "core" / "smollm2-135m" == unpacked[0] and len(unpacked) == 1
    first, second = model.asked
    assert first["have"] == ["Image", "Text", "Detections"] and first["cards"] == CARDS
    assert first["shown"] == [(["Image"], "find cats", [{"tool": "detect", "args": {"labels": ["cat"]}}])]
    assert second["have"] == ["Image", "Detections", "Image"]
    assert (first["typed"], second["typed"]) == (False, True)


def test_texts_are_escaped_and_choices_get_their_type(unpacked: list[Path]) -> None:
    from typing import Literal

    from tools import Text, tool

    @tool
    def turn(text: Text, by: Literal[90, 180], tags: list[str]) -> Text:
        """Turn a text."""
        return text

    Model.calls = [{"tool": "turn", "args": {"text": "$5", "by": "180", "tags": ["$a", "b"]}}]
    (step,) = BackbonePlanner().plan("turn", {}, [turn.card()]).steps
    assert step.args == {"text": "$$5", "by": 180, "tags": ["$$a", "b"]}


def test_the_core_is_unpacked_once_by_several_at_a_time(unpacked: list[Path]) -> None:
    threads = [threading.Thread(target=core_folder) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(unpacked) == 1


def test_numbers_go_on() -> None:
    assert first_free({}) == 1
    assert first_free({"image": 0, "s1": 0, "s7": 0, "song": 0, "s": 0}) == 8
