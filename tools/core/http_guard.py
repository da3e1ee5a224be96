"""ASGI middleware that protects HTTP servers on this computer from other sites open in the same browser.

A site can point its own name at 127.0.0.1 (DNS rebinding) or post a form to a local port. The first is visible in the
Host header, the second in the Origin header.
"""

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers added to every response that does not have them."""

_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")
_PLAIN = {b"content-type": b"text/plain; charset=utf-8"}
_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


class HttpGuard:
    """ASGI middleware that refuses foreign hosts, foreign origins and bodies that are too long.

    A request is accepted when its Host is a loopback name, the address at which it arrived, or one of `hosts`. An
    Origin must be the server's own. Without an Origin, requests that the browser marks as coming from another site are
    refused, except navigation to a page.

    Args:
        app: Application behind the guard.
        hosts: Names under which the server may be reached, without port.
        headers: Added to every answer that lacks them.
        max_body: Bytes of a request's body; None for no limit. With a limit, a body has to state its length.
    """

    def __init__(
        self,
        app: App,
        hosts: Iterable[str] = (),
        headers: Mapping[str, str] = HEADERS,
        max_body: int | None = None,
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.strip("[]").lower() for host in hosts)
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [pair for pair in self._headers if pair[0] not in names]
            await send(message)

        reason = self._refusal(scope)
        if reason is None:
            await self._app(scope, receive, with_headers)
        else:
            await refuse(scope, receive, with_headers, *reason)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and reason for a request that is refused, else None."""
        host = _authority(header(scope, "host") or "", scope["scheme"])
        if host is None or not self._is_ours(host[0], scope):
            return 403, "This server is not reached under that name. Its owner can allow it with --allow-host NAME."
        origin = header(scope, "origin")
        if origin is not None:
            scheme, _, rest = origin.lower().partition("://")
            source = _authority(rest, scheme) if scheme in ("http", "https") else None
            # A proxy may add TLS: where the Host names no port, the origin's scheme says which.
            named = _authority(header(scope, "host") or "", scheme) if source else None
            if source is None or named is None or source[1] != named[1] or not self._is_ours(source[0], scope):
                return 403, "Requests from other sites are refused."
        elif header(scope, "sec-fetch-site") in ("cross-site", "same-site") and not _follows_link(scope):
            return 403, "Requests from other sites are refused."
        if self._max_body is not None:
            return self._too_long(scope, self._max_body)
        return None

    def _is_ours(self, host: str, scope: Scope) -> bool:
        # An address cannot be rebound, and the one at which a request arrived is this computer's.
        server = scope.get("server")
        return is_loopback(host) or host in self._hosts or bool(server and server[0] and host == server[0].lower())

    @staticmethod
    def _too_long(scope: Scope, limit: int) -> tuple[int, str] | None:
        length = header(scope, "content-length")
        if header(scope, "transfer-encoding") is not None:
            return 411, "A request has to state the length of its body."
        if length is not None and (not length.isdecimal() or int(length) > limit):
            return 413, f"A request may have at most {limit} bytes."
        return None


def is_loopback(host: str) -> bool:
    """Return whether a host name or address reaches this computer only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def header(scope: Scope, name: str) -> str | None:
    """Return a header's value, or None; values of a repeated header are joined by commas."""
    values = [value for key, value in scope["headers"] if key.lower() == name.encode()]
    return b", ".join(values).decode("latin-1") if values else None


def bearer_token(scope: Scope) -> str:
    """Return the token of the header `Authorization: Bearer TOKEN`; "" without one."""
    scheme, _, token = (header(scope, "authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, reason: str, headers: Mapping[bytes, bytes] = _PLAIN
) -> None:
    """Answer a request with a status and a sentence, or close a WebSocket that is being opened.

    Args:
        scope: Of the request.
        receive: Of the request; its body is read to the end.
        send: Of the request.
        status: Status of the response.
        reason: Body of the response.
        headers: Of the response; by default those of plain text.
    """
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    sent = [*headers.items(), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": reason.encode(), "more_body": True})
    # Closing the connection while the client still sends would lose the response.
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.body"})


def _authority(text: str, scheme: str) -> tuple[str, str] | None:
    """Return host and port of "host:port", with the scheme's default port; None for a malformed one."""
    match = _AUTHORITY.fullmatch(text.lower())
    if match is None:
        return None
    return match["host"].strip("[]"), match["port"] or _DEFAULT_PORTS[scheme]


def _follows_link(scope: Scope) -> bool:
    return (
        scope.get("method") in ("GET", "HEAD")
        and header(scope, "sec-fetch-mode") == "navigate"
        and header(scope, "sec-fetch-dest") == "document"
    )
