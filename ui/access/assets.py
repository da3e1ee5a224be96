"""Gradio's scripts and styles, kept in memory as they are sent.

Gradio reads and compresses each of the hundred files of the page anew for every visitor.
"""

import re
from dataclasses import dataclass, field

from tools.core.http_guard import App, Message, Receive, Scope, Send, header

_KEPT = re.compile(r"/(assets|static)/.+")
_CODINGS = ("br", "gzip")


@dataclass
class _Answer:
    start: Message = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class Assets:
    """ASGI middleware that answers a second request for a script or a style from memory.

    Args:
        app: Gradio's application.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._kept: dict[tuple[str, tuple[bool, ...]], _Answer] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if not _is_asset(scope):
            await self._app(scope, receive, send)
            return
        accepted = header(scope, "accept-encoding") or ""
        key = scope["path"], tuple(coding in accepted for coding in _CODINGS)
        if key not in self._kept:
            answer = await self._ask(scope, receive)
            # Only files that are there are kept, of which there are as many as Gradio has.
            if answer.start.get("status") != 200:
                await _send(answer, send)
                return
            self._kept[key] = answer
        await _send(self._kept[key], send)

    async def _ask(self, scope: Scope, receive: Receive) -> _Answer:
        answer = _Answer()

        async def holding(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.start = message
            else:
                answer.body.extend(message.get("body", b""))

        await self._app(scope, receive, holding)
        return answer


def _is_asset(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and _KEPT.fullmatch(scope["path"]) is not None
        and header(scope, "range") is None
    )


async def _send(answer: _Answer, send: Send) -> None:
    await send(dict(answer.start))
    await send({"type": "http.response.body", "body": bytes(answer.body)})
