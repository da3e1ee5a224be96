"""Plans that their planner doubts wait for a person, whatever else is allowed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from agents.plan.plan import Plan
from agents.planners.base import Confidence, Planner
from agents.planners.repair import plan_request
from agents.session.policy import Policy, doubt, doubtful, in_words, percent, unsure
from agents.session.session import Session
from agents.session.state import confidence_of
from tests.agents.fakes import TOOLS, UNSURE, Confident, Scripted, picture, plan
from tools import Store
from tools.core.settings import settings

DOGS = ("detect", {"labels": ["dog"]})
LOOKS, MAKES = plan(DOGS, ("count", {})), plan(DOGS, ("blur", {}))


@pytest.fixture
def store(tmp_path: Path, home: Path) -> Store:
    return Store(tmp_path / "store")


def started(planner: Planner, store: Store, policy: Policy, given: Plan | None = None) -> tuple[Session, Any]:
    session = Session("t", tools=TOOLS, planner=planner, store=store, memory=InMemorySaver(), policy=policy)
    return session, list(session.start("dogs", {"image": picture()}, given))[-1]


@pytest.mark.parametrize(
    ("policy", "made"),
    [
        (Policy(yes=True), MAKES),
        (Policy(yes=True), LOOKS),
        (Policy(), LOOKS),
        (Policy(approved_tools={("detect", "blur")}), MAKES),
    ],
)
def test_a_doubtful_plan_waits(policy: Policy, made: Plan, store: Store) -> None:
    session, last = started(Confident([made]), store, policy)
    assert last["event"] == "approval" and last["confidence"] == UNSURE.to_json()
    assert not session.record()["outputs"]
    done = list(session.resume({"action": "accept"}))[-1]
    assert done["record"]["decisions"] == [{"action": "accept"}]
    assert done["record"]["result"] == "done" and done["record"]["confidence"]["plan"] == 0.3
    for planner in (Confident([made], Confidence(0.6, (), 0.5)), Scripted([made]), Confident([made], None)):
        assert started(planner, store, policy)[1]["event"] == "done"


def test_what_a_person_approved_edited_or_brought_is_not_doubted(store: Store) -> None:
    session, last = started(Confident([LOOKS]), store, Policy())
    assert started(Confident([LOOKS]), store, Policy(approved={last["hash"]}))[1]["event"] == "done"
    edited = Plan.load(last["plan"]).model_copy(update={"outputs": ("$s1", "$s2")})
    done = list(session.resume({"action": "edit", "plan": edited.to_json()}))[-1]
    assert done["event"] == "done" and done["record"]["confidence"] is None
    brought = started(Confident(), store, Policy(), LOOKS)[1]
    assert brought["event"] == "done" and brought["record"]["confidence"] is None


def test_a_remark_brings_a_confidence_of_its_own(store: Store) -> None:
    planner = Confident([LOOKS, MAKES])
    session, _ = started(planner, store, Policy(yes=True))
    planner.confidence = Confidence(0.8, (0.9, 0.8), 0.5)
    last = list(session.resume({"action": "change", "remark": "blur them"}))[-1]
    assert last["event"] == "approval" and last["confidence"]["plan"] == 0.8


def test_commands_and_sessions_know_the_same_confidence(store: Store) -> None:
    faulty = plan(("detect", {}))
    session, last = started(Confident([faulty, LOOKS]), store, Policy())
    attempt = plan_request("dogs", {"image": "Image"}, TOOLS, Confident([faulty, LOOKS]))
    assert attempt.confidence == UNSURE == confidence_of(last) == confidence_of(session.record())


@pytest.fixture
def least(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    settings.cache_clear()


def test_the_limit_is_that_of_the_planner_unless_the_settings_say_another(
    least: pytest.MonkeyPatch, home: Path
) -> None:
    assert doubtful(UNSURE) and not doubtful(None) and not doubtful(Confidence(0.5, (), 0.5))
    for limit, waits in (("0", False), ("0.2", False), ("0.31", True), ("1", True)):
        least.setenv("SUPERLINK_LEAST_CONFIDENCE", limit)
        settings.cache_clear()
        assert doubtful(UNSURE) is waits and bool(doubt(UNSURE)) is waits
        assert not doubtful(None)
    assert "30 % sure of this plan" in doubt(UNSURE) and "below 99 %" in doubt(UNSURE)


def test_confidence_in_words() -> None:
    assert in_words(UNSURE, ["s1", "s2"]) == "30 % sure of this plan; of s2 40 %"
    assert in_words(UNSURE) == "30 % sure of this plan" and in_words(None, ["s1"]) == ""
    assert (percent(0.0), percent(0.724), percent(1.0)) == ("1 %", "72 %", "99 %")
    assert (unsure(0.9), unsure(0.61)) == ("", "61 % sure")
    assert Confidence.of_json(UNSURE.to_json()) == UNSURE
