"""The batch flow against a bare Python loop over the same tools on the same pictures, in one run.

    python benchmarks/batch.py [--items N] [--photos FOLDER] [--rounds N] [--shard N] [--tasks N] [--find LABELS]

The loop opens each picture, finds faces, hides them and writes the picture as a file: nothing is recorded or
resumable. The flow does the same work with ledger, provenance, review and exports. Both have their models loaded,
and take turns shard by shard, so that whatever else the computer does slows both alike. Also: the same command
again on the finished folder, a ledger of 100,000 items that is scanned and resumed, and (with --tasks, which starts
a Prefect server) why a Prefect task is a shard and not a picture.

With --find, things of these labels are found by the starter set's detector and counted, instead of faces hidden; the
loop then writes the boxes as JSON, and the flow COCO.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pictures import FACES, PHOTOS, make

SHARD = 64


class Spent(NamedTuple):
    """Wall-clock and processor time in seconds."""

    clock: float
    processor: float


def now() -> Spent:
    return Spent(time.perf_counter(), time.process_time())


def since(began: Spent) -> Spent:
    return Spent(time.perf_counter() - began.clock, time.process_time() - began.processor)


LABELS: list[str] = []


def plan() -> dict[str, Any]:
    if not LABELS:
        return FACES
    steps = [
        {"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": LABELS}},
        {"id": "s2", "tool": "count", "args": {"regions": "$s1"}},
    ]
    return {"request": "", "steps": steps, "outputs": ["$s2"]}


def loop(files: Sequence[Path], out: Path) -> None:
    from tools.count import count
    from tools.detect import detect
    from tools.redact import redact
    from tools.values import Image

    for at in range(0, len(files) if LABELS else 0, 16):
        images = [Image.open(file) for file in files[at : at + 16]]
        for file, found in zip(files[at : at + 16], detect(images, LABELS), strict=True):
            row = {"count": count(found).value, "boxes": found.xyxy.tolist(), "labels": list(found.labels)}
            (out / f"{file.stem}.json").write_text(json.dumps(row))
    if LABELS:
        return
    for at in range(0, len(files), 16):
        images = [Image.open(file) for file in files[at : at + 16]]
        for file, image, faces in zip(files[at : at + 16], images, detect(images, ["face"]), strict=True):
            (out / f"{file.stem}.png").write_bytes(redact(image, faces).to_bytes())


def flow(source: Path, out: Path, store: Path, shard: int, **more: Any) -> None:
    from agents.plan.plan import Plan
    from flows.annotate import annotate

    formats = ["coco"] if LABELS else ["mirror"]
    summary = annotate(
        "", str(source), out, plan=Plan.load(plan()), pilot=0, shard=shard, store=str(store), formats=formats, **more
    )
    assert not summary.failed and not summary.left, summary


def measure(source: Path, folder: Path, shard: int) -> tuple[Spent, Spent, Spent]:
    """Time of the loop, of the flow, and of the flow repeated, on the same pictures."""
    from flows.batch.job import BatchJob
    from flows.batch.shard import ShardResult

    files = sorted(source.iterdir())
    bare = folder / "loop"
    bare.mkdir(parents=True)
    alone: list[Spent] = []

    def looped(part: Sequence[Path]) -> None:
        began = now()
        loop(part, bare)
        alone.append(since(began))

    def work(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
        for number, ids in enumerate(shards):
            part = files[number * shard : (number + 1) * shard]
            if number % 2:
                looped(part)
            outcome = job.work(ids)
            if not number % 2:
                looped(part)
            yield outcome

    began = now()
    flow(source, folder / "flow", folder / "store", shard, workers=work)
    both = since(began)
    loops = Spent(sum(one.clock for one in alone), sum(one.processor for one in alone))
    began = now()
    flow(source, folder / "flow", folder / "store", shard)
    again = since(began)
    for file in () if LABELS else files:  # or it would not be the same work
        (made,) = (folder / "flow" / "mirror").glob(f"{file.stem}.*")
        assert made.suffix == ".jpg" or made.read_bytes() == (bare / f"{file.stem}.png").read_bytes()
    return loops, Spent(both.clock - loops.clock, both.processor - loops.processor), again


def ledger(folder: Path, count: int) -> tuple[float, float]:
    """Seconds to record a scan, and to record the same scan again and list pending items."""
    from flows.items.run_files import LEDGER
    from flows.items.source import scan
    from flows.ledger.ledger import Ledger

    source = folder / "many"
    source.mkdir()
    for number in range(count):
        (source / f"{number:06}.jpg").touch()
    times = []
    for _ in range(2):
        book = Ledger(folder / LEDGER)
        began = time.perf_counter()
        book.record_scan(scan(str(source)).items)
        pending = book.pending("sig")
        times.append(time.perf_counter() - began)
        book.settle([(number, "done", "", "") for number in pending[: count * 99 // 100]], "sig")
        book.close()
    return times[0], times[1]


def tasks(source: Path, folder: Path) -> tuple[float, float]:
    """Seconds for a run with one Prefect task for each shard, and with one for each picture."""
    from agents.plan.plan import Plan
    from flows.orchestration.server import server

    times = []
    with server():
        from flows.batch.events import Callbacks
        from flows.batch.spec import RunSpec
        from flows.orchestration.flow import run_recorded

        for shard in (SHARD, 1):
            began = time.perf_counter()
            # Finished calls in the store are found by content and arguments: other arguments make the plan run again.
            steps = [
                {**FACES["steps"][0], "args": {**FACES["steps"][0]["args"], "min_score": 0.4 + shard / 1000}},
                FACES["steps"][1],
            ]
            spec = RunSpec(
                source=str(source),
                out=folder / f"tasks{shard}",
                plan=Plan.load({**FACES, "steps": steps}),
                pilot=0,
                shard=shard,
                formats=("mirror",),
            )
            run_recorded(spec, Callbacks())
            times.append(time.perf_counter() - began)
    return times[0], times[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shard", type=int, default=SHARD, help="items worked together; fewer take turns more often")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument(
        "--tasks", type=int, default=0, metavar="N", help="pictures for the comparison of Prefect tasks"
    )
    parser.add_argument("--find", metavar="LABELS", help='such as "person,dog": after superlink models pull starter')
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="superlink-batch-"))
    if given.find:
        LABELS.extend(given.find.split(","))
        os.environ["SUPERLINK_WEIGHTS"] = "starter"
    else:
        os.environ["SUPERLINK_HOME"] = str(folder / "home")
    try:
        make(given.photos, folder / "in", given.items)
        make(given.photos, folder / "warm", 2)
        (folder / "warm out").mkdir()
        loop(sorted((folder / "warm").iterdir()), folder / "warm out")
        flow(folder / "warm", folder / "warm flow", folder / "warm store", SHARD)
        print(
            f"{given.items} pictures, each round  {'loop':>8}{'flow':>8}{'ratio':>8}{'of the processor':>18}"
            f"{'again':>8}{'faster':>8}"
        )
        ratios, faster = [], []
        for number in range(given.rounds):
            bare, ours, again = measure(folder / "in", folder / f"round{number}", given.shard)
            ratios.append(ours.clock / bare.clock)
            faster.append(ours.clock / again.clock)
            print(
                f"{'':<{len(str(given.items))}}                        {bare.clock:>6.1f} s{ours.clock:>6.1f} s"
                f"{ratios[-1]:>8.3f}"
                f"{ours.processor / bare.processor:>18.3f}{again.clock:>6.2f} s{faster[-1]:>7.0f}x",
                flush=True,
            )
            shutil.rmtree(folder / f"round{number}")
        print(f"flow against loop, median: {statistics.median(ratios):.3f}")
        print(f"again on the finished folder, median: {statistics.median(faster):.0f} times faster")
        first, resumed = ledger(folder, 100_000)
        print(f"ledger of 100,000 items: first scan {first:.1f} s, scan and resume {resumed:.1f} s")
        if given.tasks:
            make(given.photos, folder / "few", given.tasks, (300,))
            shards, single = tasks(folder / "few", folder)
            print(
                f"Prefect, {given.tasks} pictures: "
                f"a task for each shard {shards:.1f} s, for each picture {single:.1f} s"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
