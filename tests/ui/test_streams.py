"""No answer to a queued event is lost, also when the event joins while the stream of answers is being closed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("gradio")

import gradio as gr

from tests.serving import in_thread
from tests.waiting import WAIT
from tools.core.http_guard import App, Message, Receive, Scope, Send
from ui.access.access import Access
from ui.access.server import application
from ui.access.streams import SESSION, Streams

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_CLOSE = b'data: {"msg":"close_stream","event_id":null}\n\n'


class _Tab:
    """A tab of the session "s", and behind the middleware a queue that takes and answers its events."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.waiting = 0
        self.read: list[bytes] = []
        self.slow = asyncio.Event()
        self._left = asyncio.Event()
        self.app = Streams(self._gradio, lambda session: session == "s" and self.waiting > 0)

    async def _gradio(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if "join" in scope["path"]:
            self.taken.append(scope["query_string"])
            if scope["query_string"] == b"slow":
                await self.slow.wait()
            self.waiting += 1
        else:
            # As in Gradio, all that waits is answered, and then the stream is closed.
            answers, self.waiting = self.waiting, 0
            await send({"type": "http.response.body", "body": b"data: {}\n\n" * answers, "more_body": True})
            await send({"type": "http.response.body", "body": _CLOSE, "more_body": True})
        await send({"type": "http.response.body"})

    async def join(self, name: str = "") -> None:
        async def ignore(message: Message) -> None: ...

        scope = {"type": "http", "path": "/gradio_api/queue/join", "query_string": name.encode(), SESSION: "s"}
        await self.app(scope, self._receive, ignore)

    async def listen(self) -> None:
        async def read(message: Message) -> None:
            self.read.append(message.get("body", b""))

        scope = {
            "type": "http",
            "path": "/gradio_api/queue/data",
            "query_string": b"session_hash=s",
            "headers": [(b"accept", b"text/event-stream")],
        }
        await self.app(scope, self._receive, read)

    def leave(self) -> None:
        self._left.set()

    async def _receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT):
        while not holds():
            await asyncio.sleep(0)


async def _settled() -> None:
    """Let all that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_an_event_on_its_way_is_answered_in_the_stream_that_would_be_closed() -> None:
    async def visit() -> None:
        tab = _Tab()
        await tab.join()
        joining = asyncio.create_task(tab.join("slow"))
        await _until(lambda: b"slow" in tab.taken)
        listening = asyncio.create_task(tab.listen())
        await _settled()
        assert _CLOSE not in tab.read
        tab.slow.set()
        await _until(lambda: _CLOSE in tab.read)
        tab.leave()
        await asyncio.gather(joining, listening)
        assert tab.read == [b"", b"data: {}\n\n", b"data: {}\n\n", _CLOSE, b""]

    asyncio.run(visit())


def test_an_event_joins_a_closed_stream_only_when_the_tab_has_let_go_of_it() -> None:
    async def visit() -> None:
        tab = _Tab()
        listening = asyncio.create_task(tab.listen())
        await _until(lambda: _CLOSE in tab.read)
        joining = asyncio.create_task(tab.join("late"))
        await _settled()
        assert tab.taken == []
        tab.leave()
        await asyncio.gather(joining, listening)
        assert tab.taken == [b"late"]

    asyncio.run(visit())


def test_a_tab_that_keeps_a_closed_stream_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.access.streams._LETTING_GO", 0.01)

    async def visit() -> None:
        tab = _Tab()
        listening = asyncio.create_task(tab.listen())
        await _until(lambda: _CLOSE in tab.read)
        await asyncio.gather(tab.join(), listening)
        assert tab.taken == [b""]

    asyncio.run(visit())


def _slowly_closed(app: App) -> App:
    """The first end of a stream takes long to the browser, as on a busy computer: until the next event has joined."""
    joined, ends = asyncio.Event(), 0

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            nonlocal ends
            if b"close_stream" in message.get("body", b""):
                ends += 1
                if ends == 1:
                    joined.clear()
                    await joined.wait()
                    await asyncio.sleep(0.3)  # more than an answer to a join takes
            await send(message)

        if scope.get("path", "").endswith("/queue/join"):
            joined.set()
        await app(scope, receive, sending)

    return slow


def test_a_browser_gets_the_answer_to_what_is_clicked_while_the_stream_closes(
    tmp_path: Path, browser: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    with gr.Blocks(analytics_enabled=False) as page:
        said = gr.Textbox(label="Said")
        for word in ("First", "Second"):
            gr.Button(word).click(lambda word=word: word, None, said)
    page.queue()
    access = Access.open(tmp_path)
    try:
        with in_thread(_slowly_closed(application(page, access))) as address:
            tab = browser.new_page()
            tab.set_default_timeout(WAIT * 1000)
            tab.goto(address)
            words: Any = tab.get_by_label("Said")
            for word in ("First", "Second"):
                tab.get_by_role("button", name=word).click()
                tab.wait_for_function("([box, word]) => box.value === word", arg=[words.element_handle(), word])
            tab.close()
    finally:
        access.close()
