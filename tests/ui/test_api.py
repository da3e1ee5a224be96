"""The endpoints for programs, called by Gradio's own client on a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("gradio")

import gradio_client

from tests.ui.served import API, USERS, served
from ui.access.access import Access
from ui.api import NAMES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder, USERS) as address:
        yield address


@pytest.fixture(scope="module")
def ada(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from _program(address, tmp_path_factory.mktemp("ada"), auth=("ada", USERS["ada"]))


@pytest.fixture(scope="module")
def bob(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from _program(address, tmp_path_factory.mktemp("bob"), auth=("bob", USERS["bob"]))


def _program(address: str, folder: Path, **given: Any) -> Iterator[Any]:
    program = gradio_client.Client(address, verbose=False, analytics_enabled=False, download_files=folder, **given)
    yield program
    program.close()


@pytest.fixture
def note(tmp_path: Path) -> Any:
    (tmp_path / "note.txt").write_text("hello there")
    return gradio_client.handle_file(tmp_path / "note.txt")


def test_programs_find_these_four_and_nothing_else(ada: Any) -> None:
    found = ada.view_api(return_format="dict")
    assert set(found["named_endpoints"]) == {f"/{name}" for name in NAMES} and not found["unnamed_endpoints"]
    asked = [one["parameter_name"] for one in found["named_endpoints"]["/decide"]["parameters"]]
    assert asked == ["session", "action", "plan", "remark", "reason"]


def test_a_request_is_run_and_its_results_come(ada: Any, note: Any) -> None:
    done = ada.predict("in capitals", [note], api_name="/run")
    assert (done["stage"], done["result"], done["problems"]) == ("idle", "done", [])
    assert [step["tool"] for step in done["plan"]["steps"]] == ["shout"]
    texts = [Path(file).read_text() for file in done["files"] if file.endswith(".txt")]
    assert texts == ["HELLO THERE"] and done["files"][-1].endswith("record.json")
    assert ada.predict(done["session"], api_name="/status")["answer"] == done["answer"]


def test_a_plan_waits_for_a_decision(ada: Any, note: Any) -> None:
    waits = ada.predict("say it aloud", [note], api_name="/plan")
    assert (waits["stage"], waits["files"]) == ("approval", [])
    rejected = ada.predict(waits["session"], "reject", reason="not now", api_name="/decide")
    assert (rejected["stage"], rejected["status"]) == ("idle", "Rejected")
    waits = ada.predict("say it aloud", [note], waits["session"], api_name="/plan")
    assert waits["turn"] == 2
    state = ada.predict(waits["session"], "edit", {"steps": [{"id": "s1", "tool": "no_such"}]}, api_name="/decide")
    assert state["stage"] == "approval" and "no_such" in str(state["problems"])
    shouted = {"steps": [{"id": "s1", "tool": "shout", "args": {"text": "$text"}}]}
    done = ada.predict(waits["session"], "edit", shouted, api_name="/decide")
    assert done["result"] == "done" and "HELLO" in done["answer"]
    for action in ("accept", "explode"):
        with pytest.raises(Exception, match="no plan waits for you"):
            ada.predict(waits["session"], action, api_name="/decide")
    with pytest.raises(Exception, match="request is empty"):
        ada.predict(" ", api_name="/plan")


def test_what_makes_something_is_run_when_that_is_asked_for(ada: Any, note: Any) -> None:
    done = ada.predict("say it aloud", [note], api_name="/run")
    assert done["result"] == "done" and any(file.endswith((".flac", ".wav")) for file in done["files"])


def test_a_session_is_for_its_user(ada: Any, bob: Any, address: str, note: Any) -> None:
    done = ada.predict("in capitals", [note], api_name="/run")
    for call in (
        lambda: bob.predict(done["session"], api_name="/status"),
        lambda: bob.predict(done["session"], "accept", api_name="/decide"),
        lambda: bob.predict("again", [], done["session"], api_name="/run"),
    ):
        with pytest.raises(Exception, match="no such session"):
            call()
    with pytest.raises(Exception, match="no such session"):
        ada.predict("../../x", api_name="/status")


@pytest.mark.parametrize("file", ["/etc/passwd", {"path": ""}, None, 7, ["/etc/passwd"]])
def test_a_file_is_one_that_the_user_uploaded(ada: Any, file: Any) -> None:
    with pytest.raises(Exception, match="was not uploaded|belongs to another|403"):
        ada.predict("in capitals", [file], api_name="/run")


def test_without_a_login_there_is_nothing(address: str) -> None:
    with pytest.raises(Exception, match="[Pp]lease login|credentials"):
        gradio_client.Client(address, verbose=False)
    for name in NAMES:
        for way in ("call", "call/v2", "run", "api"):
            assert httpx.post(f"{address}{API}/{way}/{name}", json={"data": []}).status_code == 401
    assert httpx.post(f"{address}{API}/queue/join", json={"data": [], "fn_index": 0}).status_code == 401


def test_a_token_is_as_good_as_a_login(address: str, folder: Path, ada: Any, note: Any, tmp_path: Path) -> None:
    done = ada.predict("in capitals", [note], api_name="/run")
    access = Access.open(folder / "page")
    headers = {"Authorization": f"Bearer {access.users.make_token('ada')}"}
    access.close()
    for program in _program(address, tmp_path / "given", headers=headers):
        state = program.predict(done["session"], api_name="/status")
        assert [Path(file).name for file in state["files"]] == [Path(file).name for file in done["files"]]
