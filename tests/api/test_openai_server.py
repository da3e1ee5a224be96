"""The OpenAI-compatible server on a real socket: OpenAI's own client, LangChain, plain HTTP, and strangers."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("openai")

import httpx
import openai
from fastapi.testclient import TestClient

from agents.examples.bank import Bank, Example
from agents.examples.choose import Similar
from agents.examples.use import Examples
from agents.planners.backbone import RequestEncoder
from agents.planners.base import Demonstration, ToolCall
from agents.session.session import Session
from api.access import guarded, read_token, token_file
from api.openai_server import application
from api.service import Service
from tests.agents.fakes import Scripted, blur, detect, picture, plan
from tests.api.foreign import FOREIGN
from tests.api.serve import opened
from tests.serving import in_thread
from tests.waiting import WAIT, until
from tools.weights.needs import weights_of

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with opened(folder) as service:
        yield service


@pytest.fixture(scope="module")
def address(service: Service, folder: Path) -> Iterator[str]:
    with in_thread(guarded(application(service, folder / "runs"), token_file(), max_body=LIMIT)) as at:
        yield f"{at}/v1"


@pytest.fixture(scope="module")
def token(address: str) -> str:
    return read_token(token_file())


@pytest.fixture(scope="module")
def client(address: str, token: str) -> Any:
    return openai.OpenAI(base_url=address, api_key=token, max_retries=0)


@pytest.fixture(scope="module")
def http(address: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=WAIT) as http:
        yield http


def ended(http: httpx.Client, begun: httpx.Response) -> dict[str, Any]:
    """The run once it has ended or waits for approval."""
    assert begun.status_code == 202, begun.text
    where = begun.headers["location"].removeprefix("/v1")

    def state() -> dict[str, Any] | None:
        found: dict[str, Any] = http.get(where).json()
        return None if found["state"] in ("queued", "working") else found

    found: dict[str, Any] = until(state, "the run")
    return found


# ---- chat completions ------------------------------------------------------------------------------------------


def test_the_one_model_is_listed(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["superlink"]
    assert client.models.retrieve("superlink").owned_by == "superlink"


def test_openais_client_is_given_calls_and_sends_results(client: Any) -> None:
    messages: list[Any] = [{"role": "user", "content": "mail it"}]
    names = []
    for _ in range(5):
        answer = client.chat.completions.create(model="superlink", messages=messages, tools=FOREIGN)
        choice = answer.choices[0]
        messages.append(choice.message)
        if choice.finish_reason == "stop":
            break
        for call in choice.message.tool_calls:
            names.append(call.function.name)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"done {call.function.name}"})
    assert names == ["fetch_page", "send_email"] and messages[-1].content == "send_email: done send_email"


def test_openais_client_reads_the_stream(client: Any) -> None:
    with client.chat.completions.stream(
        model="superlink", messages=[{"role": "user", "content": "both"}], tools=FOREIGN
    ) as stream:
        whole = stream.get_final_completion()
    assert [call.function.name for call in whole.choices[0].message.tool_calls] == ["getWeather", "fetch_page"]
    assert whole.choices[0].finish_reason == "tool_calls"


def test_langchain_binds_its_tools(address: str, token: str) -> None:
    langchain = pytest.importorskip("langchain_openai")
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool

    @tool
    def fetch_page(url: str) -> str:
        """Fetch a web page."""
        return f"the page {url}"

    @tool
    def send_email(to: str, body: str) -> str:
        """Send an email."""
        return f"sent to {to}: {body}"

    model = langchain.ChatOpenAI(model="superlink", base_url=address, api_key=token, max_retries=0)
    bound = model.bind_tools([fetch_page, send_email])
    talk: list[Any] = [HumanMessage("mail it")]
    while (said := bound.invoke(talk)).tool_calls:
        talk.append(said)
        for call in said.tool_calls:
            done = {"fetch_page": fetch_page, "send_email": send_email}[call["name"]].invoke(call["args"])
            talk.append(ToolMessage(done, tool_call_id=call["id"]))
    assert said.content == "send_email: sent to $ana: the page a.example"
    chunks = list(bound.stream([HumanMessage("mail it")]))
    assert [call["name"] for chunk in chunks for call in chunk.tool_call_chunks] == ["fetch_page"]


@pytest.mark.parametrize(
    ("changes", "kind", "code", "message"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, "model_not_found", "Use superlink"),
        ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
        (
            {"messages": [{"role": "user", "content": "poem"}], "tool_choice": "required"},
            openai.BadRequestError,
            "no_function_fits",
            "None of these",
        ),
        ({"n": 2}, openai.BadRequestError, "unsupported", "always 1"),
        ({"logprobs": True}, openai.BadRequestError, "unsupported", "logprobs"),
        ({"response_format": {"type": "json_object"}}, openai.BadRequestError, "unsupported", "schema"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            openai.BadRequestError,
            "invalid_value",
            "name",
        ),
        (
            {"messages": [{"role": "user", "content": "go away"}]},
            openai.InternalServerError,
            None,
            "superlink models pull",
        ),
    ],
)
def test_errors_have_openais_shape(
    client: Any, changes: dict[str, Any], kind: Any, code: str | None, message: str
) -> None:
    request = {"model": "superlink", "messages": [{"role": "user", "content": "weather"}], "tools": FOREIGN}
    with pytest.raises(kind) as error:
        client.chat.completions.create(**{**request, **changes})
    assert error.value.code == code and message in error.value.message


# ---- access ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/models", "/runs/x/files/y", "/nothing", "/../openapi.json"])
def test_strangers_are_refused_everywhere(http: httpx.Client, path: str, headers: dict[str, str], status: int) -> None:
    for answer in (http.get(path, headers=headers), http.post(path, headers=headers, json={"request": "blur"})):
        assert answer.status_code == status, answer.text
        if status == 401:
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert str(token_file()) not in answer.text


def test_openais_client_with_a_wrong_token(address: str) -> None:
    with pytest.raises(openai.AuthenticationError, match="The token is wrong"):
        openai.OpenAI(base_url=address, api_key="wrong", max_retries=0).models.list()


def test_bodies_have_a_limit(http: httpx.Client) -> None:
    assert http.post("/runs", files={"files": ("a.png", b"0" * (LIMIT + 1))}).status_code == 413


# ---- plans and runs --------------------------------------------------------------------------------------------


def test_a_plan_is_checked_and_not_run(http: httpx.Client) -> None:
    found = http.post("/plans", json={"request": "blur the dogs", "paths": ["street.png"]}).json()
    assert found["works"] and found["needs_approval"] and "blur" in found["tree"] and found["object"] == "plan"
    again = http.post("/plans", json={"plan": found["plan"], "media": ["image"]}).json()
    assert again["hash"] == found["hash"]
    wrong = {"steps": [{"id": "s1", "tool": "blurr", "args": {}}]}
    refused = http.post("/plans", json={"plan": wrong, "media": ["image"]}).json()
    assert not refused["works"] and "Did you mean blur" in refused["problems"][0]


def test_the_planner_sees_the_examples_of_the_servers_owner(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = Bank(tmp_path / "examples.sqlite")
    calls: dict[str, list[ToolCall]] = {
        "count the dogs": [{"tool": "detect", "args": {"labels": ["dog"]}}, {"tool": "count", "args": {}}],
        "what is the weather?": [{"tool": "get_weather", "args": {"city": "Rome"}}],
    }
    shown = [Demonstration([], words, each) for words, each in calls.items()]
    bank.add([Example(one, "added", "ada") for one in shown])
    bank.add([Example(one._replace(have=["Image"]), "edited", "bob", owner="bob") for one in shown])
    monkeypatch.setattr(service, "examples", Examples(bank, Similar(), RequestEncoder()))
    http = TestClient(application(service, tmp_path))
    planned = http.post("/v1/plans", json={"request": "count the dogs"}).json()
    assert planned["demonstrations"] == [shown[0].to_json()]
    talk = {"model": "superlink", "messages": [{"role": "user", "content": "what is the weather like?"}]}
    said = http.post("/v1/chat/completions", json={**talk, "tools": FOREIGN}).json()
    assert said["choices"][0]["message"]["tool_calls"] and said["demonstrations"] == [shown[1].to_json()]


def test_a_run_waits_for_a_decision(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    work = blur.fn
    monkeypatch.setattr(blur, "fn", lambda **given: calls.append(given) or work(**given))
    upload = {"files": ("my dog.png", picture().to_bytes())}
    waiting = ended(http, http.post("/runs", data={"request": "blur the dogs"}, files=upload))
    run, outcome = f"/runs/{waiting['id']}", waiting["outcome"]
    assert waiting["state"] == "approval" and outcome["needs_approval"] and not calls and not waiting["files"]
    assert http.get(f"{run}/files/record.json").status_code == 404
    other = http.post(f"{run}/decision", json={"action": "accept", "hash": "0" * 64})
    assert other.status_code == 409 and not calls
    accepted = http.post(f"{run}/decision", json={"action": "accept", "hash": outcome["hash"]})
    assert accepted.status_code == 200
    done: dict[str, Any] = until(lambda: (s := http.get(run).json())["state"] == "done" and s, "the run")
    assert done["outcome"]["result"] == "done" and len(calls) == 1
    assert [file["name"] for file in done["files"]] == ["s2_blur.png", "record.json"]
    picture_file = http.get(done["files"][0]["url"].removeprefix("/v1"))
    assert picture_file.content.startswith(b"\x89PNG") and "attachment" in picture_file.headers["content-disposition"]
    assert json.loads(http.get(f"{run}/files/record.json").text)["hash"] == outcome["hash"]
    assert http.get(f"{run}/files/..%2f..%2fthreads.sqlite").status_code == 404
    assert http.post(f"{run}/decision", json={"action": "accept"}).status_code == 409
    assert http.delete(run).json()["deleted"] and http.get(run).status_code == 404


def test_a_plan_that_lacks_weights_is_not_accepted(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "needs", weights_of("detect"))
    waiting = ended(http, http.post("/runs", json={"request": "count the dogs", "paths": ["street.png"]}))
    assert waiting["state"] == "approval" and "superlink models pull" in waiting["outcome"]["missing"][0]
    accepted = http.post(f"/runs/{waiting['id']}/decision", json={"action": "accept"})
    assert accepted.status_code == 503 and "superlink models pull" in accepted.json()["error"]["message"]


def test_a_plan_that_was_approved_runs_without_asking(http: httpx.Client) -> None:
    planned = http.post("/plans", json={"request": "blur the dogs", "paths": ["street.png"]}).json()
    body = {"request": "blur the dogs", "paths": ["street.png"], "approved_hash": planned["hash"]}
    assert ended(http, http.post("/runs", json=body))["state"] == "done"
    assert ended(http, http.post("/runs", json={**body, "approved_hash": "0" * 64}))["state"] == "approval"
    form = {"plan": json.dumps(planned["plan"]), "approved_hash": planned["hash"]}
    upload = {"files": ("a.png", picture().to_bytes())}
    assert ended(http, http.post("/runs", data=form, files=upload))["outcome"]["hash"] == planned["hash"]


def test_a_waiting_plan_can_be_edited_or_rejected(http: httpx.Client) -> None:
    body = {"request": "blur the dogs", "paths": ["street.png"]}
    waiting = ended(http, http.post("/runs", json=body))
    run, changed = f"/runs/{waiting['id']}", waiting["outcome"]["plan"]
    assert http.post(f"{run}/decision", json={"action": "edit", "plan": {"x": 1}}).status_code == 400
    changed["steps"][1]["args"]["how"] = "fill"
    http.post(f"{run}/decision", json={"action": "edit", "plan": changed})
    done: dict[str, Any] = until(lambda: (s := http.get(run).json())["state"] == "done" and s, "the run")
    assert done["outcome"]["plan"]["steps"][1]["args"]["how"] == "fill"
    waiting = ended(http, http.post("/runs", json=body))
    run = f"/runs/{waiting['id']}"
    http.post(f"{run}/decision", json={"action": "reject", "reason": "not this"})
    rejected: dict[str, Any] = until(lambda: (s := http.get(run).json())["state"] == "done" and s, "the run")
    assert rejected["outcome"]["result"] == "refused" and "not this" in rejected["outcome"]["answer"]
    assert not rejected["files"]


def test_what_only_looks_runs_at_once_also_on_several_files(http: httpx.Client) -> None:
    files = [("files", (f"{n}.png", picture(value=n).to_bytes())) for n in (1, 2)]
    done = ended(http, http.post("/runs", data={"request": "count the dogs"}, files=files))
    assert done["state"] == "done" and done["outcome"]["answer"]


def test_a_run_that_cannot_be_planned_says_why(http: httpx.Client) -> None:
    failed = ended(http, http.post("/runs", json={"request": "go away"}))
    assert failed["state"] == "failed" and "superlink models pull" in failed["error"]["hint"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "nothing to do"),
        ({"request": "blur", "file": "x"}, 400, "file: Extra inputs"),
        ({"request": "blur", "paths": ["none.png"]}, 400, "none.png cannot be read"),
        ({"request": "blur", "paths": ["../threads.sqlite"]}, 403, "outside"),
        ({"request": "blur", "paths": ["/etc/hostname"]}, 403, "outside"),
        ({"plan": {"step": 1}}, 400, "is not a plan"),
    ],
)
def test_wrong_requests_of_runs(http: httpx.Client, body: dict[str, Any], status: int, message: str) -> None:
    answer = http.post("/runs", json=body)
    assert answer.status_code == status and message in answer.json()["error"]["message"]


def test_other_wrong_requests(http: httpx.Client) -> None:
    assert http.post("/runs", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert http.post("/runs", content=b"blur", headers={"Content-Type": "text/plain"}).status_code == 415
    bad = http.post("/runs", data={"request": "blur"}, files={"files": ("../../evil.png", b"no picture")})
    assert bad.status_code == 400 and bad.json()["error"]["message"].startswith("../../evil.png is no")
    assert http.post("/runs", data={"request": "blur"}, files={"image": ("a.png", b"")}).status_code == 400
    assert http.get("/nothing").json()["error"]["type"] == "invalid_request_error"
    assert http.get("/runs/none").status_code == 404 and http.get("/runs/..").status_code == 404


def test_threads_of_other_doors_are_not_reached(http: httpx.Client, service: Service) -> None:
    session = Session(
        "ui-thread", tools=service.tools, planner=Scripted([plan()]), store=service.store, memory=service.saver
    )
    list(session.start("a secret"))
    for thread in ("ui-thread", "api-none"):
        assert http.get(f"/runs/{thread}").status_code == 404
        assert http.post(f"/runs/{thread}/decision", json={"action": "accept"}).status_code == 404


def test_runs_survive_the_server(http: httpx.Client, service: Service, folder: Path, token: str) -> None:
    waiting = ended(http, http.post("/runs", json={"request": "blur the dogs", "paths": ["street.png"]}))
    with (
        in_thread(guarded(application(service, folder / "runs"), token_file())) as at,
        httpx.Client(base_url=f"{at}/v1", headers={"Authorization": f"Bearer {token}"}) as other,
    ):
        assert other.get(f"/runs/{waiting['id']}").json() == waiting
        other.post(f"/runs/{waiting['id']}/decision", json={"action": "accept"})
        until(lambda: other.get(f"/runs/{waiting['id']}").json()["state"] == "done", "the run")
    assert http.get(f"/runs/{waiting['id']}").json()["files"]


# ---- the command -----------------------------------------------------------------------------------------------


def test_the_command_serves_the_real_planner(planner_home: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SUPERLINK_HOME": str(planner_home)}
    command = [sys.executable, "-m", "superlink", "serve", "--port", "0", "--token-file", "secret/token"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        secret = tmp_path / "secret" / "token"
        assert str(secret) in line and secret.read_text() not in line
        found = re.search(r"http://\S+/v1", line)
        assert found is not None
        client = openai.OpenAI(base_url=found[0], api_key=secret.read_text(), max_retries=0)

        def ask(words: str) -> Any:
            messages = [{"role": "user", "content": words}]
            return client.chat.completions.create(model="superlink", messages=messages, tools=FOREIGN)

        first = ask("What's the weather in Lisbon in celsius?")
        (call,) = first.choices[0].message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == (
            "getWeather",
            {"city": "Lisbon", "unit": "celsius"},
        )
        assert first.usage.prompt_tokens > 50 and first.usage.completion_tokens > 5
        # The plan is made again at each turn, so it has to come out the same.
        again = ask("What's the weather in Lisbon in celsius?")
        assert again.choices[0].message.tool_calls[0].id == call.id
        assert "fits the request" in ask("write me a poem about the sea").choices[0].message.content
    finally:
        process.terminate()
        process.wait(WAIT)
