"""The repair loop: a session and the commands that only plan ask the same planner equally often, for the same plan."""

import ast
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from agents.plan.plan import Plan, PlanInvalid, Step
from agents.plan.problems import Problem
from agents.plan.types import value_types
from agents.planners.base import ATTEMPTS, Confidence
from agents.planners.repair import Attempt, PlanningTask, ask, examine, plan_request
from agents.session.policy import Policy
from agents.session.session import Session
from tests.agents.fakes import TOOLS, Scripted, picture, plan
from tools import Store

ROOT = Path(__file__).parents[2]
REQUEST, VALUES = "read it and detect things", {"image": "Image"}
ANSWERS: dict[str, Plan | PlanInvalid] = {
    "good": plan(("read", {}), outputs=("$s1",), request="other words"),
    "named": Plan(steps=(Step(id="reading", tool="read"), Step(id="also", tool="read", args={"image": "$image"}))),
    "faulty": plan(("detect", {})),
    "unknown": plan(("reed", {}), ("count", {})),
    "invalid": PlanInvalid("no call came back", "Call submit_plan once"),
    "nothing": plan(),
    "whole": plan(("read", {}), ("detect", {"labels": ["thing"]})),
}
TASK = PlanningTask(REQUEST, value_types(VALUES), TOOLS, given=["image"])


def scripted(names: Sequence[str]) -> Scripted:
    return Scripted([ANSWERS[name] for name in names])


@pytest.fixture(scope="module")
def in_session(tmp_path_factory: pytest.TempPathFactory) -> "InSession":
    return InSession(tmp_path_factory.mktemp("store"))


class InSession:
    """Plans in sessions that approve nothing by themselves."""

    def __init__(self, folder: Path) -> None:
        self.store, self.saver = Store(folder), InMemorySaver()
        self.image = self.store.put(picture())

    def __call__(self, planner: Scripted, thread: str) -> tuple[object, ...]:
        policy = Policy(read_only=False)
        with Session(
            thread, tools=TOOLS, planner=planner, store=self.store, memory=self.saver, policy=policy
        ) as session:
            *_, last = session.start(REQUEST, {"image": self.image})
            record = session.record()
        assert (last["event"] == "approval") == bool(not record["problems"] and record["plan"] and record["steps"])
        return record["plan"], record["problems"], record["warnings"]


@pytest.mark.parametrize("first", ANSWERS)
def test_sessions_and_commands_plan_alike(first: str, in_session: InSession) -> None:
    for rest in product(ANSWERS, repeat=ATTEMPTS - 1):
        names = (first, *rest)
        one, other = scripted(names), scripted(names)
        last = plan_request(REQUEST, VALUES, TOOLS, one)
        found = (
            last.plan and last.plan.to_json(),
            [problem.to_json() for problem in last.problems],
            [warning.to_json() for warning in last.warnings],
        )
        assert in_session(other, "-".join(names)) == found, names
        assert one.asked == other.asked, names


@pytest.mark.parametrize(
    ("names", "asked", "works"),
    [
        (["good", "good", "faulty"], 2, True),  # it does not detect, and is asked for that once
        (["good", "faulty", "good"], 2, True),
        (["whole", "good"], 1, True),
        (["faulty", "good"], 3, True),
        (["faulty", "unknown", "good"], 3, True),
        (["faulty", "unknown", "invalid", "good"], 3, False),
        (["faulty", "faulty", "good"], 2, False),  # it would repeat itself
        (["faulty", "invalid", "faulty", "good"], 3, False),
        (["faulty", "nothing", "good"], 2, False),  # it gave up
        (["nothing", "good"], 1, False),
        (["invalid", "nothing", "good"], 2, False),
        (["invalid", "invalid", "good"], 3, True),
    ],
)
def test_how_often_a_planner_is_asked(names: list[str], asked: int, works: bool) -> None:
    planner = scripted(names)
    last = plan_request(REQUEST, VALUES, TOOLS, planner)
    assert (len(planner.asked), last.works) == (asked, works)


def test_what_is_said_at_the_end() -> None:
    def problems(*names: str) -> list[str]:
        return [str(problem) for problem in plan_request(REQUEST, VALUES, TOOLS, scripted(names)).problems]

    missing, invalid = "s1.labels: detect needs labels. Add labels", "no call came back. Call submit_plan once"
    assert problems("faulty", "nothing") == problems("faulty", "faulty") == [missing]
    assert problems("faulty", "unknown", "invalid") == [invalid]
    assert problems("invalid", "nothing") == []  # no plan was wrong: no tool fits


