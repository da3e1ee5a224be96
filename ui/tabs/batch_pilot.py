"""Third step of a batch: a few items, looked at by a person before anything else runs."""

from typing import Any

import gradio as gr

from ui.batches.desk import Desk
from ui.batches.html import LABELS, SHEET, STYLE, counts_html, note_html, pilot_html
from ui.batches.pilot import PilotView
from ui.batches.progress import ACTIVE, Progress
from ui.batches.runs import RunRecord
from ui.tabs.events import QUIET, Changes

_CHANGED = "The scores have changed: try them before the run, or move them back."

Finds = dict[str, list[float]]


class PilotStep:
    """The widgets; what the buttons do is connected by the tab.

    Args:
        desk: What the tab does.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def lay_out(self) -> None:
        """Place the widgets."""
        self.hash, self.finds, self.applied = gr.State(""), gr.State({}), gr.State({})
        self.stand = gr.HTML(
            note_html("There is no pilot yet: choose files and a plan first."),
            css_template=STYLE,
            apply_default_css=False,
            elem_id="batch-pilot",
        )
        self.counts = gr.HTML(css_template=STYLE, apply_default_css=False, elem_id="pilot-counts")
        with gr.Row(elem_id="pilot-scores"):
            self.bars = [
                gr.Slider(0, 1, 0, step=0.01, label=f"Score {n}", visible=False, min_width=180) for n in range(LABELS)
            ]
        with gr.Row():
            self.run = gr.Button("Run on all", variant="primary", interactive=False, elem_id="batch-run")
            self.apply = gr.Button("Try these scores", visible=False, elem_id="batch-apply")
        self.sheet = gr.HTML(css_template=STYLE, apply_default_css=False, elem_id=SHEET)
        for bar in self.bars:
            bar.input(
                self._move,
                [self.finds, self.applied, *self.bars],
                [self.counts, self.apply, self.run],
                trigger_mode="always_last",
                **QUIET,
            )

    @property
    def outputs(self) -> list[Any]:
        """The components that `changes` and `begun` change."""
        return [
            self.hash,
            self.finds,
            self.applied,
            self.stand,
            self.counts,
            *self.bars,
            self.run,
            self.apply,
            self.sheet,
        ]

    def begun(self, stand_html: str) -> Changes:
        """Return the changes that show a pilot at work, or one that failed."""
        return {
            self.hash: "",
            self.finds: {},
            self.applied: {},
            self.stand: stand_html,
            self.counts: "",
            **{bar: gr.update(visible=False) for bar in self.bars},
            self.run: gr.update(interactive=False, value="Run on all", visible=True),
            self.apply: gr.update(visible=False),
            self.sheet: "",
        }

    def changes(self, record: RunRecord, progress: Progress, stand_html: str) -> Changes:
        """Return the changes that show the pilot of a run, if it has ended, or how it stands."""
        view = None if progress.state in ACTIVE else self._desk.pilot(record)
        if view is None:
            return self.begun(stand_html)
        labels = list(view.finds)[:LABELS]
        left = view.forecast.items
        return {
            self.hash: view.plan.hash,
            self.finds: view.finds,
            self.applied: view.scores,
            self.stand: stand_html,
            self.counts: counts_html(view.finds, view.scores),
            **{bar: self._bar(view, labels, number) for number, bar in enumerate(self.bars)},
            self.run: gr.update(
                visible=progress.state == "Waits for you",
                interactive=True,
                value=f"Run on the other {left}" if left else "Finish: write the exports",
            ),
            self.apply: gr.update(visible=False),
            self.sheet: pilot_html(view, self._desk.free_bytes(record)),
        }

    def scores(self, finds: Finds, values: tuple[float, ...]) -> dict[str, float]:
        """Return the least scores that the sliders say, without those of 0."""
        return {label: round(value, 2) for label, value in zip(finds, values, strict=False) if value > 0}

    @staticmethod
    def _bar(view: PilotView, labels: list[str], number: int) -> Any:
        if number >= len(labels):
            return gr.update(visible=False)
        label = labels[number]
        return gr.update(visible=True, label=f"Least score: {label}", value=view.scores.get(label, 0.0))

    def _move(self, finds: Finds, applied: dict[str, float], *values: float) -> Changes:
        scores = self.scores(finds, values)
        changed = scores != applied
        return {
            self.counts: counts_html(finds, scores) + (note_html(_CHANGED) if changed else ""),
            self.apply: gr.update(visible=changed),
            self.run: gr.update(interactive=not changed),
        }
