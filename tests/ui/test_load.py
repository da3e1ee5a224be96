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


def _get(app: Assets, path: str, accepted: str = "", method: str = "GET") -> httpx.Response:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.request(method, path, headers={"accept-encoding": accepted})

    return asyncio.run(get())


def test_a_script_is_read_once_and_compressed_for_those_who_can_read_that(tmp_path: Path) -> None:
    script, text = tmp_path / "a.js", "export default 1; " * 100
    script.write_text(text)
    app = Assets(_gradio, tmp_path)
    plain, small = _get(app, "/assets/a.js"), _get(app, "/assets/a.js", "br, gzip")
    script.write_text("changed")
    for answer in (plain, small, _get(app, "/assets/a.js"), _get(app, "/assets/a.js", "gzip")):
        assert (answer.status_code, answer.text, answer.headers["vary"]) == (200, text, "Accept-Encoding")
        assert answer.headers["content-type"].startswith("text/javascript")
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"])


def test_everything_else_is_gradios(tmp_path: Path) -> None:
    (tmp_path / "a.js").touch()
    (tmp_path / "font.woff2").touch()
    app = Assets(_gradio, tmp_path)
    for path in ("/assets/gone.js", "/assets/font.woff2", "/assets/../a.js", "/theme.css"):
        assert _get(app, path).text == "Gradio"
    assert _get(app, "/assets/a.js", method="HEAD").headers["server"] == "Gradio"


async def _gradio(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"server", b"Gradio")]})
    await send({"type": "http.response.body", "body": b"Gradio"})


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
