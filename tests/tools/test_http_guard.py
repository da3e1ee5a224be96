"""Which requests the guard of our servers lets through."""

import asyncio
from typing import Any

import pytest

from tools.core.http_guard import HEADERS, HttpGuard


def _status(method: str = "GET", max_body: int | None = None, hosts: tuple[str, ...] = (), **headers: str) -> int:
    """Status of a request with these headers, "_" for "-"; 200 where the application behind answered."""
    sent, reached = _answer({"type": "http", "scheme": "http", "method": method}, headers, hosts, max_body)
    assert reached == (sent[0]["status"] == 200)
    names = {name.decode() for name, _ in sent[0]["headers"]}
    assert {name.lower() for name in HEADERS} <= names
    return int(sent[0]["status"])


def _answer(
    scope: dict[str, Any], headers: dict[str, str], hosts: tuple[str, ...] = (), max_body: int | None = None
) -> tuple[list[Any], bool]:
    sent: list[Any] = []
    reached = False

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal reached
        reached = True
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    guard = HttpGuard(app, hosts, max_body=max_body)
    asyncio.run(guard({"headers": raw, "server": ("192.0.2.7", 7860), "path": "/", **scope}, receive, send))
    return sent, reached


@pytest.mark.parametrize(
    "host",
    ["localhost:7860", "LOCALHOST", "127.0.0.1:7860", "127.1.2.3", "[::1]:7860", "192.0.2.7:7860", "box.lan:7860"],
)
def test_own_names_are_answered(host: str) -> None:
    assert _status(host=host, hosts=("box.lan",)) == 200
    assert _status("POST", host=host, origin=f"http://{host}", hosts=("box.lan",)) == 200


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example:7860",
        "localhost.attacker.example",
        "127.0.0.1.attacker.example",
        "192.0.2.8",
        "",
        "[::1",
        "attacker@localhost",
        "localhost:7860/",
        "localhost, attacker.example",
        "0.0.0.0:7860",
        "127.0.0.1\N{LATIN SMALL LETTER E WITH ACUTE}",
    ],
)
def test_foreign_hosts_are_refused(host: str) -> None:
    assert _status(host=host) == 403
    assert _status() == 403  # none at all


def test_a_host_given_twice_is_refused() -> None:
    sent, reached = _answer(
        {"type": "http", "scheme": "http", "method": "GET"}, {"host": "localhost", "Host": "localhost"}
    )
    assert sent[0]["status"] == 403 and not reached


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://attacker.example",
        "http://attacker.example:7860",
        "http://localhost:9999",
        "http://localhost",
        "null",
        "file://",
        "http://localhost:7860.attacker.example",
        "",
    ],
)
def test_foreign_origins_are_refused(method: str, origin: str) -> None:
    assert _status(method, host="localhost:7860", origin=origin) == 403


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:7860", "http://localhost:7860"),
        ("localhost:7860", "http://127.0.0.1:7860"),
        ("localhost", "https://localhost"),  # behind a proxy that adds TLS
        ("localhost:8443", "https://localhost:8443"),
    ],
)
def test_own_origins_are_answered(host: str, origin: str) -> None:
    assert _status("POST", host=host, origin=origin) == 200


def test_another_site_may_link_to_the_page_and_no_more() -> None:
    site = {"host": "localhost:7860", "sec_fetch_site": "cross-site"}
    link = {**site, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert _status(**link) == 200
    assert _status("POST", **link) == 403
    assert _status(**link | {"sec_fetch_dest": "iframe"}) == 403
    assert _status(**site, sec_fetch_mode="no-cors", sec_fetch_dest="image") == 403
    assert _status(**site | {"sec_fetch_site": "same-site"}, sec_fetch_mode="cors") == 403
    assert _status(**site | {"sec_fetch_site": "same-origin"}, sec_fetch_mode="cors") == 200
    assert _status("POST", host="localhost:7860") == 200  # no browser: it sends neither


def test_web_sockets_are_guarded_too() -> None:
    scope = {"type": "websocket", "scheme": "ws"}
    sent, reached = _answer(scope, {"host": "localhost:7860", "origin": "http://attacker.example"})
    assert sent[0]["type"] == "websocket.close" and not reached
    assert _answer(scope, {"host": "localhost:7860", "origin": "http://localhost:7860"})[1]


def test_bodies_have_a_limit_that_is_known_beforehand() -> None:
    assert _status("POST", host="localhost", content_length="10", max_body=10) == 200
    assert _status("POST", host="localhost", content_length="11", max_body=10) == 413
    assert _status("POST", host="localhost", content_length="-1", max_body=10) == 413
    assert _status("POST", host="localhost", transfer_encoding="chunked", max_body=10) == 411
    assert _status("POST", host="localhost", transfer_encoding="chunked") == 200
