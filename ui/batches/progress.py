"""Progress of runs, read from their ledgers, which are not written.

`Progress` is cheap to ask for every second: nothing is read again before another process has written to the ledger,
and thumbnails are drawn in a small share of the time.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from flows.batch.failures import FailureGroup, group_failures
from flows.batch.pilot import RecordedPilot
from flows.batch.reading import DoneItem
from flows.batch.samples import Viewer, small_jpeg
from flows.batch.shard_store import ShardStore
from flows.batch.status import Pace, RunStatus
from flows.items.run_files import LEDGER
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError
from ui.batches.process import SAME, is_running, last_words, log_tail
from ui.batches.runs import RunRecord
from ui.turns.view import Colour

State = Literal[
    "Starting", "Pilot", "Running", "Stopping", "Waits for you", "Paused", "Stopped", "Cancelled", "Failed", "Done"
]
"""A run's state in words."""

ACTIVE = ("Starting", "Pilot", "Running", "Stopping")
"""States of a run that has a process."""

_COLOURS: dict[State, Colour] = {
    "Stopping": "wait",
    "Waits for you": "wait",
    "Paused": "wait",
    "Stopped": "wait",
    "Cancelled": "wait",
    "Failed": "bad",
    "Done": "good",
}
_THUMBS = 12
_THUMB_SIDE = 200
_SHARE = 0.015  # of the time may go into thumbnails, and as much into grouping failures
_CACHE = 8 << 20  # bytes of values
_OPEN = 16  # ledgers that are kept open


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of an item with what was found drawn on it: a JPEG file; b"" where there is none to show."""

    name: str
    jpeg: bytes = b""
    note: str = ""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        state: In words.
        colour: Of the state.
        request: In words.
        source: Path of the source.
        total: Number of items in the source, without those that are gone.
        done: Of these.
        failed: Of these.
        left: Of these.
        rate: Items a second over the last shards; 0 where not known or not running.
        seconds: Estimated seconds for the items that are left, least and most; None where not known.
        reason: Why it stopped or failed.
        hint: What to do.
        groups: Failures by reason.
        thumbnails: Of the items that were done last, the latest first.
        log: Last lines that the process printed; only for runs that failed.
        at: When the state was noted, in seconds since 1970.
    """

    state: State
    colour: Colour = ""
    request: str = ""
    source: str = ""
    total: int = 0
    done: int = 0
    failed: int = 0
    left: int = 0
    rate: float = 0.0
    seconds: tuple[float, float, float] | None = None
    reason: str = ""
    hint: str = ""
    groups: list[FailureGroup] = field(default_factory=list)
    thumbnails: list[Thumbnail] = field(default_factory=list)
    log: str = ""
    at: float = 0.0


