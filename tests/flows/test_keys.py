"""What makes finished work count again, and what makes it run again."""

import json
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

import pytest

from agents.plan import Plan
from flows import keys
from flows.keys import Present, base_key, finished, signature
from flows.ledger_rows import Work
from tests.flows.conftest import DARKEN, TOOLS
from tools.errors import WeightsMissing
from tools.registry import load
from tools.settings import Settings, settings

HASHES = {"yolo": "aa" * 32, "other": "bb" * 32}
REF: Any = {"kind": "Image", "sha256": "cd" * 32, "media_type": "image/png", "bytes": 5, "summary": {}}


def made_with(*weights: str) -> Any:
    used = [{"id": name, "sha256": HASHES[name], "licence": "MIT"} for name in weights]
    return {**REF, "provenance": {"weights": used}}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say which weights there are, and which roles point to them."""

    def become(hashes: dict[str, str] = HASHES, **roles: str) -> None:
        now: Settings = replace(settings(), roles=roles)

        def verified_hash(name: str) -> str:
            if name not in hashes:
                raise WeightsMissing(f"no {name}")
            return hashes[name]

        monkeypatch.setattr(keys, "settings", lambda: now)
        monkeypatch.setattr(keys, "verified_hash", verified_hash)
        monkeypatch.setattr(keys, "find", lambda name: name)
        monkeypatch.setattr("tools.weights.pinned", verified_hash)

    become(detector="yolo")
    return become


def holds(work: Work) -> bool:
    return Present().first([work]) is work


def test_work_counts_while_its_weights_and_their_roles_are_the_same(home: Any, world: Callable[..., None]) -> None:
    work = finished("base", "detect", made_with("yolo"), 1.0)
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
    key = finished("base", "detect", made_with("yolo"), 1.0).key
    assert finished("base", "detect", [made_with("yolo"), made_with("yolo")], 2.0).key == key
    assert finished("base", "detect", made_with("other"), 1.0).key != key
    assert finished("base 2", "detect", made_with("yolo"), 1.0).key != key
    other = made_with("yolo")
    other["provenance"]["weights"][0]["sha256"] = "ee" * 32
    assert finished("base", "detect", other, 1.0).key != key


def test_the_first_work_that_holds_is_taken(home: Any, world: Callable[..., None]) -> None:
    old = finished("base", "detect", made_with("other"), 1.0)
    new = finished("base", "detect", made_with("yolo"), 1.0)
    world({"yolo": HASHES["yolo"]}, detector="yolo")
    assert Present().first([old, new]) is new and Present().first([old]) is None


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
