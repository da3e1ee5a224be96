"""Access control of the page: its own addresses, and the sessions and files of each user.

Gradio serves every file in its folder, and every session, to whoever knows the name, and has many more addresses than
this page uses. `Visitors` is middleware in front of it, behind `Login`.
"""

import asyncio
import json
import re
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException

from tools.core.errors import SuperlinkError
from tools.core.http_guard import App, Message, Receive, Scope, Send, header, refuse
from ui.access.archive import ADDRESS
from ui.access.http import read_body, refuse_read, replay
from ui.access.limits import check_media
from ui.access.login import USER
from ui.access.owners import DiskFull, Files
from ui.access.streams import SESSION
from ui.access.users import LOCAL
from ui.access.versions import ADDRESS as VERSION

if TYPE_CHECKING:
    import gradio as gr

_SESSIONS = 10_000
"""Maximum number of sessions that are kept, as in Gradio."""
_MAX_JSON = 8 << 20
"""Maximum number of bytes of a call; files are uploaded through `/gradio_api/upload`."""

_API = "/gradio_api"
_ROUTES = {
    "GET": re.compile(
        rf"/|{ADDRESS.pattern}|{VERSION.pattern}|/(config|theme\.css|manifest\.json|robots\.txt|favicon\.ico)/?|/(assets|static|svelte)/.+"
        rf"|{_API}/(info|app_id|login_check|startup-events|theme\.css|queue/data|upload_progress|heartbeat/[^/]+|file=.+)/?"
    ),
    "POST": re.compile(rf"{_API}/(upload|queue/join|run/predict|cancel|reset)/?"),
}
"""All addresses that the page uses, by method. Any other address of Gradio is answered with 404."""
_FILE = re.compile(rf"{_API}/file=(?P<path>.+)", re.DOTALL)
_SAME_FOR_ALL = re.compile(r"/(assets|static|svelte)/")
_HEARTBEAT = re.compile(rf"{_API}/heartbeat/(?P<session>[^/]+)/?")
_FILE_POLICY = (
    b"default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
)
"""Content-Security-Policy of files: what a person uploaded or a tool wrote runs no script, whatever its type."""