def test_one_round() -> None:
    asked = ask(TASK, Attempt(), scripted(["named"]))
    assert asked.plan is not None and [step.id for step in asked.plan.steps] == ["s1", "s2"]
    assert (asked.plan.request, asked.asked, asked.problems) == (REQUEST, 1, ())
    examined = examine(TASK, asked)
    assert examined.plan is not None and examined.plan.steps[0].args == {"image": "$image"}
    assert examined.again and examined.kept == examined.plan and not examined.works
    assert [problem.tools for problem in examined.problems] == [("detect",)]
    assert examine(TASK, examined) == examined  # a killed process examines it again
    brought = examine(TASK, Attempt(asked.plan))  # by a person, who knows what is left out
    assert brought.works and not brought.again and [w.message for w in brought.warnings] != []
    faulty = examine(TASK, Attempt(plan(("reed", {})), asked=1))
    assert faulty.again and not faulty.works and faulty.plan is not None and faulty.faulty == faulty.plan.hash
    assert (
        ask(TASK, Attempt(None, (Problem("", "", "none"),), asked=2, faulty="x"), scripted(["invalid"])).faulty == "x"
    )


@pytest.mark.parametrize(
    ("second", "taken"),
    [
        ("whole", True),
        ("good", False),
        ("nothing", False),
        ("invalid", False),
        ("unknown", False),
        ("stranger", False),  # it covers the verb, but looks for what nobody named
    ],
)
def test_a_plan_that_leaves_something_out_is_kept_unless_a_better_one_comes(
    second: str, taken: bool, in_session: InSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANSWERS, "stranger", plan(("read", {}), ("detect", {"labels": ["unicorn"]})))
    planner = scripted(["good", second])
    last = plan_request(REQUEST, VALUES, TOOLS, planner)
    assert len(planner.asked) == 2 and [problem.tools for problem in planner.asked[1][2]] == [("detect",)]
    assert last.works and last.plan is not None
    assert last.plan.tools == (("read", "detect") if taken else ("read",))
    assert [str(w) for w in last.warnings] == (
        []
        if taken
        else ['the request says "detect", and no step does (detect would). Say it in other words, or edit the plan']
    )
    assert in_session(scripted(["good", second]), f"kept-{second}") == (
        last.plan.to_json(),
        [],
        [warning.to_json() for warning in last.warnings],
    )


@pytest.mark.parametrize(("second", "sure"), [("whole", 0.2), ("good", 0.7), ("nothing", 0.7), ("invalid", 0.7)])
def test_confidence_is_of_the_plan_that_was_taken(second: str, sure: float) -> None:
    class Sure(Scripted):
        def plan_with_confidence(self, *given: Any) -> tuple[Plan, Confidence]:
            return self.plan(*given), Confidence(0.7 if len(self.asked) == 1 else 0.2)

    last = plan_request(REQUEST, VALUES, TOOLS, Sure(scripted(["good", second]).plans))
    assert last.confidence == Confidence(sure)


def test_a_file_that_no_step_uses_is_asked_for_once() -> None:
    first, second = plan(("say", {"text": "hello"})), plan(("read", {}), ("say", {"text": "$s1"}))
    for plans, tools in (((first, second), ("read", "say")), ((first, first), ("say",))):
        planner = Scripted(plans)
        last = plan_request("say it", VALUES, TOOLS, planner)
        assert last.plan is not None and last.plan.tools == tools and len(planner.asked) == 2
        assert "read" in planner.asked[1][2][0].tools and "say" not in planner.asked[1][2][0].tools


def test_a_picture_that_is_missing_is_not_made_up() -> None:
    from tools.generate import generate

    tools = {**TOOLS, "generate": generate}
    faulty, drawn = plan(("detect", {"labels": ["dog"]})), plan(("generate", {"prompt": "the dog"}))
    last = plan_request("cut out the dog", {}, tools, Scripted([faulty, drawn]))
    assert last.plan is not None and last.plan.tools == ("detect",)
    assert [problem.argument for problem in last.problems] == ["image"]
    wrong = plan(("generate", {"prompt": "a dog", "seed": "x"}))
    last = plan_request("paint a dog", {}, tools, Scripted([wrong, drawn]))  # which was asked for
    assert last.works and last.plan is not None and last.plan.tools == ("generate",)


def test_a_tool_for_people_alone_is_not_offered_but_may_be_in_a_plan() -> None:
    from tools.keep import keep

    seen: list[str] = []

    class Looks(Scripted):
        def plan(self, request, values, tools, *more, **named):  # type: ignore[no-untyped-def]
            seen.extend(card["name"] for card in tools)
            return super().plan(request, values, tools, *more, **named)

    tools = {**TOOLS, "keep": keep}
    asked = plan_request(
        REQUEST,
        VALUES,
        tools,
        Looks([plan(("detect", {"labels": ["dog"]}), ("keep", {"labels": ["dog"], "min_scores": [0.5]}))]),
    )
    assert "detect" in seen and "keep" not in seen
    assert asked.works, asked.problems


def test_only_the_loop_asks_a_planner() -> None:
    """Every door plans through it, so that one planning is measured and obeys one policy."""
    asking = set()
    for package in ("agents", "api", "flows", "superlink", "ui"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in ("plan", "plan_with_confidence", "decode"):
                    owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
                    if owner in ("planner", "model"):
                        asking.add(str(file.relative_to(ROOT)))
    assert asking == {"agents/planners/repair.py", "agents/planners/backbone.py"}
