"""A run as plain data, so that any process can take a part of it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.plan.plan import Plan
from flows.batch.review import Routing
from flows.batch.shard import Outcome, Run, run_shard
from flows.batch.shard_store import Desk
from flows.ledger.keys import Present, signature
from flows.ledger.ledger import FILE, Ledger
from tools.core.log import kept
from tools.runtime.registry import load


@dataclass(frozen=True)
class Job:
    """What a process needs to work on a run; the plan is in the ledger.

    Attributes:
        out: folder of the run.
        store: address of the values.
        tools: Python files with further tools.
        routing: what goes to review, as JSON.
        signature: of plan, tools and weights when the run began.
    """

    out: str
    store: str
    tools: tuple[str, ...]
    routing: str
    signature: str

    def facts(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "Job":
        """From what `facts` gave."""
        return cls(**{**facts, "tools": tuple(facts["tools"])})

    def work(self, ids: Sequence[int], told: Callable[[str, int], None] | None = None) -> Outcome:
        """Bring items to their end in this process; models and connections stay for the next shard."""
        ledger, run = opened(self)
        return run_shard(ledger, run, ids, told)


@lru_cache(maxsize=1)
def opened(job: Job) -> tuple[Ledger, Run]:
    """The job's ledger and what its shards share, once for each process."""
    ledger = Ledger(Path(job.out) / FILE)
    return ledger, shared(job, ledger.plan)


def shared(job: Job, plan: Plan) -> Run:
    """What the shards of a job share."""
    tools = load(job.tools)
    return Run(plan, tools, signature(plan, tools), Desk(job.store), Present(), Routing.of(json.loads(job.routing)))


def work_shard(facts: dict[str, Any], ids: list[int]) -> dict[str, Any]:
    """`Job.work` with plain data in and out, for other processes and machines."""
    with kept():
        return asdict(Job.of(facts).work(ids))
