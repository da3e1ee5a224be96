"""What makes finished work count again, and what makes it run again."""

import json
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from agents.plan.plan import Plan
from flows.ledger import keys
from flows.ledger.keys import CurrentWeights, base_key, finished_call, signature
from flows.ledger.rows import FinishedCall
from tests.flows.conftest import DARKEN, TOOLS
from tools.core.errors import WeightsMissing
from tools.core.settings import Settings, settings
from tools.runtime.registry import load

HASHES = {"yolo": "aa" * 32, "other": "bb" * 32}
REF: Any = {"kind": "Image", "sha256": "cd" * 32, "media_type": "image/png", "bytes": 5, "summary": {}}


def made_with(*weights: str) -> Any:
    used = [{"id": name, "sha256": HASHES[name], "licence": "MIT"} for name in weights]
    return {**REF, "provenance": {"weights": used}}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say which weights there are, and which roles point to them."""

    def become(hashes: dict[str, str] = HASHES, **roles: str) -> None:
        now: Settings = settings().model_copy(update={"roles": roles})

        def verified_hash(name: str) -> str:
            if name not in hashes:
                raise WeightsMissing(f"no {name}")
            return hashes[name]

        monkeypatch.setattr(keys, "settings", lambda: now)
        monkeypatch.setattr(keys, "verified_hash", verified_hash)
        monkeypatch.setattr(keys, "find", lambda name: name)
        monkeypatch.setattr("tools.weights.catalogue.pinned", verified_hash)

    become(detector="yolo")
    return become


def holds(work: FinishedCall) -> bool:
    return CurrentWeights().first_valid([work]) is work


def test_work_counts_while_its_weights_and_their_roles_are_the_same(home: Any, world: Callable[..., None]) -> None:
    work = finished_call("base", "detect", made_with("yolo"), 1.0)
    assert json.loads(work.roles) == {"detector": "yolo"} and holds(work)
    world(detector="other")  # the role would use other weights
    assert not holds(work)
    world({**HASHES, "yolo": "ee" * 32}, detector="yolo")  # the same name, other content
    assert not holds(work)
    world({}, detector="yolo")  # they are gone
    assert not holds(work)
    world(detector="yolo", speaker="other")  # a role that had no part in it
    assert holds(work)


def test_the_key_tells_weights_apart_by_their_content(home: Any, world: Callable[..., None]) -> None:
    key = finished_call("base", "detect", made_with("yolo"), 1.0).key
    assert finished_call("base", "detect", [made_with("yolo"), made_with("yolo")], 2.0).key == key
    assert finished_call("base", "detect", made_with("other"), 1.0).key != key
    assert finished_call("base 2", "detect", made_with("yolo"), 1.0).key != key
    other = made_with("yolo")
    other["provenance"]["weights"][0]["sha256"] = "ee" * 32
    assert finished_call("base", "detect", other, 1.0).key != key


def test_the_first_work_that_holds_is_taken(home: Any, world: Callable[..., None]) -> None:
    old = finished_call("base", "detect", made_with("other"), 1.0)
    new = finished_call("base", "detect", made_with("yolo"), 1.0)
    world({"yolo": HASHES["yolo"]}, detector="yolo")
    assert CurrentWeights().first_valid([old, new]) is new and CurrentWeights().first_valid([old]) is None


def test_the_base_tells_calls_apart(home: Any) -> None:
    tools = load([TOOLS])
    base = base_key(tools["bright"], {"image": REF})
    assert base_key(tools["bright"], {"image": {**REF, "summary": {"width": 5}}, "level": 128}) == base  # the default
    assert base_key(tools["bright"], {"image": {**REF, "sha256": "ef" * 32}}) != base
    assert base_key(tools["bright"], {"image": {**REF, "kind": "Text"}}) != base
    assert base_key(tools["bright"], {"image": REF, "level": 100}) != base
    assert base_key(tools["halves"], {"image": REF}) != base


def test_the_signature_is_of_steps_tools_and_roles(home: Any, world: Callable[..., None]) -> None:
    tools = load([TOOLS])
    plan = Plan.load(DARKEN)
    before = signature(plan, tools)
    assert signature(Plan.load({**DARKEN, "request": "in other words"}), tools) == before
    assert signature(Plan.load({**DARKEN, "steps": DARKEN["steps"][:1], "outputs": ["$s1"]}), tools) != before
    other = copy(tools["darken"])
    other.version = "2"
    assert signature(plan, {**tools, "darken": other}) != before
    assert base_key(other, {"image": REF, "regions": REF}) != base_key(tools["darken"], {"image": REF, "regions": REF})
    world(detector="other")
    assert signature(plan, tools) != before
    world({**HASHES, "yolo": "ee" * 32}, detector="yolo")
    assert signature(plan, tools) != before
    world({}, detector="yolo")
    missing = signature(plan, tools)
    assert missing != before
    world(detector="yolo")
    assert signature(plan, tools) == before


def test_the_signature_is_of_every_argument_and_of_roles_whose_weights_are_missing(
    home: Any, world: Callable[..., None]
) -> None:
    tools = load([TOOLS])
    lighter = {
        **DARKEN,
        "steps": [DARKEN["steps"][0], {**DARKEN["steps"][1], "args": {**DARKEN["steps"][1]["args"], "how": "grey"}}],
    }
    assert signature(Plan.load(lighter), tools) != signature(Plan.load(DARKEN), tools)
    world({}, detector="yolo")
    missing = signature(Plan.load(DARKEN), tools)
    world({}, detector="other")
    assert signature(Plan.load(DARKEN), tools) != missing


def test_finished_work_holds_the_seconds_the_tool_and_each_weight_once(home: Any, world: Callable[..., None]) -> None:
    work = finished_call("base", "detect", [made_with("yolo"), made_with("other", "yolo"), REF], 2.5)
    assert (work.base, work.tool, work.seconds) == ("base", "detect", 2.5)
    assert json.loads(work.weights) == [{"id": name, "sha256": HASHES[name]} for name in ("other", "yolo")]
    assert finished_call("base", "count", REF, 1.0)[3:5] == ("[]", "{}")


def test_each_of_several_inputs_and_words_count(home: Any) -> None:
    tools = load([TOOLS])
    other = {**REF, "sha256": "ef" * 32}
    base = base_key(tools["darken"], {"image": REF, "regions": other})
    assert base_key(tools["darken"], {"image": other, "regions": REF}) != base
    assert base_key(tools["darken"], {"image": REF, "regions": [other]}) != base
    assert base_key(tools["darken"], {"image": REF, "regions": [other, other]}) != base_key(
        tools["darken"], {"image": REF, "regions": [other]}
    )
    assert base_key(tools["darken"], {"image": REF, "regions": None}) == base_key(tools["darken"], {"image": REF})
    say = load()["speak"]
    assert base_key(say, {"text": "hello"}) != base_key(say, {"text": "good bye"})


def test_weights_are_read_once_and_missing_ones_hold_for_nothing(
    home: Any, world: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def verified_hash(name: str) -> str:
        read.append(name)
        return HASHES[name]

    monkeypatch.setattr(keys, "verified_hash", verified_hash)
    present = CurrentWeights()
    one, two = (
        finished_call("base", "detect", made_with("yolo"), 1.0),
        finished_call("base 2", "detect", made_with("yolo", "other"), 1.0),
    )
    assert (
        present.is_valid(one)
        and present.is_valid(one)
        and present.is_valid(two)
        and present.is_valid(two)
        and sorted(read) == ["other", "yolo"]
    )
    world({"yolo": HASHES["yolo"]}, detector="yolo")
    assert CurrentWeights().is_valid(one) and not CurrentWeights().is_valid(two)  # one of the two is gone


RELEASED = """\
from tools import Detections, Image, tool


@tool
def bright(image: Image, level: int = 128) -> Detections:
    "Find the bright parts of an image."
    raise NotImplementedError


@tool
def darken(image: Image, regions: Detections) -> Image:
    "Darken regions of an image."
    raise NotImplementedError
"""
"""A tools file that never changes: its content is part of the keys."""


def test_keys_stay_the_same_from_one_release_to_the_next(home: Any, world: Callable[..., None], tmp_path: Path) -> None:
    """Whoever changes one of these has every earlier run of everybody worked again."""
    (tmp_path / "released.py").write_text(RELEASED)
    tools = load([str(tmp_path / "released.py")])
    work = finished_call(base_key(tools["darken"], {"image": REF, "regions": REF}), "darken", made_with("yolo"), 1.0)
    assert work.base == "bec74551e480c9130496b41350b29d1c0291b0c0dadbb91c60cab3f65eff70eb"
    assert work.key == "62fa10b7063ec5b211de30aa262d0c28d672eb73e27d19bd6f4846865c1ba984"
    assert signature(Plan.load(DARKEN), tools) == "5ad7f3f7000bc37a3b3cdb24d653cb718aa0b1a38f3e4c9a125f85ca7af651e6"
