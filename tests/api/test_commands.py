"""``superlink mcp`` and ``superlink serve`` before they serve: addresses, tokens, folders, missing packages."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

import anyio
import httpx

from superlink.cli import main
from tools.core.errors import SuperlinkError
from tools.core.http_guard import App
from tools.core.serving import Server


@pytest.fixture
def serving(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[App, str, int]]:
    """What the commands would serve, and where."""
    found: list[tuple[App, str, int]] = []

    def note(server: Server, host: str, port: int) -> None:
        app: Any = server.config.app
        found.append((app, host, port))
        server.say_started(f"http://{host}:{port}")

    monkeypatch.setattr(Server, "serve_on", note)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.mark.parametrize(
    ("command", "address"),
    [(["mcp", "--http", "--port", "9"], "127.0.0.1:9/mcp"), (["serve", "--port", "9"], "127.0.0.1:9/v1")],
)
def test_they_say_where_they_are_and_where_the_token_is(
    serving: list[Any], home: Path, command: list[str], address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 0
    said = capsys.readouterr().out
    assert f"http://{address}" in said and str(home / "api-token") in said
    assert (home / "api-token").read_text() not in said
    assert [place for _, *place in serving] == [["127.0.0.1", 9]]


def test_a_server_for_other_computers_needs_the_token_and_its_name(serving: list[Any], home: Path) -> None:
    assert main(["serve", "--host", "0.0.0.0", "--allow-host", "photos.example"]) == 0
    ((app, host, _),) = serving
    assert host == "0.0.0.0"
    token = (home / "api-token").read_text()

    async def ask(name: str, sent: str) -> int:
        headers = {"Authorization": f"Bearer {sent}", "Host": name}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://192.0.2.1") as client:
            return (await client.get("/v1/models", headers=headers)).status_code

    assert anyio.run(ask, "photos.example", token) == 200
    assert anyio.run(ask, "photos.example", "none") == 401
    assert anyio.run(ask, "evil.example", token) == 403


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--root", "none"], "none is no folder"),
        (["serve", "--token-file", "short"], "no secret of 32 characters"),
        (["mcp", "--http", "--token-file", "folder"], "cannot be read or made"),
        (["serve", "--tools", "none.py"], "There is no tools file"),
        (["mcp", "--planner", "magic"], "there is no planner 'magic'"),
    ],
)
def test_what_cannot_be_served_is_said(
    serving: list[Any], tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "short").write_text("secret")
    (tmp_path / "folder").mkdir()
    assert main(arguments) == 1 and message in capsys.readouterr().err
    assert not serving


@pytest.mark.parametrize(
    ("command", "package", "module"), [("mcp", "mcp", "api.mcp_server"), ("serve", "fastapi", "api.openai_server")]
)
def test_a_missing_package_is_named(
    serving: list[Any],
    command: str,
    package: str,
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]
    assert main([command]) == 1
    assert f"the package {package}" in (said := capsys.readouterr().err) and "superlink[api]" in said


def test_an_address_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SuperlinkError, match="is taken"):
        Server(None, lambda address: None, 3).serve_on("127.0.0.1", taken.getsockname()[1])  # type: ignore[arg-type]
