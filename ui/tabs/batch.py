"""The Batch tab: a plan over many files, in four steps, and the runs there are.

The page never holds the work: a run is a process of its own, and what is shown is read from its ledger.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr

from agents.plan.plan import Plan
from tools.core.errors import SuperlinkError
from ui.access.visitors import owner_of
from ui.batches.desk import FILTERS, Desk
from ui.batches.html import latest_html, note_html, run_html
from ui.batches.progress import ACTIVE, Progress
from ui.batches.runs import RunRecord
from ui.context import Context
from ui.tabs.batch_pilot import PilotStep
from ui.tabs.batch_plan import PlanStep
from ui.tabs.batch_run import RunStep
from ui.tabs.batch_source import SourceStep
from ui.tabs.events import QUEUED, QUIET, Changes

TITLE = "Batch"
_SOURCE, _PLAN, _PILOT, _RUN = 1, 2, 3, 4
_BADGE_SECONDS = 10


class BatchTab:
    """The widgets and their event handlers.

    Args:
        page: The page.
        context: What all tabs share.
        to_batch: Channel: a plan as JSON that a session hands over.
        to_review: Channel: the folder of a run to review.
        to_models: Channel: id of weights that the Models tab shows, and a number that no other change has.
    """

    def __init__(
        self, page: gr.Blocks, context: Context, to_batch: gr.State, to_review: gr.State, to_models: gr.State
    ) -> None:
        self.page, self.to_batch, self.to_review, self.to_models = page, to_batch, to_review, to_models
        self.desk = Desk(context)
        self.source, self.plan = SourceStep(self.desk), PlanStep(context, self.desk)
        self.pilot, self.work = PilotStep(self.desk), RunStep(self.desk)

    def lay_out(self, tabs: gr.Tabs, tab: gr.Tab) -> None:
        """Place everything; called within the tab.

        Args:
            tabs: All tabs of the page.
            tab: This one, whose title counts the runs at work.
        """
        self.tabs, self.tab = tabs, tab
        self.run, self.shown = gr.State(""), gr.State({})
        self.timer, self.badge = gr.Timer(1, active=False), gr.Timer(_BADGE_SECONDS)
        with gr.Row(elem_id="batch"):
            with gr.Column(scale=1, min_width=270, elem_id="batch-list"):
                self._lay_out_list()
            with gr.Column(scale=3, min_width=320), gr.Walkthrough(selected=_SOURCE, elem_id="batch-steps") as steps:
                self.steps = steps
                with gr.Step("Source", id=_SOURCE):
                    self.source.lay_out()
                with gr.Step("Plan", id=_PLAN):
                    self.plan.lay_out(self.source.kinds)
                with gr.Step("Pilot", id=_PILOT):
                    self.pilot.lay_out()
                with gr.Step("Run", id=_RUN):
                    self.work.lay_out(self.run)
        self._connect()

    def _lay_out_list(self) -> None:
        # On a phone the steps come first.
        gr.HTML("<style>@media (max-width: 720px) { #batch-list { order: 2; } }</style>", visible="hidden")
        self.new = gr.Button("New run", variant="primary", elem_id="batch-new")
        self.filter = gr.Radio(list(FILTERS), value=FILTERS[0], label="Runs", elem_id="batch-filter")
        self.search = gr.Textbox(value="", label="Search runs", elem_id="batch-search")
        self.list = gr.Radio([], label="Choose a run", elem_id="batch-runs")
        with gr.Accordion("Open a folder of superlink annotate", open=False):
            self.folder = gr.Textbox(label="Folder of the run (--out)", elem_id="batch-open")
            self.open = gr.Button("Open", size="sm")

    @property
    def _run_outputs(self) -> list[Any]:
        outputs = [self.run, self.shown, self.timer, self.list, self.tab, self.steps]
        return [*outputs, *self.pilot.outputs, *self.work.outputs]

    def _connect(self) -> None:
        listed = [self.filter, self.search, self.run]
        # What is not seen yet is filled at the first visit, so that the page is usable sooner.
        for count in (self.page.load, self.badge.tick):
            count(self._badge, None, self.tab, **QUIET)
        # Gradio's "input" of a text box is for keys that write; what is pasted or deleted is a "change".
        for event in (self.filter.input, self.search.change):
            event(self._rows, listed, self.list, trigger_mode="always_last", **QUIET)
        self.tab.select(
            self._visited,
            [*listed, self.source.path, self.plan.text, self.plan.getting.lacking, self.source.kinds],
            [self.timer, self.list, self.source.inside, *self.plan.outputs],
            **QUIET,
        )
        self.plan.getting.connect(self.to_models)
        self.tabs.select(self._left, None, self.timer, **QUIET)
        self.new.click(self._new, None, [self.run, self.timer, self.list, self.steps, *self.source.outputs], **QUIET)
        self.to_batch.change(
            self._given,
            [self.to_batch, self.source.source, self.source.kinds],
            [self.tabs, self.source.seen, self.plan.request, *self.plan.outputs],
            **QUIET,
        )
        self.source.next.click(
            self._to_plan, [self.plan.plan, self.source.kinds], [self.steps, *self.plan.outputs], **QUIET
        )
        self.plan.next.click(self._begin, [self.source.source, self.plan.plan], self._run_outputs, **QUEUED)
        self.list.input(self._choose, self.list, self._run_outputs, **QUEUED)
        self.open.click(self._open, self.folder, self._run_outputs, **QUEUED)
        self.timer.tick(self._tick, [self.run, self.shown], self._run_outputs, **QUIET)
        pilot, work = self.pilot, self.work
        pilot.apply.click(self._apply, [self.run, pilot.finds, *pilot.bars], self._run_outputs, **QUEUED)
        pilot.run.click(self._approve, [self.run, pilot.hash], self._run_outputs, **QUEUED)
        for button, what in ((work.pause, Desk.pause), (work.resume, Desk.resume), (work.cancel, Desk.cancel)):
            button.click(self._asking(what), self.run, self._run_outputs, **QUEUED)
        work.retry.click(self._retry, [self.run, work.reason], self._run_outputs, **QUEUED)
        # In the queue, without which the channel does not tell of its change.
        work.review.click(self._review, self.run, self.to_review, **QUEUED)

    # The list

    def _badge(self, request: gr.Request) -> Any:
        return self._titled(owner_of(request))

    def _titled(self, owner: str) -> Any:
        active = self.desk.active(owner)
        return gr.update(label=f"{TITLE} ({active})" if active else TITLE)

    def _rows(self, shown: str, search: str, run: str, request: gr.Request) -> Any:
        return self._choices(owner_of(request), shown, search, run)

    def _choices(self, owner: str, shown: str = FILTERS[0], search: str = "", run: str = "") -> Any:
        rows = self.desk.rows(owner, shown, search)
        chosen = {"value": run} if run in [row.id for row in rows] else {}
        label = "Choose a run" if rows else "There is no such run" if search or shown != FILTERS[0] else "No run yet"
        return gr.update(choices=[(row.title, row.id) for row in rows], label=label, **chosen)

    def _visited(
        self,
        shown: str,
        search: str,
        run: str,
        path: str,
        text: str,
        lacking: list[str],
        kinds: tuple[str, ...],
        request: gr.Request,
    ) -> Changes:
        """Follow the run while the tab is shown, and only then; weights that the plan lacked may have come."""
        return {
            self.timer: gr.Timer(active=bool(run)),
            self.list: self._choices(owner_of(request), shown, search, run),
            self.source.inside: self.source.choices(path),
            **self.plan.again(text, lacking, kinds),
        }

    def _left(self, chosen: gr.SelectData) -> Any:
        return gr.skip() if str(chosen.value).startswith(TITLE) else gr.Timer(active=False)

    # The steps

    def _new(self) -> Changes:
        return {
            self.run: "",
            self.timer: gr.Timer(active=False),
            self.list: gr.update(value=None),
            self.steps: gr.Walkthrough(selected=_SOURCE),
            **self.source.opened(),
        }

    def _given(self, plan: Any, source: str, kinds: tuple[str, ...]) -> Changes:
        if not plan:
            return {self.tabs: gr.skip()}
        found = {self.tabs: gr.Tabs(selected="batch"), **self.plan.taken(plan, kinds)}
        return found if source else {**found, self.source.seen: note_html("The plan is here. Choose the files for it.")}

    def _to_plan(self, plan: Any, kinds: tuple[str, ...]) -> Changes:
        # Checked again, as the source may now hold other kinds.
        return {self.steps: gr.Walkthrough(selected=_PLAN), **(self.plan.given(plan, kinds) if plan else {})}

    def _begin(self, source: str, plan: Any, request: gr.Request) -> Changes:
        if not source or not plan:
            raise gr.Error("Choose the files and the plan first")
        owner = owner_of(request)
        return self._done(lambda: self.desk.begin(owner, source, Plan.load(plan)).id, owner)

    def _choose(self, run: str, request: gr.Request) -> Changes:
        return self._done(lambda: run, owner_of(request))

    def _open(self, folder: str, request: gr.Request) -> Changes:
        owner = owner_of(request)
        return self._done(lambda: self.desk.runs.open(owner, folder).id, owner)

    def _apply(self, request: gr.Request, run: str, finds: dict[str, list[float]], *values: float) -> Changes:
        owner, scores = owner_of(request), self.pilot.scores(finds, values)
        return self._done(lambda: self.desk.pilot_again(run, owner, scores).id, owner)

    def _approve(self, run: str, plan_hash: str, request: gr.Request) -> Changes:
        if not plan_hash:
            raise gr.Error("Look at the pilot first")
        owner = owner_of(request)
        return self._done(lambda: self.desk.approve(run, owner, plan_hash).id, owner)

    def _asking(self, what: Callable[[Desk, str, str], RunRecord]) -> Callable[[str, gr.Request], Changes]:
        def asked(run: str, request: gr.Request) -> Changes:
            owner = owner_of(request)
            return self._done(lambda: what(self.desk, run, owner).id, owner)

        return asked

    def _retry(self, run: str, reason: str, request: gr.Request) -> Changes:
        owner = owner_of(request)
        return self._done(lambda: self.desk.retry(run, owner, self.work.wanted(reason)).id, owner)

    def _review(self, run: str, request: gr.Request) -> str:
        try:
            return str(self.desk.runs.get(run, owner_of(request)).folder)
        except SuperlinkError as error:
            raise gr.Error(str(error)) from error

    # What is shown of a run

    def _done(self, work: Callable[[], str], owner: str) -> Changes:
        """Do something to a run and show the run, whose id it returns."""
        try:
            return self._full(work(), owner)
        except SuperlinkError as error:
            raise gr.Error(str(error)) from error

    def _full(self, run: str, owner: str) -> Changes:
        record = self.desk.runs.get(run, owner)
        progress = self.desk.progress(record)
        at_pilot = _is_pilot(record.asked, progress)
        stand = run_html(progress, record.folder)
        return {
            self.run: run,
            self.shown: _marks(progress, stand),
            self.timer: gr.Timer(active=True),
            self.list: self._choices(owner, run=run),
            self.tab: self._titled(owner),
            self.steps: gr.Walkthrough(selected=_PILOT if at_pilot else _RUN),
            **self.pilot.changes(record, progress, stand),
            **self.work.changes(record, progress),
        }

    def _tick(self, run: str, shown: dict[str, Any], request: gr.Request) -> Any:
        """Show what has changed since the last look; the timer ends with the run."""
        owner = owner_of(request)
        try:
            record = self.desk.runs.get(run, owner)
        except SuperlinkError:
            return {self.timer: gr.Timer(active=False)}
        progress = self.desk.progress(record)
        stand = run_html(progress, record.folder)
        marks = _marks(progress, stand)
        if marks == shown:
            return gr.skip()
        if marks["state"] != shown.get("state"):
            return self._full(run, owner)
        found: Changes = {self.shown: marks}
        if marks["stand"] != shown.get("stand"):
            found |= {self.work.stand: stand, self.pilot.stand: stand}
        if marks["latest"] != shown.get("latest"):
            found[self.work.latest] = latest_html(progress.thumbnails)
        if marks["groups"] != shown.get("groups"):
            found |= self.work.failure_changes(progress)
        if progress.state not in ACTIVE:
            found[self.timer] = gr.Timer(active=False)
        return found


def _is_pilot(asked: str, progress: Progress) -> bool:
    return progress.state in ("Pilot", "Waits for you") or (
        asked == "pilot" and progress.state in ("Starting", "Failed")
    )


def _marks(progress: Progress, stand: str) -> dict[str, Any]:
    """Return what tells one look at a run from another."""
    return {
        "state": progress.state,
        "stand": hash(stand),
        "latest": [one.name for one in progress.thumbnails],
        "groups": [(group.reason, group.count) for group in progress.groups],
    }
