"""The login page and what is let through, without a server."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio")

import argon2
import gradio as gr
from starlette.testclient import TestClient

from tools.core.http_guard import App, HttpGuard, Receive, Scope, Send
from ui.access import attempts, login
from ui.access.access import Access
from ui.access.http import answer
from ui.access.login import LOCAL, USER, Login
from ui.access.server import application

PASSWORD = "open sesame"
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Access]:
    hasher = argon2.PasswordHasher
    monkeypatch.setattr("ui.access.users.PasswordHasher", lambda: hasher(time_cost=1, memory_cost=8, parallelism=1))
    opened = Access.open(tmp_path)
    opened.users.add("ada", PASSWORD)
    yield opened
    opened.close()


async def _who(scope: Scope, receive: Receive, send: Send) -> None:
    """Says who was let through."""
    await answer(send, 200, {"user": scope[USER]})


def _guarded(access: Access, app: App = _who, *, is_open: bool = False) -> App:
    return HttpGuard(Login(app, access.users, access.attempts, "here", is_open=is_open))


def _visit(app: App, address: str = "192.0.2.1") -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:7860", follow_redirects=False, client=(address, 50000))


def _log_in(client: TestClient, **form: str) -> str:
    """Log in as a browser; the Set-Cookie of the answer."""
    given = client.post("/login", data={"username": "ada", "password": PASSWORD, **form}, headers=BROWSER)
    assert given.status_code == 303, given.text
    return given.headers["set-cookie"]


def test_a_browser_logs_in_and_out(access: Access) -> None:
    client = _visit(_guarded(access))
    asked = client.get("/?s=abc&x=%22", headers=BROWSER)
    assert asked.status_code == 303
    page = client.get(asked.headers["location"], headers=BROWSER)
    assert page.status_code == 200 and 'value="/?s=abc&amp;x=%22"' in page.text
    for label in ("username", "password"):
        assert f'<label for="{label}">' in page.text and f'id="{label}"' in page.text
    assert "<script" not in page.text and "http:" not in page.text and "https:" not in page.text
    cookie = _log_in(client)
    assert re.search(r"; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax$", cookie)
    assert client.get("/").json() == {"user": "ada"}
    assert client.get("/login", headers=BROWSER).headers["location"] == "/"
    assert "logged in as ada" in client.get("/logout", headers=BROWSER).text
    assert client.get("/").json() == {"user": "ada"}  # a link alone logs nobody out
    kept = dict(client.cookies)
    assert client.post("/logout", headers=BROWSER).headers["location"] == "/login"
    assert client.get("/").status_code == 401
    assert _visit(_guarded(access)).get("/", cookies=kept).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("/?s=abc", "/?s=abc"),
        ("/", "/"),
        ("", "/"),
        ("https://attacker.example/", "/"),
        ("https://attacker.example/?s=a", "/?s=a"),
        ("//attacker.example", "/"),
        ("/\\attacker.example", "/"),
        ("javascript:alert(1)", "/"),
        ("http://[", "/"),
        ("/?a\r\nSet-Cookie: b=c", "/?aSet-Cookie%3A%20b=c"),
        ("/?é<b>", "/?%C3%A9%3Cb%3E"),
    ],
)
def test_the_way_back_is_on_this_page(access: Access, wanted: str, place: str) -> None:
    client = _visit(_guarded(access))
    form = {"username": "ada", "password": PASSWORD, "next": wanted}
    given = client.post("/login", data=form, headers=BROWSER)
    assert given.headers["location"] == place and given.headers.get_list("set-cookie")[0].startswith("superlink-")
    assert len(given.headers.get_list("set-cookie")) == 1


def test_a_wrong_password_is_said_and_not_shown(access: Access) -> None:
    client = _visit(_guarded(access))
    form = {"username": '"><script>alert(1)</script>', "password": "guessed it"}
    given = client.post("/login", data=form, headers=BROWSER)
    assert given.status_code == 401 and 'role="alert"' in given.text
    assert "<script" not in given.text and "guessed it" not in given.text and "set-cookie" not in given.headers
    assert client.post("/login", data=form).json() == {"detail": "The name or the password is wrong."}
    assert client.post("/login", data={"username": "x" * 20_000}).status_code == 413
    assert client.put("/login").status_code == 405


def test_five_wrong_passwords_make_a_pause(access: Access) -> None:
    app = _guarded(access)
    client = _visit(app)
    for number in range(5):
        given = client.post("/login", data={"username": "ada", "password": f"guess {number}"}, headers=BROWSER)
    assert given.status_code == 429 and given.headers["retry-after"] == "30"
    assert "Try again in 30 seconds" in given.text
    right = {"username": "ada", "password": PASSWORD}
    assert client.post("/login", data=right).status_code == 429
    assert _visit(app, "198.51.100.7").post("/login", data=right).status_code == 429  # the name
    assert client.post("/login", data={"username": "bob", "password": "x"}).status_code == 429  # the address
    assert _visit(app, "198.51.100.7").post("/login", data={"username": "bob", "password": "x"}).status_code == 401


def test_a_login_is_new_and_ends_the_old_one(access: Access) -> None:
    client = _visit(_guarded(access))
    cookie = _log_in(client).partition("=")[0]
    first = client.cookies[cookie]
    planted = _visit(_guarded(access))
    planted.cookies.set(cookie, "known-to-an-attacker", domain="127.0.0.1")
    _log_in(planted)
    assert access.users.user_of(planted.cookies[cookie]) == "ada"
    assert access.users.user_of("known-to-an-attacker") is None
    _log_in(client)
    assert access.users.user_of(first) is None


def test_no_other_site_logs_anybody_in_or_out(access: Access) -> None:
    client = _visit(_guarded(access))
    _log_in(client)
    for foreign in (
        {"Origin": "http://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ):
        form = {"username": "ada", "password": PASSWORD}
        assert client.post("/login", data=form, headers=foreign).status_code == 403
        assert client.post("/logout", headers=foreign).status_code == 403
    assert client.get("/").json() == {"user": "ada"}


def test_a_program_shows_a_token(access: Access) -> None:
    client = _visit(_guarded(access))
    token = access.users.make_token("ada")
    assert client.get("/config", headers={"Authorization": f"Bearer {token}"}).json() == {"user": "ada"}
    _log_in(client)
    for wrong in ("Bearer guessed", "Bearer ", "Basic YWRhOm9wZW4=", f"Basic {token}"):
        assert client.get("/config", headers={"Authorization": wrong}).status_code == 401, wrong


@pytest.mark.parametrize(
    "change", [lambda users: users.remove("ada"), lambda users: users.set_password("ada", "another password")]
)
def test_who_is_removed_is_out_at_once(
    access: Access, change: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "_CHECKED", -1.0)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"before", "more_body": True})
        change(access.users)
        await send({"type": "http.response.body", "body": b"after", "more_body": True})
        raise AssertionError("goes on")

    client = _visit(_guarded(access, slow))
    _log_in(client)
    assert client.get("/gradio_api/heartbeat/a").text == "before"
    assert client.get("/").status_code == 401


def test_a_login_outlives_the_server(access: Access, tmp_path: Path) -> None:
    client = _visit(_guarded(access))
    _log_in(client)
    again = Access.open(tmp_path)
    later = _visit(_guarded(again))
    assert later.get("/", cookies=dict(client.cookies)).json() == {"user": "ada"}
    again.close()


def test_an_open_page_closes_with_the_first_user(access: Access) -> None:
    client = _visit(_guarded(access, is_open=True))
    assert client.get("/").status_code == 401
    access.users.remove("ada")
    assert client.get("/").json() == {"user": LOCAL}
    assert client.get("/login", headers=BROWSER).headers["location"] == "/"
    assert _visit(_guarded(access)).get("/").status_code == 401
    access.users.add("bob", PASSWORD)
    assert client.get("/").status_code == 401


def test_two_pages_of_one_computer_have_cookies_of_their_own(access: Access) -> None:
    names = {Login(_who, access.users, access.attempts, place, is_open=False).cookie for place in ("/a", "/b")}
    assert len(names) == 2


def test_a_proxy_is_believed_and_nobody_else(access: Access) -> None:
    far = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "attacker.example"}
    right = {"username": "ada", "password": PASSWORD}

    def guess(client: TestClient, name: str) -> int:
        return client.post("/login", data={"username": name, "password": "x"}, headers=far).status_code

    with gr.Blocks(analytics_enabled=False) as page:
        gr.Textbox()
    proxied = application(page, access, proxy="192.0.2.1")
    through, direct = _visit(proxied, "192.0.2.1"), _visit(proxied, "192.0.2.2")
    for number in range(attempts.FREE):
        guess(through, f"user{number}")
    assert guess(through, "bob") == 429
    assert guess(direct, "bob") == 401  # another address, whatever it says of itself
    given = direct.post("/login", data=right)
    assert "; Secure" in given.headers["set-cookie"]
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Textbox()
    plain = _visit(application(page, access), "192.0.2.3")
    assert plain.post("/login", data=right, headers=far).status_code == 200
    shown = plain.get("/config", headers=far).json()["root"]
    assert shown == "http://127.0.0.1:7860"


def test_no_call_is_public_by_accident(access: Access) -> None:
    access.users.remove("ada")
    with gr.Blocks(analytics_enabled=False) as page:
        box = gr.Textbox()
        gr.Button().click(lambda text: text, box, box, api_name="forgotten")
        gr.api(_meant, api_name="meant")
    client = _visit(application(page, access, endpoints=["meant"]))
    assert set(client.get("/gradio_api/info").json()["named_endpoints"]) == {"/meant"}
    assert {call["api_name"]: call["api_visibility"] for call in client.get("/config").json()["dependencies"]} == {
        "forgotten": "private",
        "meant": "public",
    }


def _meant(text: str) -> str:
    return text
