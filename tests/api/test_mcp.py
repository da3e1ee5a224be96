"""The Model Context Protocol server, as the protocol's own client meets it, over HTTP and over stdio."""

import base64
import io
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

import httpx
import jsonschema
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.exceptions import McpError
from PIL import Image

from agents.examples.bank import Bank, Example
from agents.examples.choose import Similar
from agents.examples.use import Examples
from agents.planners.backbone import RequestEncoder
from agents.planners.base import Demonstration
from api.access import guarded, read_token, token_file
from api.mcp_server import PATH, http_app
from api.service import Service
from tests.agents.fakes import blur, detect, shout
from tests.api.serve import opened
from tests.serving import in_thread
from tests.waiting import WAIT, until
from tools.core.settings import settings
from tools.weights.needs import weights_of

ROOT = Path(__file__).resolve().parents[2]


class Client:
    """A connected client; its calls wait for their answers."""

    def __init__(self, portal: BlockingPortal, session: ClientSession) -> None:
        self.portal, self.session = portal, session
        self.progress: list[str] = []

    def call(self, name: str, **arguments: Any) -> types.CallToolResult:
        self.progress.clear()
        return self.portal.call(self._call, name, arguments)

    async def _call(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        async def note(progress: float, total: float | None, message: str | None) -> None:
            self.progress.append(message or "")

        return await self.session.call_tool(name, arguments, progress_callback=note)

    def tools(self) -> dict[str, types.Tool]:
        return {tool.name: tool for tool in self.portal.call(self.session.list_tools).tools}

    def read(self, uri: Any) -> types.ReadResourceResult:
        return self.portal.call(self.session.read_resource, uri)


def said(result: types.CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, types.TextContent))


def links(result: types.CallToolResult) -> dict[str, str]:
    return {part.name: str(part.uri) for part in result.content if isinstance(part, types.ResourceLink)}


def data(result: types.CallToolResult) -> dict[str, Any]:
    assert result.structuredContent is not None
    return result.structuredContent


@contextmanager
def connected(transport: Callable[[], Any], **options: Any) -> Iterator[Client]:
    @asynccontextmanager
    async def session() -> AsyncIterator[ClientSession]:
        async with transport() as (read, write, *_), ClientSession(read, write, **options) as client:
            await client.initialize()
            yield client

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(session()) as client:
        yield Client(portal, client)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Iterator[Service]:
    with opened(tmp_path_factory.mktemp("mcp")) as service:
        yield service


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[str]:
    with in_thread(guarded(http_app(service), token_file())) as at:
        yield f"{at}{PATH}"


def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {read_token(token_file())}"}


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    """A client that cannot ask its person anything."""
    with connected(lambda: streamablehttp_client(address, headers=bearer())) as found:
        yield found


