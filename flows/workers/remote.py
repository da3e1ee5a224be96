"""A shard worked where the run's ledger cannot be: its rows go out with it and come back with what was done.

Several processes of one computer may write a ledger. Several computers may not: SQLite's locks do not hold on a network's
file system. So on a cluster only the process that began the run writes.
"""

import glob
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.plan.plan import Plan
from agents.session.state import listed
from flows.batch.job import Job, shared
from flows.batch.shard import Outcome, Run, RunStopped, run_shard
from flows.ledger.ledger import Ledger
from flows.ledger.rows import Rows
from tools.storage.store import Store

_FACTS = ("plan", "signature", "source", "root")


def lend(ledger: Ledger, ids: Sequence[int]) -> dict[str, Any]:
    """Copy what a shard needs of a ledger: its items, and the work that was finished on them before.

    Returns:
        Plain data for `work_apart`.
    """
    return {"ids": list(ids), "facts": {name: ledger.fact(name) for name in _FACTS}, "rows": ledger.rows(ids)}


def work_apart(
    facts: dict[str, Any], lent: dict[str, Any], told: Callable[[str, int], None] | None = None
) -> dict[str, Any]:
    """`Job.work` on what `lend` copied, for other computers; models and connections stay for the next shard.

    Args:
        facts: of the job.
        lent: what `lend` gave.
        told: as of `run_shard`.

    Returns:
        Plain data for `take_back`.

    Raises:
        RunStopped: as `run_shard`; when this computer would give other results or does not see the source.
    """
    job = Job.of(facts)
    ledger = Ledger(Path(":memory:"))
    try:
        ledger.note(**lent["facts"])
        with ledger.writing():
            ledger.insert(lent["rows"])
        run = _shared(job, ledger.plan.dumps())
        _stop_if_different(job, run, str(lent["facts"]["source"]))
        outcome = run_shard(ledger, run, lent["ids"], told)
        rows = ledger.rows()
        rows["works"] = sorted(set(rows["works"]) - set(lent["rows"]["works"]))
        return {"outcome": asdict(outcome), "rows": rows}
    finally:
        ledger.close()


def take_back(ledger: Ledger, store: Store, done: dict[str, Any]) -> Outcome:
    """Write what came back of a shard, all of it or nothing.

    Args:
        ledger: of the run.
        store: where values are, as this computer sees it.
        done: what `work_apart` gave.

    Raises:
        RunStopped: when the values are not in the store.
        LedgerError: when the ledger cannot be written.
    """
    outcome = Outcome(**done["outcome"])
    rows: Rows = done["rows"]
    # One value is enough to tell a shared store from a folder that only the other computer has.
    made = next((ref for row in rows["works"] for ref in listed(json.loads(row[5]))), None)
    if made is not None and made not in store:
        raise RunStopped(
            f"What a worker made is not in the store {store.url} as this computer sees it",
            "Set SUPERLINK_STORE to an address that all computers share, such as s3://bucket/values",
        )
    with ledger.writing():
        ledger.insert(rows)
    return outcome


@lru_cache(maxsize=1)
def _shared(job: Job, plan: str) -> Run:
    """What a job's shards share, once for each process."""
    return shared(job, Plan.load(plan))


def _stop_if_different(job: Job, run: Run, source: str) -> None:
    if run.signature != job.signature:
        raise RunStopped(
            f"{platform.node()} has other tools, roles or weights than the computer that began the run",
            "Give both the same environment, settings and weights",
        )
    # Without this, each item would be noted as failed because its file is missing.
    if "://" not in source and not glob.has_magic(source) and not Path(source).exists():
        raise RunStopped(f"{platform.node()} does not see {source}", "Mount it there at the same path, or use a bucket")
