"""``superlink examples``, and the commands whose planner sees them."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pil

from agents.examples.bank import Example
from agents.examples.use import open_bank
from agents.planners.base import Demonstration
from superlink.cli import main
from superlink.commands import plan as plan_command
from superlink.commands import run as run_command
from superlink.stopping import Stopping
from tests.agents.fakes import Scripted, plan
from tools.core.settings import settings

FACES: tuple[str, dict[str, Any]] = ("detect", {"labels": ["face"]})


@pytest.fixture
def plan_file(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SUPERLINK_EXAMPLES", raising=False)
    file = tmp_path / "plan.json"
    plan(FACES, ("redact", {"how": "fill"})).dump(file)
    return file


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    settings.cache_clear()
    assert main(["examples", *arguments]) == status
    shown = capsys.readouterr()
    return shown.err if status else shown.out


def test_from_an_empty_bank_to_one_that_is_used(
    plan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "There are no examples" in said(capsys, "list")
    assert "0 examples.\n" in said(capsys, "status") and said(capsys, "off").startswith("Off.")
    added = said(capsys, "add", "tag it", "--plan", str(plan_file), "--have", "image")
    (one,) = open_bank().all()
    assert added == f"Added {one.id}.\nThe planner sees no examples now: superlink examples on\n"
    listed = said(capsys, "list")
    assert listed.startswith(f"{one.id}  tag it\n") and 'detect(labels=["face"]) → redact(how="fill")' in listed
    assert f"added by {one.who}" in listed
    assert json.loads(said(capsys, "list", "--json"))[0]["id"] == one.id
    assert "is there already" in said(capsys, "add", "Tag it!", "--plan", str(plan_file)) or len(open_bank().all()) == 1
    assert said(capsys, "on").startswith("On.")
    assert "On: the planner sees the 2 examples most like the request" in said(capsys, "status")
    said(capsys, "on", "--chooser", "majority")
    assert "settings.toml says so" in said(capsys, "status") and "for every request" in said(capsys, "status")
    (one,) = open_bank().all()
    assert said(capsys, "off", one.id) == f"{one.id}: off.\n"
    assert "1 example, of which 1 are off" in said(capsys, "status")
    assert said(capsys, "on", one.id) == f"{one.id}: on.\n" and "1 example.\n" in said(capsys, "status")
    out = tmp_path / "out.jsonl"
    assert "1 example in" in said(capsys, "export", str(out))
    assert said(capsys, "remove", one.id) == f"Removed {one.id}.\n"
    assert "1 added, 0 replaced, 0 there already" in said(capsys, "import", str(out))
    assert "0 added, 0 replaced, 1 there already" in said(capsys, "import", str(out))
    assert said(capsys, "off").startswith("Off.") and "Off: the planner sees none" in said(capsys, "status")


def test_status_says_what_chooses_and_why(
    plan_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.examples.verdict.lever_file", lambda: None)
    said(capsys, "on", "--chooser", "words")
    assert "On: the planner sees the 2 examples that explain most words" in said(capsys, "status")
    said(capsys, "on", "--chooser", "lever")
    small = said(capsys, "status")
    assert "On: the planner sees the 2 examples most like the request" in small
    assert "Lever-LM does not choose: it chooses from 20 examples on, and there are 0." in small
    calls: list[Any] = [{"tool": "detect", "args": {"labels": ["face"]}}]
    open_bank().add(Example(Demonstration(["Image"], f"tag {n}", calls), "added", "ada") for n in range(20))
    without = said(capsys, "status")
    assert "for every request" in without and "Lever-LM does not choose: it is not in this installation." in without
    monkeypatch.setenv("SUPERLINK_EXAMPLES_SHOWN", "3")
    assert "the same 3 examples" in said(capsys, "status")


def test_measuring_prints_the_score_of_each_chooser(
    plan_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner is a stand-in."""
    monkeypatch.setattr("agents.examples.use.lever_file", lambda: None)
    monkeypatch.setattr("agents.examples.verdict.lever_file", lambda: None)
    monkeypatch.setattr(
        "agents.examples.use.Likelihood", lambda cards, called: lambda seen, asked: [0.25 + bool(s) / 2 for s in seen]
    )
    assert "Of the examples none is held out" in said(capsys, "status", "--measure")
    calls: list[Any] = [{"tool": "detect", "args": {"labels": ["face"]}}]
    for owner in ("", "bob"):
        open_bank().add(
            Example(Demonstration(["Image"], f"{owner} tag {n}", calls), "added", "ada", owner=owner) for n in range(20)
        )
    printed = said(capsys, "status", "--measure")
    assert "held-out examples, by what" in printed and "held-out examples of bob, by what" in printed
    assert "  none      0.250\n  similar   0.750\n" in printed and "lever " not in printed
    assert "Lever-LM is not in this installation." in printed
    assert open_bank().verdict() is None


