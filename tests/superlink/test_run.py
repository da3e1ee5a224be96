"""``superlink run`` given again: after a failure, a full disk, a kill, or as it is."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pil

from agents.session import nodes
from superlink.cli import main
from superlink.commands import run as command
from superlink.stopping import Stopping
from tests.agents.fakes import UNSURE, Confident, plan
from tools.core.settings import settings
from tools.storage import atomic

OWN = str(Path(__file__).with_name("own_tools.py"))
Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a plan of the given steps; the same steps are the same command."""
    monkeypatch.setenv("OWN_TOOLS", str(tmp_path))
    monkeypatch.setattr(Stopping, "_start_watcher", lambda self: None)  # signals are tested in processes of their own

    def run_(steps: list[tuple[str, dict[str, Any]]], *more: str, yes: bool = True) -> int:
        (tmp_path / "plan.json").write_text(written(steps))
        arguments = ["run", "go", *more, "--plan", str(tmp_path / "plan.json"), "--tools", OWN]
        return main([*arguments, *(["--yes"] if yes else []), "--out", str(tmp_path / "out")])

    return run_


def written(steps: list[tuple[str, dict[str, Any]]]) -> str:
    rows = [{"id": f"s{n}", "tool": tool, "args": args} for n, (tool, args) in enumerate(steps, 1)]
    return json.dumps({"request": "go", "steps": rows, "outputs": [f"$s{len(rows)}"]})


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


CHAIN: list[tuple[str, dict[str, Any]]] = [("note", {"text": "a", "number": 1}), ("note", {"text": "$s1", "number": 2})]
MENDED = [CHAIN[0], ("mended", {"text": "$s1"}), ("note", {"text": "$s2", "number": 3})]


def test_the_same_command_twice_gives_the_same_files_and_runs_once(run: Run, tmp_path: Path) -> None:
    assert run(CHAIN) == 0
    before = content(tmp_path / "out")
    assert before.keys() == {"s2_note.txt", "record.json"}
    assert run(CHAIN) == 0
    assert content(tmp_path / "out") == before
    assert (tmp_path / "log").read_text().split() == ["1", "2"]
    assert run(CHAIN, "--fresh") == 0
    assert content(tmp_path / "out").keys() == before.keys()
    assert (tmp_path / "log").read_text().split() == ["1", "2", "1", "2"]


def test_a_failed_run_finishes_when_it_is_given_again(run: Run, tmp_path: Path) -> None:
    assert run(MENDED) == 1
    assert run(MENDED) == 1
    (tmp_path / "mended").touch()
    assert run(MENDED) == 0
    assert (tmp_path / "log").read_text().split() == ["1", "3"]
    assert (tmp_path / "out" / "s3_note.txt").read_text() == "a>1 mended>3"


def test_a_run_killed_before_its_files_were_written_writes_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("agents.session.results.write_results", stopped)
        assert run(CHAIN) == 130
    assert "stopped. Finished steps: s1, s2. What is finished is kept" in capsys.readouterr().err
    assert run(CHAIN) == 0
    assert (tmp_path / "log").read_text().split() == ["1", "2"]
    assert (tmp_path / "out" / "s2_note.txt").read_text() == "a>1>2"


def test_a_full_disk_leaves_no_file_and_the_same_command_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "flush", full)
        assert run(CHAIN) == 1
    assert "s2_note.txt cannot be written: the disk is full" in capsys.readouterr().err
    assert content(tmp_path / "out") == {}
    assert run(CHAIN) == 0
    assert (tmp_path / "log").read_text().split() == ["1", "2"]


def test_another_plan_under_the_same_name_is_another_run(run: Run, tmp_path: Path) -> None:
    assert run(CHAIN) == 0
    assert run([CHAIN[0], ("note", {"text": "$s1", "number": 9})]) == 0
    assert (tmp_path / "out" / "s2_note.txt").read_text() == "a>1>9"


def pictures(folder: Path, *names: str) -> list[str]:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        Pil.new("RGB", (8, 8), (number * 40, 0, 0)).save(folder / name)
    return [str(folder / name) for name in names]


def test_files_of_one_name_have_results_of_their_own(run: Run, tmp_path: Path) -> None:
    files = pictures(tmp_path, "x/a.png", "y/a.png", "z/a_2.png")
    assert run([("flip", {"image": "$image"})], *files) == 0
    made = content(tmp_path / "out")
    assert len({data for name, data in made.items() if name.endswith("s1_flip.png")}) == 3
    assert run([("flip", {"image": "$image"})], *files) == 0
    assert content(tmp_path / "out") == made


