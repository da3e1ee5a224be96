"""Logging in: middleware that lets users through and shows others the login page."""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from tools.core.http_guard import App, Message, Receive, Scope, Send, bearer_token, header, refuse
from ui.access.attempts import Attempts
from ui.access.http import answer, cookies_of, read_body, refuse_read
from ui.access.users import LOCAL, LOGIN_SECONDS, Users
from ui.templates import Templates

_render = Templates("ui.access").render

USER = "superlink.user"
"""Key of the scope of a request that was let through; its value is the user's name."""

_FORM = 16 << 10  # bytes of a login form
_WAITING = 16  # logins that wait for their turn: each takes 64 MB and 0.2 s
_CHECKED = 1.0  # seconds between two looks whether the user of a long answer is still logged in


class Login:
    """ASGI middleware that lets requests of users through, with `scope["superlink.user"]`.

    A user shows the cookie of a login, or a token in the header `Authorization: Bearer TOKEN`. Others get the login
    page instead of the page, and status 401 for everything else.

    Args:
        app: Application behind it.
        users: Users of the page.
        attempts: Wrong passwords.
        place: What tells this page from others on this computer, whose cookies browsers send here, too.
        is_open: Whether everybody is let through as "local" as long as there are no users.
        is_secure: Whether the page is reached by https alone, through a proxy.
    """

    def __init__(
        self, app: App, users: Users, attempts: Attempts, place: str, *, is_open: bool, is_secure: bool = False
    ) -> None:
        self._app, self._users, self._attempts = app, users, attempts
        self._is_open, self._is_secure = is_open, is_secure
        self.cookie = f"superlink-{hashlib.sha256(place.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
        self._turn, self._waiting = asyncio.Lock(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        user = self._user(scope)
        path = scope["path"].rstrip("/") or "/"
        if scope["type"] == "http" and path in ("/login", "/logout"):
            await self._serve(path, user, scope, receive, send)
        elif user is not None:
            await self._pass_on(user, {**scope, USER: user}, receive, send)
        elif scope["type"] == "http" and scope["method"] == "GET" and path == "/" and _is_browser(scope):
            wanted = f"/?{scope['query_string'].decode('latin-1')}" if scope.get("query_string") else "/"
            await answer(send, 303, headers=[("location", f"/login?next={quote(wanted, safe='')}")])
        else:
            await refuse(scope, receive, send, 401, "Log in first, or give a token: Authorization: Bearer TOKEN.")

    def _user(self, scope: Scope) -> str | None:
        """Return the user who makes a request, "local" on an open page, or None."""
        if self._is_open and not self._users.exist():
            return LOCAL
        token = self._token(scope)
        return self._users.user_of(token) if token else None

    def _token(self, scope: Scope) -> str:
        if header(scope, "authorization") is None:
            return cookies_of(scope).get(self.cookie, "")
        return bearer_token(scope)

    async def _pass_on(self, user: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; a long answer ends when its user is logged out."""
        checked, is_long, is_over = time.monotonic(), False, False

        async def sending(message: Message) -> None:
            nonlocal checked, is_long, is_over
            if message["type"] == "http.response.start":
                is_long = b"content-length" not in {name.lower() for name, _ in message["headers"]}
            elif is_long and time.monotonic() - checked > _CHECKED:
                checked, is_over = time.monotonic(), self._user(scope) != user
                if is_over:
                    raise ConnectionAbortedError("the user is logged out")
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:  # perhaps a group of exceptions with the one above
            if not is_over:
                raise
        if is_over:
            await send({"type": "http.response.body", "body": b""})

    async def _serve(self, path: str, user: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the login or logout page."""
        method = scope["method"]
        if method not in ("GET", "HEAD", "POST"):
            await refuse(scope, receive, send, 405, "This address answers GET and POST.")
        elif method == "POST" and path == "/login" and user != LOCAL:
            await self._log_in(scope, receive, send)
        elif method == "POST" and path == "/logout":
            await read_body(receive, _FORM)
            self._users.log_out(self._token(scope))
            await answer(send, 303, headers=[("location", "/login"), self._set_cookie("", scope)])
        elif path == "/logout" and user not in (None, LOCAL):
            await answer(send, 200, _page("Log out", user=user))
        elif user is not None:
            await answer(send, 303, headers=[("location", "/")])
        else:
            asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            await answer(send, 200, _page("Log in", next=_own_page(asked.get("next", [""])[0])))

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, _FORM)
        if body is None:
            await refuse_read(scope, send, 413, f"A login form may have at most {_FORM} bytes.")
            return
        form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        name, password, wanted = (form.get(key, [""])[0] for key in ("username", "password", "next"))
        found = await self._check(name.strip(), password, (scope.get("client") or ("",))[0])
        if isinstance(found, str):
            # The login that the browser had is of no more use.
            self._users.log_out(cookies_of(scope).get(self.cookie, ""))
            cookie = self._set_cookie(found, scope)
            if _is_browser(scope):
                await answer(send, 303, headers=[("location", _own_page(wanted)), cookie])
            else:
                await answer(send, 200, {"success": True}, [cookie])
            return
        status, headers = (429, [("retry-after", str(found.seconds))]) if found.seconds else (401, [])
        if _is_browser(scope):
            page = _page("Log in", next=_own_page(wanted), name=name[:64], fault=found.reason)
            await answer(send, status, page, headers)
        else:
            await answer(send, status, {"detail": found.reason}, headers)

    async def _check(self, name: str, password: str, address: str) -> "str | _Refusal":
        """Return the token of a new login, or why there is none."""
        if self._waiting >= _WAITING:
            return _Refusal("Too many people are logging in at this moment. Try again.", 5)
        self._waiting += 1
        try:
            # One after another, so that each wrong password is counted before the next one is tried.
            async with self._turn:
                if pause := self._attempts.pause(name, address):
                    return _too_many(pause)
                token = await asyncio.to_thread(self._users.log_in, name, password)
                if token is not None:
                    self._attempts.note_right(name)
                    return token
                self._attempts.note_wrong(name, address)
                pause = self._attempts.pause(name, address)
                return _too_many(pause) if pause else _Refusal("The name or the password is wrong.")
        finally:
            self._waiting -= 1

    def _set_cookie(self, token: str, scope: Scope) -> tuple[str, str]:
        """Return the header that sets the cookie of a login, or removes it."""
        secure = "; Secure" if self._is_secure or scope["scheme"] == "https" else ""
        age = LOGIN_SECONDS if token else 0
        return "set-cookie", f"{self.cookie}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"


@dataclass(frozen=True)
class _Refusal:
    """Why nobody is logged in, and the seconds until the next try; 0 for at once."""

    reason: str
    seconds: int = 0


def _too_many(pause: float) -> _Refusal:
    seconds = max(1, round(pause))
    words = f"{seconds} seconds" if seconds < 120 else f"{-(-seconds // 60)} minutes"
    return _Refusal(f"There were too many wrong passwords. Try again in {words}.", seconds)


def _is_browser(scope: Scope) -> bool:
    return "text/html" in (header(scope, "accept") or "")


def _own_page(wanted: str) -> str:
    """Return where a browser goes after the login: the page, with the query of what it asked for first.

    Everything else about the address is dropped, so that no other site can be named.
    """
    try:
        query = urlsplit(wanted).query
    except ValueError:
        query = ""
    return f"/?{quote(query, safe='=&%+-._~')}" if query else "/"


def _page(title: str, *, user: str | None = None, next: str = "/", name: str = "", fault: str = "") -> str:
    return _render("login.html.j2", title=title, user=user, next=next, name=name, fault=fault)
