"""A run as plain data, so that any process can work shards of it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypedDict

from agents.plan.plan import Plan
from flows.batch.review import ReviewRouting
from flows.batch.shard import RunContext, ShardResult, run_shard
from flows.batch.shard_store import ShardStore
from flows.items.run_files import LEDGER
from flows.ledger.keys import CurrentWeights, signature
from flows.ledger.ledger import Ledger
from tools.core.log import log_to_file
from tools.runtime.registry import load


class JobJson(TypedDict):
    """A `BatchJob` as plain JSON."""

    out: str
    store: str
    tools: list[str]
    routing: str
    signature: str


@dataclass(frozen=True)
class BatchJob:
    """What a process needs to work shards of a run; the plan is in the ledger.

    Attributes:
        out: folder of the run.
        store: address of the values.
        tools: Python files with further tools.
        routing: of detections to review, as JSON text, so that jobs can be hashed.
        signature: of plan, tools and weights when the run began.
    """

    out: str
    store: str
    tools: tuple[str, ...]
    routing: str
    signature: str

    def to_json(self) -> JobJson:
        """All fields, as plain JSON."""
        return {
            "out": self.out,
            "store": self.store,
            "tools": list(self.tools),
            "routing": self.routing,
            "signature": self.signature,
        }

    @classmethod
    def from_json(cls, job: JobJson) -> "BatchJob":
        """A job from what `to_json` returned."""
        return cls(job["out"], job["store"], tuple(job["tools"]), job["routing"], job["signature"])

    def work(self, ids: Sequence[int], on_step: Callable[[str, int], None] | None = None) -> ShardResult:
        """Work items in this process; models and connections stay for the next shard.

        Args:
            ids: numbers of the items.
            on_step: see `run_shard`.
        """
        ledger, run = open_job(self)
        return run_shard(ledger, run, ids, on_step)


class OpenJob(NamedTuple):
    """The ledger of a job, and what its shards share."""

    ledger: Ledger
    context: RunContext


@lru_cache(maxsize=1)
def open_job(job: BatchJob) -> OpenJob:
    """Open the ledger of a job, once for each process."""
    ledger = Ledger(Path(job.out) / LEDGER)
    return OpenJob(ledger, run_context(job, ledger.plan))


def run_context(job: BatchJob, plan: Plan) -> RunContext:
    """What the shards of a job share, for its plan."""
    tools = load(job.tools)
    return RunContext(
        plan,
        tools,
        signature(plan, tools),
        ShardStore(job.store),
        CurrentWeights(),
        ReviewRouting.from_json(json.loads(job.routing)),
    )


def work_shard(job: JobJson, ids: list[int]) -> ShardResult:
    """`BatchJob.work` in a process of its own, which writes to the log file."""
    with log_to_file():
        return BatchJob.from_json(job).work(ids)
