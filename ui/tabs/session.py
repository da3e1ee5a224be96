"""The Session tab: sessions, conversation, plan, results, and the box for requests."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from agents.plan.plan import Plan, PlanJson
from agents.session.state import Decision
from tools.core.errors import SuperlinkError
from ui.access.visitors import owner_of
from ui.catalogue.tools import kinds_needed
from ui.context import Context
from ui.conversation.html import conversation_html, note_html
from ui.conversation.script import EVENTS
from ui.plans.words import words
from ui.tabs.asking import Asking, Chips
from ui.tabs.deciding import Deciding
from ui.tabs.events import QUEUED, QUIET, Changes
from ui.tabs.plan_card import PlanCard
from ui.tabs.results import Results
from ui.tabs.seen import Seen, version_of
from ui.tabs.sidebar import Sidebar, Undo
from ui.turns.turns import Turns
from ui.turns.view import SessionView
from ui.turns.words import explain


class SessionTab:
    """The widgets and their event handlers.

    Args:
        page: The page.
        context: What all tabs share.
        turns: The sessions.
        to_batch: Channel: a plan as JSON that the Batch tab takes over.
        to_models: Channel: id of weights that the Models tab shows, and a number that no other change has.
    """

    def __init__(
        self, page: gr.Blocks, context: Context, turns: Turns, to_batch: gr.State, to_models: gr.State
    ) -> None:
        self._page, self._context, self._turns = page, context, turns
        self._to_batch, self._to_models = to_batch, to_models
        self.sidebar, self.asking, self.deciding = Sidebar(turns), Asking(context), Deciding()
        self.card, self.results = PlanCard(context, turns), Results(context, turns)

    def lay_out(self) -> None:
        """Place everything; called within the tab."""
        # The thread is known to the browser: it stands in the address and is kept for the next visit.
        self.thread = gr.Textbox(visible="hidden", elem_id="thread")
        self.version = gr.Textbox(visible="hidden", elem_id="shown", label="Version of the session that is shown")
        self.refresh = gr.Button("Show the session as it is now", visible="hidden", elem_id="refresh")
        self.check = gr.Button("Check the plan in the editor again", visible="hidden", elem_id="check-again")
        self.kept = gr.BrowserState("", storage_key="superlink-session", secret="superlink")
        self.seen = gr.State(Seen())
        with gr.Row(elem_id="session"):
            self.sidebar.lay_out()
            with gr.Column(elem_id="talk", min_width=0):
                self.conversation = gr.HTML(elem_id="conversation", js_on_load=EVENTS)
                self.asking.lay_out_samples()
            with gr.Column(elem_id="side", min_width=0):
                with gr.Column(elem_id="plan-pane"):
                    self.card.lay_out()
                    self.deciding.lay_out()
                with gr.Column(elem_id="results"):
                    self.results.lay_out()
            with gr.Column(elem_id="ask", min_width=0):
                self.asking.lay_out()
        self.results.downloads.connect_batch(self._to_batch)
        self._connect()

    @property
    def _shown(self) -> list[Any]:
        """The components that `_changes` may change."""
        return [
            self.thread,
            self.version,
            self.kept,
            self.seen,
            self.conversation,
            self.asking.samples,
            *self.card.outputs,
            *self.results.outputs,
            *self.deciding.outputs,
            self.sidebar.list,
            self.asking.note,
            self.asking.confirm,
        ]

    def _connect(self) -> None:
        self.asking.connect()
        asking, deciding, sidebar = self.asking, self.deciding, self.sidebar
        ask = [asking.request, asking.chips, self.thread, self.seen]
        asked = [asking.request, asking.attached, *self._shown]
        place = [self.thread, self.seen]

        # The address wins over the last session; words are kept over a lost connection.
        self._begin(
            self._page.load,
            self._load,
            [self.kept, self.seen, asking.request],
            asked,
            js="(kept, seen, said) => [new URLSearchParams(location.search).get('s') || kept || '', seen, "
            "{ text: window.superlink.words(), files: [] }]",
        )
        self._begin(
            asking.request.submit,
            self._ask,
            ask,
            asked,
            js="(said, ...rest) => { window.superlink.echo(said); return [said, ...rest]; }",
        )
        self._begin(asking.replace.click, self._ask_instead, ask, asked)
        asking.keep.click(lambda: gr.update(visible=False), None, asking.confirm, **QUIET)
        self._begin(deciding.run.click, self._decide({"action": "accept"}), place, self._shown)
        self._begin(deciding.reject.click, self._decide({"action": "reject"}), place, self._shown)
        for event in (deciding.again.click, deciding.words.submit):
            self._begin(event, self._change, [deciding.words, *place], self._shown)
        deciding.change.click(lambda: gr.update(visible=True), None, deciding.remark, **QUIET).then(
            None,
            None,
            None,
            js="() => setTimeout(() => document.querySelector('#remark textarea')?.focus(), 60)",
            **QUIET,
        )
        self._begin(deciding.edit.click, self._act(self._edit), place, self._shown)
        self._begin(self.card.run_edited.click, self._act(self.card.run), place, self._shown)
        self._begin(self.card.back.click, self._act(self.card.close), place, self._shown)
        self.card.getting.connect(self._to_models)
        self._begin(deciding.stop.click, self._act(self._turns.stop), place, self._shown)
        self._begin(deciding.withdraw.click, self._act(self._turns.stop), place, self._shown)
        self._begin(deciding.repeat.click, self._act(self._turns.again), place, self._shown)
        self._begin(self.refresh.click, self._refresh, [*place, self.version], self._shown)
        deciding.always.input(self._set_always, [deciding.always, self.thread], None, **QUIET)
        self.conversation.show(self._choose, place, self._shown, **QUIET)

        self._begin(sidebar.list.open, self._open_session, self.seen, self._shown)
        self._begin(sidebar.new.click, self._new, self.seen, self._shown)
        listed, changed = [self.thread, self.seen, sidebar.undo], [sidebar.list, sidebar.undo]
        sidebar.search.change(self._search, [*listed, sidebar.search], changed, **QUIET)
        sidebar.list.rename(self._rename, listed, changed, **QUIET)
        sidebar.list.restore(self._restore, place, changed, **QUIET)
        self._begin(sidebar.list.delete, self._delete, place, [sidebar.undo, *self._shown])

    def _begin(
        self, event: Callable[..., Any], handler: Callable[..., Any], inputs: Any, outputs: Any, js: str | None = None
    ) -> None:
        """Connect an event whose handler returns at once; the page then follows the work."""
        after = event(handler, inputs, outputs, js=js, **QUIET).then(
            None, self.thread, None, js="(thread) => { window.superlink.settle(thread); }", **QUIET
        )
        after.then(
            self._follow_session,
            [self.thread, self.seen],
            self._shown,
            concurrency_limit=None,
            trigger_mode="multiple",
            **QUEUED,
        )

    def _load(self, thread: str, seen: Seen, said: Mapping[str, Any], caller: gr.Request) -> Changes:
        text = said.get("text") or ""
        return {**self._open_thread(thread, seen, caller), **({self.asking.request: said} if text else {})}

    def _open_session(self, seen: Seen, caller: gr.Request, chosen: gr.EventData) -> Changes:
        return self._open_thread(str(chosen.thread), seen, caller)

    def _new(self, seen: Seen, caller: gr.Request) -> Changes:
        return self._open_thread("", seen, caller)

    def _open_thread(self, thread: str, seen: Seen, caller: gr.Request) -> Changes:
        try:
            view, note = self._view(thread, owner_of(caller)), ""
        except SuperlinkError as error:
            view, note = SessionView(""), explain(error)
        seen.chosen = 0
        return self._changes(view, seen, caller, note)

    def _ask(
        self, said: Mapping[str, Any], chips: Chips, thread: str, seen: Seen, caller: gr.Request, instead: bool = False
    ) -> Changes:
        owner, request, files = owner_of(caller), str(said.get("text") or "").strip(), list(said.get("files") or [])
        if not request:
            return self._noted("Say what should happen to it." if files else "")
        if refused := self.asking.refused(files, chips):
            return self._noted(refused)
        try:
            view = self._view(thread, owner)
            if view.works:
                return self._noted("This session still works on your last request. Wait for it, or stop it first.")
            if view.stage in ("approval", "editing") and not instead:
                return {self.asking.confirm: gr.update(visible=True)}
            view = self._turns.ask(thread or self._turns.new_thread(), owner, request, files)
        except SuperlinkError as error:
            return self._noted(explain(error))
        seen.chosen = 0
        return {**self._changes(view, seen, caller), **self.asking.filled("", [])}

    def connect_tools(self, to_session: gr.State, tabs: gr.Tabs, tab: gr.Tab) -> None:
        """Try what the Tools tab asks for, in this tab.

        Args:
            to_session: Channel: `{"tool": name, "request": in words, "plan": as JSON, or None to ask the planner}`.
            tabs: All tabs of the page.
            tab: This one.
        """
        # A plan that is being changed is checked again, as weights may have come; nobody is writing in its forms. The
        # page itself knows whether there is one: Gradio selects the first tab whenever the page is loaded, too.
        tab.select(None, None, None, js="() => { window.superlink.checkAgain(); }", **QUIET)
        self._begin(self.check.click, self._check_again, [self.thread, self.seen], self._shown)
        to_session.change(
            lambda given: gr.update(selected="session") if given else gr.skip(), to_session, tabs, **QUIET
        )
        self._begin(to_session.change, self._try, [to_session, self.thread, self.seen], self._shown)

    def _try(self, given: Mapping[str, Any] | None, thread: str, seen: Seen, caller: gr.Request) -> Changes:
        """Ask for one tool: in the session that is shown if it has values for it, or else in a new one with samples."""
        if not given:
            return {self.seen: seen}
        owner, tool = owner_of(caller), self._context.tools[given["tool"]]
        try:
            view = self._view(thread, owner)
            at_hand = {one.kind for one in self._turns.types(thread, owner).values()} if thread else set()
            needed = kinds_needed(tool)
            files: list[Path] = []
            if view.works or view.stage in ("approval", "editing") or not all(at_hand & set(one) for one in needed):
                thread, files = self._turns.new_thread(), self.asking.samples_of(needed)
            view = self._turns.ask(thread or self._turns.new_thread(), owner, given["request"], files, given["plan"])
        except SuperlinkError as error:
            return self._noted(explain(error))
        seen.chosen = 0
        return self._changes(view, seen, caller)

    def _ask_instead(
        self, said: Mapping[str, Any], chips: Chips, thread: str, seen: Seen, caller: gr.Request
    ) -> Changes:
        return self._ask(said, chips, thread, seen, caller, instead=True)

    def _decide(self, decision: Decision) -> Callable[..., Changes]:
        return self._act(lambda thread, owner: self._turns.decide(thread, owner, decision))

    def _change(self, words: str, thread: str, seen: Seen, caller: gr.Request) -> Changes:
        if not words.strip():
            return self._noted("Say what should be different.")
        return self._decide({"action": "change", "remark": words.strip()})(thread, seen, caller)

    def _edit(self, thread: str, owner: str) -> SessionView:
        turn = self._turns.view(thread, owner).turn
        return self._turns.set_draft(thread, owner, turn.plan if turn else None)

    def _act(self, act: Callable[[str, str], SessionView]) -> Callable[..., Changes]:
        """Return the handler of a button that does something to the session that is shown."""

        def handler(thread: str, seen: Seen, caller: gr.Request) -> Changes:
            try:
                return self._changes(act(thread, owner_of(caller)), seen, caller)
            except SuperlinkError as error:
                # Perhaps another browser tab was first: the session is shown as it is now.
                return self._changes(self._turns.view(thread, owner_of(caller)), seen, caller, explain(error))

        return handler

    def _refresh(self, thread: str, seen: Seen, shown: str, caller: gr.Request) -> Changes:
        """Show the session as it is now, where the tab shows another version of it."""
        if not thread:
            return {self.seen: seen}
        try:
            view = self._turns.view(thread, owner_of(caller))
        except SuperlinkError as error:  # it was deleted
            return self._noted(explain(error))
        if shown == version_of(view):
            return {self.seen: seen}
        if shown != version_of(seen):  # what was sent came in another order, or not at all
            seen.parts.clear()
        return self._changes(view, seen, caller)

    def _check_again(self, thread: str, seen: Seen, caller: gr.Request) -> Changes:
        """Show the plan in the editor anew; nothing where none is edited."""
        try:
            view = self._view(thread, owner_of(caller))
        except SuperlinkError as error:  # it was deleted
            return self._noted(explain(error))
        if view.stage != "editing":
            return {self.seen: seen}
        seen.parts.pop("plan", None)
        return self._changes(view, seen, caller)

    def _set_always(self, always: bool, thread: str, caller: gr.Request) -> None:
        self._turns.set_always(thread, owner_of(caller), always)

    def _choose(self, thread: str, seen: Seen, caller: gr.Request, chosen: gr.EventData) -> Changes:
        seen.chosen = int(chosen.turn)
        return self._changes(self._turns.view(thread, owner_of(caller)), seen, caller)

    def _follow_session(self, thread: str, seen: Seen, caller: gr.Request) -> Iterator[Changes]:
        """Show the work of a thread until it ends, waits for a person, or the tab shows something else."""
        seen.follower += 1
        mine = seen.follower
        yield {self.seen: seen}  # an event without any answer would empty all its outputs
        if not thread:
            return
        for view in self._turns.follow(thread, owner_of(caller), seen.version):
            if seen.follower != mine or seen.thread != thread:
                return
            if view.version < seen.version:
                continue  # a button was quicker
            yield self._changes(view, seen, caller)

    def _view(self, thread: str, owner: str) -> SessionView:
        """Return the session that is shown; an empty one before the first request."""
        return self._turns.view(thread, owner) if thread else SessionView("")

    def _noted(self, words: str) -> Changes:
        return {self.asking.note: note_html(words)}

    def _changes(self, view: SessionView, seen: Seen, caller: gr.Request, note: str = "") -> Changes:
        """Return what shows a session, without what is shown already."""
        if view.thread != seen.thread:
            seen.parts.clear()
        seen.thread, seen.version = view.thread, view.version
        owner = owner_of(caller)
        folder = self._context.results / (view.thread or "new")
        turn = view.turn
        chosen = view.numbered(seen.chosen) or turn
        results = self.results.update(view, chosen.number if chosen else 0)
        # The buttons below the plan are about the last one.
        planned = chosen if view.stage == "idle" else turn
        parts: list[tuple[str, object, list[Any], Callable[[], list[Any]]]] = [
            (
                "conversation",
                conversation_html(view, self._words, folder, seen.chosen),
                [self.conversation],
                lambda: [seen.parts["conversation"]],
            ),
            ("samples", not view.turns, [self.asking.samples], lambda: [self._samples(view)]),
            (
                "plan",
                repr((planned, view.stage)),
                self.card.outputs,
                lambda: self.card.update(view, owner, planned.number if planned else 0),
            ),
            ("results", results[-1], self.results.outputs, lambda: results),
            (
                "deciding",
                (view.stage, view.queue, view.always, turn and (turn.status, turn.missing, turn.problems)),
                self.deciding.outputs,
                lambda: self.deciding.update(view),
            ),
            (
                "sessions",
                (view.thread, view.stage, view.title, turn and turn.status),
                [self.sidebar.list],
                lambda: [self.sidebar.html(owner, view.thread, seen.search)],
            ),
        ]
        changes: Changes = {
            self.thread: view.thread,
            self.version: version_of(view),
            self.kept: view.thread,
            self.seen: seen,
            self.asking.note: note_html(note),
            self.asking.confirm: gr.update(visible=False),
        }
        for name, made_from, components, update in parts:
            if name not in seen.parts or seen.parts[name] != made_from:
                seen.parts[name] = made_from
                changes |= dict(zip(components, update(), strict=True))
        return changes

    def _samples(self, view: SessionView) -> str:
        return "" if view.turns else self.asking.offer()

    def _words(self, plan: PlanJson) -> list[str]:
        return [words(step, self._context.tools) for step in Plan.model_validate(plan).steps]

    def _search(self, thread: str, seen: Seen, undo: Undo, search: str, caller: gr.Request) -> tuple[str, Undo]:
        seen.search = search
        return self.sidebar.html(owner_of(caller), thread, search, undo), undo

    def _rename(
        self, thread: str, seen: Seen, undo: Undo, caller: gr.Request, chosen: gr.EventData
    ) -> tuple[str, Undo]:
        self.sidebar.rename(owner_of(caller), str(chosen.thread), str(chosen.title))
        return self.sidebar.html(owner_of(caller), thread, seen.search, undo), undo

    def _restore(self, thread: str, seen: Seen, caller: gr.Request, chosen: gr.EventData) -> tuple[str, Undo]:
        self.sidebar.restore(owner_of(caller), str(chosen.thread))
        return self.sidebar.html(owner_of(caller), thread, seen.search), Undo()

    def _delete(self, thread: str, seen: Seen, caller: gr.Request, chosen: gr.EventData) -> Changes:
        owner, gone = owner_of(caller), str(chosen.thread)
        undo = self.sidebar.delete(owner, gone)
        changes = self._open_thread("", seen, caller) if gone == thread else {}
        left = "" if gone == thread else thread
        shown = self.sidebar.html(owner, left, seen.search, undo)
        return {**changes, self.sidebar.undo: undo, self.sidebar.list: shown}
