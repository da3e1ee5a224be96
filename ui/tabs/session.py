"""The Session tab: files and a request in, the plan for approval, progress and results."""

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from agents.worlds import samples
from tools.core.errors import SuperlinkError
from ui.access.visitors import owner_of
from ui.context import Context
from ui.plans.card import fault_html, limits_html, plan_html
from ui.turns.tab import Message, Tab, TabTurns, of_type

_HINT = """Drop files below and say what should happen:

blur every face
read the text and say it out loud
cut out the dogs, then count them"""

Changes = dict[Any, Any]
"""New value or update of each component, as Gradio takes them from an event handler."""


class SessionTab:
    """The widgets and their event handlers."""

    def __init__(self, page: gr.Blocks, context: Context) -> None:
        self.page, self.owners = page, context.files
        self.samples_folder = context.folder / "samples"
        self.turns = TabTurns(context.tools, context.planner, context.store, context.saver, context.folder / "results")
        self.limits: Callable[[], str] = lambda: limits_html(context.tools, context.planner)

    def lay_out(self) -> None:
        """Place everything; called within the blocks of the page."""
        # A function of its own: Gradio copies what stands here for every visitor, with all that a method is bound to.
        self.tab = gr.State(Tab(), time_to_live=86400, delete_callback=lambda tab: self._forget(tab))
        self.files = gr.State(())
        with gr.Row():
            with gr.Column(scale=5, min_width=380):
                self.chat = gr.Chatbot(
                    render_markdown=False,
                    show_label=False,
                    height=520,
                    placeholder=_HINT,
                    feedback_options=None,
                    buttons=[],
                    elem_classes="sl-chat",
                )
                self.request = gr.MultimodalTextbox(
                    file_count="multiple",
                    sources=["upload", "microphone"],
                    placeholder="What should happen?",
                    show_label=False,
                    autofocus=True,
                    elem_id="request",
                )
                self._lay_out_samples()
                self.notes = gr.HTML()
            with gr.Column(scale=4, min_width=340):
                with gr.Column(elem_classes="sl-card"):
                    self.plan = gr.HTML(plan_html(Tab()), elem_id="plan")
                    self._lay_out_decision()
                self._lay_out_results()
        self._connect()

    def _lay_out_samples(self) -> None:
        with gr.Accordion("No picture at hand? Take a rendered one", open=False, elem_id="samples") as self.offer:
            gr.HTML(
                "Drawn by program from known scenes; not photographs. Click one to take it. To find things in them "
                "offline, start the page with <code>SUPERLINK_WEIGHTS=world</code>.",
                elem_classes="sl-note",
            )
            self.samples = gr.Gallery(
                show_label=False,
                columns=4,
                height=165,
                allow_preview=False,
                interactive=False,
                buttons=[],
            )

    def _lay_out_decision(self) -> None:
        with gr.Row(visible=False) as self.decision:
            self.run = gr.Button("Run it", variant="primary", size="md", min_width=80)
            self.edit = gr.Button("Edit…", size="md", min_width=80)
            self.reject = gr.Button("Reject", size="md", min_width=80)
        with gr.Column(visible=False) as self.editing:
            self.editor = gr.Code(
                language="json", label="Plan", lines=12, max_lines=24, interactive=True, elem_id="editor"
            )
            self.fault = gr.HTML()
            with gr.Row():
                self.run_edited = gr.Button("Run the edited plan", variant="primary", size="md", min_width=80)
                self.leave = gr.Button("Back", size="md", min_width=80)
        self.stop = gr.Button("Stop", size="sm", visible=False)

    def _lay_out_results(self) -> None:
        rendered = gr.render(inputs=self.files, triggers=[self.files.change], show_progress="hidden")
        rendered(_lay_out_files)

    def _connect(self) -> None:
        # One piece of work at a time: all tabs share the models' memory and the accelerator.
        work: dict[str, Any] = {
            "outputs": [
                self.tab,
                self.files,
                self.chat,
                self.request,
                self.plan,
                self.decision,
                self.run,
                self.editing,
                self.editor,
                self.fault,
                self.stop,
            ],
            "api_visibility": "private",
            "show_progress": "minimal",
            "show_progress_on": self.plan,
        }
        long = {**work, "concurrency_limit": 1, "concurrency_id": "work"}
        quick = {**work, "queue": False}
        self.page.load(self.limits, None, self.notes, api_visibility="private", queue=False)
        # Drawn when they are first asked for, so that opening the page stays quick.
        self.offer.expand(self._offer, None, self.samples, api_visibility="private", queue=False)
        self.samples.select(
            self._take, [self.request, self.samples], self.request, api_visibility="private", queue=False
        )
        self.request.submit(self._ask, [self.tab, self.request], **long)
        self.run.click(self._accept, self.tab, **long)
        self.reject.click(self._reject, self.tab, **long)
        self.run_edited.click(self._use_edited, [self.tab, self.editor], **long)
        self.edit.click(lambda tab: self._shown(self.turns.edit(tab), self.editor), self.tab, **quick)
        self.leave.click(lambda tab: self._shown(self.turns.leave_editor(tab)), self.tab, **quick)
        self.stop.click(lambda tab: self._shown(self.turns.stop(tab)), self.tab, **quick)

    def _offer(self) -> list[tuple[str, str]]:
        try:
            return [(str(file), caption) for file, caption in samples(self.samples_folder)]
        except SuperlinkError as error:
            raise gr.Error(str(error)) from error

    @staticmethod
    def _take(said: dict[str, Any], shown: list[tuple[str, str]], chosen: gr.SelectData) -> dict[str, Any]:
        """Add the chosen sample to the files of the request."""
        file = shown[chosen.index][0]
        return {"text": said.get("text") or "", "files": [*(said.get("files") or []), file]}

    def _ask(self, tab: Tab, said: dict[str, Any], caller: gr.Request) -> Iterator[Changes]:
        request, files = str(said.get("text") or "").strip(), list(said.get("files") or [])
        if not request:
            if files:
                gr.Info("Say what should happen to it.")
            yield self._shown(tab)
            return
        for number, shown in enumerate(self.turns.ask(tab, request, files)):
            self.owners.give(self.turns.folder(tab), owner_of(caller))
            # Emptied once, so that what is typed while the plan is made stays.
            yield self._shown(shown, *([self.request] if number == 0 else []))

    def _forget(self, tab: Tab) -> None:
        if tab.thread:
            self.owners.release(self.turns.folder(tab))
        self.turns.forget(tab)

    def _accept(self, tab: Tab) -> Iterator[Changes]:
        yield from map(self._shown, self.turns.decide(tab, {"action": "accept"}))

    def _reject(self, tab: Tab) -> Iterator[Changes]:
        yield from map(self._shown, self.turns.decide(tab, {"action": "reject"}))

    def _use_edited(self, tab: Tab, text: str) -> Iterator[Changes]:
        yield from map(self._shown, self.turns.use_edited(tab, text))

    def _shown(self, tab: Tab, *fresh: Any) -> Changes:
        """Return the changes of widgets that show a tab; the text of widgets in `fresh` is replaced, too."""
        empty = {"value": {"text": "", "files": []}} if self.request in fresh else {}
        return {
            self.tab: tab,
            self.files: tab.files,
            self.chat: [_written(message) for message in tab.chat],
            self.request: gr.update(submit_btn=tab.stage != "working", **empty),
            self.plan: plan_html(tab),
            self.decision: gr.update(visible=tab.stage == "approval"),
            self.run: gr.update(interactive=not tab.problems),
            self.editing: gr.update(visible=tab.stage == "editing"),
            self.editor: gr.update(value=tab.editor) if self.editor in fresh else gr.skip(),
            self.fault: fault_html(tab.fault),
            self.stop: gr.update(visible=tab.stage == "working"),
        }


