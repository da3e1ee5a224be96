"""Second step of a batch: which plan."""

from typing import Any

import gradio as gr

from agents.plan.plan import Plan
from tools.core.errors import SuperlinkError
from ui.access.visitors import owner_of
from ui.batches.desk import Desk
from ui.batches.html import STYLE, fault_html, plan_html
from ui.batches.pilot import ITEMS
from ui.batches.planning import PlanDraft
from ui.context import Context
from ui.plans.words import words
from ui.tabs.events import QUIET, Changes
from ui.tabs.getting import Getting

_WORDS, _FILE = "In words", "From a file"


class PlanStep:
    """The widgets. `plan` holds the plan as JSON; None while there is none that works.

    Args:
        context: What all tabs share.
        desk: What the tab does.
    """

    def __init__(self, context: Context, desk: Desk) -> None:
        self._context, self._desk = context, desk
        self.getting = Getting()

    def lay_out(self, kinds: gr.State) -> None:
        """Place the widgets.

        Args:
            kinds: Media of the source's items.
        """
        self.plan = gr.State(None)
        self.how = gr.Radio([_WORDS, _FILE], value=_WORDS, label="Where does the plan come from?")
        with gr.Column() as self._words:
            self.request = gr.Textbox(
                label="What should happen to each file?",
                placeholder="find every dog",
                max_lines=4,
                elem_id="batch-request",
            )
            self.make = gr.Button("Plan it", elem_id="batch-make")
        with gr.Column(visible=False) as self._file:
            self.file = gr.File(file_types=[".json"], label="plan.json", elem_id="batch-plan-file")
        self.shown = gr.HTML(css_template=STYLE, apply_default_css=False, elem_id="batch-plan")
        self.getting.lay_out("batch-get")
        with gr.Accordion("The plan as text", open=False):
            self.text = gr.Code(language="json", label="Plan", lines=8, max_lines=20, interactive=True)
            self.check = gr.Button("Use this text", size="sm")
        self.next = gr.Button(
            f"Next: try it on up to {ITEMS} items", variant="primary", interactive=False, elem_id="batch-to-pilot"
        )
        shown = self.outputs
        self.how.change(self._choose, self.how, [self._words, self._file], **QUIET)
        for event in (self.make.click, self.request.submit):
            event(self._plan, [self.request, kinds], shown, api_visibility="private", show_progress_on=self.shown)
        # Planning alone takes long enough for the queue.
        self.file.upload(
            self._read, [self.file, kinds], shown, queue=False, api_visibility="private", show_progress_on=self.shown
        )
        self.check.click(self._read_text, [self.text, kinds], shown, **QUIET)

    @property
    def outputs(self) -> list[Any]:
        """The components that `changes` changes."""
        return [self.plan, self.shown, self.text, self.next, *self.getting.outputs]

    def changes(self, draft: PlanDraft | None) -> Changes:
        """Return the changes that show a plan; None shows none."""
        if draft is None:
            nothing = {self.plan: None, self.shown: "", self.text: "", self.next: gr.update(interactive=False)}
            return {**nothing, **self.getting.changes([])}
        plan = draft.plan
        steps = [] if plan is None else [words(step, self._context.tools) for step in plan.steps]
        return {
            self.plan: plan.to_json() if plan is not None and draft.works else None,
            self.shown: plan_html(draft, steps),
            self.text: "" if plan is None else plan.model_dump_json(indent=2),
            self.next: gr.update(interactive=draft.works),
            **self.getting.changes(draft.lacking),
        }

    def again(self, text: str, lacking: list[str], kinds: tuple[str, ...]) -> Changes:
        """Return the changes that show a plan that lacked weights as it is now; none for any other plan."""
        return self._read_text(text, kinds) if lacking else {self.plan: gr.skip()}

    def taken(self, plan: Any, kinds: tuple[str, ...]) -> Changes:
        """Return the changes that show a plan of a session, with the words that it was made from."""
        said = str(plan.get("request") or "") if isinstance(plan, dict) else ""
        return {self.request: said, **self.given(plan, kinds)}

    def given(self, plan: Any, kinds: tuple[str, ...]) -> Changes:
        """Return the changes that show a plan as JSON, checked for these kinds."""
        try:
            return self.changes(self._desk.check_plan(Plan.load(plan), kinds))
        except SuperlinkError as error:
            return self._failed(error)

    @staticmethod
    def _choose(how: str) -> list[Any]:
        return [gr.update(visible=how == one) for one in (_WORDS, _FILE)]

    def _plan(self, said: str, kinds: tuple[str, ...], request: gr.Request) -> Changes:
        try:
            return self.changes(self._desk.plan_words(said, kinds, owner_of(request)))
        except SuperlinkError as error:
            return self._failed(error)

    def _read(self, file: str | None, kinds: tuple[str, ...]) -> Changes:
        if file is None:
            return self.changes(None)
        try:
            with open(file, encoding="utf-8") as text:
                return self._read_text(text.read(), kinds)
        except (OSError, UnicodeDecodeError) as error:
            return {**self.changes(None), self.shown: fault_html(f"The file cannot be read: {error}")}

    def _read_text(self, text: str, kinds: tuple[str, ...]) -> Changes:
        try:
            return self.changes(self._desk.check_plan(text, kinds))
        except SuperlinkError as error:
            return {**self._failed(error), self.text: gr.skip()}

    def _failed(self, error: SuperlinkError) -> Changes:
        return {**self.changes(None), self.shown: fault_html(error.message, error.hint)}
