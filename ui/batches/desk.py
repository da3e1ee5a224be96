"""What the Batch tab does: one object for all visitors of a page, without widgets."""

import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.plan.plan import Plan
from agents.planners.base import DemonstrationJson
from flows.batch.spec import RunSpec
from flows.ledger.ledger import Ledger
from tools.core.settings import settings
from ui.batches import sources
from ui.batches.exports import archive
from ui.batches.pilot import ITEMS, PilotView, read_pilot
from ui.batches.planning import PlanDraft, from_plan, from_words, tool_files
from ui.batches.process import approve_and_run, cancel, is_running, pause, resume, retry, start_pilot
from ui.batches.progress import ACTIVE, Followers, Progress
from ui.batches.runs import RunRecord, Runs, spec_of, with_spec
from ui.context import Context, examples_of

FILTERS = ("All", "Running", "Failed", "Done")
"""Which runs a list shows. "Running" has those that wait or are paused, too."""
_SHARD_SECONDS = 15.0
"""How long a shard should take, so that progress is seen, and a pause or a power cut costs little."""
_SHOWN = 200
_WORLD = "world"
"""Folder of rendered pictures, which are for everyone."""


@dataclass(frozen=True)
class RunRow:
    """A run in a list: its id, and what is said of it in one line."""

    id: str
    title: str


