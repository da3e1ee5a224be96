"""Access control of the page: its own addresses, and the sessions and files of each visitor.

Gradio serves every file in its folder, and every session, to whoever knows the name, and has many more addresses than
this page uses. `Visitors` is middleware in front of it. A visitor is a browser or a program, identified by a cookie.
"""

import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

import gradio as gr

from tools.core.http_guard import App, Message, Receive, Scope, Send, header, refuse

LOCAL = "local"
"""Owner of everything where the page has no users."""
COOKIE = "superlink-visitor"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_SESSIONS = 10_000
"""Maximum number of sessions that are kept, as in Gradio."""
_MAX_JSON = 8 << 20
"""Maximum number of bytes of a call; files are uploaded through `/gradio_api/upload`."""

_API = "/gradio_api"
_ROUTES = {
    "GET": re.compile(
        r"/|/(config|theme\.css|manifest\.json|robots\.txt|favicon\.ico)/?|/(assets|static|svelte)/.+"
        rf"|{_API}/(info|app_id|login_check|startup-events|theme\.css|queue/data|upload_progress|heartbeat/[^/]+|file=.+)/?"
    ),
    "POST": re.compile(rf"/login/?|{_API}/(upload|queue/join|run/predict|cancel|reset)/?"),
}
"""All addresses that the page uses, by method. Any other address of Gradio is answered with 404."""
_FILE = re.compile(rf"{_API}/file=(?P<path>.+)", re.DOTALL)
_HEARTBEAT = re.compile(rf"{_API}/heartbeat/(?P<session>[^/]+)/?")


class Files:
    """Which visitor owns which files.

    Args:
        public: Folder whose files all visitors may see.
    """

    def __init__(self, public: Path) -> None:
        self._public = public.resolve()
        self._owners: dict[Path, set[str]] = {}

    def give(self, path: Path | str, visitor: str) -> None:
        """Make a visitor an owner of a file, or of everything in a folder."""
        self._owners.setdefault(Path(path).resolve(), set()).add(visitor)

    def release(self, path: Path | str) -> None:
        """Forget a file or folder that was deleted."""
        self._owners.pop(Path(path).resolve(), None)

    def may_read(self, path: Path | str, visitor: str) -> bool:
        """Return whether a file is public, or the visitor owns it or one of its parent folders."""
        try:
            place = Path(path).resolve()
        except (OSError, ValueError, RuntimeError):  # too long, a null byte, a loop of links
            return False
        holders = (place, *place.parents)
        return self._public in holders or any(visitor in self._owners.get(holder, ()) for holder in holders)


class Visitors:
    """ASGI middleware around Gradio's application.

    Args:
        app: Gradio's application.
        files: Who owns which files; uploads are added to it.
    """

    def __init__(self, app: App, files: Files) -> None:
        self._app = app
        self._files = files
        self._sessions: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        method, path = scope.get("method", ""), scope["path"]
        routes = _ROUTES.get("GET" if method == "HEAD" else method)
        if scope["type"] != "http" or routes is None or not routes.fullmatch(path):
            await refuse(scope, receive, send, 404, "There is nothing at this address.")
            return
        known = visitor_of(_cookies(scope))
        visitor = known or secrets.token_urlsafe(32)
        send = _with_cookies(send, scope, None if known else visitor)
        if reason := self._refusal(scope, visitor):
            await refuse(scope, receive, send, 403, reason)
        elif path.rstrip("/") == f"{_API}/upload":
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() != b"accept-encoding"]}
            await self._app(scope, receive, self._noting_uploads(send, visitor))
        elif method == "POST" and path.startswith(_API):
            body = await _body(receive)
            if body is None:
                await refuse(scope, receive, send, 413, f"A call may have at most {_MAX_JSON} bytes.")
            elif reason := self._call_refusal(body, visitor):
                await refuse(scope, _replay(body, receive), send, 403, reason)
            else:
                await self._app(scope, _replay(body, receive), send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, visitor: str) -> str | None:
        """Return why a request is refused for its address, or None."""
        if (file := _FILE.fullmatch(scope["path"])) and not self._files.may_read(file["path"], visitor):
            return "This file belongs to another session, or is gone."
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        sessions = asked.get("session_hash", [])
        if beats := _HEARTBEAT.fullmatch(scope["path"]):
            sessions = [*sessions, beats["session"]]
        if not all(self._is_own(session, visitor) for session in sessions):
            return "This session belongs to another visitor."
        return None

    def _call_refusal(self, body: bytes, visitor: str) -> str | None:
        """Return why a call is refused for its content, or None."""
        try:
            call = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            return "The call is no JSON."
        session = call.get("session_hash") if isinstance(call, dict) else None
        if isinstance(session, str) and not self._is_own(session, visitor):
            return "This session belongs to another visitor."
        if not all(self._files.may_read(path, visitor) for path in _paths(call)):
            return "A file in this call belongs to another session, or is gone."
        return None

    def _is_own(self, session: str, visitor: str) -> bool:
        """Return whether a session belongs to the visitor; a new session is given to the visitor."""
        owner = self._sessions.setdefault(session, visitor)
        self._sessions.move_to_end(session)
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return secrets.compare_digest(owner, visitor)

    def _noting_uploads(self, send: Send, visitor: str) -> Send:
        """Make the visitor the owner of the files that the response names."""
        status, parts = 0, bytearray()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status == 200:
                parts.extend(message.get("body", b""))
                if not message.get("more_body"):
                    for path in json.loads(parts):
                        self._files.give(path, visitor)
            await send(message)

        return noting


def owner_of(request: gr.Request) -> str:
    """Return the name of the user who caused an event; "local" where the page has no users."""
    return request.username or LOCAL


def visitor_of(cookies: Mapping[str, str]) -> str | None:
    """Return the visitor of the cookies, or None without a valid one."""
    token = cookies.get(COOKIE, "")
    return token if _TOKEN.fullmatch(token) else None


def _cookies(scope: Scope) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header(scope, "cookie") or "").items()}
    except CookieError:
        return {}


def _with_cookies(send: Send, scope: Scope, visitor: str | None) -> Send:
    """Set the visitor's cookie if it is new, and keep all cookies from being sent by other sites."""
    secure = "; Secure" if scope["scheme"] == "https" else ""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, _lax(value) if name.lower() == b"set-cookie" else value) for name, value in message["headers"]
            ]
            if visitor is not None:
                cookie = f"{COOKIE}={visitor}; Path=/; HttpOnly; SameSite=Lax{secure}"
                headers.append((b"set-cookie", cookie.encode()))
            message = {**message, "headers": headers}
        await send(message)

    return sending


def _lax(cookie: bytes) -> bytes:
    """A Set-Cookie with SameSite=Lax: Gradio's own names "none", so that other sites may embed its pages."""
    parts = [part for part in cookie.split(b";") if not part.strip().lower().startswith(b"samesite")]
    return b";".join([*parts, b" SameSite=Lax"])


def _paths(data: object) -> Iterator[str]:
    """Yield the path of every file in a call: each object with a "path" is a file to Gradio."""
    if isinstance(data, dict):
        if "path" in data:
            yield str(data["path"])
        data = list(data.values())
    if isinstance(data, list):
        for part in data:
            yield from _paths(part)


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request, or None when it is too long."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > _MAX_JSON:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields a body that was read already, then further messages."""
    read = False

    async def replaying() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying
