"""The line at the top of the page: name, state of the planner, colours, keys."""

from collections.abc import Mapping

import gradio as gr

from ui.conversation.html import header_html

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
    """The widgets of the line."""

    def lay_out(self, state: str) -> None:
        """Place the line.

        Args:
            state: `Turns.planner_state`.
        """
        self.line = gr.HTML(header_html(state, KEYS), elem_id="header")
