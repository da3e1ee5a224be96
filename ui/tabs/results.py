"""The results of a turn: what was found and made, looked at one by one, and what a person keeps of it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from agents.plan.plan import Plan
from tools.core.errors import SuperlinkError
from ui.access.visitors import owner_of
from ui.context import Context
from ui.plans.words import words
from ui.results.keeping import choice_of, keep
from ui.results.panes import Panes, panes_of, texts
from ui.results.pictures import Seen
from ui.results.preview import Previews
from ui.results.reading import PAGE, Item, Shown, facts, read
from ui.tabs.downloads import DownloadWidgets
from ui.tabs.events import QUEUED, Changes
from ui.tabs.panes import PaneWidgets, note
from ui.turns.turns import Turns
from ui.turns.view import SessionView, TurnView

_ACROSS = 4  # items of a contact sheet side by side
_SHEET = 340  # pixels of its height; more is scrolled
_POLL = 0.4  # seconds between two looks at a preview that is being made


@dataclass(frozen=True)
class Place:
    """What is shown.

    Attributes:
        thread: Of the session.
        turn: Number of the turn.
        name: Name of the result; "" for the one that is shown first.
        item: Number of its item, from 0.
        page: Page of the contact sheet, from 0.
        everything: Whether results of all steps are offered.
    """

    thread: str = ""
    turn: int = 0
    name: str = ""
    item: int = 0
    page: int = 0
    everything: bool = False


class Results:
    """The widgets and their event handlers. Others call `lay_out`, and put what `update` returns into `outputs`.

    Args:
        context: What all tabs share.
        turns: The sessions.
    """

    def __init__(self, context: Context, turns: Turns) -> None:
        self._context, self._turns = context, turns
        self._previews = Previews()
        self.panes, self.downloads = PaneWidgets(), DownloadWidgets(context)

    @property
    def outputs(self) -> list[Any]:
        """The components that `update` gives new values."""
        return [self.view, self.number, self.key]

    def update(self, view: SessionView, number: int) -> list[Any]:
        """Return new values of `outputs`. This is quick: the results are read in an event of their own.

        Args:
            view: The session.
            number: Number of the turn that is shown, from 1; 0 for none.
        """
        turn = _turn(view, number)
        if turn is None:
            return [view, number, ""]
        made = [(one.name, one.final, len(one.files)) for one in turn.results]
        return [view, number, repr((view.thread, number, made, turn.record is not None))]

    def lay_out(self) -> None:
        """Place everything; called within the column of results."""
        self.view, self.number, self.place = gr.State(None), gr.State(0), gr.State(Place())
        # Changes when there is something new to show.
        self.key = gr.Textbox(visible="hidden", elem_id="results-key")
        self.pick = gr.Radio([], label="Result", visible=False, interactive=True, elem_id="result-pick")
        self.everything = gr.Checkbox(
            label="All steps", visible=False, interactive=True, container=False, elem_id="result-everything"
        )
        self.note = gr.HTML(visible=False, elem_id="result-note")
        self.sheet = gr.Gallery(
            label="Items",
            columns=_ACROSS,
            height=_SHEET,
            allow_preview=False,
            interactive=False,
            visible=False,
            buttons=[],
            elem_id="result-sheet",
        )
        with gr.Row(visible=False, elem_id="result-pages") as self.pages:
            self.back = gr.Button("‹ Previous", size="sm", min_width=80)
            self.where = gr.HTML()
            self.forth = gr.Button("Next ›", size="sm", min_width=80)
        self.panes.lay_out()
        self.keep = gr.Button("Keep only these", size="sm", visible=False, elem_id="result-keep")
        self.kept = gr.HTML(visible=False, elem_id="result-kept")
        self.downloads.lay_out(self.view, self.number)
        self._connect()

    def _connect(self) -> None:
        shown_by = [self.view, self.number, self.place]
        for event, handler, more in (
            (self.key.change, self._open, []),
            (self.pick.input, self._pick, [self.pick]),
            (self.everything.input, self._all_steps, [self.everything]),
            (self.sheet.select, self._choose, []),
            (self.back.click, self._back, []),
            (self.forth.click, self._forth, []),
        ):
            event(handler, [*shown_by, *more], self._all, concurrency_limit=4, concurrency_id="results", **QUEUED).then(
                self._watch, shown_by, [self.panes.film, self.note], concurrency_limit=None, **QUEUED
            )
        # Outlines of many things can be larger than a call may be.
        only = "(view, number, place, at) => [view, number, place, at && {threshold: at.threshold, hidden: at.hidden}]"
        self.keep.click(self._keep, [*shown_by, self.panes.shapes], self.kept, js=only, **QUEUED)

    @property
    def _all(self) -> list[Any]:
        own = [self.place, self.pick, self.everything, self.note, self.sheet, self.pages, self.back, self.where]
        return [*own, self.forth, self.keep, self.kept, *self.panes.outputs, *self.downloads.outputs]

    def _open(self, view: SessionView, number: int, place: Place) -> Changes:
        """Show what is new: the last result, or the chosen item of the same one."""
        same = (view.thread, number) == (place.thread, place.turn)
        fresh = Place(view.thread, number, everything=same and place.everything)
        _, last = _chosen(view, number, fresh)
        return self._show(view, number, place if same and last is not None and last.name == place.name else fresh)

    def _pick(self, view: SessionView, number: int, place: Place, name: str) -> Changes:
        return self._show(view, number, replace(place, name=name, item=0, page=0))

    def _all_steps(self, view: SessionView, number: int, place: Place, everything: bool) -> Changes:
        return self._show(view, number, replace(place, everything=everything))

    def _choose(self, view: SessionView, number: int, place: Place, chosen: gr.SelectData) -> Changes:
        return self._show(view, number, replace(place, item=place.page * PAGE + int(chosen.index)))

    def _back(self, view: SessionView, number: int, place: Place) -> Changes:
        return self._show(view, number, replace(place, page=place.page - 1, item=(place.page - 1) * PAGE))

    def _forth(self, view: SessionView, number: int, place: Place) -> Changes:
        return self._show(view, number, replace(place, page=place.page + 1, item=(place.page + 1) * PAGE))

    def _watch(self, view: SessionView, number: int, place: Place) -> Iterator[Changes]:
        """Show how far the preview of a video is, and then the preview."""
        _, one = _chosen(view, number, place)
        item = None if one is None or not one.items else one.items[place.item]
        if one is None or item is None or item.look != "tracks":
            yield {self.note: gr.skip()}
            return
        preview = self._panes(view, one, item).preview
        if preview is None or preview.ended.is_set():
            yield {self.note: gr.skip()}
            return
        while not preview.ended.wait(_POLL):
            yield {self.note: note(f"Drawing boxes into the video: {preview.done} of {preview.total} frames.")}
        if preview.fault:
            yield {self.note: note(preview.fault)}
        else:
            film = gr.update(value=str(preview.place), visible=True)
            yield {self.panes.film: film, self.note: note(_said(one, place.item))}

    def _keep(self, view: SessionView, number: int, place: Place, value: Any, caller: gr.Request) -> Changes:
        _, one = _chosen(view, number, place)
        if one is None or not isinstance(value, dict):
            return {self.kept: note("")}
        try:
            refs = keep(one.items, *choice_of(value), self._context.store)
            self._turns.keep(view.thread, owner_of(caller), one.name, refs if one.many else refs[0])
        except SuperlinkError as error:
            return {self.kept: note(str(error))}
        count, before = (sum(ref["summary"]["count"] for ref in all_) for all_ in (refs, [i.ref for i in one.items]))
        return {self.kept: note(f"Kept {count} of {before}. Your next request uses these.")}

    def _show(self, view: SessionView, number: int, place: Place) -> Changes:
        """Return the changes of all widgets."""
        listed, one = _chosen(view, number, place)
        if one is None:
            return self._nothing(view, number, place)
        last = max(0, (len(one.items) - 1) // PAGE)
        page = min(max(place.page, 0), last)
        item = min(max(place.item, 0), max(0, len(one.items) - 1))
        place = replace(place, name=one.name, page=page, item=item)
        on_page = one.items[page * PAGE : (page + 1) * PAGE]
        sheet, faults = self._sheet(view, on_page, page) if len(one.items) > 1 else ([], [])
        panes = Panes() if not one.items else self._panes(view, one, one.items[item])
        if len(one.items) > 1 and one.kind in ("Text", "Number"):
            panes = Panes(text=texts(on_page, self._context.store))
        offered = [each for each in listed if place.everything or each.final or each.name == one.name]
        names = _names(_turn(view, number), self._context)
        choosable = one.kind in ("Detections", "Poses") and panes.shapes is not None
        return {
            self.place: place,
            self.pick: gr.update(
                choices=[(names.get(each.name, each.name), each.name) for each in offered],
                value=one.name,
                visible=len(offered) > 1,
            ),
            self.everything: gr.update(value=place.everything, visible=any(not each.final for each in listed)),
            self.note: note(" ".join(part for part in (_said(one, item), *panes.said, *faults) if part)),
            self.sheet: gr.update(
                value=sheet,
                visible=bool(sheet),
                height=min(_SHEET, 30 + 150 * math.ceil(len(sheet) / _ACROSS)),
                selected_index=item - page * PAGE,
            ),
            self.pages: gr.update(visible=last > 0),
            self.back: gr.update(interactive=page > 0),
            self.where: note(f"Page {page + 1} of {last + 1}"),
            self.forth: gr.update(interactive=page < last),
            self.keep: gr.update(visible=choosable and any(entry.ref["summary"]["count"] for entry in one.items)),
            self.kept: note(""),
            **self.panes.changes(panes),
            **self.downloads.changes(view, number, one.items[item] if one.items else None),
        }

    def _nothing(self, view: SessionView | None, number: int, place: Place) -> Changes:
        """Return the changes that show no result; the record of a turn that has ended can be had all the same."""
        hidden = gr.update(visible=False)
        return {
            self.place: place,
            self.pick: hidden,
            self.everything: hidden,
            self.note: note(""),
            self.sheet: gr.update(value=[], visible=False),
            self.pages: hidden,
            self.keep: hidden,
            self.kept: note(""),
            **self.panes.changes(Panes()),
            **self.downloads.changes(view, number, None),
        }

    def _panes(self, view: SessionView, one: Shown, item: Item) -> Panes:
        name = _file_name(view) or f"{one.tool} ({one.name})"
        return panes_of(item, name, self._seen(view), self._context.store, self._previews)

    def _sheet(self, view: SessionView, items: tuple[Item, ...], page: int) -> tuple[list[tuple[str, str]], list[str]]:
        """Return small pictures of items with their numbers, and what could not be shown."""
        seen = self._seen(view)
        shown, faults = [], []
        for number, item in enumerate(items, page * PAGE + 1):
            try:
                small = seen.thumbnail(item)
            except SuperlinkError as error:
                faults.append(f"Item {number} cannot be shown: {error}")
                continue
            if small is not None:
                shown.append((str(small), str(number)))
        return shown, faults

    def _seen(self, view: SessionView) -> Seen:
        return Seen(self._context.results / view.thread, self._context.store)


def _turn(view: SessionView | None, number: int) -> TurnView | None:
    return view.numbered(number) if view is not None else None


def _chosen(view: SessionView | None, number: int, place: Place) -> tuple[list[Shown], Shown | None]:
    """Return the results of a turn, and the chosen one: by default the last output, or what came last."""
    turn = _turn(view, number)
    if view is None or turn is None:
        return [], None
    at_hand = {**turn.given, **{one.name: one.refs for each in view.turns[:number] for one in each.results}}
    listed = read(turn, at_hand)
    finals = [one for one in listed if one.final]
    return listed, next((one for one in listed if one.name == place.name), ([None, *listed, *finals])[-1])


def _said(one: Shown, item: int) -> str:
    """Return what a result says, and of a list also what the shown item says."""
    if len(one.items) < 2:
        return facts(one)
    own = facts(replace(one, items=one.items[item : item + 1], many=False))
    return f"{facts(one)} Item {item + 1}: {own}" if own else facts(one)


def _names(turn: TurnView | None, context: Context) -> dict[str, str]:
    """Return what each step of a turn does, in words."""
    if turn is None or turn.plan is None:
        return {}
    try:
        return {step.id: words(step, context.tools) for step in Plan.load(turn.plan).steps}
    except SuperlinkError:
        return {}


def _file_name(view: SessionView) -> str:
    """Return the name of the only file of a session; "" where there are several."""
    files = [file for turn in view.turns for file in turn.files]
    return files[0].name if len(files) == 1 else ""
