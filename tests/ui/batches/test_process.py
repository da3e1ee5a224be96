"""Processes of runs: real ones, which outlive what started them, and are paused, killed and continued."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.annotate import run_batch
from flows.batch.events import Callbacks
from flows.batch.folder_lock import AnnotateError, lock_folder
from flows.batch.prepare import PlanRefused
from flows.batch.spec import RunSpec
from superlink.cli import _parser
from superlink.commands.annotate import run_spec
from tests.flows.conftest import DARKEN, TOOLS
from tests.ui.batches.conftest import OWNER, Desk
from tests.waiting import until
from ui.batches.pilot import counts, read_pilot
from ui.batches.process import (
    approve_and_run,
    cancel,
    command,
    is_running,
    log_tail,
    pause,
    process_of,
    resume,
    retry,
    start_pilot,
)
from ui.batches.runs import RunNotFound, Runs, spec_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("request_", ["", "--yes", '-x "it\'s"', "find every dog"])
def test_the_command_says_the_same_as_the_specification(tmp_path: Path, request_: str) -> None:
    spec = RunSpec.load(
        {
            "source": "/a b/--c",
            "out": tmp_path / "o ut",
            "plan": DARKEN,
            "scores": {"a=b": 0.25, "dog": 0.5},
            "tools": [TOOLS],
            "pilot": 16,
            "shard": 7,
            "workers": 2,
            "limit": 9,
            "budget": ["2h", "5%"],
            "formats": ["coco", "yolo"],
            "routing": {"band": [0.1, 0.2], "bands": {"dog": [0.3, 0.4]}, "audit": 0.5, "seed": 0},
        }
    )
    file = tmp_path / "plan.json"
    assert spec.plan is not None
    file.write_text(spec.plan.dumps())
    given = _parser().parse_args(command(spec, file))
    assert run_spec(given, pilot=given.pilot, limit=given.limit) == spec.model_copy(update={"plan": spec.plan})


def test_from_pilot_to_done(desk: Desk) -> None:
    record = desk.runs.new(OWNER, "Darken the bright parts!")
    assert record.folder.name == "darken-the-bright-parts"
    start_pilot(desk.runs, record.id, OWNER, desk.spec(record))
    with pytest.raises(AnnotateError, match="at work already"):
        start_pilot(desk.runs, record.id, OWNER, desk.spec(record))
    stand = desk.ended(record)
    assert (stand.state, stand.done + stand.failed, stand.left) == ("Waits for you", 4, 11), log_tail(record)
    assert not (record.folder / "jsonl").exists()

    pilot = read_pilot(record.folder)
    assert pilot is not None and len(pilot.items) == 4 and pilot.forecast.items == 11
    assert list(pilot.finds) == ["left", "right"] and len(pilot.failures) == stand.failed
    some = next(item for item in pilot.items if item.found)
    assert some.jpeg.startswith(b"\xff\xd8") and all(0 <= edge <= 1 for one in some.found for edge in one.box)
    all_of_them = counts(pilot.finds, {})
    assert all(kept == every for kept, every in all_of_them.values())
    assert (
        counts(pilot.finds, {"left": 1.0})["left"][0] == 0
        and counts(pilot.finds, {"left": 1.0})["right"] == all_of_them["right"]
    )

    # Without approval it does not go on, and only the plan that was looked at is approved.
    resume(desk.runs, record.id, OWNER)
    stand = desk.ended(record)
    assert (stand.state, stand.left) == ("Waits for you", 11)
    with pytest.raises(PlanRefused, match="changed since its pilot"):
        approve_and_run(desk.runs, record.id, OWNER, "other")
    approve_and_run(desk.runs, record.id, OWNER, pilot.plan.hash)
    done = desk.ended(record)
    assert (done.state, done.done, done.failed, done.left) == ("Done", 12, 3, 0), log_tail(record)
    assert (record.folder / "jsonl/items.jsonl").exists() and sum(group.count for group in done.groups) == 3
    assert len(done.thumbnails) >= 8 and done.thumbnails[0].jpeg.startswith(b"\xff\xd8")

    # Those that failed for one reason are tried again.
    retry(desk.runs, record.id, OWNER, done.groups[0].reason)
    again = desk.ended(record)
    assert (again.state, again.failed) == ("Done", 3) and "1 to do" in log_tail(record, 60)


def test_least_scores_of_the_pilot_hold_for_the_run(desk: Desk) -> None:
    record = desk.runs.new(OWNER, "x")
    start_pilot(desk.runs, record.id, OWNER, desk.spec(record, scores={"left": 0.5}))
    desk.ended(record)
    pilot = read_pilot(record.folder)
    assert pilot is not None and pilot.scores == {"left": 0.5}
    lowest = min(one.score for item in pilot.items for one in item.found if one.label == "left")
    assert lowest < 0.5, "what is below is still shown, so that it can be lowered again"


def test_paused_and_continued_by_another_server(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW_SECONDS", "0.2")
    record = desk.runs.new(OWNER, "fade it")
    start_pilot(desk.runs, record.id, OWNER, desk.spec(record, slow=True, pilot=2))
    desk.ended(record)
    pilot = read_pilot(record.folder)
    assert pilot is not None
    approve_and_run(desk.runs, record.id, OWNER, pilot.plan.hash)
    until(lambda: desk.look(record).done >= 4, "the first shard")

    later = Runs(desk.home)  # of a server that was started meanwhile
    process = process_of(later.get(record.id, OWNER))
    assert process is not None and os.getpgid(process.pid) == process.pid != os.getpgid(0)
    with pytest.raises(AnnotateError, match="at work already"):
        resume(later, record.id, OWNER)
    pause(later, record.id, OWNER)
    stand = desk.ended(record)
    assert stand.state == "Paused" and 4 <= stand.done < 12, log_tail(record)
    assert pause(later, record.id, OWNER).asked == "pause"  # nothing to pause is no error

    monkeypatch.setenv("SLOW_SECONDS", "0")
    resume(later, record.id, OWNER)
    assert (end := desk.ended(record)).state == "Done" and end.done == 12


def test_killed_from_outside(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW_SECONDS", "0.3")
    record = desk.runs.new(OWNER, "fade it")
    start_pilot(desk.runs, record.id, OWNER, desk.spec(record, slow=True, pilot=20))
    process = until(
        lambda: desk.look(record).state == "Pilot" and process_of(desk.runs.get(record.id, OWNER)), "a pilot"
    )
    process.send_signal(signal.SIGKILL)
    stand = desk.ended(record)
    assert stand.state == "Failed" and "may have been killed" in stand.reason and "Resume" in stand.hint
    # A number that another process has by now is not taken for the run's.
    other = desk.runs.save(
        desk.runs.get(record.id, OWNER).__class__(**{**desk.runs.get(record.id, OWNER).__dict__, "pid": os.getpid()})
    )
    assert process_of(other) is None and not is_running(other)
    monkeypatch.setenv("SLOW_SECONDS", "0")
    start_pilot(desk.runs, record.id, OWNER, desk.spec(record, slow=True, pilot=20))
    assert desk.ended(record).state == "Waits for you"


def test_cancelled(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW_SECONDS", "0.3")
    record = desk.runs.new(OWNER, "fade it")
    start_pilot(desk.runs, record.id, OWNER, desk.spec(record, slow=True, pilot=20))
    until(lambda: desk.look(record).state == "Pilot", "a pilot")
    cancel(desk.runs, record.id, OWNER)
    assert desk.ended(record).state == "Cancelled"


def test_why_it_cannot_begin_is_said(desk: Desk) -> None:
    record = desk.runs.new(OWNER, "x")
    start_pilot(desk.runs, record.id, OWNER, desk.spec(record, source=str(desk.photos / "nowhere")))
    stand = desk.ended(record)
    assert stand.state == "Failed" and "There is no file or folder" in stand.reason


def test_it_outlives_the_process_that_started_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW_SECONDS", "0.1")
    record = desk.runs.new(OWNER, "fade it")
    spec = desk.spec(record, slow=True, pilot=20)
    code = (
        "import sys, json, pathlib, os, signal\n"
        "from ui.batches.process import start_pilot\nfrom ui.batches.runs import Runs\n"
        "from flows.batch.spec import RunSpec\n"
        "home, run, owner, spec = sys.argv[1:]\n"
        "start_pilot(Runs(pathlib.Path(home)), run, owner, RunSpec.load(json.loads(spec)))\n"
        "os.killpg(os.getpgid(0), signal.SIGKILL)"
    )
    given = [str(desk.home), record.id, OWNER, json.dumps(spec.to_json())]
    server = subprocess.run([sys.executable, "-c", code, *given], cwd=ROOT, start_new_session=True)
    assert server.returncode == -signal.SIGKILL
    assert desk.ended(record).state == "Waits for you"


def test_a_run_of_the_command_line(desk: Desk, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere"
    spec = RunSpec.load({"source": str(desk.photos), "out": out, "plan": DARKEN, "tools": [TOOLS], "pilot": 0})
    with pytest.raises(RunNotFound, match="no run in"):
        desk.runs.open(OWNER, tmp_path)
    seen: list[Any] = []

    def look(event: Any) -> None:
        if event["event"] == "progress" and not seen:
            record = desk.runs.open(OWNER, out)
            seen.append((desk.look(record).state, process_of(record)))

    run_batch(spec, Callbacks(on_event=look))
    assert [(state, process.pid) for state, process in seen] == [("Running", os.getpid())]
    record = desk.runs.open(OWNER, out)
    assert desk.look(record).state == "Done" and spec_of(record).tools == (TOOLS,)
    with lock_folder(out), pytest.raises(AnnotateError, match="at work already"):
        resume(desk.runs, record.id, OWNER)
    shutil.copy(desk.photos / "p0001.jpg", desk.photos / "new.jpg")
    resume(desk.runs, record.id, OWNER)
    assert (end := desk.ended(record)).done == 13, (end, log_tail(record, 40))


def test_a_run_belongs_to_its_owner(desk: Desk) -> None:
    record = desk.runs.new(OWNER, "x")
    assert [one.id for one in desk.runs.all(OWNER)] == [record.id] and desk.runs.all("bob") == []
    for ask in (
        lambda: desk.runs.get(record.id, "bob"),
        lambda: pause(desk.runs, record.id, "bob"),
        lambda: resume(desk.runs, record.id, "bob"),
        lambda: desk.runs.get("../../etc/passwd", OWNER),
    ):
        with pytest.raises(RunNotFound):
            ask()
