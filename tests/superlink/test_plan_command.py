"""``superlink plan`` for a file of requests, with a planner that needs no weights."""

import json
from pathlib import Path

import pytest

from agents.plan.plan import Plan
from agents.planners.backbone import BackbonePlanner
from superlink.cli import main
from superlink.commands import plan as command
from tests.agents.fakes import UNSURE, Confident, Scripted, plan

DOG = plan(("detect", {"labels": ["dog"]}))


@pytest.fixture
def requests(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "make_planner", lambda given: Scripted([DOG] * 9))
    file = tmp_path / "in.jsonl"
    file.write_text(
        '{"request": "box the dog", "media": ["image"]}\n\n{"id": "b", "request": "find it", "media": ["image"]}\n'
    )
    return file


def test_answers_are_written_whole(requests: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.jsonl"
    assert main(["plan", "--requests", str(requests), "--out", str(out)]) == 0
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == [1, "b"]
    before = out.read_bytes()
    requests.write_text(requests.read_text() + "not json\n")
    assert main(["plan", "--requests", str(requests), "--out", str(out)]) == 1
    assert out.read_bytes() == before and list(out.parent.iterdir()) == [out]


def test_lines_without_media_have_the_usual_and_failures_are_said(
    requests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests.write_text('{"id": "a", "request": "box the dog"}\n{"id": "b", "request": "box it", "media": []}\n')
    assert main(["plan", "--requests", str(requests)]) == 1
    shown = capsys.readouterr()
    first, second = map(json.loads, shown.out.splitlines())
    assert "problems" not in first and second["problems"]
    assert shown.err.startswith("b: s1.image: ")


def test_a_full_disk_and_a_missing_file_are_reported(
    requests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--requests", str(requests), "--out", "/dev/full"]) == 1
    assert "/dev/full cannot be written: the disk is full" in capsys.readouterr().err
    assert main(["plan", "--requests", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl cannot be read" in capsys.readouterr().err


def test_how_sure_the_planner_is_is_shown_and_is_no_part_of_the_plan(
    requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "make_planner", lambda given: Confident([DOG] * 9))
    assert main(["plan", "box the dog"]) == 0
    assert "30 % sure of this plan" in capsys.readouterr().out
    assert main(["plan", "box the dog", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written.pop("confidence") == UNSURE.to_json()
    assert Plan.load({**written, "confidence": UNSURE.to_json()}) == Plan.load(written)
    assert main(["plan", "--requests", str(requests), "--out", str(tmp_path / "out.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["confidence"]["plan"] for row in rows] == [0.3, 0.3]


def test_why_says_which_tools_were_considered(
    requests: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["plan", "box the dog", "--why"]) == 0
    assert "Always offered: " in capsys.readouterr().out  # by a planner that reads every card
    assert main(["plan", "box the dog", "--why", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    why = said.pop("why")
    assert "detect" in why["offered"] and why["considered"] == []
    assert Plan.load({**said, "why": why}) == Plan.load(said) and said["request"] == "box the dog"
    own = ["--tools", str(Path(__file__).parents[2] / "benchmarks" / "chain_tools.py")]
    monkeypatch.setattr(BackbonePlanner, "plan_with_confidence", lambda planner, *given: (DOG, None))
    monkeypatch.setattr(command, "make_planner", lambda given: BackbonePlanner())
    assert main(["plan", "draw the result as tally marks", "--why", *own]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Considered by score: 16, of which the planner read 8" in lines
    assert any("tally_marks" in line and line.endswith("read: fits best") for line in lines)
    assert any(line.endswith("left out: others fit better") for line in lines)
    assert main(["plan", "--requests", str(requests), "--why", *own]) == 0
    first, _ = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert len(first["why"]["considered"]) == 16 and first["steps"]