def test_wrong_examples_are_refused_in_a_sentence(
    plan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "There is no example abc" in said(capsys, "remove", "abc", status=1)
    assert "The plan cannot run: s1.image" in said(
        capsys, "add", "tag it", "--plan", str(plan_file), "--have", "audio", status=1
    )
    assert "cannot be read" in said(capsys, "add", "tag it", "--plan", str(tmp_path / "none.json"), status=1)
    assert "There is no request in words" in said(capsys, "add", "  ", "--plan", str(plan_file), status=1)
    (tmp_path / "bad.jsonl").write_text('{"have": ["Image"], "request": "x"}\n')
    assert "line 1 is no example: calls" in said(capsys, "import", str(tmp_path / "bad.jsonl"), status=1)
    assert "none.jsonl" in said(capsys, "import", str(tmp_path / "none.jsonl"), status=1)
    assert open_bank().all() == []


def test_the_environment_goes_before_the_switch(
    plan_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUPERLINK_EXAMPLES", "off")
    settings.cache_clear()
    assert main(["examples", "on"]) == 0
    assert "But SUPERLINK_EXAMPLES is off here" in capsys.readouterr().err
    assert "SUPERLINK_EXAMPLES says so" in said(capsys, "status")


def test_plan_shows_its_planner_examples_and_says_which(
    plan_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planner = Scripted([plan(FACES)] * 9)
    monkeypatch.setattr(plan_command, "make_planner", lambda given: planner)
    said(capsys, "add", "tag it", "--plan", str(plan_file))
    (one,) = open_bank().all()
    for chooser, seen in (("off", []), ("similar", [one.demonstration])):
        monkeypatch.setenv("SUPERLINK_EXAMPLES", chooser)
        settings.cache_clear()
        assert main(["plan", "tag this one", "--why", "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["why"]["examples"] == [shown.to_json() for shown in seen]
        assert printed["why"]["chooser"] == (chooser if seen else "")
        assert planner.shown.pop() == seen
    assert main(["plan", "tag this one", "--why"]) == 0
    assert f"Examples seen: 1\n  {one.id}  tag it: detect" in capsys.readouterr().out


def test_the_same_run_goes_on_though_its_plan_became_an_example_and_begins_anew_after_a_correction(
    plan_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Stopping, "_start_watcher", lambda self: None)
    monkeypatch.setenv("SUPERLINK_EXAMPLES", "similar")
    settings.cache_clear()
    monkeypatch.setattr(run_command, "_decision", lambda screen, waiting: {"action": "accept"})
    photo = tmp_path / "photo.png"
    Pil.new("RGB", (64, 48), "white").save(photo)
    planner = Scripted([plan(FACES, ("redact", {}))] * 9)
    monkeypatch.setattr(run_command, "make_planner", lambda given: planner)
    command = ["run", "tag it", str(photo), "--out", str(tmp_path / "out")]

    def record() -> Any:
        return json.loads((tmp_path / "out" / "record.json").read_text())

    assert main(command) == 0 and len(planner.shown) == 1 and record()["demonstrations"] == []
    (one,) = open_bank().all()
    assert (one.demonstration.request, one.origin) == ("tag it", "approved")
    assert main(command) == 0 and len(planner.shown) == 1, "the same command goes on"
    assert "Going on from earlier work" in capsys.readouterr().out
    said(capsys, "add", "tag it", "--plan", str(plan_file))
    assert main(command) == 0 and len(planner.shown) == 2, "a corrected example is seen"
    assert "examples have changed" in capsys.readouterr().out
    assert [shown["calls"][1]["args"] for shown in record()["demonstrations"]] == [{"how": "fill"}]
