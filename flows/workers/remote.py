"""A shard worked where the run's ledger cannot be: its rows go out with it and come back with what was done.

Several processes of one computer may write a ledger. Several computers may not: SQLite's locks do not hold on a network's
file system. So on a cluster only the process that began the run writes.
"""

import glob
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.plan.plan import Plan
from agents.session.state import listed
from flows.batch.job import BatchJob, run_context
from flows.batch.shard import RunContext, RunStopped, ShardResult, run_shard
from flows.ledger.ledger import Ledger
from flows.ledger.rows import Rows, parse_refs
from tools.storage.store import Store

_FACTS = ("plan", "signature", "source", "root")


def pack_shard(ledger: Ledger, ids: Sequence[int]) -> dict[str, Any]:
    """Copy what a shard needs of a ledger: its items, and the work that was finished on them before.

    Returns:
        Plain data for `work_remotely`.
    """
    return {"ids": list(ids), "facts": {name: ledger.fact(name) for name in _FACTS}, "rows": ledger.rows(ids)}


def work_remotely(
    facts: dict[str, Any], packed: dict[str, Any], on_step: Callable[[str, int], None] | None = None
) -> dict[str, Any]:
    """`BatchJob.work` on what `pack_shard` copied, for other computers; models and connections stay for the next shard.

    Args:
        facts: of the job.
        packed: what `pack_shard` gave.
        on_step: as of `run_shard`.

    Returns:
        Plain data for `merge_shard`.

    Raises:
        RunStopped: as `run_shard`; when this computer would give other results or does not see the source.
    """
    job = BatchJob.from_json(facts)
    ledger = Ledger(Path(":memory:"))
    try:
        ledger.set_facts(**packed["facts"])
        with ledger.writing():
            ledger.insert(packed["rows"])
        run = _shared(job, ledger.plan.dumps())
        _stop_if_different(job, run, str(packed["facts"]["source"]))
        outcome = run_shard(ledger, run, packed["ids"], on_step)
        rows = ledger.rows()
        rows["works"] = sorted(set(rows["works"]) - set(packed["rows"]["works"]))
        return {"outcome": asdict(outcome), "rows": rows}
    finally:
        ledger.close()


def merge_shard(ledger: Ledger, store: Store, done: dict[str, Any]) -> ShardResult:
    """Write what came back of a shard, all of it or nothing.

    Args:
        ledger: of the run.
        store: where values are, as this computer sees it.
        done: what `work_remotely` gave.

    Raises:
        RunStopped: when the values are not in the store.
        LedgerError: when the ledger cannot be written.
    """
    outcome = ShardResult(**done["outcome"])
    rows: Rows = done["rows"]
    # One value is enough to tell a shared store from a folder that only the other computer has.
    made = next((ref for row in rows["works"] for ref in listed(parse_refs(str(row[5])) or [])), None)
    if made is not None and made not in store:
        raise RunStopped(
            f"What a worker made is not in the store {store.url} as this computer sees it",
            "Set SUPERLINK_STORE to an address that all computers share, such as s3://bucket/values",
        )
    with ledger.writing():
        ledger.insert(rows)
    return outcome


@lru_cache(maxsize=1)
def _shared(job: BatchJob, plan: str) -> RunContext:
    """What a job's shards share, once for each process."""
    return run_context(job, Plan.load(plan))


def _stop_if_different(job: BatchJob, run: RunContext, source: str) -> None:
    if run.signature != job.signature:
        raise RunStopped(
            f"{platform.node()} has other tools, roles or weights than the computer that began the run",
            "Give both the same environment, settings and weights",
        )
    # Without this, each item would be noted as failed because its file is missing.
    if "://" not in source and not glob.has_magic(source) and not Path(source).exists():
        raise RunStopped(f"{platform.node()} does not see {source}", "Mount it there at the same path, or use a bucket")