@contextmanager
def asked(address: str, answer: types.ElicitResult) -> Iterator[tuple[Client, list[str]]]:
    """A client whose person gives this answer, and the questions."""
    questions: list[str] = []

    async def ask(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        questions.append(params.message)
        return answer

    with connected(lambda: streamablehttp_client(address, headers=bearer()), elicitation_callback=ask) as found:
        yield found, questions


@pytest.fixture
def root(service: Service) -> Path:
    return service.roots.folders[0]


# ---- the catalogue ---------------------------------------------------------------------------------------------


def test_every_tool_is_declared_with_the_schema_of_its_arguments(client: Client, service: Service) -> None:
    tools = client.tools()
    assert list(tools) == ["plan", "run", "annotate", "status", *service.tools]
    for tool in tools.values():
        jsonschema.Draft202012Validator.check_schema(tool.inputSchema)
        assert tool.description and tool.annotations and tool.annotations.destructiveHint is False
    schema = tools["detect"].inputSchema
    assert schema["required"] == ["image", "labels"] and schema["properties"]["min_score"]["maximum"] == 1
    jsonschema.validate({"image": "a.png", "labels": ["dog"]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"image": "a.png", "labels": ["dog"], "min_score": 2}, schema)
    assert [name for name, tool in tools.items() if tool.annotations and tool.annotations.readOnlyHint] == [
        "plan",
        "status",
    ]


def test_a_tool_takes_a_path_and_the_result_of_an_earlier_call(client: Client, root: Path) -> None:
    before = (root / "street.png").read_bytes()
    found = client.call("detect", image="street.png", labels=["dog"])
    assert not found.isError and "dog 1" in said(found) and data(found)["result"] == "done"
    blurred = client.call("blur", image=str(root / "street.png"), regions=links(found)["s1_detect.json"])
    assert not blurred.isError, said(blurred)
    (path,) = [file for file in data(blurred)["files"] if file.endswith(".png")]
    assert (Image.open(path).getpixel((2, 2)), Image.open(path).getpixel((11, 9))) == ((0, 0, 0), (200, 200, 200))
    (small,) = [part for part in blurred.content if isinstance(part, types.ImageContent)]
    assert Image.open(io.BytesIO(base64.b64decode(small.data))).size == (12, 10)
    (resource,) = client.read(links(blurred)["record.json"]).contents
    assert isinstance(resource, types.TextResourceContents)
    assert json.loads(resource.text)["plan"]["steps"][0]["tool"] == "blur"
    assert (root / "street.png").read_bytes() == before


def test_a_list_of_paths_runs_a_tool_on_each(client: Client, root: Path) -> None:
    found = client.call("darken", image=["photos/a.png", "photos/b.png"])
    assert [Path(file).name for file in data(found)["files"]] == ["s1_darken_1.png", "s1_darken_2.png", "record.json"]


def test_words_are_words_and_a_file_of_words_is_given_by_its_uri(client: Client, root: Path) -> None:
    (root / "notes.txt").write_text("from a file")
    for text, loud in (("notes.txt", "NOTES.TXT"), ((root / "notes.txt").as_uri(), "FROM A FILE"), ("$5", "$5")):
        assert loud in said(client.call("shout", text=text))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("detect", {"image": "none.png", "labels": ["dog"]}, "none.png cannot be read"),
        ("detect", {"image": "my_tools.py", "labels": ["dog"]}, "is no picture, sound, video or text"),
        ("detect", {"image": "street.png", "label": ["dog"]}, "Did you mean labels?"),
        ("detect", {"image": "street.png", "labels": ["dog"], "min_score": 7}, "less than or equal to 1"),
        ("detect", {"image": 5, "labels": ["dog"]}, "takes the path of a file"),
        ("blur", {"image": "street.png"}, "needs detections"),
        ("blur", {"image": "street.png", "regions": "street.png"}, "is Image, not Detections"),
        ("detekt", {"image": "street.png"}, "Did you mean detect"),
        ("fail", {"text": "this"}, "cannot work on this"),
        ("plan", {}, "request: Field required"),
        ("plan", {"request": "blur", "media": ["smell"]}, "there is no kind 'smell'"),
        ("plan", {"request": "compose a poem"}, "No plan fits"),
        ("run", {}, "say in request what should happen"),
        ("run", {"request": "blur", "plan": {"step": []}}, "is not a plan"),
        ("run", {"request": "away"}, "superlink models pull planner"),
        ("run", {"request": "compose a poem"}, "nothing to run"),
        ("run", {"thread": "run-of-another-door"}, "there is no run"),
        ("annotate", {"request": "darken", "folder": "empty", "out": "none"}, "There is no file or folder"),
        ("status", {}, "give a thread or a folder"),
        ("status", {"folder": "photos"}, "There is no ledger.sqlite"),
    ],
)
def test_errors_say_what_happened_and_what_to_do(
    client: Client, name: str, arguments: dict[str, Any], message: str
) -> None:
    result = client.call(name, **arguments)
    assert result.isError and message in said(result), said(result)


# ---- the roots -------------------------------------------------------------------------------------------------


