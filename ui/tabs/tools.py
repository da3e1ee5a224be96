"""The Tools tab: what there is, trying it, and adding tools from a Python file."""

import time
from pathlib import Path
from typing import Any

import gradio as gr

from tools.core.errors import SuperlinkError
from tools.runtime.registry import file_of
from ui.access.users import may_administer
from ui.access.visitors import owner_of
from ui.catalogue.rendering import SCRIPT, STYLE, render
from ui.catalogue.tool_files import Draft, forget, load, look_at
from ui.catalogue.tools import kinds, one_call, rows
from ui.context import Context
from ui.tabs.events import QUIET, Changes
from ui.turns.turns import Turns
from ui.turns.words import explain

_ANY = "Any kind"


class ToolsTab:
    """Widgets of the tab and their event handlers.

    Args:
        page: The page.
        context: What all tabs share, with the tools, which this tab changes.
        turns: The sessions, which know how tools did.
        to_session: Channel: what the Session tab is to try, as `SessionTab.try_` takes it.
        to_models: Channel: id of weights that the Models tab shows, and a number that no other change has.
    """

    def __init__(
        self, page: gr.Blocks, context: Context, turns: Turns, to_session: gr.State, to_models: gr.State
    ) -> None:
        self.page, self.context, self.turns = page, context, turns
        self.to_session, self.to_models = to_session, to_models

    def lay_out(self, tab: gr.Tab) -> None:
        """Place everything; called within the tab."""
        self.draft, self.opened = gr.State(None), gr.State("")
        with gr.Row():
            self.search = gr.Textbox(
                "", label="Search", placeholder="what it does", elem_id="tools-search", max_lines=1, min_width=240
            )
            self.kind = gr.Dropdown(
                [_ANY, *kinds(self.context.tools)], value=_ANY, label="Takes or gives", scale=1, min_width=150
            )
        self.works = gr.Checkbox(False, label="Only what works here")
        with gr.Accordion("Load a Python file with tools", open=False, elem_id="load-tools"):
            gr.Markdown("A tool is one typed function with a docstring, decorated with `@tool` of `superlink`.")
            self.file = gr.File(label="Python file", file_types=[".py"], elem_id="tools-file", height=120)
            self.code = gr.Code(language="python", label="What it says", interactive=False, visible=False, max_lines=24)
            self.asked = gr.HTML(visible=False, css_template=STYLE, padding=False)
            self.keep = gr.Checkbox(False, label="Load it at every start, too", visible=False, elem_id="tools-keep")
            with gr.Row(visible=False) as self.decision:
                self.yes = gr.Button("Load it: run its code", variant="primary", elem_id="tools-load")
                self.no = gr.Button("Do not load it", elem_id="tools-no")
        self.said = gr.HTML(visible=False, elem_id="tools-said", css_template=STYLE, padding=False)
        self.list = gr.HTML(elem_id="tools", js_on_load=SCRIPT, css_template=STYLE, padding=False)
        self._connect(tab)

    @property
    def outputs(self) -> list[Any]:
        """All that the handlers of files change."""
        question = [self.draft, self.file, self.code, self.asked, self.keep, self.decision]
        return [*question, self.said, self.opened, self.kind, self.list]

    def _connect(self, tab: gr.Tab) -> None:
        view = [self.search, self.kind, self.works, self.opened]
        gr.on(
            [tab.select, self.search.change, self.kind.change, self.works.change],
            self._rows,
            view,
            self.list,
            **QUIET,
        )
        # In the queue: the channels tell of their changes after such events alone.
        self.list.select(
            self._act,
            view,
            [self.to_session, self.to_models, self.said, self.opened, self.list],
            api_visibility="private",
            show_progress="hidden",
            concurrency_limit=None,
        )
        self.file.upload(self._look, [self.file, *view], self.outputs, **QUIET)
        self.file.clear(self._leave, view, self.outputs, **QUIET)
        self.no.click(self._leave, view, self.outputs, **QUIET)
        # In the queue, because the import may take a while.
        self.yes.click(
            self._load,
            [self.draft, self.keep, *view],
            self.outputs,
            api_visibility="private",
            concurrency_limit=2,
            show_progress="minimal",
            show_progress_on=self.said,
        )

    def _rows(self, search: str, kind: str, works: bool, opened: str, caller: gr.Request) -> str:
        faults = self.turns.last_faults(owner_of(caller))
        found = rows(self.context.tools, search, "" if kind == _ANY else kind, works, faults)
        return render("tools.html.j2", rows=found, open=opened)

    def _act(
        self, search: str, kind: str, works: bool, opened: str, event: gr.EventData, caller: gr.Request
    ) -> Changes:
        """Do what a button of a tool says."""
        data = event._data
        name, action = str(data.get("id", "")), str(data.get("action", ""))
        if action == "get":
            return {self.to_models: (name, time.monotonic_ns())}  # a channel tells only of another value
        tool = self.context.tools.get(name)
        if tool is None:
            raise gr.Error(f"There is no tool {name} any more.")
        asked: Changes = {"tool": name, "serial": time.monotonic_ns()}
        if action == "try":
            asked |= {"request": f"Try: {tool.doc}", "plan": one_call(tool).to_json()}
            return {self.to_session: asked, self.opened: name}
        if action == "example":
            asked |= {"request": tool.examples[int(data.get("place", 0))], "plan": None}
            return {self.to_session: asked, self.opened: name}
        if action == "forget" and file_of(tool):
            _check(caller)
            try:
                names = forget(Path(file_of(tool)), self.context)
            except SuperlinkError as error:
                return self._told(explain(error), bad=True)
            return self._told(f"Out of the catalogue: {', '.join(names)}.") | {
                self.list: self._rows(search, kind, works, "", caller)
            }
        return {}

    def _look(self, file: str | None, search: str, kind: str, works: bool, opened: str, caller: gr.Request) -> Changes:
        """Show a file that was chosen; nothing of it runs."""
        if not file:
            return self._leave(search, kind, works, opened, caller)
        try:
            _check(caller)
            draft = look_at(Path(file))
        except SuperlinkError as error:
            return self._leave(search, kind, works, opened, caller) | self._told(explain(error), bad=True)
        shown = gr.update(visible=True)
        return {
            self.draft: draft,
            self.code: gr.update(value=draft.text, visible=True),
            self.asked: gr.update(value=render("draft.html.j2", draft=draft), visible=True),
            self.keep: shown,
            self.decision: shown,
            self.said: gr.update(visible=False),
        }

    def _load(
        self, draft: Draft | None, keep: bool, search: str, kind: str, works: bool, opened: str, caller: gr.Request
    ) -> Changes:
        _check(caller)
        if draft is None:
            return self._leave(search, kind, works, opened, caller)
        try:
            names = load(draft, self.context, keep)
        except SuperlinkError as error:
            return self._told(explain(error), bad=True, trace=getattr(error, "traceback", ""))
        said = f"Loaded: {', '.join(names)}. The next request in a session can use it."
        return (
            self._leave(search, kind, works, names[0], caller)
            | self._told(said)
            | {self.kind: gr.update(choices=[_ANY, *kinds(self.context.tools)])}
        )

    def _leave(self, search: str, kind: str, works: bool, opened: str, caller: gr.Request) -> Changes:
        """Close the question about a file."""
        hidden = gr.update(visible=False)
        return {
            self.draft: None,
            self.file: None,
            self.code: hidden,
            self.asked: hidden,
            self.keep: hidden,
            self.decision: hidden,
            self.opened: opened,
            self.list: self._rows(search, kind, works, opened, caller),
        }

    def _told(self, text: str, bad: bool = False, trace: str = "") -> Changes:
        return {self.said: gr.update(value=render("said.html.j2", text=text, bad=bad, trace=trace), visible=True)}


def _check(caller: gr.Request) -> None:
    if not may_administer(owner_of(caller)):
        raise gr.Error("Only the person who runs this page may load tools: they run on this computer.")
