"""Reading requests and writing answers of ASGI, for the guards of the page."""

import json
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie

from tools.core.http_guard import Message, Receive, Scope, Send, header, refuse


def cookies_of(scope: Scope) -> dict[str, str]:
    """Return the cookies of a request; none when they are malformed."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header(scope, "cookie") or "").items()}
    except CookieError:
        return {}


async def read_body(receive: Receive, most: int) -> bytes | None:
    """Return the body of a request, or None when it has more than `most` bytes; it is read to its end."""
    body, size = bytearray(), 0
    while True:
        message = await receive()
        piece = message.get("body", b"")
        size += len(piece)
        if size <= most:
            body += piece
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body) if size <= most else None


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields a body that was read already, then further messages."""
    read = False

    async def replaying() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


async def refuse_read(scope: Scope, send: Send, status: int, reason: str) -> None:
    """Answer a request whose body was read with a status and a sentence."""

    async def nothing() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    await refuse(scope, nothing, send, status, reason)


async def answer(
    send: Send,
    status: int,
    body: str | dict[str, object] = "",
    headers: Sequence[tuple[str, str]] = (),
) -> None:
    """Answer a request whose body was read.

    Args:
        send: Of the request.
        status: HTTP status.
        body: HTML, or an object that is sent as JSON.
        headers: Further headers.
    """
    content = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html; charset=utf-8" if isinstance(body, str) else "application/json"
    given = [("content-type", kind), ("cache-control", "no-store"), *headers]
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in given]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": content.encode()})