def test_two_files_of_one_content_have_the_same_results(run: Run, tmp_path: Path) -> None:
    (file,) = pictures(tmp_path, "x/a.png")
    (tmp_path / "x" / "b.png").write_bytes(Path(file).read_bytes())
    assert run([("flip", {"image": "$image"})], file, str(tmp_path / "x" / "b.png")) == 0
    made = content(tmp_path / "out")
    assert made.keys() == {f"{name}/{file}" for name in "ab" for file in ("s1_flip.png", "record.json")}
    assert made["a/s1_flip.png"] == made["b/s1_flip.png"]


def test_what_waited_for_approval_runs_with_yes(run: Run, tmp_path: Path) -> None:
    (file,) = pictures(tmp_path, "x/a.png")
    assert run([("flip", {"image": "$image"})], file, yes=False) == 1
    assert run([("flip", {"image": "$image"})], file) == 0
    assert content(tmp_path / "out").keys() == {"s1_flip.png", "record.json"}


def test_a_step_over_its_time_fails_and_runs_when_it_is_given_more(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [CHAIN[0], ("awake", {"text": "$s1", "how": "native"})]
    monkeypatch.setenv("SUPERLINK_STEP_TIMEOUT", "0.2")
    settings.cache_clear()
    assert run(steps) == 1
    assert (
        "s2 (awake) failed: it took longer than 0.2 s, which is the limit for a step. Give a" in capsys.readouterr().out
    )
    (tmp_path / "awake").touch()
    assert run(steps) == 0
    assert (tmp_path / "log").read_text().split() == ["1"]


HOLDS = """
import sys
from pathlib import Path
from superlink import threads
with threads.lock_thread(sys.argv[1], Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_work_on_one_run(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("superlink.threads.thread_of", lambda *args: "t")
    environment = {**os.environ, "PYTHONPATH": str(Path(command.__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, "t", str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        assert run(CHAIN) == 1
        assert "another process is at work on the same run. Wait" in capsys.readouterr().err
        other.communicate()
    assert run(CHAIN) == 0


def test_what_was_left_out_and_what_changed_nothing_is_reported(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Pil.new("RGB", (30, 20)).save(tmp_path / "black.png")
    assert run([("read_nothing", {"image": "$image"})], str(tmp_path / "black.png")) == 0
    assert "No words were found." in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["result"] == "nothing" and record["warnings"] == []
    assert run(CHAIN, str(tmp_path / "black.png")) == 0
    output = capsys.readouterr().out
    assert (
        "Warning: no step uses $image, which came with the request" in output
        and "Left out: no step uses $image" in output
    )
    assert json.loads((tmp_path / "out" / "record.json").read_text())["result"] == "partly"


def test_a_terminal_shows_how_much_of_a_step_is_done(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nodes, "_PROGRESS_SECONDS", 0)
    steps = [("rounds", {"text": "a", "count": 1234})]
    assert run(steps) == 0
    assert "/1234" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes any output for a terminal
    assert run(steps, "--fresh") == 0
    assert "/1234" in capsys.readouterr().out


def test_a_doubtful_plan_is_shown_and_not_run_without_a_person(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    note = plan(("note", {"text": "a", "number": 1}))
    monkeypatch.setenv("OWN_TOOLS", str(tmp_path))
    monkeypatch.setattr(Stopping, "_start_watcher", lambda self: None)
    monkeypatch.setattr(command, "make_planner", lambda given: Confident([note] * 9))
    go = ["run", "note it", "--tools", OWN, "--yes", "--out", str(tmp_path / "out")]
    for _ in range(2):  # the same command again does not slip through
        assert main(go) == 1
        said = " ".join("".join(capsys.readouterr()).split())
        assert "s1 note(" in said and "only 30 % sure" in said and "--plan" in said
    assert not (tmp_path / "log").exists() and not (tmp_path / "out").exists()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(command, "ask", lambda screen, question: "y")
    assert main(go) == 0
    assert json.loads((tmp_path / "out" / "record.json").read_text())["confidence"] == UNSURE.to_json()
    (tmp_path / "plan.json").write_text(note.dumps())
    assert main([*go, "--plan", str(tmp_path / "plan.json"), "--fresh"]) == 0
