"""Work on weights in the background: fetching and verifying, one after the other, whether a page is open or not."""

import atexit
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Literal

from tools.core.abandon import Stopped, abandonable
from tools.core.errors import SuperlinkError, WeightsUnsafe
from tools.weights import packages, starter, weights
from tools.weights.catalogue import find
from tools.weights.requirements import in_words, is_permissive

Work = Literal["pull", "verify"]
JobState = Literal["waiting", "running", "done", "failed", "stopped"]
_CLOSING = 2.0
"""Seconds that a stopped job has to end when the process ends."""
_ALPHA = 0.3
"""Weight of the newest reading in the mean of the rate."""


@dataclass(frozen=True)
class Job:
    """Work on one entry of the catalogue.

    Attributes:
        id: Of the weights.
        work: "pull" or "verify".
        state: Where it stands.
        done: Bytes so far.
        total: Bytes in all; None where unknown.
        rate: Bytes a second; 0 before two readings.
        message: What went wrong or what was found, as sentences.
    """

    id: str
    work: Work
    state: JobState = "waiting"
    done: int = 0
    total: int | None = None
    rate: float = 0.0
    message: str = ""

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("waiting", "running")

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it is done; None where unknown."""
        return (self.total - self.done) / self.rate if self.total and self.rate else None


class Jobs:
    """Jobs by id of weights, the newest of each; one runs at a time.

    Args:
        after_pull: Called with the id of weights that were just fetched, in the job's thread; what it returns becomes
            the job's message.
    """

    def __init__(self, after_pull: Callable[[str], str] = lambda _: "") -> None:
        self._after_pull = after_pull
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._stops: dict[str, threading.Event] = {}
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True, name="superlink weights")
        self._thread.start()
        atexit.register(self.close)  # so that no registry's client is left behind

    def all(self) -> dict[str, Job]:
        """Return the jobs by id of weights."""
        with self._lock:
            return dict(self._jobs)

    def active(self) -> bool:
        """Return whether any job waits or runs."""
        return any(job.active for job in self.all().values())

    def pull(self, weights_id: str, accept: bool = False) -> None:
        """Fetch weights, and those that they need.

        Args:
            weights_id: An id of the catalogue.
            accept: A person has accepted licence and risk of these weights and of those that they need.

        Raises:
            WeightsMissing: when there are none of this id.
            WeightsUnsafe: when a person has to accept first.
        """
        if not accept and (asked := to_accept(weights_id)):
            raise WeightsUnsafe(f"{', '.join(asked)} have to be accepted first", "Accept them, or choose others")
        for name in [weights_id, *find(weights_id).needs]:
            self._begin(name, "pull")

    def pull_starter(self, accept: bool = False) -> None:
        """Fetch what of the starter set is not here, and choose the set in settings.toml once all of it is.

        Raises:
            WeightsUnsafe: when a licence asks for more than to be named, and it was not accepted.
        """
        missing = [choice.entry for choice in starter.choices() if not choice.here]
        if not accept and (asked := [name for entry in missing for name in to_accept(entry.id)]):
            raise WeightsUnsafe(f"{', '.join(asked)} have to be accepted first", "Accept them")
        for entry in missing:
            self._begin(entry.id, "pull")
        self._queue.put(_choose_starter)

    def verify(self, weights_id: str) -> None:
        """Compare weights with their pinned hash."""
        self._begin(weights_id, "verify")

    def stop(self, weights_id: str) -> None:
        """Stop a job; what was fetched so far is kept where it can be used."""
        with self._lock:
            if (job := self._jobs.get(weights_id)) and job.active:
                self._stops[weights_id].set()
                if job.state == "waiting":
                    self._jobs[weights_id] = replace(job, state="stopped")

    def close(self) -> None:
        """Stop all jobs."""
        for name in self.all():
            self.stop(name)
        ended = threading.Event()
        self._queue.put(ended.set)
        ended.wait(_CLOSING)

    def _begin(self, weights_id: str, work: Work) -> None:
        with self._lock:
            old = self._jobs.get(weights_id)
            if old and old.active:
                return
            stop = threading.Event()
            self._jobs[weights_id], self._stops[weights_id] = Job(weights_id, work), stop
        self._queue.put(lambda: self._run(weights_id, work, stop))

    def _work(self) -> None:
        while True:
            self._queue.get()()

    def _run(self, weights_id: str, work: Work, stop: threading.Event) -> None:
        if stop.is_set():
            return
        self._change(weights_id, state="running")
        try:
            run = self._verify if work == "verify" else self._pull
            self._change(weights_id, state="done", message=abandonable(lambda: run(weights_id), stop))
        except Stopped:
            self._change(weights_id, state="stopped")
        except SuperlinkError as error:
            self._change(weights_id, state="failed", message=str(error))
        except Exception as error:  # shown, so that a job never ends without a word
            self._change(weights_id, state="failed", message=f"{type(error).__name__}: {error}")

    def _pull(self, weights_id: str) -> str:
        last = time.monotonic(), 0

        def progress(done: int, total: int | None) -> None:
            nonlocal last
            now = time.monotonic()
            rate = self.all()[weights_id].rate
            if now - last[0] >= 0.5:
                newest = max(done - last[1], 0) / (now - last[0])
                rate, last = rate + _ALPHA * (newest - rate) if rate else newest, (now, done)
            self._change(weights_id, done=done, total=total, rate=rate)

        with packages.shared():
            weights.pull(weights_id, weights.needs_trust(weights_id), progress)
        return self._after_pull(weights_id)

    @staticmethod
    def _verify(weights_id: str) -> str:
        return f"sha256 {weights.verify(weights_id)[:12]}… is right"

    def _change(self, weights_id: str, **changes: object) -> None:
        with self._lock:
            self._jobs[weights_id] = replace(self._jobs[weights_id], **changes)  # type: ignore[arg-type]


def to_accept(weights_id: str) -> list[str]:
    """Return those of these weights, and of those that they need, that a person must accept before they are fetched.

    Their licence asks for more than to be named, or the file can run code and no hash is pinned.
    """
    return [
        name
        for name in (weights_id, *find(weights_id).needs)
        if not weights.is_here(name) and (not is_permissive(find(name)) or weights.needs_trust(name))
    ]


def progress_in_words(job: Job) -> str:
    """Return how far a job is, such as "12 of 48 MB, 3.1 MB/s, 12 s left"."""
    if job.state == "waiting":
        return "waits for those before it"
    if job.work == "verify":
        return "reading the file"
    total = f" of {in_words(job.total)}" if job.total else ""
    parts = [f"{in_words(job.done)}{total}" if job.done else "asking the source"]
    if job.rate:
        parts.append(f"{in_words(int(job.rate))}/s")
    if job.seconds_left is not None:
        parts.append(f"{job.seconds_left:.0f} s left")
    return ", ".join(parts)


def _choose_starter() -> None:
    """Choose the starter set if all of it is here; the jobs say why where it is not."""
    if all(choice.here for choice in starter.choices()):
        starter.use()
