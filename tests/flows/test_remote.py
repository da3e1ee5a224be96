"""Shards worked by processes that have no ledger of the run."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from flows.batch.job import BatchJob, open_job
from flows.batch.review import ReviewRouting, queue, resolve
from flows.batch.shard import RunStopped, ShardResult
from flows.items.run_files import LEDGER
from flows.ledger.ledger import Ledger
from flows.workers.remote import merge_shard, pack_shard, work_remotely
from tests.flows.conftest import DARKEN, FIND, Run, read_files
from tools.storage.store import Store

FORMATS = ["jsonl", "coco", "mirror"]


def without_folder(job: BatchJob) -> dict[str, Any]:
    """A job as another computer sees it, which has no folder of the run."""
    return {**job.to_json(), "out": "/nowhere"}


def apart(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
    ledger, store = open_job(job)[0], Store(job.store)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for done in pool.map(work_remotely, repeat(without_folder(job)), [pack_shard(ledger, ids) for ids in shards]):
            yield merge_shard(ledger, store, done)


def test_exports_queue_and_failures_are_the_same(run: Run, pictures: Path, tmp_path: Path) -> None:
    routing = ReviewRouting(audit=0.5)
    one = run(pictures, DARKEN, formats=FORMATS, routing=routing, shard=4)
    two = run(
        pictures,
        DARKEN,
        formats=FORMATS,
        routing=routing,
        shard=4,
        workers=apart,
        out=tmp_path / "apart",
        store=str(tmp_path / "store apart"),
    )
    assert (two.ran, two.done, two.failures) == (24, 12, one.failures) and len(two.failures) == 3
    exports = read_files(tmp_path / "out", FORMATS)
    assert read_files(tmp_path / "apart", FORMATS) == exports and len(exports) > 12
    queues = [sorted(question[1:6] for question in queue(Ledger(tmp_path / out / LEDGER))) for out in ("out", "apart")]
    assert queues[0] == queues[1] and queues[0]


def test_what_was_done_before_goes_with_the_shard(run: Run, pictures: Path, tmp_path: Path, log: Path) -> None:
    run(pictures, FIND, routing=ReviewRouting(audit=0.5))
    ledger = Ledger.open_existing(tmp_path / "out")
    first = next(queue(ledger)).id
    resolve(ledger, first, "rejected")
    log.write_text("")
    summary = run(pictures, DARKEN, workers=apart, shard=4)
    assert (summary.ran, summary.cached) == (12, 12) and "darken" in log.read_text() and "bright" not in log.read_text()
    # Verdicts that people gave stay as they are.
    assert [one.verdict for one in queue(ledger, everything=True) if one.id == first] == ["rejected"]
    assert run(pictures, DARKEN, workers=apart).ran == 0


def test_a_store_that_only_the_worker_has(run: Run, pictures: Path, tmp_path: Path) -> None:
    def elsewhere(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
        ledger, store = open_job(job)[0], Store(job.store)
        for ids in shards:
            done = work_remotely(
                {**without_folder(job), "store": str(tmp_path / "only there")}, pack_shard(ledger, ids)
            )
            yield merge_shard(ledger, store, done)

    with pytest.raises(RunStopped, match="SUPERLINK_STORE"):
        run(pictures, workers=elsewhere)
    assert Ledger.open_existing(tmp_path / "out").counts() == {"left": 15}


@pytest.mark.parametrize("change", ["weights", "source"])
def test_a_computer_that_is_not_like_the_first_one(run: Run, pictures: Path, tmp_path: Path, change: str) -> None:
    def other(job: BatchJob, shards: Sequence[list[int]]) -> Iterator[ShardResult]:
        ledger, seen = open_job(job)[0], without_folder(job)
        for ids in shards:
            packed = pack_shard(ledger, ids)
            if change == "weights":
                seen["signature"] = "that of other weights"
            else:
                packed["facts"]["source"] = "/not/mounted"
            yield merge_shard(ledger, Store(job.store), work_remotely(seen, packed))

    with pytest.raises(
        RunStopped, match="other tools, roles or weights" if change == "weights" else "does not see /not/mounted"
    ):
        run(pictures, workers=other)
    assert Ledger.open_existing(tmp_path / "out").counts() == {"left": 15}