class Visitors:
    """ASGI middleware around Gradio's application.

    Args:
        app: Gradio's application.
        files: Owners of files; uploads are added to it.
    """

    def __init__(self, app: App, files: Files) -> None:
        self._app = app
        self._files = files
        self._sessions: OrderedDict[str, str] = OrderedDict()
        self._uploading: Counter[str] = Counter()  # bytes under way, by user

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
        user = scope[USER]
        if reason := self._refusal(scope, user):
            await refuse(scope, receive, send, 403, reason)
        elif path.rstrip("/") == f"{_API}/upload":
            await self._upload(scope, receive, send, user)
        elif method == "POST":
            await self._call(scope, receive, send, user)
        elif path.rstrip("/") == f"{_API}/queue/data":
            await self._stream(scope, receive, _with_headers(send, path))
        else:
            await self._app(scope, receive, _with_headers(send, path))

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the stream of a session's events.

        Gradio tells a page whose session it does not know in the stream, and then raises.
        """
        try:
            await self._app(scope, receive, send)
        except RuntimeError as error:
            if not isinstance(error.__cause__, HTTPException):
                raise
            await send({"type": "http.response.body", "body": b""})

    async def _call(self, scope: Scope, receive: Receive, send: Send, user: str) -> None:
        """Pass a call on when its session and all of its files are the user's."""
        body = await read_body(receive, _MAX_JSON)
        if body is None:
            await refuse_read(scope, send, 413, f"A call may have at most {_MAX_JSON} bytes.")
            return
        try:
            session, files = self._checked(body, user)
        except _RefusedCall as error:
            await refuse_read(scope, send, 403, str(error))
            return
        if files:
            await asyncio.to_thread(self._files.note_use, files)
        await self._app({**scope, SESSION: session}, replay(body, receive), send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send, user: str) -> None:
        """Take an upload for which the user has room."""
        length = header(scope, "content-length") or "0"
        size = int(length) if length.isdecimal() else 0
        self._uploading[user] += size
        try:
            await asyncio.to_thread(self._files.check_room, user, self._uploading[user])
            await self._take(scope, receive, send, user)
        except DiskFull as error:
            await refuse(scope, receive, send, 413, str(error))
        finally:
            self._uploading[user] -= size

    async def _take(self, scope: Scope, receive: Receive, send: Send, user: str) -> None:
        """Pass an upload on, check the files, and enter them as the user's."""
        start: Message = {}
        parts = bytearray()

        async def holding(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.extend(message.get("body", b""))

        # The answer is read here, so it must not be compressed.
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() != b"accept-encoding"]}
        await self._app(scope, receive, holding)
        if start.get("status") == 200:
            try:
                await asyncio.to_thread(self._enter, [Path(path) for path in json.loads(parts)], user)
            except SuperlinkError as error:
                await refuse_read(scope, send, 413, str(error))
                return
        await send(start)
        await send({"type": "http.response.body", "body": bytes(parts)})

    def _enter(self, files: list[Path], user: str) -> None:
        """Enter uploads as the user's, or delete them all.

        Raises:
            SuperlinkError: when one of them is over a limit.
        """
        try:
            for file in files:
                check_media(file)
        except SuperlinkError:
            self._files.discard(files)
            raise
        for file in files:
            self._files.enter_upload(file, user)

    def _refusal(self, scope: Scope, user: str) -> str | None:
        """Return why a request is refused for its address, or None."""
        if (file := _FILE.fullmatch(scope["path"])) and not self._files.may_read(file["path"], user):
            return "This file belongs to another user, or is gone."
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        sessions = asked.get("session_hash", [])
        if beats := _HEARTBEAT.fullmatch(scope["path"]):
            sessions = [*sessions, beats["session"]]
        if not all(self._is_own(session, user) for session in sessions):
            return "This session belongs to another user."
        return None

    def _checked(self, body: bytes, user: str) -> tuple[str, list[str]]:
        """Return the session of a call, "" for none, and its files, all of which the user may read.

        Raises:
            _RefusedCall: when the call is no JSON, or names a session or a file of somebody else.
        """
        try:
            call = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise _RefusedCall("The call is no JSON.") from error
        session = call.get("session_hash") if isinstance(call, dict) else None
        if isinstance(session, str) and not self._is_own(session, user):
            raise _RefusedCall("This session belongs to another user.")
        files = list(_paths(call))
        if not all(self._files.may_read(file, user) for file in files):
            raise _RefusedCall("A file in this call belongs to another user, or is gone.")
        return session if isinstance(session, str) else "", files

    def _is_own(self, session: str, user: str) -> bool:
        """Return whether a session of Gradio belongs to the user; a new session is given to the user."""
        owner = self._sessions.setdefault(session, user)
        self._sessions.move_to_end(session)
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return owner == user


class _RefusedCall(Exception):
    """Why a call is refused."""


def owner_of(request: "gr.Request") -> str:
    """Return the name of the user who caused an event; "local" where the page has no users."""
    return request.username or LOCAL


def _with_headers(send: Send, path: str) -> Send:
    """Send an answer with headers that say who may keep it, and a file with a policy that makes it inert."""
    ours = {b"cache-control": b"no-store"}
    if _SAME_FOR_ALL.match(path):
        # Names of assets hold a hash of their content.
        ours = {b"cache-control": b"public, max-age=31536000, immutable"} if path.startswith("/assets/") else {}
    elif _FILE.fullmatch(path):
        ours = {b"cache-control": b"private, max-age=60", b"content-security-policy": _FILE_POLICY}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = ours if message["status"] < 400 else {**ours, b"cache-control": b"no-store"}
            headers = [pair for pair in message["headers"] if pair[0].lower() not in added]
            message = {**message, "headers": [*headers, *added.items()]}
        await send(message)

    return sending


def _paths(data: object) -> Iterator[str]:
    """Yield the path of every file in a call: each object with a "path" is a file to Gradio."""
    if isinstance(data, dict):
        if "path" in data:
            yield str(data["path"])
        data = list(data.values())
    if isinstance(data, list):
        for part in data:
            yield from _paths(part)
