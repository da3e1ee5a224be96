"""The keys of the Review tab: a list of them, and how a person changes one."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.reviews import keys as keyboard
from ui.reviews.html import STYLE, keys_html, note_html
from ui.reviews.keys import KeyRefused
from ui.tabs.events import QUIET

_START: dict[str, Any] = {"run": "", "find": 0, "keys": {}}


class KeyWidgets:
    """The widgets, and what the browser keeps: `memory` has the keys, and the find that was shown last."""

    def lay_out(self) -> None:
        """Place everything."""
        # A secret of its own would be new at each start of the server, which could not read what was kept before.
        self.memory = gr.BrowserState(_START, storage_key="superlink-review", secret="superlink-review")
        with gr.Accordion("Keys", open=False, elem_id="review-keys") as self.list:
            self.table = gr.HTML(keys_html({}), css_template=STYLE)
            with gr.Row(equal_height=True):
                self.action = gr.Dropdown(keyboard.choices(), label="Change the key of", min_width=160, scale=2)
                self.key = gr.Textbox(label="To", max_length=1, elem_id="review-key", min_width=60)
            with gr.Row():
                self.change = gr.Button("Change", size="sm", min_width=80)
                self.reset = gr.Button("As at first", size="sm", min_width=80)
            self.said = gr.HTML("", css_template=STYLE, elem_classes="sl-live")
        self.outcome = gr.State("")

    def connect(self, show: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> None:
        """Connect the events; what came of a change is said once the editor has the keys.

        Args:
            show: Shows the find again, with the keys that were changed.
            inputs: Of `show`.
            outputs: Of `show`.
        """
        own = [self.memory, self.table, self.outcome]
        changed = [
            event(self._change, [self.memory, self.action, self.key], own, **QUIET)
            for event in (self.change.click, self.key.submit)
        ]
        for event in (*changed, self.reset.click(self._reset, self.memory, own, **QUIET)):
            event.then(show, inputs, outputs, **QUIET).then(lambda said: said, self.outcome, self.said, **QUIET)
        self.list.expand(self._listed, self.memory, self.table, **QUIET)

    def _change(self, memory: Any, action: str | None, key: str | None) -> dict[Any, Any]:
        kept = memory if isinstance(memory, dict) else dict(_START)
        try:
            if not action:
                raise KeyRefused("No action is chosen", "Choose what the key should do")
            keys = keyboard.changed(keyboard.checked(kept.get("keys") or {}), action, key or "")
        except KeyRefused as error:
            return {self.outcome: note_html(str(error), bad=True)}
        return {self.memory: {**kept, "keys": keys}, self.table: keys_html(keys), self.outcome: note_html("Changed.")}

    def _reset(self, memory: Any) -> dict[Any, Any]:
        kept = memory if isinstance(memory, dict) else dict(_START)
        return {self.memory: {**kept, "keys": {}}, self.table: keys_html({}), self.outcome: note_html("As at first.")}

    def _listed(self, memory: Any) -> str:
        keys = memory.get("keys") if isinstance(memory, dict) else None
        return keys_html(keyboard.checked(keys or {}))
