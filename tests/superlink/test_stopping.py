"""Signals end ``superlink run`` whatever a tool is doing; what was finished is kept, and the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from superlink.cli import main
from tests.waiting import until

OWN = Path(__file__).with_name("own_tools.py")
KEPT = "What is finished is kept; give the same command again to go on"


@pytest.fixture(autouse=True)
def own_tools(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_TOOLS", str(tmp_path))


def command(folder: Path, how: str) -> list[str]:
    steps = [
        {"id": "s1", "tool": "note", "args": {"text": "a", "number": 1}},
        {"id": "s2", "tool": "awake", "args": {"text": "$s1", "how": how}},
    ]
    (folder / "plan.json").write_text(json.dumps({"request": "go", "steps": steps, "outputs": ["$s2"]}))
    return ["run", "go", "--plan", str(folder / "plan.json"), "--tools", str(OWN), "--out", str(folder / "out")]


def asleep(folder: Path) -> None:
    """Wait until the second step is at work."""
    until((folder / "asleep").exists, "the second step")


def goes_on(folder: Path, given: list[str]) -> None:
    (folder / "awake").touch()
    assert main(given) == 0
    assert (folder / "log").read_text().split() == ["1"]
    assert (folder / "out" / "s2_awake.txt").read_text() == "a>1 awake"


def test_a_signal_ends_the_run_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def send() -> None:
        asleep(tmp_path)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=send, daemon=True).start()
    given = command(tmp_path, "python")
    assert main(given) == 143
    assert f"superlink: stopped. Finished steps: s1. {KEPT}" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    goes_on(tmp_path, given)


@pytest.mark.parametrize(("how", "status"), [("native", 130), ("locked", -signal.SIGKILL)])
def test_a_process_ends_whatever_its_tool_does(how: str, status: int, tmp_path: Path) -> None:
    given = command(tmp_path, how)
    environment = {**os.environ, "PYTHONPATH": str(OWN.parents[2])}
    with subprocess.Popen(
        [sys.executable, "-m", "superlink", *given],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        asleep(tmp_path)
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=300)  # the tool would take ten minutes
    assert process.returncode == status and KEPT in output
    goes_on(tmp_path, given)
