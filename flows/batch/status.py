"""How a run stands and how fast it works, as its own process notes it in the ledger for those who look on.

A process that is killed notes nothing more: whether a run is at work is told by the lock on its folder
(`flows.batch.folder_lock.is_locked`), not by the stage.
"""

import math
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from flows.items.run_files import LEDGER
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError

Stage = Literal["", "pilot", "waiting", "working", "exporting", "done", "stopped", "failed"]
"""What a run does, or how it ended. "waiting": for approval. "stopped": before its time, on request or by its budget.
"": nothing was noted."""

_POINTS = 40
_LATEST = 12
_Z = 1.96  # of the normal distribution, for 95 %


@dataclass(frozen=True)
class RunStatus:
    """How a run stands.

    Attributes:
        stage: what it does, or how it ended.
        reason: why it stopped or failed.
        hint: what to do.
        pid: number of its process.
        began: when that process began to work, in seconds since 1970.
        at: when this was noted.
    """

    stage: Stage = ""
    reason: str = ""
    hint: str = ""
    pid: int = 0
    began: float = 0.0
    at: float = 0.0

    @classmethod
    def read(cls, ledger: Ledger) -> "RunStatus":
        """The status in a ledger."""
        facts = ledger.fact("status")
        try:
            return cls(**facts) if isinstance(facts, dict) else cls()  # type: ignore[arg-type]
        except TypeError:  # of another version
            return cls()


@dataclass
class Pace:
    """When the last shards ended.

    Attributes:
        began: when the work began, in seconds since 1970.
        total: number of items to work on.
        points: time, and number of items that had ended by then.
    """

    began: float
    total: int
    points: list[tuple[float, int]] = field(default_factory=list)

    @classmethod
    def read(cls, ledger: Ledger) -> "Pace | None":
        """The pace in a ledger; None before the work began."""
        facts: Any = ledger.fact("pace")
        try:
            return cls(facts["began"], facts["total"], [(at, count) for at, count in facts["points"]])
        except (TypeError, KeyError, ValueError):
            return None

    def add(self, ended: int) -> None:
        """Note that a shard ended; `ended` is the number of items by now."""
        self.points = [*self.points, (time.time(), ended)][-_POINTS:]

    @property
    def rate(self) -> float:
        """Items a second over the last shards; 0 before the first ended."""
        (first, before), (last, ended) = self._ends()
        return (ended - before) / (last - first) if last > first else 0.0

    def seconds_left(self, left: int) -> tuple[float, float, float] | None:
        """Estimated seconds for the items that are left, with its 95 % interval.

        The spread is that of the seconds an item took in each of the last shards.

        Args:
            left: number of items.

        Returns:
            Estimate, least and most; None before two shards ended.
        """
        points = [(self.began, 0), *self.points] if len(self.points) < _POINTS else self.points
        paces = [(b[0] - a[0]) / (b[1] - a[1]) for a, b in pairwise(points) if b[1] > a[1]]
        if len(paces) < 2 or not self.rate:
            return None
        mean = 1 / self.rate
        reach = _Z * statistics.stdev(paces) / math.sqrt(len(paces))
        return left * mean, left * max(mean - reach, 0.0), left * (mean + reach)

    def _ends(self) -> tuple[tuple[float, int], tuple[float, int]]:
        start = (self.began, 0) if len(self.points) < _POINTS else self.points[0]
        return start, self.points[-1] if self.points else start


@dataclass
class StatusNotes:
    """Writes the status of a run of this process.

    Attributes:
        ledger: of the run.
        began: when this process began to work.
    """

    ledger: Ledger
    began: float = field(default_factory=time.time)
    pace: Pace | None = None

    def stage(self, stage: Stage, reason: str = "", hint: str = "") -> None:
        """Note what the run does now, or how it ended."""
        status = RunStatus(stage, reason, hint, os.getpid(), self.began, time.time())
        self.ledger.set_facts(status=asdict(status))

    def begin(self, total: int) -> None:
        """Note that work on items begins."""
        self.pace = Pace(time.time(), total)
        self.stage("working")
        self.ledger.set_facts(pace=asdict(self.pace))

    def shard_ended(self, ended: int, done: Sequence[int]) -> None:
        """Note that a shard ended.

        Args:
            ended: number of items by now.
            done: numbers of the items of the shard that are done.
        """
        assert self.pace is not None
        self.pace.add(ended)
        self.ledger.set_facts(pace=asdict(self.pace), latest=self._latest(done))

    def pilot_ended(self, done: Sequence[int]) -> None:
        """Note that the items of a pilot are worked; `done` are their numbers."""
        self.ledger.set_facts(latest=self._latest(done))

    def _latest(self, done: Sequence[int]) -> list[int]:
        before = self.ledger.fact("latest")
        latest = [number for number in before if isinstance(number, int)] if isinstance(before, list) else []
        return [*(number for number in latest if number not in done), *done][-_LATEST:]


@contextmanager
def end_noted(out: Path) -> Iterator[None]:
    """Note an error that ends a run in its ledger, if there is one; one that waits for approval goes on to wait."""
    began = time.time()
    try:
        yield
    except BaseException as error:
        with suppress(SuperlinkError, OSError):
            _note_end(out, error, began)
        raise


def _note_end(out: Path, error: BaseException, began: float) -> None:
    if not (out / LEDGER).is_file():
        return
    ledger = Ledger(out / LEDGER)
    try:
        before = RunStatus.read(ledger)
        if before.stage == "waiting" and before.pid == os.getpid() and before.began >= began:
            return
        notes = StatusNotes(ledger, began)
        if isinstance(error, SuperlinkError):
            notes.stage("failed", error.message, error.hint)
        elif isinstance(error, Exception):
            notes.stage("failed", f"{type(error).__name__}: {error}")
        else:
            notes.stage("stopped")
    finally:
        ledger.close()
