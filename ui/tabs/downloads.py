"""Downloads of a result, the turn as one command, and the way to a batch."""

from typing import Any

import gradio as gr

from agents.plan.plan import PlanJson
from tools.core.errors import SuperlinkError
from ui.access.archive import archive_url
from ui.context import Context
from ui.results.copyable import copyable
from ui.results.downloads import repeat, write_plan
from ui.results.html import STYLE, downloads_html
from ui.results.reading import Item
from ui.tabs.events import QUEUED
from ui.tabs.panes import note
from ui.turns.view import SessionView


class DownloadWidgets:
    """The widgets.

    Args:
        context: What all tabs share.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def lay_out(self, view: gr.State, number: gr.State) -> None:
        """Place the widgets.

        Args:
            view: The session that is shown.
            number: The turn that is shown.
        """
        self._view, self._number = view, number
        with gr.Accordion("The same as one command", open=False, visible=False, elem_id="result-again") as self.again:
            self.command = copyable("Command", visible=False, elem_id="result-command")
            self.note = gr.HTML(visible=False)
        self.batch = gr.Button("Use in Batch", size="sm", visible=False, elem_id="result-batch")
        # Last, next to the box: two keys away from it.
        self.links = gr.HTML(css_template=STYLE, apply_default_css=False, visible=False, elem_id="result-downloads")

    @property
    def outputs(self) -> list[Any]:
        """The components that `changes` changes."""
        return [self.links, self.again, self.command, self.note, self.batch]

    def changes(self, view: SessionView | None, number: int, item: Item | None) -> dict[Any, Any]:
        """Return the changes that offer what can be downloaded.

        Args:
            view: The session; None before there is one.
            number: Of the turn; 0 for none.
            item: What is shown; None when there is nothing.
        """
        turn = view.numbered(number) if view is not None else None
        if view is None or turn is None or (item is None and turn.record is None):
            return self._nothing()
        ended = turn.record is not None
        address = archive_url(view.thread, number) if ended and turn.results else ""
        command = ""
        try:
            again = repeat(view.turns, number, self._context.tools)
            if turn.record is not None:
                write_plan(turn.record.parent, again.plan)
            command = again.command
            files = ", ".join(["your files", *again.tools])
            said = f"Run it where {files} and plan.json are. plan.json is in the zip."
        except SuperlinkError as error:
            said = f"One command cannot repeat this: {error}"
        return {
            self.links: gr.update(
                value=downloads_html(() if item is None else item.files, address, turn.record), visible=True
            ),
            self.again: gr.update(visible=ended and bool(turn.results)),
            self.command: gr.update(value=command, visible=bool(command)),
            self.note: note(said),
            self.batch: gr.update(visible=ended and bool(turn.results and command)),
        }

    def _nothing(self) -> dict[Any, Any]:
        """Return the changes that offer nothing."""
        return {
            self.links: gr.update(value="", visible=False),
            self.again: gr.update(visible=False),
            self.command: gr.update(value="", visible=False),
            self.note: note(""),
            self.batch: gr.update(visible=False),
        }

    def connect_batch(self, to_batch: Any) -> None:
        """Let "Use in Batch" put the plan into a channel of the page.

        Args:
            to_batch: A component whose value is a plan as JSON.
        """
        self.batch.click(self._plan, [self._view, self._number], to_batch, **QUEUED)

    def _plan(self, view: SessionView, number: int) -> PlanJson:
        try:
            return repeat(view.turns, number, self._context.tools).plan
        except SuperlinkError as error:
            raise gr.Error(str(error)) from error
