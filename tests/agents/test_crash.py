"""Killing the process anywhere and starting again goes on from the last finished step."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("crash_child.py")


def run(folder: Path, place: str, shape: str = "chain") -> int:
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder), place, shape], capture_output=True, text=True, timeout=300
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert run(folder, "-") == 0
    return folder


@pytest.mark.parametrize("place", ["plan", "1", "2", "3", "4", "answer"])
def test_killed_once(place: str, uninterrupted: Path, tmp_path: Path) -> None:
    assert run(tmp_path, place) == -signal.SIGKILL
    before = (tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else []
    assert before == [str(n) for n in range(1, {"plan": 1, "answer": 5}.get(place) or int(place))]
    assert run(tmp_path, place) == 0
    assert (tmp_path / "log").read_text().split() == ["1", "2", "3", "4"]
    assert (tmp_path / "result.json").read_bytes() == (uninterrupted / "result.json").read_bytes()
    ours, theirs = (
        {f.relative_to(root): f.read_bytes() for f in (root / "store").rglob("*") if f.is_file()}
        for root in (tmp_path, uninterrupted)
    )
    assert ours == theirs


def test_killed_beside_a_finished_step(tmp_path: Path) -> None:
    assert run(tmp_path, "2", "side by side") == -signal.SIGKILL
    assert (tmp_path / "log").read_text().split() == ["1"]
    assert run(tmp_path, "2", "side by side") == 0
    assert (tmp_path / "log").read_text().split() == ["1", "2"]


def test_a_turn_that_ended_is_answered_again(uninterrupted: Path) -> None:
    before = (uninterrupted / "result.json").read_bytes()
    assert run(uninterrupted, "-") == 0
    assert (uninterrupted / "result.json").read_bytes() == before
    assert (uninterrupted / "log").read_text().split() == ["1", "2", "3", "4"]
