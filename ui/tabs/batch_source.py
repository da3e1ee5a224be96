"""First step of a batch: which files."""

from typing import Any

import gradio as gr

from tools.core.errors import SuperlinkError
from ui.access.visitors import owner_of
from ui.batches import sources
from ui.batches.desk import Desk
from ui.batches.html import STYLE, fault_html, source_html
from ui.tabs.events import QUIET, Changes

_FOLDER, _UPLOAD, _WORLD = "Folder on this server", "Upload", "Rendered pictures"
_UP = "↑ one folder up"


class SourceStep:
    """The widgets. `source` and `kinds` hold what was looked at last; an empty source is none.

    Args:
        desk: What the tab does.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def lay_out(self) -> None:
        """Place the widgets."""
        self.source, self.kinds = gr.State(""), gr.State(())
        self.where = gr.Radio([_FOLDER, _UPLOAD, _WORLD], value=_FOLDER, label="Where are the files?")
        with gr.Column() as self._folder:
            self.path = gr.Textbox(
                str(sources.roots()[0]),
                label="Folder or pattern",
                info="Such as photos or photos/*.jpg, inside the folders that this page may use",
                elem_id="batch-folder",
            )
            self.inside = gr.Dropdown([], label="Open a folder", interactive=True, elem_id="batch-inside")
            self.use = gr.Button("Use this folder", elem_id="batch-use")
        with gr.Column(visible=False) as self._upload:
            self.files = gr.File(file_count="multiple", label="Pictures, recordings or videos", elem_id="batch-files")
        with gr.Column(visible=False) as self._world:
            with gr.Row():
                self.count = gr.Number(20, label="How many", precision=0, minimum=1, maximum=10_000)
                self.seed = gr.Number(0, label="First seed", precision=0, minimum=0)
            self.draw = gr.Button("Draw them")
        self.seen = gr.HTML(css_template=STYLE, apply_default_css=False, elem_id="batch-seen")
        self.next = gr.Button("Next: the plan", variant="primary", interactive=False, elem_id="batch-to-plan")
        self._connect()

    def _connect(self) -> None:
        seen = [self.source, self.kinds, self.seen, self.next]
        self.where.change(self._choose, self.where, [self._folder, self._upload, self._world], **QUIET)
        self.inside.input(self._enter, [self.path, self.inside], [self.path, self.inside], **QUIET)
        for event in (self.use.click, self.path.submit):
            event(
                self._look,
                self.path,
                [*seen, self.inside],
                queue=False,
                api_visibility="private",
                show_progress_on=self.seen,
            )
        self.files.upload(self._keep, self.files, seen, api_visibility="private", show_progress_on=self.seen)
        self.draw.click(self._draw, [self.count, self.seed], seen, api_visibility="private", show_progress_on=self.seen)

    def opened(self) -> Changes:
        """Return the changes with which the step begins."""
        return {
            self.path: str(sources.roots()[0]),
            self.inside: self.choices(str(sources.roots()[0])),
            self.source: "",
            self.kinds: (),
            self.seen: "",
            self.next: gr.update(interactive=False),
            self.files: None,
        }

    @property
    def outputs(self) -> list[Any]:
        """The components that `opened` changes."""
        return [self.path, self.inside, self.source, self.kinds, self.seen, self.next, self.files]

    @staticmethod
    def _choose(where: str) -> list[Any]:
        return [gr.update(visible=where == one) for one in (_FOLDER, _UPLOAD, _WORLD)]

    def choices(self, path: str) -> Any:
        """Return the change that offers the folders in and around a path."""
        try:
            place = sources.allowed(path)
            names = sources.folders(place)
        except SuperlinkError:
            return gr.update(choices=[(str(root), str(root)) for root in sources.roots()], value=None)
        places = [(name, str(place / name)) for name in names]
        up = [] if place in sources.roots() else [(_UP, str(place.parent))]
        others = [(str(root), str(root)) for root in sources.roots() if root != place]
        return gr.update(choices=[*up, *places, *others], value=None)

    def _enter(self, path: str, chosen: str | None) -> tuple[str, Any]:
        return (chosen or path), self.choices(chosen or path)

    def _look(self, path: str, request: gr.Request) -> Changes:
        return {**self._seen(path, request), self.inside: self.choices(path)}

    def _keep(self, files: list[str] | None, request: gr.Request) -> Changes:
        try:
            return self._seen(str(self._desk.keep_uploads(files or [], owner_of(request))), request)
        except SuperlinkError as error:
            raise gr.Error(str(error)) from error

    def _draw(self, count: float, seed: float, request: gr.Request) -> Changes:
        try:
            return self._seen(str(self._desk.draw_world(int(count or 0), int(seed or 0))), request)
        except SuperlinkError as error:
            raise gr.Error(str(error)) from error

    def _seen(self, path: str, request: gr.Request) -> Changes:
        try:
            view = self._desk.look_at(path or ".", owner_of(request))
        except SuperlinkError as error:
            return {
                self.source: "",
                self.kinds: (),
                self.seen: fault_html(error.message, error.hint),
                self.next: gr.update(interactive=False),
            }
        return {
            self.source: view.source,
            self.kinds: tuple(view.kinds),
            self.seen: source_html(view),
            self.next: gr.update(interactive=True),
        }
