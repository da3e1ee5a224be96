"""The pilot: a few items are worked first, and the cost of the rest is forecast from them."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flows.batch.job import BatchJob, open_job
from flows.batch.reading import DoneItem
from flows.batch.samples import Viewer
from flows.batch.shard import ShardResult
from flows.batch.shard_store import ShardStore
from flows.items.run_files import CONTACT_SHEET
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError
from tools.storage.atomic import open_new
from tools.values import Image

_TILE, _COLUMNS, _BAR = 320, 4, 22


@dataclass(frozen=True)
class Forecast:
    """Forecast of a run from its pilot.

    Attributes:
        pilot: number of items that were tried.
        failed: number of these that failed.
        items: number of items that are left.
        seconds: estimate for the items that are left.
        bytes: estimate of what they add to the store.
        review: estimate of their detections that go to review.
        by_tool: tool to estimated seconds, for the items that are left.
        sheet: the contact sheet; None when there was nothing to draw.
        reasons: why items of the pilot failed.
        ran: calls of tools in the pilot.
        cached: calls whose results were there before.
    """

    pilot: int
    failed: int
    items: int
    seconds: float
    bytes: int
    review: int
    by_tool: dict[str, float]
    sheet: Path | None
    reasons: tuple[str, ...]
    ran: int = 0
    cached: int = 0


@dataclass(frozen=True)
class RecordedPilot:
    """A pilot in the ledger of its run.

    Attributes:
        signature: of plan, tools and weights that it was made with.
        items: numbers of the items that were tried.
        forecast: of the rest.
    """

    signature: str
    items: tuple[int, ...]
    forecast: Forecast

    @classmethod
    def read(cls, ledger: Ledger) -> "RecordedPilot | None":
        """The pilot of the ledger's plan; None when there was none since the plan, a tool or weights changed."""
        facts: Any = ledger.fact("pilot")
        if not isinstance(facts, dict) or facts.get("signature") != ledger.text("signature"):
            return None
        try:
            known = facts["forecast"]
            sheet = None if known["sheet"] is None else Path(known["sheet"])
            forecast = Forecast(**{**known, "sheet": sheet, "reasons": tuple(known["reasons"])})
        except (KeyError, TypeError):  # of another version
            return None
        return cls(facts["signature"], tuple(facts["items"]), forecast)

    def write(self, ledger: Ledger) -> None:
        """Write the pilot to the ledger, in the place of the one before."""
        forecast = asdict(replace(self.forecast, sheet=None))
        forecast["sheet"] = None if self.forecast.sheet is None else str(self.forecast.sheet)
        ledger.set_facts(pilot={"signature": self.signature, "items": list(self.items), "forecast": forecast})


def run_pilot(job: BatchJob, ids: Sequence[int], count: int) -> tuple[Forecast, list[int]]:
    """Work on a few items, spread over all, forecast the rest from them, and record both in the ledger.

    Args:
        job: the run.
        ids: numbers of all items to work on.
        count: number of items to try.

    Returns:
        The forecast, and the numbers of the items that are left.
    """
    chosen = spread(ids, count)
    pilot = set(chosen)
    left = [number for number in ids if number not in pilot]
    ledger, run = open_job(job)
    # The first item loads the models, which the rest need not do again.
    parts = [chosen[:1], chosen[1:]] if len(chosen) > 1 else [chosen]
    results: list[ShardResult] = []
    seconds = 0.0
    for part in parts:
        began = time.perf_counter()
        results.append(job.work(part))
        seconds = (time.perf_counter() - began) / len(part)
    failed = {number: why for result in results for number, why in result.failed.items()}
    size, review = ledger.value_bytes(chosen), ledger.review.count(chosen)
    share = len(left) / len(chosen)
    each = {tool: spent / len(parts[-1]) for tool, spent in results[-1].seconds.items()}
    if any(result.cached for result in results):
        # Calls whose results were there took no time; those of the other items will take what was measured before.
        before = _measured(ledger)
        used = {step.tool for step in ledger.plan.steps}
        slower = {tool: max(each.get(tool, 0.0), spent) for tool, spent in before.items() if tool in used}
        seconds += sum(spent - each.get(tool, 0.0) for tool, spent in slower.items())
        each |= slower
    by_tool = {tool: spent * len(left) for tool, spent in each.items()}
    sheet = contact_sheet(ledger, run.shard_store, chosen, Path(job.out) / CONTACT_SHEET)
    reasons = tuple(dict.fromkeys(message for message, _ in failed.values()))
    forecast = Forecast(
        len(chosen),
        len(failed),
        len(left),
        seconds * len(left),
        round(size * share),
        round(review * share),
        by_tool,
        sheet,
        reasons,
        sum(result.ran for result in results),
        sum(result.cached for result in results),
    )
    RecordedPilot(run.signature, tuple(chosen), forecast).write(ledger)
    return forecast, left


def _measured(ledger: Ledger) -> dict[str, float]:
    """Tool to seconds an item, by the pilot that is recorded, also when that was of another plan."""
    facts: Any = ledger.fact("pilot")
    try:
        known = facts["forecast"]
        return {tool: spent / known["items"] for tool, spent in known["by_tool"].items()} if known["items"] else {}
    except (KeyError, TypeError, AttributeError):  # there is none, or one of another version
        return {}


def spread(ids: Sequence[int], count: int) -> list[int]:
    """At most `count` items at even distances."""
    count = min(count, len(ids))
    return [ids[(2 * n + 1) * len(ids) // (2 * count)] for n in range(count)]


def contact_sheet(ledger: Ledger, shard_store: ShardStore, ids: Sequence[int], file: Path) -> Path | None:
    """Draw results of items as one picture: edited pictures, or pictures with their detections.

    Args:
        ledger: of the run.
        shard_store: of the run.
        ids: numbers of the items.
        file: to write, as PNG.

    Returns:
        The file, or None when nothing can be drawn.
    """
    from PIL import Image as Pil
    from PIL import ImageDraw

    viewer = Viewer(ledger, shard_store)
    tiles: list[tuple[str, Image]] = []
    for entry, refs in ledger.done(ids):
        try:
            picture = viewer.picture(DoneItem(entry, refs))
        except SuperlinkError:
            continue
        if picture is not None:
            tiles.append((entry.name, picture))
    if not tiles:
        return None
    rows = -(-len(tiles) // _COLUMNS)
    columns = min(_COLUMNS, len(tiles))
    sheet = Pil.new("RGB", (columns * _TILE, rows * (_TILE + _BAR)), (245, 245, 245))
    pen = ImageDraw.Draw(sheet)
    for place, (name, image) in enumerate(tiles):
        left, top = place % _COLUMNS * _TILE, place // _COLUMNS * (_TILE + _BAR)
        small = image.pil
        small.thumbnail((_TILE - 8, _TILE - 8))
        sheet.paste(small, (left + (_TILE - small.width) // 2, top + (_TILE - small.height) // 2))
        pen.text((left + 6, top + _TILE + 2), name[-46:], (40, 40, 40))
    with open_new(file) as out:
        sheet.save(out, "PNG")
    return file
