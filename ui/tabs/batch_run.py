"""Fourth step of a batch: the run at work, and what is done with it afterwards."""

from typing import Any

import gradio as gr

from tools.core.errors import SuperlinkError
from ui.access.links import file_url
from ui.access.visitors import owner_of
from ui.batches import schedules
from ui.batches.desk import Desk
from ui.batches.exports import FORMATS
from ui.batches.html import (
    STYLE,
    download_html,
    failures_html,
    fault_html,
    latest_html,
    note_html,
    run_html,
    schedules_html,
)
from ui.batches.progress import ACTIVE, Progress
from ui.batches.runs import RunRecord
from ui.tabs.events import QUIET, Changes

_ALL = "All that failed"


class RunStep:
    """The widgets; pause, resume, cancel and retry are connected by the tab.

    Args:
        desk: What the tab does.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def lay_out(self, run: gr.State) -> None:
        """Place the widgets.

        Args:
            run: Id of the run that is shown.
        """
        self.stand = gr.HTML(
            note_html("Choose a run in the list, or begin a new one."),
            css_template=STYLE,
            apply_default_css=False,
            elem_id="run-state",
        )
        with gr.Row():
            self.pause = gr.Button("Pause", visible=False, min_width=90, elem_id="run-pause")
            self.resume = gr.Button("Resume", variant="primary", visible=False, min_width=90, elem_id="run-resume")
            self.cancel = gr.Button("Cancel", variant="stop", visible=False, min_width=90, elem_id="run-cancel")
            self.review = gr.Button("Review", visible=False, min_width=90, elem_id="run-review")
        self.latest = gr.HTML(css_template=STYLE, apply_default_css=False, elem_id="run-latest")
        self.failures = gr.HTML(css_template=STYLE, apply_default_css=False, elem_id="run-failures")
        with gr.Row(visible=False) as self.retrying:
            self.reason = gr.Dropdown([_ALL], value=_ALL, label="Which failures", interactive=True, scale=3)
            self.retry = gr.Button("Retry these", min_width=110, elem_id="run-retry")
        with gr.Accordion("Export", open=False, visible=False, elem_id="run-export") as self.exporting:
            self.formats = gr.CheckboxGroup(list(FORMATS.items()), value=["coco"], label="Formats")
            self.export = gr.Button("Make a zip file", elem_id="run-zip")
            self.link = gr.HTML(css_template=STYLE, apply_default_css=False, elem_id="run-download")
        with gr.Accordion("Schedule", open=False, visible=False, elem_id="run-schedule") as self.scheduling:
            gr.Markdown("Have this plan run again and again over the new files. `superlink serve-flows` runs it.")
            with gr.Row():
                self.cron = gr.Textbox("0 2 * * *", label="When, as cron writes it", min_width=140, elem_id="cron")
                self.zone = gr.Textbox("UTC", label="Time zone", min_width=140)
                self.name = gr.Textbox("", label="Name", placeholder="that of the run's folder", min_width=140)
            self.times = gr.HTML(css_template=STYLE, apply_default_css=False, elem_id="cron-times")
            with gr.Row():
                self.create = gr.Button("Schedule it", min_width=110)
                self.list = gr.Button("Show schedules", min_width=110)
                self.remove = gr.Button("Remove the one named", min_width=110)
            self.said = gr.HTML(css_template=STYLE, apply_default_css=False, elem_id="schedules")
        self._connect(run)

    def _connect(self, run: gr.State) -> None:
        self.export.click(self._export, [run, self.formats], self.link, api_visibility="private")
        for box in (self.cron, self.zone):
            box.change(self._times, [self.cron, self.zone], self.times, trigger_mode="always_last", **QUIET)
        self.scheduling.expand(self._times, [self.cron, self.zone], self.times, **QUIET)
        self.create.click(self._create, [run, self.cron, self.zone, self.name], self.said, api_visibility="private")
        self.list.click(self._list, None, self.said, api_visibility="private")
        self.remove.click(self._remove, self.name, self.said, api_visibility="private")

    @property
    def outputs(self) -> list[Any]:
        """The components that `changes` changes."""
        return [
            self.stand,
            self.pause,
            self.resume,
            self.cancel,
            self.review,
            self.latest,
            self.failures,
            self.retrying,
            self.reason,
            self.exporting,
            self.scheduling,
        ]

    def changes(self, record: RunRecord, progress: Progress) -> Changes:
        """Return the changes that show how far a run is."""
        active = progress.state in ACTIVE
        return {
            self.stand: run_html(progress, record.folder),
            self.pause: gr.update(visible=active and progress.state != "Stopping"),
            self.resume: gr.update(visible=not active and progress.state not in ("Done", "Waits for you")),
            self.cancel: gr.update(visible=active or progress.state == "Paused"),
            self.review: gr.update(visible=progress.done > 0),
            self.latest: latest_html(progress.thumbnails),
            self.retrying: gr.update(visible=bool(progress.groups) and not active),
            **self.failure_changes(progress),
            self.exporting: gr.update(visible=progress.done > 0 and not active),
            self.scheduling: gr.update(visible=progress.state == "Done"),
        }

    def failure_changes(self, progress: Progress) -> Changes:
        """Return the changes that show the failures."""
        reasons = [_ALL, *(group.reason for group in progress.groups)]
        return {self.failures: failures_html(progress.groups), self.reason: gr.update(choices=reasons)}

    @staticmethod
    def wanted(reason: str | None) -> str:
        """Return the reason that was chosen; "" for all."""
        return "" if reason in (None, _ALL) else str(reason)

    def _export(self, run: str, formats: list[str], request: gr.Request) -> str:
        try:
            file, said = self._desk.export(run, owner_of(request), formats)
        except SuperlinkError as error:
            return fault_html(error.message, error.hint)
        return download_html(file_url(file), file.name, file.stat().st_size, said)

    @staticmethod
    def _times(cron: str, zone: str) -> str:
        try:
            return schedules_html(schedules.preview(cron, zone.strip() or "UTC"))
        except SuperlinkError as error:
            return fault_html(error.message, error.hint)

    def _create(self, run: str, cron: str, zone: str, name: str, request: gr.Request) -> str:
        try:
            record = self._desk.runs.get(run, owner_of(request))
            return schedules_html(schedules.create(record, cron, zone.strip() or "UTC", name.strip()))
        except SuperlinkError as error:
            return fault_html(error.message, error.hint)

    def _list(self, request: gr.Request) -> str:
        try:
            return schedules_html("", self._mine(request))
        except SuperlinkError as error:
            return fault_html(error.message, error.hint)

    def _remove(self, name: str, request: gr.Request) -> str:
        try:
            if name.strip() not in [one.name for one in self._mine(request)]:
                return fault_html(f"You have no schedule named {name.strip()!r}", "Show schedules lists yours")
            schedules.remove(name.strip())
            return schedules_html(f"{name.strip()} is removed.")
        except SuperlinkError as error:
            return fault_html(error.message, error.hint)

    def _mine(self, request: gr.Request) -> list[schedules.ScheduleView]:
        """Return the schedules of this user's runs."""
        folders = {str(record.folder) for record in self._desk.runs.all(owner_of(request))}
        return [one for one in schedules.all_schedules() if one.out in folders]
