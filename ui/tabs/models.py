"""The Models tab: weights on this computer, and those that can be fetched."""

from html import escape
from typing import Any

import gradio as gr

from agents.planners.backbone import model_file
from tools.core.errors import SuperlinkError
from tools.runtime.model_cache import evict_idle
from tools.weights import weights
from tools.weights.catalogue import find
from tools.weights.choosing import choose
from tools.weights.requirements import in_words
from ui.access.users import may_administer
from ui.access.visitors import owner_of
from ui.catalogue.jobs import Jobs, to_accept
from ui.catalogue.models import computer_html, question_html, rows_html, starter_question_html
from ui.catalogue.rendering import SCRIPT, STYLE
from ui.catalogue.weights import computer, rows, starter_set
from ui.tabs.events import QUIET, Changes

_STARTER = "starter"


_IN_VIEW = """() => setTimeout(() => {
  const above = [...document.querySelectorAll("#models-question, #models-note")].find((one) => one.offsetParent);
  above?.scrollIntoView({ block: "nearest" });
  above?.querySelector("#models-no")?.focus({ preventScroll: true });
}, 60)"""


class ModelsTab:
    """Widgets of the tab and their event handlers.

    Args:
        page: The page.
        to_models: Channel: id of weights to show, and a number that no other change has.
    """

    def __init__(self, page: gr.Blocks, to_models: gr.State) -> None:
        self.page, self.to_models, self.jobs = page, to_models, Jobs(_after_pull)

    def lay_out(self, tabs: gr.Tabs, tab: gr.Tab) -> None:
        """Place everything; called within the tab.

        Args:
            tabs: All tabs of the page.
            tab: This one.
        """
        self.question, self.focus = gr.State(None), gr.State("")
        self.computer = gr.HTML(elem_id="computer", css_template=STYLE, padding=False)
        with gr.Row():
            self.search = gr.Textbox(
                "",
                label="Search",
                placeholder="id, role, licence",
                elem_id="models-search",
                scale=3,
                max_lines=1,
                min_width=260,
            )
            self.missing = gr.Checkbox(
                False, label="Only what is not here", elem_id="models-missing", scale=1, min_width=220
            )
            self.starter = gr.Button("Get the starter set", variant="primary", elem_id="get-starter", visible=False)
        with gr.Group(visible=False, elem_id="models-question") as self.asking:
            self.asked = gr.HTML(elem_classes="sl-card")
            with gr.Row():
                self.yes = gr.Button("Yes", variant="primary", elem_id="models-yes")
                self.no = gr.Button("No", elem_id="models-no")
        self.note = gr.HTML(visible=False, elem_id="models-note", elem_classes="sl-live")
        self.table = gr.HTML(elem_id="models", js_on_load=SCRIPT, css_template=STYLE, padding=False)
        self.timer = gr.Timer(1.0, active=False)
        self.to_models.change(lambda: gr.update(selected="models"), None, tabs, **QUIET)
        self.to_models.change(self._show, self.to_models, self.outputs, **QUIET)
        self._connect(tab)

    def _show(self, asked: tuple[str, int]) -> Changes:
        """Return the changes that bring the row of these weights into view."""
        weights_id, _ = asked
        return {self.search: weights_id, self.focus: weights_id, self.missing: False} | self._shown(
            weights_id, focus=weights_id
        )

    @property
    def outputs(self) -> list[Any]:
        """All that the handlers change."""
        return [
            self.computer,
            self.search,
            self.missing,
            self.focus,
            self.starter,
            self.asking,
            self.asked,
            self.yes,
            self.question,
            self.note,
            self.table,
            self.timer,
        ]

    def _connect(self, tab: gr.Tab) -> None:
        view = [self.search, self.missing, self.focus]
        for event in (self.timer.tick, self.search.change, self.missing.change):
            event(self._shown, view, self.outputs, **QUIET)
        # Nothing is shown before the first visit; a question that is open stays.
        tab.select(self._seen, view, [self.computer, self.starter, self.table, self.timer], **QUIET)
        # What comes of it stands above the table, whose row can be far below.
        self.table.select(self._act, view, self.outputs, **QUIET).then(None, None, None, js=_IN_VIEW, **QUIET)
        self.starter.click(self._ask_starter, view, self.outputs, **QUIET)
        self.yes.click(self._confirm, [*view, self.question], self.outputs, **QUIET)
        self.no.click(self._shown, view, self.outputs, **QUIET)

    def _shown(self, search: str = "", missing: bool = False, focus: str = "", note: str = "") -> Changes:
        """Return the changes that show the present state; a question that was open is closed."""
        active, starter = self.jobs.active(), starter_set()
        return {
            self.computer: computer_html(computer(), starter),
            self.starter: gr.update(visible=bool(starter.missing) or not starter.chosen, interactive=not active),
            self.asking: gr.update(visible=False),
            self.question: None,
            self.note: gr.update(value=note, visible=bool(note)),
            self.table: rows_html(rows(self.jobs.all(), search, missing), focus),
            self.timer: gr.Timer(active=active),
        }

    def _seen(self, search: str, missing: bool, focus: str) -> Changes:
        shown = self._shown(search, missing, focus)
        return {one: shown[one] for one in (self.computer, self.starter, self.table, self.timer)}

    def _act(self, search: str, missing: bool, focus: str, event: gr.EventData, caller: gr.Request) -> Changes:
        """Do what a button of the table says, or ask first."""
        name, action = str(event._data.get("id", "")), str(event._data.get("action", ""))
        _check(caller)
        try:
            if action == "use":
                role = str(event._data.get("role", ""))
                choose(name, role)
                return self._shown(search, missing, focus, f"{escape(name)} is used for {escape(role)} from now on.")
            asks = action == "remove" or (action == "pull" and to_accept(name))
            act = self._ask if asks else self._do
            return act(name, action, search, missing, focus)
        except SuperlinkError as error:
            raise gr.Error(str(error)) from error

    def _ask(self, name: str, action: str, search: str, missing: bool, focus: str) -> Changes:
        names = [name] if action == "remove" else to_accept(name)
        chosen = [row for row in rows({}) if row.id in names]
        return self._shown(search, missing, focus) | {
            self.asking: gr.update(visible=True),
            self.asked: question_html(chosen, action),
            self.yes: gr.update(value="Remove it" if action == "remove" else "Accept and get it"),
            self.question: (name, action),
        }

    def _ask_starter(self, search: str, missing: bool, focus: str, caller: gr.Request) -> Changes:
        _check(caller)
        starter = starter_set()
        return self._shown(search, missing, focus) | {
            self.asking: gr.update(visible=True),
            self.asked: starter_question_html(starter),
            self.yes: gr.update(value="Accept the licences and get it" if starter.missing else "Use it"),
            self.question: (_STARTER, "pull"),
        }

    def _confirm(
        self, search: str, missing: bool, focus: str, question: tuple[str, str] | None, caller: gr.Request
    ) -> Changes:
        _check(caller)
        if question is None:
            return self._shown(search, missing, focus)
        try:
            return self._do(*question, search, missing, focus)
        except SuperlinkError as error:
            raise gr.Error(str(error)) from error

    def _do(self, name: str, action: str, search: str, missing: bool, focus: str) -> Changes:
        note = ""
        if name == _STARTER:
            self.jobs.pull_starter(accept=True)
        elif action == "pull":
            self.jobs.pull(name, accept=True)
        elif action == "verify":
            self.jobs.verify(name)
        elif action == "stop":
            self.jobs.stop(name)
        elif action == "unload":
            note = f"{evict_idle(name)} models were unloaded."
        elif action == "remove":
            note = f"{in_words(weights.remove(name))} are free now."
            evict_idle(name)
        return self._shown(search, missing, focus, note)


def _check(caller: gr.Request) -> None:
    if not may_administer(owner_of(caller)):
        raise gr.Error("Only the person who runs this page may change the weights of this computer.")


def _after_pull(name: str) -> str:
    """Make the planner's model from its core, which the first plan would wait for."""
    if "planner" not in find(name).roles:
        return ""
    return f"made ready for planning in {model_file(name)}"
