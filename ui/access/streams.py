"""Streams of answers to queued events, closed so that no answer is lost.

Gradio closes the stream of a browser tab as soon as the tab waits for nothing. Its client opens a stream for an event
only if none is open when the event has joined the queue. An event that joins while the tab has not yet read that its
stream is closed therefore never gets an answer, and a button that sends one event at a time is dead from then on. So
here an event joins either before the stream is closed, which then stays, or after the tab has let go of it.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs

from tools.core.http_guard import App, Message, Receive, Scope, Send, header

SESSION = "superlink.session"
"""Key of the scope of a call; its value is the session of Gradio that makes it."""

_STREAM, _JOIN = "/gradio_api/queue/data", "/gradio_api/queue/join"
_LETTING_GO = 2.0  # seconds after which a client that keeps a closed stream is not waited for


class Streams:
    """ASGI middleware around Gradio's application, for clients that ask for `text/event-stream`.

    Args:
        app: Gradio's application.
        waits: Returns whether a session waits for the answer to an event.
    """

    def __init__(self, app: App, waits: Callable[[str], bool]) -> None:
        self._app, self._waits = app, waits
        self._joining: Counter[str] = Counter()  # events on their way into the queue, by session
        self._joined = asyncio.Condition()
        self._closing: dict[str, asyncio.Event] = {}  # set when the tab has let go of its stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, in its turn."""
        path = scope["path"].rstrip("/") if scope["type"] == "http" else ""
        if path == _JOIN:
            await self._join(scope, receive, send)
        elif path == _STREAM and "text/event-stream" in (header(scope, "accept") or ""):
            asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            await self._stream(asked.get("session_hash", [""])[0], scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = scope.get(SESSION, "")
        while gone := self._closing.get(session):
            await gone.wait()
        self._joining[session] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._joining -= Counter({session: 1})
            async with self._joined:
                self._joined.notify_all()

    async def _stream(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Send one stream of Gradio after the other as one, until the session waits for nothing."""
        started, closing = False, None

        async def sending(message: Message) -> None:
            nonlocal started, closing
            if message["type"] == "http.response.start":
                if started:
                    return
                started = True
            elif _closes(message):
                closing = message
                return
            if closing is None:
                await send(message)

        while True:
            closing = None
            await self._app(dict(scope), receive, sending)
            if closing is None:  # the client has gone, or is refused
                return
            async with self._joined:
                await self._joined.wait_for(lambda: not self._joining[session])
            if not self._waits(session):
                break
        gone = self._closing[session] = asyncio.Event()
        try:
            await send({**closing, "more_body": True})
            with suppress(TimeoutError):
                await asyncio.wait_for(_left(receive), _LETTING_GO)
        finally:
            gone.set()
            if self._closing.get(session) is gone:
                del self._closing[session]
        await send({"type": "http.response.body"})


def _closes(message: Message) -> bool:
    body: bytes = message.get("body", b"")
    return b"close_stream" in body and json.loads(body.removeprefix(b"data: "))["msg"] == "close_stream"


async def _left(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
