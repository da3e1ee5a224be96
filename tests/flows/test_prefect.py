"""Runs under a real Prefect server: recorded, scheduled, cancelled, killed, sharing accelerators."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import UUID

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from agents.plan.plan import Plan
from flows.batch.job import BatchJob
from flows.batch.shard import RunStopped
from flows.orchestration.server import server
from superlink.cli import main
from tests.flows.conftest import DARKEN, TOOLS, Run, make
from tests.flows.place import FADE, ROOT, SLOW, Place, bare
from tests.waiting import WAIT, until
from tools.core.errors import StoreError, SuperlinkError


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    from tools.core.settings import settings

    folder = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "SUPERLINK_HOME": folder / "home",
            "PREFECT_HOME": folder / "home" / "prefect",
            "FINDING_LOG": folder / "calls.txt",
            "PREFECT_WORKER_QUERY_SECONDS": 1,
            "OMP_NUM_THREADS": 1,
        }.items():
            patch.setenv(name, str(value))
        patch.delenv("PREFECT_API_URL", raising=False)
        settings.cache_clear()
        with server() as api:
            there = Place(folder, api)
            try:
                there.serve()
                yield there
            finally:
                there.stop(signal.SIGTERM)
        settings.cache_clear()


@pytest.fixture(scope="module")
def every_minute(place: Place, tmp_path_factory: pytest.TempPathFactory) -> UUID:
    """A schedule that goes on while the other tests run."""
    return place.schedule("minutely", DARKEN, make(tmp_path_factory.mktemp("minutely"), 6, 1), cron="* * * * *")


def test_the_command_is_recorded(place: Place, every_minute: UUID, run: Run, pictures: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(DARKEN))
    out = tmp_path / "recorded here"
    done = place.command(
        "annotate",
        "",
        str(pictures),
        "--out",
        str(out),
        "--plan",
        str(plan),
        "--tools",
        TOOLS,
        "--pilot",
        "0",
        "--yes",
        "--shard",
        "4",
    )
    assert done.returncode == 1 and "12 of 15 done, 3 failed" in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    # The same as without a server, to the byte.
    run(pictures, DARKEN, out=tmp_path / "plain", store=str(tmp_path / "store"))
    assert (out / "jsonl/items.jsonl").read_bytes() == (tmp_path / "plain/jsonl/items.jsonl").read_bytes()
    assert (out / "coco/annotations.json").read_bytes() == (tmp_path / "plain/coco/annotations.json").read_bytes()

    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId

    (recorded,) = [one for one in place.client.read_flow_runs() if one.name == f"darken the bright parts → {out}"]
    assert recorded.deployment_id is None and recorded.state is not None and recorded.state.name == "Completed"
    only = FlowRunFilter(id=FlowRunFilterId(any_=[recorded.id]))
    tasks = until(lambda: len(found := place.client.read_task_runs(flow_run_filter=only)) == 4 and found, "four shards")
    assert sorted(one.name for one in tasks) == ["shard 1", "shard 2", "shard 3", "shard 4"]
    shown = {
        one.key: one
        for one in place.client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[recorded.id]))
        )
    }
    assert shown["recorded-here-progress"].data == 100.0
    (row,) = json.loads(shown["recorded-here-summary"].data)
    assert (row["items"], row["done"], row["failed"], row["ran"]) == (15, 12, 3, 24)
    assert len(json.loads(shown["recorded-here-failures"].data)) == 3
    assert "bright()" in shown["recorded-here-plan"].data


def test_without_a_server_prefect_is_not_even_imported(run: Run, pictures: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(DARKEN))
    code = (
        "import sys; from superlink.cli import main; main(sys.argv[1:]); "
        "print(sorted(name for name in sys.modules if name.split('.')[0] == 'prefect'))"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "annotate",
            "",
            str(pictures),
            "--out",
            str(tmp_path / "out"),
            "--plan",
            str(plan),
            "--tools",
            TOOLS,
            "--yes",
        ],
        cwd=ROOT,
        env=bare(),
        capture_output=True,
        text=True,
        timeout=WAIT,
    )
    assert "12 of 15 done" in done.stdout and done.stdout.endswith("[]\n"), done.stdout + done.stderr


def test_prefect_starts_no_server_that_answers_everybody(home: Path) -> None:
    code = (
        "from flows.orchestration.server import configure_prefect\n"
        "configure_prefect(); from prefect import get_client\n"
        "try: get_client(sync_client=True)\nexcept ValueError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=bare(), capture_output=True, text=True, timeout=WAIT
    )
    assert "No Prefect API URL provided" in done.stdout, done.stdout + done.stderr


def test_a_server_that_does_not_answer_is_reported(
    home: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert main(["annotate", "x", str(pictures), "--out", str(tmp_path / "out")]) == 1
    assert "No Prefect server answers at http://127.0.0.1:9/api" in capsys.readouterr().err


def test_what_goes_wrong_is_reported_without_a_traceback(place: Place, pictures: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(
        json.dumps({"steps": [{"id": "s1", "tool": "pose", "args": {"image": "$image"}}], "outputs": ["$s1"]})
    )
    done = place.command(
        "annotate", "", str(pictures), "--out", str(tmp_path / "out"), "--plan", str(plan), "--pilot", "0", "--yes"
    )
    assert done.returncode == 1 and "superlink models pull" in done.stderr, done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_dashboard_asks_its_own_server(place: Place) -> None:
    with urlopen(place.api.removesuffix("/api") + "/ui-settings", timeout=WAIT) as answer:
        assert json.load(answer)["api_url"] == place.api


def begin_work(place: Place, deployment: UUID, calls: int = 1) -> UUID:
    """Start a run, and wait until it has made this many calls of `fade`."""
    before = len(place.calls("fade"))
    run = place.begin(deployment)
    until(lambda: len(place.calls("fade")) >= before + calls, "work")
    return run


def test_cancelled_in_the_dashboard(place: Place, every_minute: UUID, tmp_path: Path) -> None:
    from prefect.states import Cancelling

    pictures = make(tmp_path / "pictures", 40)
    deployment = place.schedule("cancelled", FADE, pictures)
    before = len(place.calls("fade"))
    run = begin_work(place, deployment, calls=2)
    place.client.set_flow_run_state(run, Cancelling())  # as the dashboard's button does
    state = place.end(run)
    assert state.is_cancelled() and state.name == "Cancelled" and "goes on from there" in state.message
    assert len(place.calls("fade")) < before + 40
    # The next one goes on from there: nothing is done twice, and the model is still loaded.
    assert place.end(place.begin(deployment)).is_completed()
    assert len(place.calls("fade")) == before + 40
    assert place.calls("load").count(str(place.serving and place.serving.pid)) == 1


def test_killed_with_the_worker(place: Place, every_minute: UUID, tmp_path: Path) -> None:
    pictures = make(tmp_path / "pictures", 21)
    deployment = place.schedule("killed", FADE, pictures)
    run = begin_work(place, deployment)
    place.stop(signal.SIGKILL)
    assert place.state(run).is_running()
    place.serve()
    state = place.end(run)
    assert state.is_crashed() and "was killed" in state.message
    assert place.end(place.begin(deployment)).is_completed()


def test_stopped_while_at_work(place: Place, every_minute: UUID, tmp_path: Path) -> None:
    deployment = place.schedule("stopped", FADE, make(tmp_path / "pictures", 22))
    run = begin_work(place, deployment)
    place.stop(signal.SIGTERM)
    assert place.state(run).is_cancelled()
    place.serve()


def test_pages_and_hosts_other_than_its_own_are_refused(place: Place) -> None:
    own = place.api.removesuffix("/api")
    port = own.rpartition(":")[2]
    with httpx.Client(base_url=place.api, headers=place.admitted()) as http:
        for headers, status in [
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": f"{own}0"}, 403),
            ({"Host": "evil.example"}, 403),
            ({"Host": f"127.0.0.1.evil.example:{port}"}, 403),
        ]:
            answer = http.post("/flows/", json={"name": "foreign"}, headers=headers)
            assert answer.status_code == status and "access-control-allow-origin" not in answer.headers, headers
            asked = http.options("/flows/", headers={**headers, "Access-Control-Request-Method": "POST"})
            assert "access-control-allow-origin" not in asked.headers, headers
        answer = http.post("/flows/filter", json={}, headers={"Origin": own})
        assert answer.status_code == 200 and "foreign" not in [flow["name"] for flow in answer.json()]
        assert answer.headers["access-control-allow-origin"] == own
        # Its own pages can neither be framed by others nor send anything to them.
        assert "frame-ancestors 'none'" in http.get(own).headers["content-security-policy"]


def test_nothing_is_answered_or_done_without_the_password(place: Place) -> None:
    with httpx.Client() as http:
        paths = http.get(place.api.removesuffix("/api") + "/openapi.json").json()["paths"]
        unguarded = {
            (method, path)
            for path, methods in paths.items()
            for method in methods
            if http.request(method, place.api + re.sub("{.*?}", str(UUID(int=1)), path)).status_code != 401
        }
        assert unguarded == {("get", "/health"), ("get", "/ready")} and len(paths) > 100
        assert http.get(f"{place.api}/admin/version", auth=("superlink", "guess")).status_code == 401
        assert http.get(f"{place.api}/admin/version", headers=place.admitted()).status_code == 200
        # The dashboard asks for it.
        assert http.get(place.api.removesuffix("/api") + "/ui-settings").json()["auth"] == "BASIC"


@pytest.mark.parametrize(
    "path",
    [
        "/events/in",
        "/events/out",
        "/logs/out",
        "/task_runs/subscriptions/scheduled",
        "/work_pools/superlink/workers/connect",
    ],
)
def test_sockets_are_guarded_like_the_rest(place: Place, path: str) -> None:
    address = place.api.replace("http", "ws", 1) + path

    def answer(token: str, **given: Any) -> str:
        try:
            with connect(address, **given) as socket:
                socket.send(json.dumps({"type": "auth", "token": token}))
                return str(socket.recv(WAIT))
        except ConnectionClosed as error:
            return f"closed: {error.rcvd and error.rcvd.code}"
        except InvalidStatus as error:
            return f"refused: {error.response.status_code}"

    prefect: dict[str, Any] = {"subprotocols": ["prefect"]}
    assert json.loads(answer(place.password(), **prefect))["type"] == "auth_success"
    assert answer("guess", **prefect) == "closed: 1008"
    assert answer(place.password(), origin="http://evil.example", **prefect) == "refused: 403"
    assert answer(place.password()).startswith(("closed", "refused"))


def test_only_what_was_scheduled_here_is_run(place: Place, tmp_path: Path) -> None:
    # Somebody has the password, or the server: what they post does not run, and what was scheduled does.
    marker, shell = tmp_path / "marker", tmp_path / "shell.py"
    shell.write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\n")
    scheduled = place.schedule("scheduled", DARKEN, make(tmp_path / "pictures", 2))
    true = place.client.read_deployment(scheduled)

    def post(name: str, **changed: Any) -> UUID:
        given = {
            "entrypoint": true.entrypoint,
            "parameters": true.parameters,
            "work_pool_name": true.work_pool_name,
            **changed,
        }
        return place.begin(place.client.create_deployment(true.flow_id, name, **given))

    def forged(name: str, value: Any) -> UUID:
        forged = {"spec": {**true.parameters["spec"], name: value}}
        return post(f"forged {name}", parameters={**true.parameters, **forged})

    touch = f"touch {marker}"
    runs = {
        post("pull", pull_steps=[{"prefect.deployments.steps.run_shell_script": {"script": touch}}]): "fetches no code",
        post("file", entrypoint=f"{shell}:flow"): "runs flows.orchestration.flow.annotate_flow only",
        forged("tools", [*true.parameters["spec"]["tools"], str(shell)]): "Nobody approved a run with these parameters",
        forged("out", str(tmp_path / "elsewhere")): "Nobody approved a run with these parameters",
        post("unsigned", parameters={**true.parameters, "signature": Plan.load(DARKEN).hash}): "Nobody approved a run",
        post("earlier", parameters=true.parameters["spec"]): "is of an earlier superlink",
    }
    for run, reason in runs.items():
        state = place.end(run)
        assert state.is_failed() and reason in state.message, state
    # What is there for Prefect's own worker has no effect.
    variables = post("variables", job_variables={"command": touch, "env": {"SUPERLINK_TOOLS": str(shell)}})
    assert place.end(variables).is_completed() and place.end(place.begin(scheduled)).is_completed()
    assert not marker.exists() and not (tmp_path / "elsewhere").exists()


def test_a_changed_tools_file_is_refused_until_it_is_scheduled_again(place: Place, tmp_path: Path) -> None:
    tools, pictures = tmp_path / "own.py", make(tmp_path / "pictures", 1)
    plan = {
        "request": "tint it",
        "outputs": ["$s1"],
        "steps": [{"id": "s1", "tool": "tint", "args": {"image": "$image"}}],
    }

    def write(version: int) -> None:
        tools.write_text(
            "from tests.flows.finding import note\nfrom tools import Image, tool\n\n\n"
            f"@tool(version='{version}')\ndef tint(image: Image) -> Image:\n    '''Tint an image.'''\n"
            f"    note('tint:{version}')\n    return image\n"
        )

    write(1)
    scheduled = place.schedule("changed", plan, pictures, "--tools", str(tools))
    assert place.end(place.begin(scheduled)).is_completed()
    write(2)
    state = place.end(place.begin(scheduled))
    assert state.is_failed() and f"The tools file {tools} has changed since it was scheduled" in state.message
    assert place.schedule("changed", plan, pictures, "--tools", str(tools)) == scheduled
    assert place.end(place.begin(scheduled)).is_completed()
    assert place.calls("tint") == ["1", "2"]  # the worker has not kept the old one


def test_a_server_with_another_password_is_reported(place: Place, pictures: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "superlink", "annotate", "x", str(pictures), "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env={**bare(), "PREFECT_API_URL": place.api},
        capture_output=True,
        text=True,
        timeout=WAIT,
    )
    assert done.returncode == 1 and "asks for another password" in done.stderr and "Traceback" not in done.stderr, (
        done.stderr
    )


def test_secrets_are_for_their_owner_only(place: Place) -> None:
    files = [place.home / "password", place.home / "signing.key"]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    shown = [place.home / "server.log", place.folder / "serve.log", *Path("/proc").glob("[0-9]*/cmdline")]
    for file in files:
        assert not [one for one in shown if file.read_bytes() in content(one)]


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # of a process that has ended
        return b""


def test_the_same_name_changes_the_schedule_and_it_can_be_removed(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
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
    monkeypatch.setattr("flows.orchestration.deployments.list_schedules", list)
    assert main(["schedule", "--list"]) == 0
    assert "Nothing is scheduled." in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["schedule", "61 2 * * *", "x", ".", "--out", "o"],
        ["schedule", "0 2 * * *", "x", ".", "--out", "o", "--timezone", "Mars"],
        ["schedule", "0 2 * * *", "x"],
        ["schedule"],
    ],
)
def test_what_is_no_schedule_is_reported(
    place: Place, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    output = capsys.readouterr().err
    assert "superlink: " in output and "schedule" in output and len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("fault", "tries"), [(StoreError("the bucket is away"), 2), (RunStopped("weights are missing"), 1)]
)
def test_a_shard_is_tried_again_where_that_can_help(
    place: Place, pictures: Path, tmp_path: Path, fault: SuperlinkError, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.batch.events import Callbacks
    from flows.batch.spec import RunSpec
    from flows.orchestration.flow import run_recorded

    tried = []
    work = BatchJob.work

    def once(self: BatchJob, *given: Any) -> Any:
        tried.append(given)
        if len(tried) == 1:
            raise fault
        return work(self, *given)

    monkeypatch.setattr(BatchJob, "work", once)
    with nullcontext() if tries == 2 else pytest.raises(RunStopped, match="weights are missing"):
        spec = RunSpec(source=str(pictures), out=tmp_path / "out", plan=Plan.load(DARKEN), tools=(TOOLS,), pilot=0)
        assert run_recorded(spec, Callbacks()).done == 12
    assert len(tried) == tries


def test_what_a_server_gives_as_a_result_is_not_unpickled(
    place: Place, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.results import ResultRecordMetadata
    from prefect.serializers import PickleSerializer
    from prefect.states import Completed

    from flows.batch.events import Callbacks
    from flows.batch.spec import RunSpec
    from flows.orchestration import flow
    from flows.orchestration.server import ServerError

    kept = ResultRecordMetadata(storage_key=str(tmp_path / "kept"), serializer=PickleSerializer())
    monkeypatch.setattr(flow, "annotate_flow", lambda *given, **named: Completed(data=kept, message="done before"))
    with pytest.raises(ServerError, match="did not let the run begin: done before"):
        flow.run_recorded(RunSpec(source=str(pictures), out=tmp_path / "out", plan=Plan.load(DARKEN)), Callbacks())


def test_workers_share_accelerators(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.orchestration.setup import ACCELERATORS

    monkeypatch.setenv("FINDING_LOG", str(tmp_path / "calls.txt"))
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(FADE))
    place.client.upsert_global_concurrency_limit_by_name(ACCELERATORS, 1)
    try:
        done = place.command(
            "annotate",
            "",
            str(make(tmp_path / "pictures", 12)),
            "--out",
            str(tmp_path / "out"),
            "--plan",
            str(plan),
            "--tools",
            SLOW,
            "--pilot",
            "0",
            "--yes",
            "--shard",
            "6",
            "--workers",
            "2",
        )
    finally:
        place.client.delete_global_concurrency_limit_by_name(ACCELERATORS)
    assert done.returncode == 0, done.stderr
    calls = [line.split(":")[1] for line in (tmp_path / "calls.txt").read_text().split() if line.startswith("fade:")]
    # Both worked, one after the other.
    assert len(calls) == 12 and len(set(calls)) == 2 and len(set(calls[:6])) == len(set(calls[6:])) == 1


def test_a_cron_runs_twice_and_the_second_finds_all_done(place: Place, every_minute: UUID) -> None:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    def ended() -> list[Any]:
        runs = place.client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[every_minute]))
        )
        done = [one for one in runs if one.state is not None and one.state.is_completed()]
        return sorted(done, key=lambda one: one.expected_start_time) if len(done) >= 2 else []

    first, second = until(ended, "two runs of a cron")[:2]
    assert first.auto_scheduled and second.auto_scheduled
    assert first.state.name == "Completed" and "6 of 7 done, 1 failed, 0 left; 12 calls run" in first.state.message
    assert second.state.name == "Cached" and "6 of 7 done, 1 failed, 0 left; 0 calls run" in second.state.message