class Desk:
    """Sources, plans and runs of the page.

    Args:
        context: What all tabs share.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.runs = Runs(settings().home)
        self._followers = Followers()
        self._seen: dict[tuple[str, str], tuple[tuple[DemonstrationJson, ...], str]] = {}
        self._pilots: dict[str, tuple[object, PilotView]] = {}
        self._lock = threading.Lock()
        context.files.sweepers.append(lambda before: sources.forget_uploads(self.runs.uploads, self.runs.uses, before))

    # Sources

    def look_at(self, source: str, owner: str) -> sources.SourceView:
        """Return what is in a source; see `sources.view`."""
        return sources.view(source, self._own(owner))

    def _own(self, owner: str) -> list[Path]:
        """Return the folders that this user may use besides `ui_roots`."""
        return [self.runs.uploads / _folder_of(owner), self.runs.uploads / _WORLD]

    def keep_uploads(self, files: Sequence[str], owner: str) -> Path:
        """Keep uploaded files as a source; see `sources.keep_uploads`."""
        folder = self.runs.uploads / _folder_of(owner)
        self._context.files.give(folder, owner)  # so that they count as the user's
        return sources.keep_uploads(folder, files)

    def draw_world(self, count: int, seed: int) -> Path:
        """Draw rendered pictures as a source; see `sources.draw_world`."""
        return sources.draw_world(self.runs.uploads / _WORLD, count, seed)

    # Plans

    def plan_words(self, request: str, kinds: Sequence[str], owner: str) -> PlanDraft:
        """Have a request planned; see `planning.from_words`."""
        draft = from_words(request, kinds, self._context.tools, self._context.planner, examples_of(owner))
        if draft.plan is not None and draft.demonstrations:
            with self._lock:
                self._seen[owner, draft.plan.hash] = draft.demonstrations, draft.chooser
                while len(self._seen) > _SHOWN:
                    del self._seen[next(iter(self._seen))]
        return draft

    def check_plan(self, plan: object, kinds: Sequence[str]) -> PlanDraft:
        """Check a plan of a file, its text, or a session; see `planning.from_plan`."""
        assert isinstance(plan, str | Path | dict | Plan)
        return from_plan(plan, kinds, self._context.tools)

    # Runs

    def begin(self, owner: str, source: str, plan: Plan) -> RunRecord:
        """Make a run and have its pilot worked.

        Raises:
            SourceRefused: when the source or one of its items may not be used.
            AnnotateError: when the process cannot be started.
        """
        sources.items_of(source, self._own(owner))
        record = self.runs.new(owner, plan.request)
        demonstrations, chooser = self._seen.get((owner, plan.hash), ((), ""))
        spec = RunSpec.load(
            {
                "source": source,
                "out": record.folder,
                "request": plan.request,
                "plan": plan,
                "demonstrations": demonstrations,
                "chooser": chooser,
                "tools": tool_files(plan, self._context.tools),
                "pilot": ITEMS,
            }
        )
        return start_pilot(self.runs, record.id, owner, spec)

    def pilot_again(self, number: str, owner: str, scores: dict[str, float]) -> RunRecord:
        """Have the pilot worked with least scores; what was found is not searched again."""
        spec = spec_of(self.runs.get(number, owner))
        return start_pilot(self.runs, number, owner, spec.model_copy(update={"scores": scores}))

    def approve(self, number: str, owner: str, plan_hash: str) -> RunRecord:
        """Approve the plan whose pilot was looked at, and work on all items; see `process.approve_and_run`."""
        record = self.runs.get(number, owner)
        pilot = self.pilot(record)
        if pilot is not None and pilot.forecast.items:
            each = pilot.forecast.seconds / pilot.forecast.items
            shard = max(4, min(64, round(_SHARD_SECONDS / max(each, 0.01))))
            with self.runs.changing(number, owner) as record:
                spec = spec_of(record).model_copy(update={"shard": shard})
                self.runs.save(with_spec(record, spec))
        return approve_and_run(self.runs, number, owner, plan_hash)

    def pause(self, number: str, owner: str) -> RunRecord:
        """Have a run end after what it has in hand."""
        return pause(self.runs, number, owner)

    def resume(self, number: str, owner: str) -> RunRecord:
        """Go on with a run."""
        return resume(self.runs, number, owner)

    def cancel(self, number: str, owner: str) -> RunRecord:
        """Have a run end, and not go on by itself."""
        return cancel(self.runs, number, owner)

    def retry(self, number: str, owner: str, reason: str) -> RunRecord:
        """Work again on the items that failed for a reason; "" for all."""
        return retry(self.runs, number, owner, reason)

    def progress(self, record: RunRecord, thumbnails: bool = True) -> Progress:
        """Return how far a run is."""
        return self._followers.look(record, thumbnails)

    def pilot(self, record: RunRecord) -> PilotView | None:
        """Return the pilot of a run; None before there is one. It is read once for each version of the ledger."""
        ledger = Ledger.open_existing(record.folder, read_only=True)
        try:
            mark: object = (ledger.text("signature"), str(ledger.fact("pilot")), ledger.counts().get("failed", 0))
        finally:
            ledger.close()
        with self._lock:
            known = self._pilots.get(record.id)
        if known is not None and known[0] == mark:
            return known[1]
        view = read_pilot(record.folder)
        if view is not None:
            with self._lock:
                self._pilots = {**dict(list(self._pilots.items())[-7:]), record.id: (mark, view)}
        return view

    def rows(self, owner: str, shown: str = "All", search: str = "") -> list[RunRow]:
        """Return the runs of an owner, newest first, at most 200.

        Args:
            owner: User.
            shown: One of `FILTERS`.
            search: Words that the request, the source or the folder's name must have.
        """
        found: list[RunRow] = []
        words = (search or "").casefold().split()
        for record in self.runs.all(owner):
            stand = self.progress(record, thumbnails=False)
            title = stand.request or record.folder.name
            text = f"{title} {stand.source} {record.folder.name}".casefold()
            if _passes(stand, shown) and all(word in text for word in words):
                done = f", {stand.done} of {stand.total}" if stand.total else ""
                failed = f", {stand.failed} failed" if stand.failed else ""
                found.append(RunRow(record.id, f"{title} · {stand.state}{done}{failed}"))
            if len(found) >= _SHOWN:
                break
        return found

    def active(self, owner: str) -> int:
        """Return the number of runs that are at work."""
        return sum(is_running(record) for record in self.runs.all(owner)[:_SHOWN])

    def free_bytes(self, record: RunRecord) -> int:
        """Return the bytes that are free where the values of a run are kept."""
        store = spec_of(record).store or settings().store_url
        place = Path(store) if "://" not in store else record.folder
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def export(self, number: str, owner: str, formats: Sequence[str]) -> tuple[Path, list[str]]:
        """Write exports as an archive that only the owner can download; see `exports.archive`."""
        record = self.runs.get(number, owner)
        folder = self._context.folder / "exports" / _folder_of(owner) / record.id
        file, said = archive(record, formats, folder)
        self._context.files.give(folder, owner)
        return file, said


def _passes(stand: Progress, shown: str) -> bool:
    match shown:
        case "Running":
            return stand.state in (*ACTIVE, "Waits for you", "Paused", "Stopped")
        case "Failed":
            return stand.state == "Failed" or stand.failed > 0
        case "Done":
            return stand.state == "Done"
    return True


def _folder_of(owner: str) -> str:
    return hashlib.sha256(os.fsencode(owner)).hexdigest()[:16]