class _Allowance:
    """A share of the time that a piece of work may take."""

    def __init__(self) -> None:
        self._rest = 0.0

    @property
    def left(self) -> bool:
        return time.monotonic() >= self._rest

    @contextmanager
    def used(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            self._rest = now + (now - began) / _SHARE


class Follower:
    """Reads the progress of one run again and again.

    Args:
        folder: Of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ledger: Ledger | None = None
        self._version: object = None
        self._read = Progress("Starting")
        self._status, self._pace = RunStatus(), Pace(0.0, 0)
        self._forecast: tuple[float, int] | None = None
        self._latest: list[int] = []
        self._thumbs: OrderedDict[int, Thumbnail] = OrderedDict()
        self._viewer: tuple[str, Viewer] | None = None
        self._drawing, self._grouping = _Allowance(), _Allowance()
        self._stale = False  # the groups of failures
        self._lock = threading.Lock()

    def look(self, record: RunRecord, thumbnails: bool = True) -> Progress:
        """Return the progress by now.

        Args:
            record: Of the run.
            thumbnails: Whether to draw the items that were done last.
        """
        with self._lock:
            try:
                self._refresh()
            except SuperlinkError as error:
                return Progress("Failed", "bad", reason=error.message, hint=error.hint)
            found = self._stand(record)
            if thumbnails and self._ledger is not None:
                self._draw(found.state in ACTIVE)
                found.thumbnails = [self._thumbs[n] for n in reversed(self._latest) if n in self._thumbs]
            return found

    def close(self) -> None:
        """Close the ledger."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = self._viewer = self._version = None

    def _refresh(self) -> None:
        file = self._folder / LEDGER
        try:
            stat = file.stat()
        except OSError:
            self._close()
            self._status, self._read = RunStatus(), Progress("Starting")
            return
        ledger = self._ledger
        if ledger is None:
            if not stat.st_size:
                return  # it is being made
            ledger = self._ledger = Ledger.open_existing(self._folder, read_only=True)
        version = (stat.st_ino, ledger.version)
        if version == self._version:
            self._group(ledger)
            return
        if self._version is not None and version[0] != self._version[0]:  # type: ignore[index]  # repaired: a new file
            self._close()
            self._refresh()
            return
        counts = ledger.counts()
        done, failed, left = (counts.get(name, 0) for name in ("done", "failed", "left"))
        self._stale = self._stale or failed != self._read.failed
        self._status = RunStatus.read(ledger)
        self._pace = Pace.read(ledger) or Pace(0.0, 0)
        pilot = RecordedPilot.read(ledger)
        self._forecast = None if pilot is None else (pilot.forecast.seconds, pilot.forecast.items)
        latest = ledger.fact("latest")
        self._latest = [n for n in latest if isinstance(n, int)][-_THUMBS:] if isinstance(latest, list) else []
        self._read = Progress(
            "Starting",
            request=ledger.text("request"),
            source=ledger.text("source"),
            total=done + failed + left,
            done=done,
            failed=failed,
            left=left,
            groups=self._read.groups,
        )
        self._group(ledger)
        self._version = version

    def _group(self, ledger: Ledger) -> None:
        if self._stale and self._grouping.left:
            with self._grouping.used():
                self._read.groups = group_failures(ledger)
            self._stale = False

    def _stand(self, record: RunRecord) -> Progress:
        read, status = self._read, self._status
        running = is_running(record)
        state, reason, hint = state_of(record, status, running)
        found = Progress(
            **{
                **read.__dict__,
                "request": read.request or str((record.spec or {}).get("request", "")),
                "source": read.source or str((record.spec or {}).get("source", "")),
                "state": state,
                "colour": _COLOURS.get(state, ""),
                "reason": reason,
                "hint": hint,
                "at": status.at or record.made,
                "log": log_tail(record) if state == "Failed" else "",
                "thumbnails": [],
            }
        )
        if state == "Running":
            found.rate = self._pace.rate
            found.seconds = self._pace.seconds_left(read.left)
            if found.seconds is None and self._forecast and self._forecast[1]:
                seconds = self._forecast[0] / self._forecast[1] * read.left
                found.seconds = (seconds, seconds / 2, seconds * 2)  # one sample: no interval can be told from it
        return found

    def _draw(self, sparing: bool) -> None:
        """Draw missing thumbnails; while a run is at work one at a time, if the last ones left room for it."""
        missing = [number for number in reversed(self._latest) if number not in self._thumbs]
        if not missing or self._ledger is None or (sparing and not self._drawing.left):
            return
        missing = missing[:1] if sparing else missing
        with self._drawing.used(), suppress(SuperlinkError):  # the run may be between two plans
            viewer = self._open_viewer(self._ledger)
            rows = {entry.id: DoneItem(entry, refs) for entry, refs in self._ledger.done(missing)}
            for number in missing:
                if number in rows:
                    self._thumbs[number] = _thumbnail(viewer, rows[number])
        while len(self._thumbs) > 2 * _THUMBS:
            self._thumbs.popitem(last=False)

    def _open_viewer(self, ledger: Ledger) -> Viewer:
        signature = ledger.text("signature")
        if self._viewer is None or self._viewer[0] != signature:
            self._thumbs.clear()
            self._viewer = signature, Viewer(ledger, ShardStore(ledger.text("store"), _CACHE))
        return self._viewer[1]


class Followers:
    """The followers of the runs that were asked for last; all visitors of a run share one."""

    def __init__(self) -> None:
        self._followers: OrderedDict[str, Follower] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, record: RunRecord, thumbnails: bool = True) -> Progress:
        """Return the progress of a run by now."""
        with self._lock:
            follower = self._followers.setdefault(record.id, Follower(record.folder))
            self._followers.move_to_end(record.id)
            old = self._followers.popitem(last=False)[1] if len(self._followers) > _OPEN else None
        if old is not None:
            old.close()
        return follower.look(record, thumbnails)

    def close(self) -> None:
        """Close all ledgers."""
        with self._lock:
            for follower in self._followers.values():
                follower.close()
            self._followers.clear()


def state_of(record: RunRecord, status: RunStatus, running: bool) -> tuple[State, str, str]:
    """Return the state of a run, why it stopped or failed, and what to do.

    Args:
        record: Of the registry.
        status: What its process noted last.
        running: Whether it has a process.
    """
    # Noted by the process that was started last, or by a later one of somebody else.
    fresh = status.pid == record.pid or status.began > record.started + SAME
    if running:
        if record.asked in ("pause", "cancel") and (not fresh or status.pid == record.pid):
            return "Stopping", "", "It ends after what it has in hand; what is done is kept"
        if not fresh or status.stage in ("", "done", "stopped", "failed"):
            return "Starting", "", ""
        return ("Pilot" if status.stage == "pilot" else "Running"), "", ""
    if not status.stage and not record.pid:
        return "Stopped", "Nothing was worked on yet", "Go on with Resume"
    if not fresh or status.stage in ("", "pilot", "working", "exporting"):
        if record.asked == "pause":
            return "Paused", "", "Resume goes on where it stopped"
        if record.asked == "cancel":
            return "Cancelled", "", "What is done is kept"
        said = last_words(record) if not fresh else ""
        killed = "Its process ended without a word; it may have been killed"
        return "Failed", said or killed, "" if said else "What is done is kept: Resume goes on"
    if status.stage == "stopped":
        if record.asked == "cancel":
            return "Cancelled", "", "What is done is kept"
        if status.reason:
            return "Stopped", status.reason, "Resume goes on where it stopped"
        return "Paused", "", "Resume goes on where it stopped"
    if status.stage == "failed":
        return "Failed", status.reason, status.hint
    return ("Done" if status.stage == "done" else "Waits for you"), "", ""


def _thumbnail(viewer: Viewer, row: DoneItem) -> Thumbnail:
    try:
        picture = viewer.picture(row)
        note = "" if picture is not None else next(viewer.texts(row), "")
        jpeg = b"" if picture is None else small_jpeg(picture, _THUMB_SIDE)[0]
    except SuperlinkError as error:
        return Thumbnail(row.name, note=error.message)
    return Thumbnail(row.name, jpeg, note)
