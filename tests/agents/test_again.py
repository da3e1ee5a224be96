"""Asking for the same thing again: finished steps count, the others run."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agents.plan.plan import Plan
from agents.plan.types import AnyTool
from agents.session.session import Session, SessionError
from tests.agents.fakes import TOOLS, Scripted, picture, plan
from tools import Store, Text, tool
from tools.core.settings import settings
from tools.weights import weights

Open = Callable[..., Session]
CHAIN = plan(("note", {"text": "a"}), ("note", {"text": "$s1"}), ("note", {"text": "$s2"}), ("note", {"text": "b"}))


class Notes:
    """A tool that notes what it works on, and fails on some of it."""

    def __init__(self, version: str = "1") -> None:
        self.runs: list[str] = []
        self.failing: set[str] = set()

        @tool(version=version)
        def note(text: Text) -> Text:
            """Note a text."""
            self.runs.append(text.text)
            if text.text in self.failing:
                raise RuntimeError("not today")
            return Text(f"{text.text}+")

        self.tools: Mapping[str, AnyTool] = {**TOOLS, "note": note}


@pytest.fixture
def open_session(tmp_path: Path) -> Iterator[Open]:
    sessions: list[Session] = []

    def open_(tools: Mapping[str, AnyTool], *plans: Plan) -> Session:
        sessions.append(
            Session("t", tools=tools, planner=Scripted(plans), store=Store(tmp_path / "store"), memory=tmp_path / "m")
        )
        return sessions[-1]

    yield open_
    for session in sessions:
        session.close()


def states(record: dict[str, Any]) -> dict[str, str]:
    return {step["id"]: step["state"] for step in record["steps"]}


def test_only_what_has_no_result_runs_again(open_session: Open) -> None:
    notes = Notes()
    notes.failing = {"a+"}
    session = open_session(notes.tools)
    done = list(session.start("go", plan=CHAIN))[-1]
    assert states(done["record"]) == {"s1": "finished", "s2": "failed", "s3": "skipped", "s4": "finished"}
    notes.failing, notes.runs = set(), []
    events = list(open_session(notes.tools).again())
    assert notes.runs == ["a+", "a++"]
    assert states(events[-1]["record"]) == dict.fromkeys(("s1", "s2", "s3", "s4"), "finished")
    assert events[-1]["answer"] == "note (s3): a+++\nnote (s4): b+"
    assert list(open_session(notes.tools).again()) == [events[-1]]
    assert notes.runs == ["a+", "a++"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"b" + file.read_bytes()[1:])])
def test_values_that_are_gone_or_damaged_are_made_again_with_all_that_uses_them(
    open_session: Open, damage: Callable[[Path], object]
) -> None:
    notes = Notes()
    session = open_session(notes.tools)
    first = list(session.start("go", plan=CHAIN))[-1]
    damage(session.store.path(first["record"]["steps"][1]["refs"]))  # type: ignore[arg-type]
    notes.runs = []
    last = list(session.again())[-1]
    assert notes.runs == ["a+", "a++"]
    assert last["answer"] == first["answer"]


def test_a_new_version_of_a_tool_runs_again(open_session: Open) -> None:
    list(open_session(Notes().tools).start("go", plan=CHAIN))
    newer = Notes(version="2")
    list(open_session(newer.tools).again())
    assert sorted(newer.runs) == ["a", "a+", "a++", "b"]


def test_other_weights_run_again(open_session: Open, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    @tool
    def look(text: Text) -> Text:
        """Look with weights."""
        runs.append(weights.use(settings().role("face")))
        return text

    session = open_session({"look": look})
    list(session.start("go", plan=plan(("look", {"text": "x"}))))
    list(session.again())
    assert len(runs) == 1
    monkeypatch.setenv("SUPERLINK_ROLE_FACE", "yolo26n")
    settings.cache_clear()
    assert states(list(session.again())[-1]["record"]) == {"s1": "failed"}  # those weights are not here


def test_weights_that_others_need_count_as_chosen(
    open_session: Open, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planner's core that another engine loads, too, or a part that no role names."""
    (tmp_path / "part").write_text("numbers")
    entry = 'licence = "MIT"\nfile = "part"\nsources = [{ path = "' + str(tmp_path / "part") + '" }]\n'
    home.mkdir(exist_ok=True)
    (home / "weights.toml").write_text(
        f'[whole]\nroles = ["face"]\nneeds = ["part"]\nformat = "text"\n{entry}'
        f'[part]\nroles = []\nformat = "text"\n{entry}'
    )
    for weights_id in ("whole", "part"):
        weights.pull(weights_id, trust=True)
    monkeypatch.setenv("SUPERLINK_ROLE_FACE", "whole")
    settings.cache_clear()
    runs = []

    @tool
    def look(text: Text) -> Text:
        """Look with both."""
        runs.append([weights.use("whole"), weights.use("part")])
        return text

    session = open_session({"look": look})
    assert states(list(session.start("go", plan=plan(("look", {"text": "x"}))))[-1]["record"]) == {"s1": "finished"}
    list(session.again())
    assert len(runs) == 1


def test_a_plan_that_failed_can_be_brought_again(open_session: Open) -> None:
    notes = Notes()
    notes.failing = {"a"}
    session = open_session(notes.tools)
    broken = plan(("note", {"text": "a"}), ("note", {"text": "$s1"}))
    assert states(list(session.start("go", plan=broken))[-1]["record"]) == {"s1": "failed", "s2": "skipped"}
    notes.failing = set()
    done = list(session.start("go", plan=broken))[-1]
    assert done["record"]["problems"] == []
    assert states(done["record"]) == {"s3": "finished", "s4": "finished"}


def test_what_never_ran_is_no_turn_to_go_on_with(open_session: Open) -> None:
    session = open_session(TOOLS, plan(("detect", {"labels": ["dog"]}), ("blur", {})))
    with pytest.raises(SessionError, match="no plan has run"):
        session.again()
    list(session.start("blur", {"image": picture()}))
    with pytest.raises(SessionError, match="no plan has run"):
        session.again()
    list(session.resume({"action": "reject"}))
    with pytest.raises(SessionError, match="no plan has run"):
        session.again()


def test_a_forgotten_thread_is_new_and_numbers_from_one(open_session: Open) -> None:
    notes = Notes()
    session = open_session(notes.tools)
    list(session.start("go", plan=CHAIN))
    session.forget()
    assert session.state()["stands"] == "new"
    assert list(list(session.start("go", plan=CHAIN))[-1]["outputs"]) == ["s3", "s4"]
