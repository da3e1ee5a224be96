"""The pilot of a run as a person looks at it: its items, what was found, least scores, failures, the forecast."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.plan.plan import Plan, reference
from flows.batch.failures import shared_reason
from flows.batch.pilot import Forecast, RecordedPilot
from flows.batch.reading import DoneItem
from flows.batch.samples import Found, Viewer, small_jpeg
from flows.batch.scores import TOOL, scores_of
from flows.batch.shard_store import ShardStore
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError

ITEMS = 16
"""Number of items of a pilot."""
_SIDE = 320
_CACHE = 32 << 20  # bytes of values


@dataclass(frozen=True)
class PilotItem:
    """One item of a pilot.

    Attributes:
        name: Of the item.
        jpeg: A small picture without anything drawn on it; b"" where there is none.
        found: What was found, also below the least scores.
        said: Texts and numbers that steps gave.
        fault: Why it failed or cannot be shown; "" otherwise.
        hint: What to do about that.
    """

    name: str
    jpeg: bytes = b""
    found: tuple[Found, ...] = ()
    said: tuple[str, ...] = ()
    fault: str = ""
    hint: str = ""


@dataclass(frozen=True)
class PilotView:
    """A pilot.

    Attributes:
        items: In order of name.
        forecast: Of the items that are left.
        plan: That was worked, with the steps of its least scores.
        tree: The plan in words.
        scores: Label to the least score that the plan has.
    """

    items: tuple[PilotItem, ...]
    forecast: Forecast
    plan: Plan
    tree: str
    scores: dict[str, float]

    @property
    def finds(self) -> dict[str, list[float]]:
        """Label to the scores of its finds, in order of label; a label with a least score may have none."""
        found: dict[str, list[float]] = {label: [] for label in self.scores}
        for item in self.items:
            for one in item.found:
                found.setdefault(one.label, []).append(one.score)
        return dict(sorted(found.items()))

    @property
    def failures(self) -> list[PilotItem]:
        """Items that failed."""
        return [item for item in self.items if item.fault]


def read_pilot(folder: Path) -> PilotView | None:
    """Return the pilot of a run; None when there is none of its present plan.

    Raises:
        LedgerError: when there is no run in the folder, or its ledger cannot be read.
    """
    ledger = Ledger.open_existing(folder, read_only=True)
    try:
        pilot = RecordedPilot.read(ledger)
        if pilot is None:
            return None
        plan = ledger.plan
        store = ShardStore(ledger.text("store"), _CACHE)
        viewer = Viewer(ledger, store, finds=_before_scores(plan))
        rows = {entry.id: DoneItem(entry, refs) for entry, refs in ledger.done(pilot.items)}
        failed = {item.id: item for item in ledger.failed_items()}
        items = [_item(viewer, rows[number]) for number in pilot.items if number in rows]
        items += [
            PilotItem(failed[n].name, fault=shared_reason(failed[n]), hint=failed[n].hint)
            for n in pilot.items
            if n in failed
        ]
        items.sort(key=lambda item: item.name)
        return PilotView(tuple(items), pilot.forecast, plan, plan.tree(), scores_of(plan))
    finally:
        ledger.close()


def counts(finds: Mapping[str, Sequence[float]], scores: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """Return for each label how many of its finds have at least its least score, and how many there are.

    Args:
        finds: `PilotView.finds`.
        scores: Label to least score; labels without one keep all.
    """
    # As the tool keep compares them.
    return {
        label: (int((np.array(found, np.float32) >= np.float32(scores.get(label, 0.0))).sum()), len(found))
        for label, found in finds.items()
    }


def _before_scores(plan: Plan) -> tuple[str, ...]:
    """Return the steps whose finds the steps of least scores filter, so that a person can lower them again."""
    steps: Sequence[str | None] = [reference(step.args.get("regions")) for step in plan.steps if step.tool == TOOL]
    return tuple(dict.fromkeys(name for name in steps if name is not None))


def _item(viewer: Viewer, row: DoneItem) -> PilotItem:
    try:
        plain = viewer.plain_picture(row)
        said = tuple(viewer.texts(row))
        if plain is None:
            return PilotItem(row.name, said=said)
        picture, found = plain
        return PilotItem(row.name, small_jpeg(picture, _SIDE)[0], tuple(found), said)
    except SuperlinkError as error:
        return PilotItem(row.name, fault=error.message, hint=error.hint)
