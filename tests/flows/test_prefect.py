"""Runs under a real Prefect server: recorded, scheduled, cancelled, killed, sharing accelerators."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import UUID

import pytest

from agents.plan import Plan
from flows.job import Job
from flows.server import server
from flows.shard import RunStopped
from superlink.cli import main
from tests.flows.conftest import DARKEN, TOOLS, Run, make
from tools.errors import StoreError, SuperlinkError

ROOT = Path(__file__).resolve().parents[2]
SLOW = str(Path(__file__).with_name("slow.py"))
FADE = {"request": "fade it", "outputs": ["$s1"], "steps": [{"id": "s1", "tool": "fade", "args": {"image": "$image"}}]}
WAIT = 300  # seconds for what comes in a few, or once a minute


def until(holds: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not after {WAIT} s")


class Place:
    """A server, a folder of our own, and the commands that use them."""

    def __init__(self, folder: Path, api: str) -> None:
        from prefect import get_client

        self.folder, self.api, self.log = folder, api, folder / "calls.txt"
        self.client = get_client(sync_client=True)
        self.serving: subprocess.Popen[bytes] | None = None
        self.log.touch()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "superlink", *arguments], cwd=ROOT, capture_output=True, text=True,
                              timeout=WAIT)  # fmt: skip

    def serve(self) -> None:
        with (self.folder / "serve.log").open("ab") as log:
            self.serving = subprocess.Popen([sys.executable, "-m", "superlink", "serve-flows"], cwd=ROOT, stdout=log, stderr=log)

    def stop(self, how: signal.Signals) -> None:
        if self.serving is not None:
            self.serving.send_signal(how)
            self.serving.wait(WAIT)
            self.serving = None

    def schedule(self, name: str, plan: dict[str, Any], pictures: Path, *more: str, cron: str = "0 2 1 1 *") -> UUID:
        """Once a year, unless told otherwise; runs are started by `begin`."""
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(plan))
        assert main(["schedule", cron, "", str(pictures), "--out", str(self.folder / name), "--plan", str(file), "--yes",
                     "--tools", SLOW if plan is FADE else TOOLS, "--shard", "4", *more]) == 0  # fmt: skip
        return self.client.read_deployment_by_name(f"annotate/{name}").id

    def begin(self, deployment: UUID) -> UUID:
        return self.client.create_flow_run_from_deployment(deployment).id

    def state(self, run: UUID) -> Any:
        return self.client.read_flow_run(run).state

    def end(self, run: UUID) -> Any:
        """The state in which a run ended."""
        return until(lambda: (state := self.state(run)) is not None and state.is_final() and state, f"the end of {run}")

    def calls(self, name: str) -> list[str]:
        """The processes of calls, in the order in which they began."""
        return [line.split(":")[1] for line in self.log.read_text().split() if line.startswith(name + ":")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    from tools.settings import settings

    folder = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "SUPERLINK_HOME": folder / "home", "PREFECT_HOME": folder / "home" / "prefect", "FINDING_LOG": folder / "calls.txt",
            "PREFECT_WORKER_QUERY_SECONDS": 3, "OMP_NUM_THREADS": 1,
        }.items():  # fmt: skip
            patch.setenv(name, str(value))
        patch.delenv("PREFECT_API_URL", raising=False)
        settings.cache_clear()
        with server() as api:
            there = Place(folder, api)
            try:
                yield there
            finally:
                there.stop(signal.SIGTERM)
        settings.cache_clear()


@pytest.fixture(scope="module")
def every_minute(place: Place, tmp_path_factory: pytest.TempPathFactory) -> UUID:
    """A schedule that goes on while the other tests run."""
    place.serve()
    return place.schedule("minutely", DARKEN, make(tmp_path_factory.mktemp("minutely"), 6, 1), cron="* * * * *")


def test_the_command_is_recorded(place: Place, every_minute: UUID, run: Run, pictures: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(DARKEN))
    out = tmp_path / "recorded here"
    done = place.command("annotate", "", str(pictures), "--out", str(out), "--plan", str(plan), "--tools", TOOLS, "--pilot", "0",
                         "--yes", "--shard", "4")  # fmt: skip
    assert done.returncode == 1 and "12 of 15 done, 3 failed" in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    # The same as without a server, to the byte.
    run(pictures, DARKEN, out=tmp_path / "plain", store=str(tmp_path / "store"))
    assert (out / "jsonl/items.jsonl").read_bytes() == (tmp_path / "plain/jsonl/items.jsonl").read_bytes()
    assert (out / "coco/annotations.json").read_bytes() == (tmp_path / "plain/coco/annotations.json").read_bytes()

    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId

    (recorded,) = [one for one in place.client.read_flow_runs() if one.deployment_id is None]
    assert recorded.state is not None and recorded.state.name == "Completed"
    assert recorded.name == f"darken the bright parts → {out}"
    only = FlowRunFilter(id=FlowRunFilterId(any_=[recorded.id]))
    tasks = until(lambda: len(found := place.client.read_task_runs(flow_run_filter=only)) == 4 and found, "four shards")
    assert sorted(one.name for one in tasks) == ["shard 1", "shard 2", "shard 3", "shard 4"]
    shown = {one.key: one for one in place.client.read_artifacts(
        artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[recorded.id])))}  # fmt: skip
    assert shown["recorded-here-progress"].data == 100.0
    (row,) = json.loads(shown["recorded-here-summary"].data)
    assert (row["items"], row["done"], row["failed"], row["ran"]) == (15, 12, 3, 24)
    assert len(json.loads(shown["recorded-here-failures"].data)) == 3
    assert "bright()" in shown["recorded-here-plan"].data


def test_without_a_server_prefect_is_not_even_imported(run: Run, pictures: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(DARKEN))
    code = ("import sys; from superlink.cli import main; main(sys.argv[1:]); "
            "print(sorted(name for name in sys.modules if name.split('.')[0] == 'prefect'))")  # fmt: skip
    bare = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    done = subprocess.run([sys.executable, "-c", code, "annotate", "", str(pictures), "--out", str(tmp_path / "out"), "--plan",
                           str(plan), "--tools", TOOLS, "--yes"], cwd=ROOT, env=bare, capture_output=True, text=True,
                          timeout=WAIT)  # fmt: skip
    assert "12 of 15 done" in done.stdout and done.stdout.endswith("[]\n"), done.stdout + done.stderr


def test_a_server_that_does_not_answer_is_told(home: Path, pictures: Path, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert main(["annotate", "x", str(pictures), "--out", str(tmp_path / "out")]) == 1
    assert "No Prefect server answers at http://127.0.0.1:9/api" in capsys.readouterr().err


def test_what_goes_wrong_is_told_without_a_traceback(place: Place, pictures: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"steps": [{"id": "s1", "tool": "pose", "args": {"image": "$image"}}], "outputs": ["$s1"]}))
    done = place.command("annotate", "", str(pictures), "--out", str(tmp_path / "out"), "--plan", str(plan), "--pilot", "0", "--yes")
    assert done.returncode == 1 and "superlink models pull" in done.stderr, done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_dashboard_asks_its_own_server(place: Place) -> None:
    with urlopen(place.api.removesuffix("/api") + "/ui-settings", timeout=WAIT) as answer:
        assert json.load(answer)["api_url"] == place.api


def test_cancelled_in_the_dashboard(place: Place, every_minute: UUID, tmp_path: Path) -> None:
    from prefect.states import Cancelling

    pictures = make(tmp_path / "pictures", 40)
    deployment = place.schedule("cancelled", FADE, pictures)
    run = place.begin(deployment)
    until(lambda: len(place.calls("fade")) >= 2, "work")
    place.client.set_flow_run_state(run, Cancelling())  # as the dashboard's button does
    state = place.end(run)
    assert state.is_cancelled() and state.name == "Cancelled" and "goes on from there" in state.message
    assert len(place.calls("fade")) < 40
    # The next one goes on from there: nothing is done twice, and the model is still loaded.
    assert place.end(place.begin(deployment)).is_completed()
    assert len(place.calls("fade")) == 40
    assert place.calls("load") == [str(place.serving and place.serving.pid)]


def test_killed_with_the_worker(place: Place, every_minute: UUID, tmp_path: Path) -> None:
    pictures = make(tmp_path / "pictures", 21)
    deployment = place.schedule("killed", FADE, pictures)
    before = len(place.calls("fade"))
    run = place.begin(deployment)
    until(lambda: len(place.calls("fade")) > before, "work")
    place.stop(signal.SIGKILL)
    assert place.state(run).is_running()
    place.serve()
    state = place.end(run)
    assert state.is_crashed() and "was killed" in state.message
    assert place.end(place.begin(deployment)).is_completed()


def test_told_to_stop_while_at_work(place: Place, every_minute: UUID, tmp_path: Path) -> None:
    deployment = place.schedule("stopped", FADE, make(tmp_path / "pictures", 22))
    before = len(place.calls("fade"))
    run = place.begin(deployment)
    until(lambda: len(place.calls("fade")) > before, "work")
    place.stop(signal.SIGTERM)
    assert place.state(run).is_cancelled()
    place.serve()


def test_a_plan_that_nobody_approved(place: Place, every_minute: UUID, tmp_path: Path) -> None:
    deployment = place.schedule("approved", DARKEN, make(tmp_path / "pictures", 1))
    other = {**DARKEN, "steps": [*DARKEN["steps"][:-1], {**DARKEN["steps"][-1], "args": {
        "image": "$image", "regions": "$s1", "how": "grey"}}]}  # fmt: skip
    run = place.client.create_flow_run_from_deployment(deployment, parameters={"plan": other}).id
    state = place.end(run)
    assert state.is_failed() and "Nobody approved this plan" in state.message


def test_the_same_name_changes_the_schedule_and_it_can_be_removed(place: Place, tmp_path: Path,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    pictures = make(tmp_path / "pictures", 1)
    first = place.schedule("changing", DARKEN, pictures)
    assert place.schedule("changing", DARKEN, pictures, "--timezone", "Europe/Rome", cron="30 4 * * *") == first
    capsys.readouterr()
    assert main(["schedule", "--list"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("changing: ")]
    assert line.startswith("changing: 30 4 * * * (Europe/Rome): darken the bright parts") and str(pictures) in line
    assert main(["schedule", "--remove", "changing", "--list"]) == 0
    assert "changing: " not in capsys.readouterr().out
    assert main(["schedule", "--remove", "changing"]) == 1
    assert "There is no schedule 'changing'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [
    ["schedule", "61 2 * * *", "x", ".", "--out", "o"], ["schedule", "0 2 * * *", "x", ".", "--out", "o", "--timezone", "Mars"],
    ["schedule", "0 2 * * *", "x"], ["schedule"],
])  # fmt: skip
def test_what_is_no_schedule_is_told(place: Place, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert "superlink: " in told and "schedule" in told and len(told.splitlines()) == 1


@pytest.mark.parametrize(("fault", "tries"), [(StoreError("the bucket is away"), 2), (RunStopped("weights are missing"), 1)])
def test_a_shard_is_tried_again_where_that_can_help(place: Place, pictures: Path, tmp_path: Path, fault: SuperlinkError,
                                                    tries: int, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from flows.flow import annotate_recorded

    tried = []
    work = Job.work

    def once(self: Job, *given: Any) -> Any:
        tried.append(given)
        if len(tried) == 1:
            raise fault
        return work(self, *given)

    monkeypatch.setattr(Job, "work", once)
    with nullcontext() if tries == 2 else pytest.raises(RunStopped, match="weights are missing"):
        assert annotate_recorded("", str(pictures), tmp_path / "out", plan=Plan.load(DARKEN), tools=[TOOLS], pilot=0).done == 12
    assert len(tried) == tries


def test_workers_share_accelerators(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.upkeep import ACCELERATORS

    monkeypatch.setenv("FINDING_LOG", str(tmp_path / "calls.txt"))
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(FADE))
    place.client.upsert_global_concurrency_limit_by_name(ACCELERATORS, 1)
    try:
        done = place.command("annotate", "", str(make(tmp_path / "pictures", 12)), "--out", str(tmp_path / "out"), "--plan",
                             str(plan), "--tools", SLOW, "--pilot", "0", "--yes", "--shard", "6", "--workers", "2")  # fmt: skip
    finally:
        place.client.delete_global_concurrency_limit_by_name(ACCELERATORS)
    assert done.returncode == 0, done.stderr
    calls = [line.split(":")[1] for line in (tmp_path / "calls.txt").read_text().split() if line.startswith("fade:")]
    # Both worked, one after the other.
    assert len(calls) == 12 and len(set(calls)) == 2 and len(set(calls[:6])) == len(set(calls[6:])) == 1


def test_a_cron_runs_twice_and_the_second_finds_all_done(place: Place, every_minute: UUID) -> None:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    def ended() -> list[Any]:
        runs = place.client.read_flow_runs(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[every_minute])))
        done = [one for one in runs if one.state is not None and one.state.is_completed()]
        return sorted(done, key=lambda one: one.expected_start_time) if len(done) >= 2 else []

    first, second = until(ended, "two runs of a cron")[:2]
    assert first.auto_scheduled and second.auto_scheduled
    assert first.state.name == "Completed" and "6 of 7 done, 1 failed, 0 left; 12 calls run" in first.state.message
    assert second.state.name == "Cached" and "6 of 7 done, 1 failed, 0 left; 0 calls run" in second.state.message