def _lay_out_files(files: tuple[Path, ...]) -> None:
    """Show results by type, and all of them as files."""
    if not files:
        return
    pictures = of_type(files, "image")
    if pictures:
        gr.Gallery(
            [(str(file), _caption(file)) for file in pictures],
            label="Pictures",
            preview=True,
            object_fit="contain",
            height=460,
            buttons=["download", "fullscreen"],
            interactive=False,
            elem_id="pictures",
        )
    for file in of_type(files, "audio"):
        gr.Audio(str(file), label=_caption(file), interactive=False, buttons=["download"])
    for file in of_type(files, "video"):
        gr.Video(str(file), label=_caption(file), interactive=False, buttons=["download"])
    for file in of_type(files, "text"):
        text = file.read_text(encoding="utf-8")
        gr.Textbox(text, label=_caption(file), lines=1, max_lines=8, interactive=False, buttons=["copy"])
    gr.Files([str(file) for file in files], label="Files, and the record of how they came to be", elem_id="files")


def _written(message: Message) -> Message:
    """Return a message for the chat, which renders HTML, with its text escaped."""
    content = message["content"]
    return {**message, "content": escape(content).replace("\n", "<br>") if isinstance(content, str) else content}


def _caption(file: Path) -> str:
    """Return the caption of a result's file: "redact (s2)" for "s2_redact.png"."""
    step, _, rest = file.stem.partition("_")
    return f"{rest.replace('_', ' ')} ({step})" if rest else step
