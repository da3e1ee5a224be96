"""How a run ended."""

from dataclasses import dataclass, field
from pathlib import Path

from common.kinds import MEDIA_KINDS
from flows.batch.pilot import Forecast
from flows.items.run_files import FAILURES
from flows.ledger.ledger import Ledger
from flows.ledger.rows import ItemFault
from tools.storage.atomic import write
from tools.storage.store import as_list


@dataclass
class Summary:
    """How a run ended.

    Attributes:
        items: in the source, of the plan's kind.
        done: of these, over all runs.
        failed: of these, over all runs.
        left: of these, neither done nor failed.
        nothing_found: done items that should be edited, but had nothing in them to edit.
        ran: calls of tools in this run.
        cached: calls whose results were there before.
        seconds: that this run took.
        stopped: why it ended before its time, or "".
        failures: of items.
        damaged: items that are no longer done, as a value of theirs is damaged or lost.
        first_only: names of items of several pages or frames, of which only the first was worked on.
        exports: format to folder.
        forecast: of the pilot, if there was one.
    """

    items: int = 0
    done: int = 0
    failed: int = 0
    left: int = 0
    nothing_found: int = 0
    ran: int = 0
    cached: int = 0
    seconds: float = 0.0
    stopped: str = ""
    failures: list[ItemFault] = field(default_factory=list)
    damaged: list[ItemFault] = field(default_factory=list)
    first_only: list[str] = field(default_factory=list)
    exports: dict[str, Path] = field(default_factory=dict)
    forecast: Forecast | None = None

    def update(self, ledger: Ledger) -> None:
        """Count the items of a ledger, and write its failures to a text file beside it."""
        counts = ledger.counts()
        self.done, self.failed, self.left = (counts.get(state, 0) for state in ("done", "failed", "left"))
        self.failures = ledger.failures()
        self.first_only = ledger.multi_page_items()
        self.nothing_found = _count_unedited(ledger)
        lines = [f"{name}\t{reason}{'. ' + hint if hint else ''}\n" for name, reason, hint in self.failures]
        write(ledger.file.parent / FAILURES, "".join(lines))


def _count_unedited(ledger: Ledger) -> int:
    """Number of done items in which a plan that edits what it finds found nothing."""
    kinds = {ref["kind"] for step in ledger.plan.steps for ref in ledger.sample(step.id)[:1]}
    if "Detections" not in kinds or MEDIA_KINDS.isdisjoint(kinds):
        return 0  # the plan edits nothing, and what it found is in the exports
    count = 0
    for _, refs in ledger.done():
        finds = (ref for step_refs in refs.values() for ref in as_list(step_refs) if ref["kind"] == "Detections")
        count += not any(ref["summary"]["count"] for ref in finds)
    return count
