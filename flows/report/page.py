"""A report of a run for people: one HTML page that loads nothing else."""

import json
from pathlib import Path

from flows.batch.pilot import spread
from flows.batch.reading import LOCATION_KINDS, Reading
from flows.batch.review import precision
from flows.batch.samples import Viewer, make_samples
from flows.batch.shard_store import ShardStore
from flows.exports.files import write_file
from flows.report import sections
from flows.report.rendering import render
from flows.report.tally import tally_items

VALUE_KINDS = ("Detections", "Poses", "Transcript", "Text", "Number", "Image", "Audio", "Video")
EXTRA_KINDS = LOCATION_KINDS  # detections are counted, whether they are outputs or not
FILE = "report.html"
_SAMPLES, _DOUBTFUL = 12, 6


def write(reading: Reading, folder: Path, name: str) -> dict[str, int]:
    """Write `report.html`: counts, scores, samples, failures, review, time, licences.

    Ledger and store are its sources; only samples need the source's files, and say so if one is gone. The page stays
    below a few megabytes, whatever the number of items.

    Args:
        reading: The run.
        folder: Where the page goes.
        name: The format, "report".

    Returns:
        The numbers of items that are done, of items that failed, and of detections.
    """
    ledger, plan = reading.ledger, reading.plan
    tally = tally_items(reading)
    viewer = Viewer(ledger, ShardStore(reading.store.url, cache_bytes=0), reading.steps)
    chosen = spread(tally.ids, _SAMPLES)
    doubtful = [number for _, number in sorted(tally.lowest_scores) if number not in set(chosen)][:_DOUBTFUL]
    precisions = precision(ledger)
    page = render(
        "report.html.j2",
        request=plan.request,
        source=ledger.text("source").rstrip("/").rpartition("/")[2],
        period=sections.period(tally.times),
        tiles=sections.tiles(ledger, tally),
        steps=sections.plan_steps(plan),
        **sections.found(tally, plan, precisions),
        samples=list(make_samples(viewer, chosen)),
        sample_note=f"{len(chosen)} of {tally.done:,} items, at even distances." if len(chosen) < tally.done else "",
        doubtful=list(make_samples(viewer, doubtful)),
        **sections.failures(ledger),
        **sections.review(ledger, precisions),
        times=sections.times(ledger, plan),
        weights=sections.weights(tally),
        plan_hash=plan.hash,
        plan_json=json.dumps(json.loads(plan.dumps()), indent=2, ensure_ascii=False),
    )
    write_file(folder / FILE, page)
    return {"items": tally.done, "failed": ledger.counts().get("failed", 0), "finds": tally.count}
