"""The Review tab: finds of a run that a person should look at, one after another."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import gradio as gr

from flows.ledger.review_pages import Filter
from tools.core.errors import SuperlinkError
from ui.access.visitors import owner_of
from ui.context import Context
from ui.reviews import keys as keyboard
from ui.reviews.desk import Desk, Look, key_of, run_of
from ui.reviews.found import NotShown
from ui.reviews.html import (
    STRIP_SCRIPT,
    STYLE,
    figures_html,
    head_html,
    note_html,
    sound_html,
    strip_html,
)
from ui.reviews.pointing import asked
from ui.reviews.queue import REASONS, STATES
from ui.shapes.component import shapes
from ui.tabs.events import QUEUED, QUIET, Changes
from ui.tabs.review_keys import KeyWidgets
from ui.tabs.review_runs import Desks

_ALL = "All labels"
_BUTTONS = {
    "accept": "Accept",
    "fix": "Fixed",
    "reject": "Reject",
    "undo": "Undo",
    "previous": "Previous",
    "next": "Next",
    "open": "Next open",
    "redo": "Redo",
}
_TRAVELLED = {"undo": "Undone.", "redo": "Done again."}
_ENDS = {"next": "This is the last one.", "previous": "This is the first one.", "open": "No other one is open."}
_TAUGHT = "It then sees the request and the plan as an example; what you correct in the finds goes into exports alone."
_FOCUS = "() => document.querySelector('#review-editor svg')?.focus({preventScroll: true})"
_EMPTY = "Nothing to review is open. Choose a run: its uncertain finds and a random sample come one after another."


class ReviewTab:
    """The widgets and their event handlers.

    Args:
        context: What all tabs share.
        to_review: Channel: the folder of a run to review.
    """

    def __init__(self, context: Context, to_review: gr.State) -> None:
        self.to_review = to_review
        self._desks, self.keys = Desks(context), KeyWidgets()

    def lay_out(self, tabs: gr.Tabs, tab: gr.Tab) -> None:
        """Place everything; called within the tab.

        Args:
            tabs: All tabs of the page.
            tab: This one.
        """
        self.tabs, self.tab = tabs, tab
        self.run = gr.Dropdown([], label="Run", elem_id="review-run")
        with gr.Accordion("Filter, or another folder", open=False, elem_id="review-filter"):
            with gr.Row():
                self.state = gr.Dropdown(
                    list(STATES), value="All", label="State", elem_id="review-state", min_width=110
                )
                self.reason = gr.Dropdown(
                    list(REASONS), value="All", label="Why", elem_id="review-reason", min_width=110
                )
                self.label = gr.Dropdown([_ALL], value=_ALL, label="Label", elem_id="review-label", min_width=110)
                self.least = gr.Slider(0, 1, 0, step=0.01, label="Score from", elem_id="review-least", min_width=150)
                self.most = gr.Slider(0, 1, 1, step=0.01, label="Score to", elem_id="review-most", min_width=150)
            with gr.Row():
                self.folder = gr.Textbox(label="Folder of a run (--out)", elem_id="review-folder", scale=4)
                self.open = gr.Button("Open", size="sm", elem_id="review-open", min_width=80, scale=0)
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self._lay_out_find()
            with gr.Column(scale=1, min_width=240):
                self.figures = gr.HTML(elem_id="review-figures", css_template=STYLE, visible=False)
                self.teach = gr.Checkbox(
                    label="Teach the planner with this run's plan", elem_id="review-teach", visible=False
                )
                self.keys.lay_out()
        self._connect()

    def _lay_out_find(self) -> None:
        self.head = gr.HTML(note_html(_EMPTY), elem_id="review-head", css_template=STYLE)
        self.begin = gr.Button("Begin a run in the Batch tab", size="sm", elem_id="review-begin")
        with gr.Row(visible=False, elem_id="review-buttons") as self.bar:
            self.buttons = {
                name: gr.Button(word, size="sm", min_width=64, elem_id=f"review-{name}")
                for name, word in _BUTTONS.items()
            }
        self.editor = shapes(elem_id="review-editor")
        self.note = gr.HTML("", elem_id="review-note", css_template=STYLE, elem_classes="sl-live")
        self.sound = gr.HTML(css_template=STYLE, visible=False)
        with gr.Group(visible=False, elem_id="review-words") as self.words:
            self.text = gr.Textbox(label="Words", elem_id="review-text", lines=2)
            with gr.Row():
                self.start = gr.Number(label="From, seconds", elem_id="review-start", precision=3, min_width=120)
                self.end = gr.Number(label="To, seconds", elem_id="review-end", precision=3, min_width=120)
        self.strip = gr.HTML(
            elem_id="review-strip", css_template=STYLE, js_on_load=STRIP_SCRIPT, visible=False, min_height=116
        )

    def _connect(self) -> None:
        filters = [self.state, self.reason, self.label, self.least, self.most]
        words = [self.text, self.start, self.end]
        here = [self.editor, self.keys.memory, *filters]
        shown = [self.run, self.label, self.editor, self.head, self.note, self.words, self.sound, *words, self.bar]
        shown += [self.strip, self.keys.memory, self.teach, self.begin]
        rest = [self.strip, self.figures, self.note]

        def after(event: Any, focus: bool = False) -> None:
            done = event.then(self._around, here, rest, **QUIET)
            if focus:
                done.then(None, None, None, js=_FOCUS, **QUIET)

        # A click on the tab itself, which the Batch tab hears.
        self.begin.click(None, None, None, js="() => { window.superlink.tab(2); }", **QUIET)
        visited = self.tab.select(self._visited, here, shown, **QUIET)
        after(visited)
        given = self.to_review.change(self._given, [self.to_review, *here[1:]], [self.tabs, *shown], **QUIET)
        after(given, focus=True)
        after(self.run.input(self._open, [self.run, *here[1:]], shown, **QUIET), focus=True)
        for event in (self.open.click, self.folder.submit):
            after(event(self._open, [self.folder, *here[1:]], shown, **QUIET), focus=True)
        for part in (self.state, self.reason, self.label):
            after(part.input(self._filtered, here, shown, **QUIET))
        for bar in (self.least, self.most):
            after(bar.release(self._filtered, here, shown, **QUIET))
        keyed = self.editor.command(
            self._command, [*here, *words], [*shown, self.keys.list], trigger_mode="multiple", **QUIET
        )
        after(keyed)
        self.editor.outline(
            self._outline, self.editor, self.editor, trigger_mode="always_last", concurrency_limit=1, **QUEUED
        )
        self.editor.input(self._save, here, [self.head, self.note], trigger_mode="always_last", **QUIET)
        for name, button in self.buttons.items():
            after(button.click(self._button(name), [*here, *words], shown, trigger_mode="multiple", **QUIET))
        after(self.strip.select(self._go, here, shown, **QUIET))
        for blur in (self.text.blur, self.text.submit, self.start.blur, self.end.blur):
            blur(self._save_words, [*here, *words], [self.head, self.note], **QUIET)
        self.teach.input(self._teach, [self.teach, *here], [self.teach, self.note], **QUIET)
        self.keys.connect(self._keys_changed, here, shown)

    # Runs

    def _visited(self, request: gr.Request, value: Any, memory: Any, *chosen: Any) -> Changes:
        """Refresh the list of runs; open the run of the last visit where none is open."""
        listed = {self.run: gr.update(choices=self._desks.choices(owner_of(request)))}
        if run_of(value) or not _remembered(memory).get("run"):
            return listed
        try:
            return listed | self._show_run(str(memory["run"]), memory, chosen, request, memory.get("find"))
        except SuperlinkError:  # it was removed since
            return listed

    def _given(self, request: gr.Request, folder: str, memory: Any, *chosen: Any) -> Changes:
        """Show the run that another tab hands over."""
        if not folder:
            return {self.note: gr.skip()}
        return {self.tabs: gr.Tabs(selected="review")} | self._open(request, folder, memory, *chosen)

    def _open(self, request: gr.Request, folder: str, memory: Any, *chosen: Any) -> Changes:
        try:
            return self._show_run(folder or "", memory, chosen, request)
        except SuperlinkError as error:
            return {self.note: note_html(str(error), bad=True)}

    def _show_run(
        self, folder: str, memory: Any, chosen: tuple[Any, ...], request: gr.Request, find: Any = None
    ) -> Changes:
        desk = self._desks.open(folder, owner_of(request))
        labels = desk.labels()
        label = chosen[2] if chosen[2] in labels else _ALL
        which = _filter(desk, (*chosen[:2], label, *chosen[3:]))
        changes: Changes = {
            self.run: gr.update(choices=self._desks.choices(owner_of(request), desk.folder), value=str(desk.folder)),
            self.label: gr.update(choices=[_ALL, *labels], value=label),
            self.teach: _tick(desk),
        }
        if isinstance(find, int):
            with suppress(NotShown):
                return changes | self._show(desk, find, which, memory)
        return changes | self._show_or_say(desk, desk.first(which), which, memory)

    # Going through the queue

    def _filtered(self, request: gr.Request, value: Any, memory: Any, *chosen: Any) -> Changes:
        def act(desk: Desk, number: int, which: Filter) -> Changes:
            return self._show_or_say(desk, desk.first(which), which, memory)

        return self._at(value, chosen, request, act)

    def _go(self, event: gr.EventData, request: gr.Request, value: Any, memory: Any, *chosen: Any) -> Changes:
        find = int(event._data.get("find", 0))
        return self._at(value, chosen, request, lambda desk, _, which: self._show(desk, find, which, memory))

    def _command(self, event: gr.EventData, request: gr.Request, value: Any, memory: Any, *given: Any) -> Changes:
        name = str(event._data.get("command", ""))
        if name == "keys":
            return {self.keys.list: gr.update(open=True)}
        return self._do(name, value, memory, given, request)

    def _button(self, name: str) -> Any:
        def act(request: gr.Request, value: Any, memory: Any, *given: Any) -> Changes:
            return self._do(name, value, memory, given, request)

        return act

    def _do(self, name: str, value: Any, memory: Any, given: tuple[Any, ...], request: gr.Request) -> Changes:
        """Keep what was changed, decide, and show the next find."""
        *chosen, text, start, end = given

        def act(desk: Desk, number: int, which: Filter) -> Changes:
            said = ""

            def move() -> int:
                nonlocal said
                if name in ("undo", "redo"):
                    found = desk.undo() if name == "undo" else desk.redo()
                    said = f"There is nothing to {name}." if found is None else _TRAVELLED[name]
                    return number if found is None else found
                desk.save(value)
                desk.save_words(number, text or "", start, end)
                decide = {"accept": desk.accept, "fix": desk.fix, "reject": desk.reject}.get(name)
                if decide is not None:
                    decide(number)
                way = name if name in ("previous", "open") else "next"
                following = desk.step(number, which, way)
                said = "" if following is not None else _ENDS[way]
                return number if following is None else following

            return self._show(desk, desk.once(key_of(value)[1], move), which, memory, said)

        return self._at(value, tuple(chosen), request, act)

    def _outline(self, event: gr.EventData, request: gr.Request, value: Any) -> Any:
        """Answer the editor, which asks for the outline of what was clicked."""
        try:
            points, serial = asked(event._data)
            desk = self._desks.open(run_of(value), owner_of(request))
            return {**value, "outlined": desk.outline(key_of(value)[0], points, serial)}
        except SuperlinkError as error:
            raise gr.Error(str(error)) from error

    def _save(self, event: gr.EventData, request: gr.Request, value: Any, memory: Any, *chosen: Any) -> Changes:
        """Keep what was changed in the picture."""
        action = event._data.get("action")
        if action == "filter":
            return {self.note: gr.skip()}

        def act(desk: Desk, number: int, which: Filter) -> Changes:
            return self._kept(desk, number, which, desk.save(value, undone=action == "undo"))

        return self._at(value, chosen, request, act)

    def _save_words(self, request: gr.Request, value: Any, memory: Any, *given: Any) -> Changes:
        *chosen, text, start, end = given

        def act(desk: Desk, number: int, which: Filter) -> Changes:
            return self._kept(desk, number, which, desk.save_words(number, text or "", start, end))

        return self._at(value, tuple(chosen), request, act) if run_of(value) else {self.note: gr.skip()}

    def _kept(self, desk: Desk, number: int, which: Filter, changed: bool) -> Changes:
        if not changed:
            return {self.note: gr.skip()}
        return {self.head: head_html(desk.look(number, which, {}, {}), desk.who), self.note: note_html("Kept.")}

    def _at(self, value: Any, chosen: tuple[Any, ...], request: gr.Request, act: Any) -> Changes:
        """Do something at the find that is shown; a fault is said, and nothing else changes."""
        try:
            number, _ = key_of(value or {})
            desk = self._desks.open(run_of(value), owner_of(request))
            changes: Changes = act(desk, number, _filter(desk, chosen))
            return changes
        except SuperlinkError as error:
            return {self.note: note_html(str(error), bad=True)}

    # Showing

    def _show_or_say(self, desk: Desk, number: int | None, which: Filter, memory: Any) -> Changes:
        if number is not None:
            return self._show(desk, number, which, memory)
        some = desk.figures().total > 0
        said = "No find of this run is like that. Choose another filter." if some else "This run has nothing to review."
        return {self.note: note_html(said)}

    def _show(self, desk: Desk, number: int, which: Filter, memory: Any, said: str = "") -> Changes:
        known = _remembered(memory)
        keys = keyboard.checked(known.get("keys") or {})
        commands = keyboard.commands(keys)
        look = desk.look(number, which, keyboard.editor_keys(keys), commands)
        return {
            self.editor: look.shapes,
            self.head: head_html(look, desk.who),
            self.note: note_html(look.said, bad=True) if look.said else note_html(said),
            self.begin: gr.update(visible=False),
            self.bar: gr.update(visible=True),
            self.strip: gr.update(visible=True),
            self.keys.memory: {**known, "run": str(desk.folder), "find": number},
            **self._segment(look),
        }

    def _segment(self, look: Look) -> Changes:
        segment = look.segment
        if segment is None:
            return {self.words: gr.update(visible=False), self.sound: gr.update(visible=False)}
        timed = segment.start is not None
        return {
            self.words: gr.update(visible=True),
            self.sound: gr.update(value=sound_html(look), visible=bool(look.sound)),
            self.text: segment.text.strip(),
            self.start: gr.update(value=segment.start, visible=timed),
            self.end: gr.update(value=segment.end, visible=timed),
        }

    def _around(self, request: gr.Request, value: Any, memory: Any, *chosen: Any) -> Changes:
        """Show the neighbours and the figures, and make the pictures that come next."""
        if not run_of(value):
            return {self.strip: gr.skip()}

        def act(desk: Desk, number: int, which: Filter) -> Changes:
            strip = strip_html(desk.strip(number, which), number)
            return {self.strip: strip, self.figures: gr.update(value=figures_html(desk.figures()), visible=True)}

        return self._at(value, chosen, request, act)

    def _teach(self, request: gr.Request, wanted: bool, value: Any, memory: Any, *chosen: Any) -> Changes:
        """Keep the run's plan as an example for the planner, or no longer."""

        def act(desk: Desk, number: int, which: Filter) -> Changes:
            desk.teach(wanted)
            return {self.teach: wanted, self.note: note_html("The planner learns from it." if wanted else "Forgotten.")}

        return {self.teach: not wanted} | self._at(value, chosen, request, act)

    def _keys_changed(self, request: gr.Request, value: Any, memory: Any, *chosen: Any) -> Changes:
        """Give the editor the keys that were changed."""
        if not run_of(value):
            return {self.note: gr.skip()}
        return self._at(value, chosen, request, lambda desk, number, which: self._show(desk, number, which, memory))


def _tick(desk: Desk) -> Any:
    """Return the tick of a run: whether its plan is an example for the planner, or why it cannot be one."""
    try:
        return gr.update(visible=True, interactive=True, value=desk.is_taught(), info=_TAUGHT)
    except SuperlinkError as error:
        return gr.update(visible=True, interactive=False, value=False, info=str(error))


def _filter(desk: Desk, chosen: tuple[Any, ...]) -> Filter:
    state, reason, label, least, most = chosen
    known: Mapping[str, Any] = STATES
    return Filter(
        "" if label in (None, _ALL) else str(label),
        REASONS.get(str(reason), ""),
        known.get(str(state), ""),
        float(least or 0),
        1.0 if most is None else float(most),
        desk.who,
    )


def _remembered(memory: Any) -> dict[str, Any]:
    """Return what the browser kept."""
    return memory if isinstance(memory, dict) else {}
