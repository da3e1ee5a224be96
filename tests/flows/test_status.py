"""How a run stands, for those who look on: its stage, its pace, and its failures by reason."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from flows.annotate import run_batch
from flows.batch.events import Callbacks
from flows.batch.failures import failed_for, group_failures
from flows.batch.folder_lock import is_locked, lock_folder
from flows.batch.prepare import PlanRefused
from flows.batch.reading import Reading
from flows.batch.review import ReviewRouting, queue, resolve
from flows.batch.spec import RunSpec
from flows.batch.status import Pace, RunStatus
from flows.items.source import SourceError, SourceItem
from flows.ledger.ledger import Ledger
from tests.flows.conftest import FIND, TOOLS, Run
from tools.core.errors import SuperlinkError
from tools.storage.store import Store


def status(out: Path) -> RunStatus:
    ledger = Ledger.open_existing(out, read_only=True)
    try:
        return RunStatus.read(ledger)
    finally:
        ledger.close()


def test_the_stages_of_a_run(pictures: Path, tmp_path: Path, run: Run) -> None:
    out, seen = tmp_path / "out", []

    def look(event: Any) -> None:
        if (out / "ledger.sqlite").exists():
            seen.append((event["event"], status(out).stage, is_locked(out)))

    run(pictures, pilot=4, on_event=look, shard=4)
    assert ("forecast", "pilot", True) in seen
    assert ("progress", "working", True) in seen
    assert seen[-1] == ("export", "exporting", True)
    end = status(out)
    assert (end.stage, end.reason, end.pid, is_locked(out)) == ("done", "", os.getpid(), False)
    ledger = Ledger.open_existing(out, read_only=True)
    pace = Pace.read(ledger)
    assert pace is not None and pace.total == 11 and [ended for _, ended in pace.points] == [4, 8, 11]
    latest = ledger.fact("latest")
    assert isinstance(latest, list) and {entry.id for entry, _ in ledger.done()} >= set(latest) and len(latest) >= 6
    spec = ledger.fact("spec")
    assert isinstance(spec, dict) and RunSpec.load(spec).source == str(pictures)
    ledger.close()


def test_how_it_ended_is_noted(pictures: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    assert run(pictures, budget=["0.0001MB"], shard=4).stopped
    assert (status(out).stage, status(out).reason) == ("stopped", "the budget of 0.0001 MB on disk is used up")

    def stop(event: Any) -> None:
        if event["event"] == "progress":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(pictures, shard=4, on_event=stop)
    assert status(out).stage == "stopped" and not status(out).reason
    with pytest.raises(SourceError):
        run(tmp_path / "nowhere")
    assert status(out).stage == "failed" and "nowhere" in status(out).reason
    with pytest.raises(PlanRefused):
        run(pictures, out=tmp_path / "other", approve=lambda plan, forecast: False)
    assert status(tmp_path / "other").stage == "waiting"
    with pytest.raises(SourceError):  # an earlier run's wait is over
        run(tmp_path / "nowhere", out=tmp_path / "other")
    assert status(tmp_path / "other").stage == "failed"


def test_a_look_at_the_lock_does_not_end_a_run(tmp_path: Path) -> None:
    held, done = threading.Event(), threading.Event()

    def look() -> None:
        from filelock import FileLock

        with FileLock(tmp_path / ".lock"):
            held.set()
            done.wait(0.1)

    assert not is_locked(tmp_path)
    looking = threading.Thread(target=look)
    looking.start()
    held.wait()
    with lock_folder(tmp_path):
        assert is_locked(tmp_path)
    looking.join()


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], None),
        ([(10.0, 10)], None),
        ([(10.0, 10), (20.0, 20)], (10.0, 10.0, 10.0)),
        ([(10.0, 10), (40.0, 20)], (20.0, 0.4, 39.6)),  # 1 and 3 seconds an item
    ],
)
def test_time_left_with_its_range(points: list[tuple[float, int]], expected: tuple[float, ...] | None) -> None:
    left = Pace(0.0, 30, points).seconds_left(10)
    assert left == (None if expected is None else pytest.approx(expected))


def test_only_the_last_shards_count_for_the_pace() -> None:
    slow = [(10.0 * n, n) for n in range(1, 11)]
    pace = Pace(0.0, 100, slow)
    assert pace.rate == pytest.approx(0.1)
    pace.points = [(100.0 + n, 10 + n) for n in range(40)]
    assert pace.rate == pytest.approx(1.0)


def test_failures_fall_together_by_reason(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    names = ["a.jpg", "sub/b.jpg", "c.jpg", "d.jpg"]
    ledger.record_scan([SourceItem(name, f"/x/{name}", 1, "1") for name in names], "/x")
    ledger.set_facts(signature="now")
    said = ["/x/a.jpg is empty", "sub/b.jpg is empty", "c.jpg: no picture at all", "too dark"]
    ledger.settle([(n, "failed", text, "Look") for n, text in enumerate(said, 1)], "now")
    groups = group_failures(ledger)
    assert [(g.reason, g.count, g.names) for g in groups] == [
        ("… is empty", 2, ["a.jpg", "sub/b.jpg"]),
        ("too dark", 1, ["d.jpg"]),
        ("…: no picture at all", 1, ["c.jpg"]),
    ]
    assert list(failed_for(ledger, "… is empty")) == [1, 2] and list(failed_for(ledger, "picture")) == [3]
    ledger.close()


def test_those_of_one_reason_are_tried_again(tmp_path: Path, pictures: Path, run: Run) -> None:
    run(pictures)
    ledger = Ledger.open_existing(tmp_path / "out", read_only=True)
    before, groups = ledger.version, group_failures(ledger)
    assert len(groups) == 3
    tried: list[Any] = []
    run(pictures, retry_failed=True, reason=groups[1].reason, on_event=tried.append)
    assert [event["pending"] for event in tried if event["event"] == "scan"] == [1]
    assert ledger.version != before and len(group_failures(ledger)) == 3
    run(pictures, retry_failed=True, on_event=tried.append)
    assert [event["pending"] for event in tried if event["event"] == "scan"] == [1, 3]
    ledger.close()


def test_a_ledger_that_is_read_only_is_not_written(tmp_path: Path, pictures: Path, run: Run) -> None:
    run(pictures)
    ledger = Ledger.open_existing(tmp_path / "out", read_only=True)
    assert ledger.counts()["done"] == 12
    with pytest.raises(SuperlinkError, match="read-only"):
        ledger.set_facts(request="mine")
    ledger.close()
    with pytest.raises(SuperlinkError, match=r"There is no ledger\.sqlite"):
        Ledger.open_existing(tmp_path, read_only=True)


def test_a_pilot_of_its_own(pictures: Path, tmp_path: Path, home: Path, log: Path) -> None:
    from flows.annotate import approve_pilot
    from flows.batch.pilot import RecordedPilot

    out, events = tmp_path / "out", []
    spec = RunSpec.load({"source": str(pictures), "out": out, "plan": FIND, "tools": [TOOLS], "pilot": 4})
    no = Callbacks(approve=lambda plan, forecast: False, on_event=events.append)
    summary = run_batch(spec, no, pilot_only=True)
    assert summary.forecast is not None and (summary.forecast.pilot, summary.forecast.items) == (4, 11)
    assert not (out / "jsonl").exists() and (out / "pilot.png").exists() and status(out).stage == "waiting"
    worked = log.read_text().count("bright")
    run_batch(spec, no, pilot_only=True)  # again: it is known
    asked = []

    def ask(plan: Any, forecast: Any) -> bool:
        asked.append(forecast)
        return False

    with pytest.raises(PlanRefused):
        run_batch(spec, Callbacks(approve=ask))
    assert asked == [summary.forecast] and log.read_text().count("bright") == worked
    ledger = Ledger.open_existing(out)
    pilot = RecordedPilot.read(ledger)
    assert pilot is not None and pilot.forecast == summary.forecast and len(pilot.items) == 4
    right = ledger.plan.hash
    ledger.close()
    with pytest.raises(PlanRefused, match="has changed since its pilot"):
        approve_pilot(out, "another")
    approve_pilot(out, right)
    assert run_batch(spec, no).done == 12
    # Another plan needs its own pilot and approval.
    other = spec.model_copy(update={"scores": {"left": 0.5}})
    with pytest.raises(PlanRefused):
        run_batch(other, no)


def test_a_pilot_whose_calls_were_there_forecasts_what_was_measured_before(
    pictures: Path, tmp_path: Path, home: Path
) -> None:
    given = {"source": str(pictures), "out": tmp_path / "out", "plan": FIND, "tools": [TOOLS], "pilot": 4}
    spec = RunSpec.load(given)
    first = run_batch(spec, Callbacks(), pilot_only=True).forecast
    assert first is not None and first.ran and not first.cached
    again = run_batch(spec.model_copy(update={"scores": {"left": 0.5}}), Callbacks(), pilot_only=True).forecast
    assert again is not None and again.cached and set(first.by_tool) < set(again.by_tool)
    assert all(again.by_tool[tool] > 0.99 * spent for tool, spent in first.by_tool.items())
    assert again.seconds > 0.99 * sum(first.by_tool.values())


def test_the_queue_has_no_open_finds_of_a_plan_before(pictures: Path, tmp_path: Path, home: Path) -> None:
    routing = ReviewRouting(band=(0.0, 1.0), audit=0.0)
    given = {"source": str(pictures), "out": tmp_path / "out", "plan": FIND, "tools": [TOOLS], "pilot": 4}
    spec = RunSpec.load(given).model_copy(update={"routing": routing})
    run_batch(spec, Callbacks(), pilot_only=True)
    ledger = Ledger.open_existing(tmp_path / "out")
    before = list(queue(ledger))
    resolve(ledger, before[0].id, "accepted", who="ada")
    ledger.close()
    run_batch(spec.model_copy(update={"scores": {before[1].label: 0.01}}), Callbacks(), pilot_only=True)
    ledger = Ledger.open_existing(tmp_path / "out")
    reading = Reading(ledger, Store(ledger.text("store")), ("Detections",))
    assert {find.step for find in queue(ledger)} == set(reading.steps) != {before[0].step}
    assert [find.id for find in queue(ledger, everything=True) if find.verdict] == [before[0].id]
    ledger.close()


def test_the_pilot_of_few_items_works_them_all(pictures: Path, tmp_path: Path, home: Path) -> None:
    spec = RunSpec.load({"source": str(pictures), "out": tmp_path / "out", "plan": FIND, "tools": [TOOLS], "pilot": 50})
    summary = run_batch(spec, Callbacks(), pilot_only=True)
    assert (summary.done, summary.failed, summary.left) == (12, 3, 0)
    with pytest.raises(PlanRefused):  # what was not approved is not exported, either
        run_batch(spec, Callbacks(approve=lambda plan, forecast: False))
    assert not (tmp_path / "out/jsonl").exists()
    assert "jsonl" in run_batch(spec, Callbacks()).exports
