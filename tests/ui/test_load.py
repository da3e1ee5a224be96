"""What a browser loads before the page can be used."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")

import httpx

from tests.ui.served import served
from ui.access.assets import Assets


class _Gradio:
    """Answers with the coding that was asked for; there is nothing at an address with "gone"."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        self.asked.append(scope["path"])
        status = 404 if "gone" in scope["path"] else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-encoding", accepted)]})
        await send({"type": "http.response.body", "body": b"half ", "more_body": True})
        await send({"type": "http.response.body", "body": accepted})


def _get(app: Assets, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": encoded}
    asyncio.run(app(scope, None, send))  # type: ignore[arg-type]
    return answers[0]["status"], b"".join(message.get("body", b"") for message in answers[1:])


def test_a_script_is_asked_for_once_for_each_coding() -> None:
    gradio = _Gradio()
    app = Assets(gradio)
    for _ in range(2):
        assert _get(app, "/assets/a.js", accept_encoding="br") == (200, b"half br")
        assert _get(app, "/assets/a.js", accept_encoding="gzip") == (200, b"half gzip")
        assert _get(app, "/assets/b.css") == (200, b"half ")
    assert gradio.asked == ["/assets/a.js", "/assets/a.js", "/assets/b.css"]


def test_what_is_missing_or_differs_between_visitors_is_not_kept() -> None:
    gradio = _Gradio()
    app = Assets(gradio)
    for _ in range(2):
        assert _get(app, "/assets/gone.js")[0] == 404
        _get(app, "/theme.css")
        _get(app, "/assets/a.js", "HEAD")
        _get(app, "/assets/a.js", range="bytes=0-3")
    assert len(gradio.asked) == 8


def test_tabs_that_are_not_shown_are_not_filled(tmp_path: Path) -> None:
    with served(tmp_path) as address:
        config = httpx.get(f"{address}/config").json()
    parts = {part["id"]: part for part in config["components"]}

    def within(node: dict[str, Any]) -> Iterator[int]:
        for child in node.get("children", []):
            yield child["id"]
            yield from within(child)

    def hidden(node: dict[str, Any]) -> Iterator[int]:
        for child in node.get("children", []):
            part = parts[child["id"]]
            yield from (
                within(child) if part["type"] == "tabitem" and part["props"]["id"] != "session" else hidden(child)
            )

    unseen = set(hidden(config["layout"]))
    assert len(unseen) > 100
    loading = [call for call in config["dependencies"] if "load" in [event for _, event in call["targets"]]]
    assert len(loading) > 2
    assert [call["api_name"] for call in loading if unseen & {*call["outputs"]}] == []
