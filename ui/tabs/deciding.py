"""Buttons below the plan: run, change by a remark, edit, reject, stop, withdraw."""

from typing import Any

import gradio as gr

from ui.conversation.html import queue_words
from ui.turns.view import SessionView
from ui.turns.words import FAILED, PARTLY, STOPPED, STOPPING


class Deciding:
    """The widgets with which a person decides on a plan, or stops it."""

    def lay_out(self) -> None:
        """Place the widgets."""
        with gr.Row(elem_id="queue", visible=False) as self.queue:
            self.place = gr.HTML()
            self.withdraw = gr.Button("Withdraw", size="sm", min_width=80, elem_id="withdraw")
        with gr.Column(elem_id="decision", visible=False) as self.decision:
            with gr.Row():
                self.run = gr.Button("Run", variant="primary", size="md", min_width=80, elem_id="run")
                self.change = gr.Button("Change it", size="md", min_width=80, elem_id="change")
                self.edit = gr.Button("Edit", size="md", min_width=80, elem_id="edit")
                self.reject = gr.Button("Reject", size="md", min_width=80, elem_id="reject")
            with gr.Row(visible=False, elem_id="remark") as self.remark:
                self.words = gr.Textbox(
                    label="What should be different?",
                    placeholder="Such as: only the people on the left",
                    max_lines=4,
                    scale=4,
                    elem_id="remark-words",
                )
                self.again = gr.Button("Plan again", size="md", min_width=80, elem_id="plan-again")
            self.always = gr.Checkbox(False, label="Always run plans like this in this session", elem_id="always")
        self.stop = gr.Button("Stop", size="sm", visible=False, elem_id="stop")
        self.repeat = gr.Button("Run it again", size="sm", visible=False, elem_id="repeat")

    @property
    def outputs(self) -> list[Any]:
        """The components that `update` changes."""
        return [
            self.queue,
            self.place,
            self.decision,
            self.run,
            self.remark,
            self.words,
            self.always,
            self.stop,
            self.repeat,
        ]

    def update(self, view: SessionView) -> list[Any]:
        """Return the changes that show a session."""
        turn = view.turn
        waits = view.stage == "approval"
        runs = turn is not None and not turn.missing and not turn.problems
        line = queue_words(view.queue) if view.stage == "queued" else ""
        stopping = turn is not None and turn.status == STOPPING.words
        ended_early = {STOPPED.words, FAILED.words, PARTLY.words}
        repeats = view.stage == "idle" and turn is not None and turn.plan is not None and turn.status in ended_early
        return [
            gr.update(visible=bool(line)),
            line,
            gr.update(visible=waits),
            gr.update(interactive=runs),
            gr.update(visible=False),
            "",
            view.always,
            gr.update(visible=view.works and not line, interactive=not stopping),
            gr.update(visible=repeats),
        ]
