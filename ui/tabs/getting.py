"""The button that leads to missing weights in the Models tab."""

import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui.tabs.events import QUEUED, Changes


class Getting:
    """The button. It is hidden where nothing is missing."""

    def lay_out(self, elem_id: str) -> None:
        """Place the button.

        Args:
            elem_id: Of the button.
        """
        self.lacking = gr.State([])
        self.button = gr.Button("Get it", size="sm", visible=False, elem_id=elem_id)

    @property
    def outputs(self) -> list[Any]:
        """The components that `changes` changes."""
        return [self.lacking, self.button]

    def changes(self, lacking: Sequence[str]) -> Changes:
        """Return the changes that offer weights; none hide the button.

        Args:
            lacking: Ids of the missing weights.
        """
        names = list(dict.fromkeys(lacking))
        return {self.lacking: names, self.button: gr.update(value=f"Get {', '.join(names)}", visible=bool(names))}

    def connect(self, to_models: gr.State) -> None:
        """Let the button show the first of the missing weights in the Models tab.

        Args:
            to_models: Channel: id of weights that the Models tab shows, and a number that no other change has.
        """
        # In the queue, without which the channel does not tell of its change.
        self.button.click(_first, self.lacking, to_models, concurrency_limit=None, **QUEUED)


def _first(lacking: Sequence[str]) -> Any:
    return (lacking[0], time.monotonic_ns()) if lacking else gr.skip()
