"""The line at the top of the page."""

import asyncio

import pytest

pytest.importorskip("gradio")

from ui.tabs import header


def test_the_line_says_when_the_planner_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "_POLL", 0)

    def lines(*states: str) -> list[str]:
        left = list(states)

        async def follow() -> list[str]:
            return [line async for line in header.Header(lambda: left.pop(0)).follow()]

        return asyncio.run(follow())

    first, last = lines("loading", "loading", "ready")
    assert "is being loaded" in first and "is being loaded" not in last
    assert len(lines("ready")) == 1
    assert "no memory" in lines("loading", "failed: no memory")[-1]
