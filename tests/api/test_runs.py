"""Runs in the background: stopped, cut short, and in a queue."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from agents.session.session import SessionError
from api.runs import NoSuchRun, RunJson, Runs
from api.service import Service
from tests.agents.fakes import detect
from tests.api.serve import opened
from tests.waiting import WAIT, until
from tools.core.errors import MediaError


@pytest.fixture
def service(tmp_path: Path, home: Path) -> Iterator[Service]:
    with opened(tmp_path) as service:
        yield service


class Gate:
    """A detector that waits until it is let go."""

    def __init__(self) -> None:
        self.began, self.release, self.times = threading.Event(), threading.Event(), 0

    def __call__(self, **given: Any) -> Any:
        self.times += 1
        self.began.set()
        assert self.release.wait(WAIT)
        return self.work(**given)

    work = staticmethod(detect.fn)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(detect, "fn", gate)
    yield gate
    gate.release.set()


def state_of(runs: Runs, run_id: str, *ended: str) -> RunJson:
    found: RunJson = until(lambda: (now := runs.state(run_id))["state"] in ended and now, "the run")
    return found


def test_a_run_at_work_is_stopped_before_it_is_deleted(service: Service, tmp_path: Path, gate: Gate) -> None:
    runs = Runs(service, tmp_path / "runs", parallel=1)
    first = runs.begin("count the dogs", paths=["street.png"])
    second = runs.begin("count the dogs", paths=["street.png"])
    assert gate.began.wait(WAIT)
    assert (runs.state(first)["state"], runs.state(second)["state"]) == ("working", "queued")
    with pytest.raises(SessionError, match="no plan waits"):
        runs.decide(first, {"action": "accept"})
    with pytest.raises(SessionError, match="is being stopped"):
        runs.delete(first)
    stopped = state_of(runs, first, "failed")
    assert "stopped" in stopped["error"]["message"]
    runs.delete(first)
    with pytest.raises(NoSuchRun):
        runs.state(first)
    gate.release.set()
    assert state_of(runs, second, "done")["files"]
    runs.close()


def test_a_run_that_the_end_of_the_server_cut_short_says_so(service: Service, tmp_path: Path, gate: Gate) -> None:
    runs = Runs(service, tmp_path / "runs")
    run_id = runs.begin("count the dogs", paths=["street.png"])
    assert gate.began.wait(WAIT)
    runs.close()
    found = Runs(service, tmp_path / "runs").state(run_id)
    assert found["state"] == "interrupted" and "Begin it again" in found["error"]["hint"]


def test_a_fault_ends_a_run_with_a_sentence(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(record: object, folder: Path) -> list[str]:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(service, "write", broken)
    runs = Runs(service, tmp_path / "runs")
    failed = state_of(runs, runs.begin("count the dogs", paths=["street.png"]), "failed")
    assert "no such luck" in failed["error"]["message"]
    runs.close()


def test_a_file_that_was_sent_is_named_as_its_sender_named_it(service: Service, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"no picture")
    with pytest.raises(MediaError) as error:
        Runs(service, tmp_path / "runs").begin("count", uploads=[("holiday.png", tmp_path / "0.png")])
    assert error.value.message.startswith("holiday.png") and "0.png" not in error.value.message


def test_two_do_not_work_on_one_thread(service: Service) -> None:
    with service.session("api-1"):
        with pytest.raises(SessionError, match="api-1 is at work"), service.session("api-1"):
            pass
        with service.session("api-2"):
            assert service.at_work() == {"api-1", "api-2"}
    with service.session("api-1"):
        assert service.at_work() == {"api-1"}
