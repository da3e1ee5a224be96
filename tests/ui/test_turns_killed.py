"""After `kill -9` every session is back as it was, and what was at work goes on by itself; no step runs twice."""

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("gradio")

from tests.ui.turns_child import open_page
from tests.waiting import WAIT
from ui.turns.view import SessionView


def test_killed_in_every_state(tmp_path: Path) -> None:
    child = Path(__file__).with_name("turns_child.py")
    died = subprocess.run([sys.executable, str(child), str(tmp_path)], capture_output=True, text=True, timeout=WAIT)
    assert died.returncode == -signal.SIGKILL, died.stderr
    before: dict[str, SessionView] = pickle.loads((tmp_path / "views.pickle").read_bytes())
    stages = {name: view.stage for name, view in before.items()}
    assert stages == {
        "done": "idle",
        "approval": "approval",
        "editing": "editing",
        "decided": "queued",
        "brought": "queued",
        "running": "running",
        "planning": "planning",
        "queued": "queued",
    }
    assert before["running"].turn is not None and before["running"].turn.steps["s1"].state == "finished"
    assert (tmp_path / "log").read_text() == "run 1\n"

    turns = open_page(tmp_path, held=False)
    try:
        for name in ("done", "approval", "editing"):
            after = turns.view(before[name].thread, "local")
            assert (after.stage, after.draft, after.turns) == (stages[name], before[name].draft, before[name].turns)
            assert after.version > before[name].version and after.title == before[name].title
        for name in ("decided", "brought", "running", "planning", "queued"):
            *_, last = turns.follow(before[name].thread, "local", 0)
            assert last.turn is not None and (last.stage, last.turn.status) == ("idle", "Done"), name
        turns.decide(before["approval"].thread, "local", {"action": "accept"})
        *_, last = turns.follow(before["approval"].thread, "local", 0)
        assert last.turn is not None and last.turn.status == "Done"
        assert len(turns.sessions("local")) == len(before)
    finally:
        turns.close()
    assert sorted((tmp_path / "log").read_text().splitlines()) == sorted(
        ["run 1", "run>1 2", "own 4", "never 1", "never>1 3", "later 1", "later>1 3"]
    )
