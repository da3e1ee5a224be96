"""The line at the top of the page: name, state of the planner, colours, keys."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import gradio as gr

from ui.conversation.html import header_html
from ui.tabs.events import QUEUED

_POLL = 0.5  # seconds between two looks at the planner

KEYS: Mapping[str, str] = {
    "Enter, or Ctrl + Enter": "ask (in the box)",
    "Ctrl + Enter": "run the plan that waits (elsewhere)",
    "Shift + Enter": "a new line in the box",
    "Esc": "stop what runs",
    "Alt + 1 … 5": "the tabs, from left to right",
    "/": "to the box",
    "?": "this list",
}
"""The keys that work everywhere in the page."""


class Header:
    """The widgets of the line.

    Args:
        state: Returns `Turns.planner_state`.
    """

    def __init__(self, state: Callable[[], str]) -> None:
        self._state = state

    def lay_out(self, page: gr.Blocks) -> None:
        """Place the line; it says when the planner is loaded.

        Args:
            page: The page.
        """
        self.line = gr.HTML(header_html(self._state(), KEYS), elem_id="header")
        page.load(self.follow, None, self.line, concurrency_limit=None, **QUEUED)

    async def follow(self) -> AsyncIterator[str]:
        """Yield the line, and the line once more when the planner is loaded."""
        yield header_html(state := self._state(), KEYS)
        while state == "loading":
            await asyncio.sleep(_POLL)
            if (state := self._state()) != "loading":
                yield header_html(state, KEYS)
