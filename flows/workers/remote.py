"""Shards on other computers: the rows of a shard are sent out with it, and come back with its results.

Several processes of one computer may write a ledger. Several computers may not: SQLite's locks do not hold on network
file systems. So on a cluster only the process that began the run writes.
"""

import glob
import platform
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

from agents.plan.plan import Plan
from flows.batch.job import BatchJob, JobJson, run_context
from flows.batch.shard import RunContext, RunStopped, ShardResult, run_shard
from flows.ledger.file import Facts
from flows.ledger.ledger import Ledger
from flows.ledger.rows import Rows, parse_refs
from tools.storage.store import Store, as_list


class PackedShard(TypedDict):
    """What a shard needs of a ledger: item numbers, facts of the run, rows of the items and of their finished calls."""

    ids: list[int]
    facts: Facts
    rows: Rows


class WorkedShard(TypedDict):
    """What came of a shard: its result, and the rows to write into the ledger."""

    result: ShardResult
    rows: Rows


def pack_shard(ledger: Ledger, ids: Sequence[int]) -> PackedShard:
    """Copy what a shard needs of a ledger.

    Args:
        ledger: of the run.
        ids: numbers of the shard's items.
    """
    facts: Facts = {
        "plan": ledger.plan.to_json(),
        "signature": ledger.text("signature"),
        "source": ledger.text("source"),
        "root": ledger.text("root"),
    }
    return {"ids": list(ids), "facts": facts, "rows": ledger.rows(ids)}


def work_remotely(
    job_json: JobJson, packed: PackedShard, on_step: Callable[[str, int], None] | None = None
) -> WorkedShard:
    """`BatchJob.work` on a packed shard, on another computer; models and connections stay for the next shard.

    Args:
        job_json: of the run.
        packed: see `pack_shard`.
        on_step: see `run_shard`.

    Returns:
        What `merge_shard` writes.

    Raises:
        RunStopped: see `run_shard`; or this computer would give other results, or does not see the source.
    """
    job = BatchJob.from_json(job_json)
    ledger = Ledger(Path(":memory:"))
    try:
        ledger.set_facts(**packed["facts"])
        with ledger.writing():
            ledger.insert(packed["rows"])
        run = _shared(job, ledger.plan.dumps())
        _stop_if_different(job, run, str(packed["facts"]["source"]))
        result = run_shard(ledger, run, packed["ids"], on_step)
        rows = ledger.rows()
        rows["works"] = sorted(set(rows["works"]) - set(packed["rows"]["works"]))
        return {"result": result, "rows": rows}
    finally:
        ledger.close()


def merge_shard(ledger: Ledger, store: Store, worked: WorkedShard) -> ShardResult:
    """Write the rows of a shard into the ledger, in one transaction, and return its result.

    Args:
        ledger: of the run.
        store: where values are, as this computer sees it.
        worked: see `work_remotely`.

    Raises:
        RunStopped: the values are not in the store.
        LedgerError: the ledger cannot be written.
    """
    rows = worked["rows"]
    # One value is enough to distinguish a shared store from a folder that only the other computer has.
    sample = next((ref for row in rows["works"] for ref in as_list(parse_refs(str(row[5])) or [])), None)
    if sample is not None and sample not in store:
        raise RunStopped(
            f"What a worker made is not in the store {store.url} as this computer sees it",
            "Set SUPERLINK_STORE to an address that all computers share, such as s3://bucket/values",
        )
    with ledger.writing():
        ledger.insert(rows)
    return worked["result"]


@lru_cache(maxsize=1)
def _shared(job: BatchJob, plan: str) -> RunContext:
    """As of `run_context`, once for each process."""
    return run_context(job, Plan.load(plan))


def _stop_if_different(job: BatchJob, run: RunContext, source: str) -> None:
    if run.signature != job.signature:
        raise RunStopped(
            f"{platform.node()} has other tools, roles or weights than the computer that began the run",
            "Give both the same environment, settings and weights",
        )
    # Otherwise each item would fail because its file is missing.
    if "://" not in source and not glob.has_magic(source) and not Path(source).exists():
        raise RunStopped(f"{platform.node()} does not see {source}", "Mount it there at the same path, or use a bucket")
