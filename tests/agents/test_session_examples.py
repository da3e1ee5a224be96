"""Plans that a person approves or corrects in a session become examples, which the next plan's planner sees."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agents.examples.bank import Bank, Example
from agents.examples.choose import Similar
from agents.examples.use import Examples
from agents.plan.plan import Plan
from agents.plan.types import AnyTool
from agents.planners.backbone import RequestEncoder
from agents.planners.base import Demonstration
from agents.session.policy import Policy
from agents.session.session import Session
from tests.agents.fakes import TOOLS, Scripted, picture, plan
from tools import Store, Text, tool
from tools.weights.needs import weights_of

DOGS, CATS = ("detect", {"labels": ["dog"]}), ("detect", {"labels": ["cat"]})
Ask = Callable[..., dict[str, Any]]


class Home:
    """Sessions of one bank, each of a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "store")
        self.bank = Bank(folder / "examples.sqlite")
        self.planners: list[Scripted] = []
        self.sessions: list[Session] = []

    def open(
        self,
        *plans: Plan,
        who: str = "ada",
        policy: Policy | None = None,
        tools: Mapping[str, AnyTool] = TOOLS,
    ) -> Session:
        self.planners.append(Scripted(plans))
        session = Session(
            f"t{len(self.sessions)}",
            tools=tools,
            planner=self.planners[-1],
            store=self.store,
            memory=self.folder / "threads.sqlite",
            policy=policy,
            examples=Examples(self.bank, Similar(), RequestEncoder(), who),
        )
        self.sessions.append(session)
        return session

    def kept(self) -> list[tuple[str, str, list[Any]]]:
        return [(one.demonstration.request, one.origin, one.demonstration.calls) for one in self.bank.all()]


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    for session in home.sessions:
        session.close()


def start(session: Session, request: str = "tag it") -> dict[str, Any]:
    return dict(list(session.start(request, {"image": picture()}))[-1])


def test_a_corrected_plan_enters_and_the_next_planner_sees_it(at_home: Home) -> None:
    session = at_home.open(plan(DOGS, ("blur", {})))
    waiting = start(session)
    assert waiting["event"] == "approval" and at_home.kept() == []
    right = plan(CATS, ("blur", {"how": "fill"}))
    done = list(session.resume({"action": "edit", "plan": right.to_json()}))[-1]
    assert done["event"] == "done" and done["record"]["demonstrations"] == []
    calls = [{"tool": "detect", "args": CATS[1]}, {"tool": "blur", "args": {"how": "fill"}}]
    assert at_home.kept() == [("tag it", "edited", calls)]
    other = at_home.open(plan(CATS))
    record = start(other, "please tag this")["record"]
    ((seen,),) = at_home.planners[-1].shown
    assert (seen.request, seen.calls) == ("tag it", calls)
    assert record["demonstrations"] == [{"id": seen.id, "have": ["Image"], "request": "tag it", "calls": calls}]
    assert record["chooser"] == "similar"


def test_an_approved_plan_enters_once_and_all_plans_of_a_turn_see_the_same(at_home: Home) -> None:
    session = at_home.open(plan(DOGS, ("blur", {})), plan(CATS, ("blur", {})))
    start(session)
    list(session.resume({"action": "accept"}))
    assert [kept[:2] for kept in at_home.kept()] == [("tag it", "approved")]
    later = at_home.open(plan(DOGS, ("blur", {})), plan(CATS, ("blur", {})))
    start(later)
    at_home.bank.remove([one.id for one in at_home.bank.all()])
    list(later.resume({"action": "change", "remark": "the cats"}))
    first, second = at_home.planners[-1].shown
    assert first == second and len(first) == 1
    done = list(later.resume({"action": "accept"}))[-1]
    assert done["record"]["demonstrations"][0]["id"] == first[0].id
    assert [kept[:2] for kept in at_home.kept()] == [("tag it - actually, the cats", "approved")]


def test_nothing_enters_without_a_persons_approval(at_home: Home) -> None:
    assert start(at_home.open(plan(DOGS)), "find the dogs")["event"] == "done"  # read-only
    assert start(at_home.open(plan(DOGS, ("blur", {})), policy=Policy(yes=True)))["event"] == "done"
    alike = Policy(approved_tools=frozenset({("detect", "blur")}))
    assert start(at_home.open(plan(DOGS, ("blur", {})), policy=alike), "blur the dogs")["event"] == "done"
    refused = at_home.open(plan(DOGS, ("blur", {})))
    start(refused)
    list(refused.resume({"action": "reject"}))
    faulty = at_home.open(plan(DOGS, ("blur", {})))
    start(faulty)
    list(faulty.resume({"action": "edit", "plan": plan(("detct", {})).to_json()}))
    program = at_home.open(plan(DOGS, ("blur", {})), who="")
    start(program)
    assert list(program.resume({"action": "accept"}))[-1]["event"] == "done"
    assert at_home.kept() == []


def test_a_corrected_plan_that_lacks_weights_and_is_then_refused_does_not_enter(
    at_home: Home, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERLINK_ROLE_CAPTION", "smolvlm-256m")
    monkeypatch.delenv("SUPERLINK_MODELS", raising=False)

    @tool(needs=weights_of("caption"))
    def describe(text: Text) -> Text:
        """Describe."""
        return text

    session = at_home.open(plan(DOGS, ("blur", {})), tools={**TOOLS, "describe": describe})
    start(session)
    edit = plan(("describe", {"text": "x"})).to_json()
    waiting = list(session.resume({"action": "edit", "plan": edit}))[-1]
    assert waiting["event"] == "approval" and waiting["missing"]
    list(session.resume({"action": "reject"}))
    assert at_home.kept() == []


def test_a_later_turn_leaves_out_what_the_turns_before_made(at_home: Home) -> None:
    session = at_home.open(plan(DOGS, ("blur", {})), plan(("blur", {"how": "fill"})))
    start(session)
    list(session.resume({"action": "accept"}))
    assert start(session, "fill them")["event"] == "approval"
    list(session.resume({"action": "accept"}))
    (first, second) = at_home.bank.all()
    assert second.demonstration.calls == [{"tool": "blur", "args": {"how": "fill"}}]
    assert set(second.demonstration.have) == {"Image", "Detections"}


def test_a_word_of_the_house_needs_no_label_in_the_request_and_an_ordinary_example_teaches_none(at_home: Home) -> None:
    assert start(at_home.open(plan(DOGS)), "tag it")["warnings"][0]["message"].startswith('it looks for "dog"')
    detect = [{"tool": "detect", "args": DOGS[1]}]
    at_home.bank.add([Example(Demonstration(["Image"], "find the dog", detect), "added", "ada")])  # type: ignore[list-item]
    assert start(at_home.open(plan(DOGS)), "find the cat")["warnings"], "copied from the example"
    at_home.bank.add([Example(Demonstration(["Image"], "tag it", detect), "added", "ada")])  # type: ignore[list-item]
    assert start(at_home.open(plan(DOGS)), "tag this one")["event"] == "done"