def test_nothing_outside_the_roots_is_read_or_written(client: Client, service: Service, root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes((root / "street.png").read_bytes())
    (root / "link.png").symlink_to(outside / "secret.png")
    (root / "linked").symlink_to(outside)
    (root / "loop").symlink_to(root / "loop")
    (root / "photos2").mkdir()
    (root / "photos2" / "c.png").symlink_to(outside / "secret.png")
    for path in ("/etc/hostname", "../outside/secret.png", "link.png", "linked/secret.png", "loop", "a\0b", "~root/x"):
        for result in (
            client.call("detect", image=path, labels=["dog"]),
            client.call("shout", text=f"file:{path}"),
            client.call("plan", request="count", files=[path]),
            client.call("run", request="blur", files=[path], approve=True),
            client.call("annotate", request="darken", folder=path, out="out", approve=True),
        ):
            assert result.isError and ("outside" in said(result) or "is no path" in said(result)), said(result)
    for out in ("../outside/new", "linked/new", "/tmp"):
        assert client.call("run", request="blur", files=["street.png"], approve=True, out=out).isError
        assert client.call("annotate", request="darken", folder="photos", out=out, approve=True).isError
    assert "outside" in said(client.call("annotate", request="darken", folder="photos2", out="out", approve=True))
    (root / "list.txt").write_text("http://192.0.2.1/x.png\n")
    assert "no file of this" in said(client.call("annotate", request="darken", folder="list.txt", out="out"))
    for file, reason in ((outside / "secret.png", "outside the folders"), (root / "my_tools.py", "is no result")):
        with pytest.raises(McpError, match=reason):
            client.read(file.as_uri())
    assert [file.name for file in outside.iterdir()] == ["secret.png"] and not (root / "out").exists()


def test_home_and_store_are_outside_even_in_a_root_that_holds_them(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.roots import OutsideRoots, Roots

    roots = Roots([own_home.parent])
    assert roots.resolve("x") == own_home.parent / "x"
    store = own_home.parent / "elsewhere"
    monkeypatch.setenv("SUPERLINK_STORE", str(store))
    settings.cache_clear()
    for path in (own_home / "api-token", own_home / ".." / own_home.name / "threads.sqlite", store / "aa" / "bb"):
        with pytest.raises(OutsideRoots):
            roots.resolve(path)
    monkeypatch.undo()
    settings.cache_clear()


# ---- plan, run, status -----------------------------------------------------------------------------------------


def test_a_plan_is_checked_and_can_be_run(client: Client) -> None:
    planned = client.call("plan", request="blur every dog", files=["street.png"])
    assert not planned.isError and "blur" in said(planned) and data(planned)["needs_approval"] is True
    # Without files a picture is thought to be at hand, as on the command line.
    assert client.call("plan", request="count the dogs").structuredContent["needs_approval"] is False  # type: ignore[index]
    ran = client.call("run", plan=data(planned)["plan"], files=["street.png"], approve=True)
    assert data(ran)["result"] == "done" and data(ran)["hash"] == data(planned)["hash"]


def test_the_planner_sees_the_examples_of_the_servers_owner_and_the_answer_names_them(
    client: Client, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blur_it = [{"tool": "detect", "args": {"labels": ["dog"]}}, {"tool": "blur", "args": {}}]
    ours, of_bob = (Demonstration(["Image"], f"blur {words}", blur_it) for words in ("the pets", "my pets"))  # type: ignore[arg-type]
    bank = Bank(tmp_path / "examples.sqlite")
    bank.add([Example(ours, "added", "ada"), Example(of_bob, "edited", "bob", owner="bob")])
    monkeypatch.setattr(service, "examples", Examples(bank, Similar(), RequestEncoder()))
    planned = client.call("plan", request="blur the pets", files=["street.png"])
    waiting = client.call("run", request="blur the pets", files=["street.png"])
    for answer in (planned, waiting, client.call("status", thread=data(waiting)["thread"])):
        assert data(answer)["demonstrations"] == [ours.to_json()]
        assert "Examples that the planner saw: “blur the pets”" in said(answer) and "my pets" not in said(answer)
    assert len(bank.all()) == 2


def test_a_plan_that_makes_something_runs_only_when_it_is_approved(
    client: Client, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    work = blur.fn
    monkeypatch.setattr(blur, "fn", lambda **given: calls.append(given) or work(**given))
    waiting = client.call("run", request="blur every dog", files=["street.png"])
    assert data(waiting)["stands"] == "approval" and not calls and not links(waiting)
    thread = data(waiting)["thread"]
    assert thread in said(waiting) and data(client.call("status", thread=thread))["stands"] == "approval"
    assert data(client.call("run", thread=thread))["stands"] == "approval" and not calls
    done = client.call("run", thread=thread, approve=True, out="blurred")
    assert data(done)["result"] == "done" and len(calls) == 1
    assert "s2_blur.png" in links(done) and (root / "blurred" / "s2_blur.png").exists()
    assert data(client.call("status", thread=thread))["answer"] == data(done)["answer"]


def test_a_plan_that_lacks_weights_waits_for_them(
    client: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "needs", weights_of("detect"))
    for request in ("count the dogs", "blur every dog"):
        waiting = client.call("run", request=request, files=["street.png"], approve=True)
        assert waiting.isError and data(waiting)["stands"] == "approval" and not links(waiting)
        assert "s1 needs yolo26n" in said(waiting) and "superlink models pull yolo26n" in said(waiting)
    assert "yolo26n" in said(client.call("plan", request="count the dogs", files=["street.png"]))
    monkeypatch.setattr(detect, "needs", None)  # they were fetched
    assert data(client.call("run", thread=data(waiting)["thread"], approve=True))["result"] == "done"


def test_what_only_looks_runs_at_once_and_says_how_far_it_is(client: Client) -> None:
    done = client.call("run", request="count the dogs", files=["street.png"])
    assert data(done)["result"] == "done" and "1" in said(done)
    assert client.progress == [
        "planned",
        "s1 detect started",
        "s1 detect finished",
        "s2 count started",
        "s2 count finished",
    ]


@pytest.mark.parametrize(
    ("answer", "stands", "result"),
    [
        (types.ElicitResult(action="accept", content={"approve": True}), "done", "done"),
        (types.ElicitResult(action="accept", content={"approve": False}), "done", "refused"),
        (types.ElicitResult(action="decline"), "done", "refused"),
        (types.ElicitResult(action="cancel"), "approval", ""),
    ],
)
def test_the_person_is_asked_where_the_client_can(
    address: str, answer: types.ElicitResult, stands: str, result: str
) -> None:
    with asked(address, answer) as (client, questions):
        ended = client.call("run", request="blur every dog", files=["street.png"])
        assert (data(ended)["stands"], data(ended)["result"]) == (stands, result)
        assert len(questions) == 1 and "s2  blur" in questions[0]
        assert bool(links(ended)) == (result == "done")


def test_a_call_that_is_cancelled_stops(client: Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    began, release, blurred = threading.Event(), threading.Event(), threading.Event()
    find = detect.fn

    def slow(**given: Any) -> Any:
        began.set()
        release.wait(WAIT)
        return find(**given)

    monkeypatch.setattr(detect, "fn", slow)
    monkeypatch.setattr(blur, "fn", lambda **given: blurred.set())
    run = client.portal.start_task_soon(
        client._call, "run", {"request": "blur every dog", "files": ["street.png"], "approve": True}
    )
    assert began.wait(WAIT)
    (thread,) = service.at_work()
    number = types.CancelledNotificationParams(requestId=client.session._request_id - 1)
    cancelled = types.CancelledNotification(params=number)
    client.portal.call(client.session.send_notification, types.ClientNotification(cancelled))
    with pytest.raises(McpError, match="cancelled"):
        run.result(WAIT)
    until(lambda: not service.at_work(), "the run")
    release.set()
    stopped = data(client.call("status", thread=thread))
    assert stopped["stands"] == "working" and not blurred.is_set()
    assert [step["state"] for step in stopped["steps"]] == ["waiting", "waiting"]


# ---- batches ---------------------------------------------------------------------------------------------------


def test_a_batch_waits_after_its_pilot_and_goes_on_when_approved(client: Client, root: Path) -> None:
    what = {"request": "darken it", "folder": "photos", "out": "dark", "pilot": 1}
    waiting = client.call("annotate", **what)
    assert (data(waiting)["done"], data(waiting)["left"], data(waiting)["approved"]) == (1, 2, False)
    assert "Only the pilot has run" in said(waiting) and "darken" in said(waiting)
    done = client.call("annotate", **what, approve=True)
    assert (data(done)["done"], data(done)["left"], data(done)["approved"]) == (3, 0, True)
    assert "2 done, 0 failed" in client.progress and Path(data(done)["exports"]["mirror"]).is_dir()
    assert data(client.call("status", folder="dark"))["done"] == 3


def test_the_person_is_asked_after_the_pilot(address: str) -> None:
    what = {"request": "darken it", "folder": "photos", "pilot": 1}
    with asked(address, types.ElicitResult(action="decline")) as (client, questions):
        assert data(client.call("annotate", **what, out="declined"))["done"] == 1
        assert len(questions) == 1 and "Pilot: 1 items" in questions[0]
    with asked(address, types.ElicitResult(action="accept", content={"approve": True})) as (client, _):
        assert data(client.call("annotate", **what, out="accepted"))["done"] == 3


def test_a_doubtful_plan_is_not_approved_beforehand(client: Client, root: Path, address: str) -> None:
    planned = client.call("plan", request="you may count the dogs", files=["street.png"])
    assert data(planned)["needs_approval"] and "only 30 % sure" in said(planned)
    waiting = client.call("run", request="you may count the dogs", files=["street.png"], approve=True)
    assert data(waiting)["stands"] == "approval" and "only 30 % sure" in said(waiting)
    assert data(waiting)["confidence"]["plan"] == 0.3
    assert data(client.call("run", thread=data(waiting)["thread"], approve=True))["result"] == "done"
    what = {"request": "it may darken", "folder": "photos", "out": "doubtful", "pilot": 1, "approve": True}
    first = client.call("annotate", **what)
    assert data(first)["done"] == 1 and not data(first)["approved"] and "only 30 % sure" in said(first)
    assert data(client.call("annotate", **what))["done"] == 3  # who has seen the plan may approve it
    with asked(address, types.ElicitResult(action="accept", content={"approve": True})) as (other, questions):
        ran = other.call("run", request="you may count the dogs", files=["street.png"], approve=True)
        assert data(ran)["result"] == "done" and "only 30 % sure" in questions[0]


# ---- access ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic dG9rZW4="}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
def test_strangers_are_refused(address: str, headers: dict[str, str], status: int) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    sent = headers if status == 401 else {**bearer(), **headers}
    answer = httpx.post(address, json=call, headers={"Accept": "application/json, text/event-stream", **sent})
    assert answer.status_code == status, answer.text
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer" and "token" in answer.json()["error"]["message"]


def test_only_the_owner_can_read_the_token(address: str) -> None:
    assert stat.S_IMODE(token_file().stat().st_mode) == 0o600 and len(read_token(token_file())) >= 32


# ---- over stdio ------------------------------------------------------------------------------------------------


def test_what_tools_print_does_not_disturb_the_protocol(tmp_path: Path) -> None:
    """Every line of standard output is a message; the protocol's own client would pass over others."""
    asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    lines: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": asked},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "noise", "arguments": {"words": "hello"}}},
    ]
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests/api/serve.py"), str(tmp_path)],
        env={**os.environ, "SUPERLINK_HOME": str(tmp_path / "home")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.writelines(json.dumps({"jsonrpc": "2.0", **line}) + "\n" for line in lines)
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdin.close()  # the client has ended, and so does the server
        assert process.wait(WAIT) == 0 and not process.stdout.read()
        assert "not the protocol\nnor this" in process.stderr.read()
    assert [answer["id"] for answer in answers] == [1, 2] and "hello" in answers[1]["result"]["content"][0]["text"]


def test_the_command_serves_the_real_planner_in_the_folder_where_it_is_started(
    planner_home: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SUPERLINK_HOME": str(planner_home)}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "superlink", "mcp"], env=environment, cwd=str(work)
    )
    with connected(lambda: stdio_client(server)) as client:
        request = "blur every face, then read the text and say it out loud"
        planned = data(client.call("plan", request=request, media=["image"]))
        assert [step["tool"] for step in planned["plan"]["steps"]] == ["detect", "redact", "read_text", "speak"]
        assert planned["needs_approval"] and str(work) in said(client.call("detect", image="/etc/hostname", labels=[]))


def test_a_tool_of_ones_own_may_not_hide_one_of_the_server() -> None:
    from api.mcp_tools import declarations
    from tools.core.errors import SettingsInvalid

    with pytest.raises(SettingsInvalid, match="'status'"):
        declarations({"status": shout})
