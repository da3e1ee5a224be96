"""One run as one person reviews it."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.examples.use import Examples
from flows.batch.corrections import correct, correction
from flows.batch.review import is_taught, teach
from flows.batch.shard_store import ShardStore
from flows.ledger.ledger import Ledger
from flows.ledger.review_pages import Entry, Filter
from tools.core.errors import SuperlinkError
from tools.core.settings import settings
from tools.engines import outlining
from tools.values import Transcript
from tools.values.transcript import Segment
from ui.access.links import file_url
from ui.reviews.corrections import Corrections, changes, editor, with_words, words
from ui.reviews.decisions import Decisions
from ui.reviews.figures import Figures, figures
from ui.reviews.found import Finder, Found, NotShown
from ui.reviews.pictures import Pictures
from ui.reviews.pointing import Points, outlined
from ui.reviews.queue import Place, Queue
from ui.shapes.contract import Outlined, Shapes

_CACHE = 64 << 20
_LOOKS = 64
_STRIP = (90, 640)  # of what stands for a picture where there is none


@dataclass(frozen=True)
class Look:
    """What is shown of a find.

    Attributes:
        entry: The find.
        place: Where it is in the queue.
        shapes: Its picture with everything that was found in it.
        segment: Of a transcript, with corrections applied.
        sound: Address of the recording that was transcribed, from where the segment begins.
        said: Why something is missing.
    """

    entry: Entry
    place: Place
    shapes: Shapes
    segment: Segment | None = None
    sound: str = ""
    said: str = ""


@dataclass(frozen=True)
class Neighbour:
    """A find beside the one that is shown; `picture` is the address of a small picture, or ""."""

    entry: Entry
    picture: str


@dataclass(frozen=True)
class Strip:
    """Neighbours of a find, and addresses of the pictures that come next."""

    neighbours: list[Neighbour] = field(default_factory=list)
    upcoming: list[str] = field(default_factory=list)


class Desk:
    """One run as one person reviews it. All methods may be called from several threads.

    Args:
        folder: Of the run.
        who: Name of the person.
        pictures: Folder of pictures for the browser.
        examples: Of the person, that the planner sees; None where they are switched off.

    Raises:
        SuperlinkError: when there is no run, or its ledger cannot be read.
    """

    def __init__(self, folder: Path, who: str, pictures: Path, examples: Examples | None = None) -> None:
        self.folder, self.who, self._examples = folder, who, examples
        self._lock = threading.RLock()
        self._ledger = Ledger.open_existing(folder)
        self._store = ShardStore(self._ledger.text("store") or settings().store_url, _CACHE)
        self._pictures, self._finder = Pictures(pictures, self._store), Finder(self._ledger, self._store)
        self._labels: list[str] = []
        self._led_to: dict[int, int] = {}
        self._last_base = 0
        self._queue, self._decisions = Queue(self._ledger), Decisions(self._ledger, who)

    def once(self, base: int, act: Callable[[], int]) -> int:
        """Do what leads from one look at a find to the next, once.

        A key that is pressed before the next picture is seen is no second word on this one.

        Args:
            base: Of the look; see `key_of`.
            act: Returns the number of the find that is shown next.

        Returns:
            The same number each time.
        """
        with self._lock:
            if base not in self._led_to:
                self._led_to[base] = act()
                for old in list(self._led_to)[:-_LOOKS]:
                    del self._led_to[old]
            return self._led_to[base]

    def close(self) -> None:
        """Close the ledger."""
        with self._lock:
            self._ledger.close()

    # Ways through the queue

    def first(self, which: Filter) -> int | None:
        """Return the number of the first find that is open, or else of the first."""
        with self._lock:
            return _number(self._queue.first(which))

    def step(self, number: int, which: Filter, way: str) -> int | None:
        """Return the number of the "next", "previous" or next "open" find; None where there is none."""
        queue = self._queue
        ways = {"next": queue.next, "previous": queue.previous, "open": queue.next_open}
        with self._lock:
            return _number(ways[way](self._entry(number), which))

    def labels(self) -> list[str]:
        """Return all labels in the queue."""
        with self._lock:
            self._labels = self._queue.labels()
            return self._labels

    def figures(self) -> Figures:
        """Return the figures of the run."""
        with self._lock:
            return figures(self._ledger, self.who)

    # Looking

    def look(self, number: int, which: Filter, keys: Mapping[str, str], commands: Mapping[str, str]) -> Look:
        """Return what is shown of a find.

        Args:
            number: Of the find.
            which: Which finds are gone through.
            keys: Of the editor; see `Shapes`.
            commands: See `Shapes`.

        Raises:
            NotShown: when it is not in the queue any more.
        """
        with self._lock:
            entry = self._entry(number)
            place = self._queue.place(entry, which)
            labels = self._labels or self.labels()
            corrections = self._corrections(entry)
        key = json.dumps({"run": str(self.folder), "find": number, "base": self._base()})
        options: dict[str, Any] = {"labels": labels, "keys": keys, "commands": commands}
        try:
            found = self._found(entry)
            size, picture = _STRIP, ""
            if found.source is not None and found.source["kind"] in ("Image", "Video"):
                summary = found.source["summary"]
                size = summary["height"], summary["width"]
                picture = file_url(self._pictures.picture(found.source, found.frame))
            shapes = editor(
                found.value,
                corrections,
                picture,
                entry.name,
                size,
                entry.place,
                key,
                found.frame,
                outlines=outlining.is_here(),
                **options,
            )
            return Look(entry, place, shapes, *self._heard(entry, found, corrections))
        except SuperlinkError as error:
            nothing = Transcript(())
            shapes = editor(nothing, {}, "", entry.name, _STRIP, entry.place, key, **options)
            return Look(entry, place, shapes, said=f"This cannot be shown: {error}")

    def strip(self, number: int, which: Filter) -> Strip:
        """Return the neighbours of a find with small pictures, which are made now, and what comes next."""
        with self._lock:
            place = self._queue.place(self._entry(number), which)
        upcoming: list[str] = []
        here = next(n for n, one in enumerate(place.neighbours) if one.id == number)
        small: dict[int, str] = {}
        for n, entry in sorted(
            enumerate(place.neighbours), key=lambda one: (one[0] - here - 1) ** 2
        ):  # next ones first
            try:
                found = self._found(entry)
                source = found.source
                if source is not None and source["kind"] in ("Image", "Video"):
                    summary = source["summary"]
                    if n - here in (1, 2):
                        upcoming.append(file_url(self._pictures.picture(source, found.frame)))
                    box = found.box(entry.place)
                    if box is not None:
                        size = summary["height"], summary["width"]
                        small[entry.id] = file_url(self._pictures.thumbnail(source, found.frame, box, size))
            except SuperlinkError:
                continue  # why is said when it is its turn
        return Strip([Neighbour(one, small.get(one.id, "")) for one in place.neighbours], upcoming)

    def outline(self, number: int, points: Points, serial: int) -> Outlined:
        """Outline the thing in the picture of a find at which a person points.

        Args:
            number: Of the find.
            points: Where the person points.
            serial: Of the question; see `Outlined`.

        Raises:
            SuperlinkError: when the find cannot be shown.
        """
        with self._lock:
            found = self._found(self._entry(number))
        return outlined(found, self._store, points, serial)

    # Deciding

    def save(self, shapes: Mapping[str, Any], undone: bool = False) -> bool:
        """Keep what a person changed in the picture of a find; return whether something was changed.

        Args:
            shapes: Value of the component.
            undone: Whether the last thing was taken back, which may have been that the find was deleted.

        Raises:
            SuperlinkError: when a shape cannot be, or the find is not in the queue any more.
        """
        number, base = key_of(shapes)
        with self._lock:
            entry = self._entry(number)
            known = self._corrections(entry)
            if not known and not any(shape.get("state") for shape in shapes["shapes"]):
                return False
            found = self._found(entry)
            changed = changes(shapes, found.value, known, base, found.frame)
            if isinstance(found.value, Transcript):
                changed = {place: with_words(place, one, known.get(place)) for place, one in changed.items()}
                changed = {place: one for place, one in changed.items() if one != known.get(place)}
            own = known.get(entry.place)
            if own is not None and own.rejected and not undone and changed.get(entry.place, own) is None:
                del changed[entry.place]  # a find that was rejected before is shown nevertheless
            if changed:
                self._decisions.correct(entry, found.value, changed)
            return bool(changed)

    def save_words(self, number: int, text: str, start: float | None, end: float | None) -> bool:
        """Keep other words and times of a segment; return whether something was changed.

        Raises:
            SuperlinkError: when they cannot be, or the find is not in the queue any more.
        """
        with self._lock:
            entry = self._entry(number)
            found, known = self._found(entry), self._corrections(entry).get(entry.place)
            if not isinstance(found.value, Transcript):
                return False
            wanted = words(found.value, entry.place, known, text, start, end)
            rejected = known is not None and known.rejected and wanted is None
            if wanted == known or rejected:
                return False
            self._decisions.correct(entry, found.value, {entry.place: wanted})
            return True

    def accept(self, number: int) -> str:
        """Say that a find is right as it is shown; return the verdict."""
        with self._lock:
            return self._decisions.accept(self._entry(number))

    def fix(self, number: int) -> str:
        """Say that a find is right with the changes; return the verdict.

        Raises:
            SuperlinkError: when nothing was changed.
        """
        with self._lock:
            entry = self._entry(number)
            if entry.verdict == "rejected" and self._decisions.changed(entry):
                self._decisions.reject(entry)
                return "rejected"
            if entry.verdict != "corrected" and not self._decisions.changed(entry):
                raise NotShown(
                    "Nothing was changed here", "Change a shape or its label first, or accept the find as it is"
                )
            return self._decisions.accept(entry)

    def reject(self, number: int) -> None:
        """Say that nothing is there."""
        with self._lock:
            self._decisions.reject(self._entry(number))

    def undo(self) -> int | None:
        """Take the last step back; return the number of its find, or None."""
        with self._lock:
            return self._decisions.undo()

    def redo(self) -> int | None:
        """Do again what was taken back; return the number of its find, or None."""
        with self._lock:
            return self._decisions.redo()

    def is_taught(self) -> bool:
        """Return whether the run's plan is an example of the person's own.

        Raises:
            SuperlinkError: when it cannot be one.
        """
        with self._lock:
            return is_taught(self._ledger, self._examples)

    def teach(self, wanted: bool) -> None:
        """Keep the run's plan as an example for the planner, or no longer.

        Raises:
            SuperlinkError: when that cannot be.
        """
        with self._lock:
            teach(self._ledger, self._examples, wanted)

    def _base(self) -> int:
        """Return a number that no other look has: the time in microseconds."""
        with self._lock:
            self._last_base = max(self._last_base + 1, time.time_ns() // 1000)
            return self._last_base

    def _entry(self, number: int) -> Entry:
        entry = self._queue.entry(number)
        if entry is None:
            raise NotShown("This find is no longer in the queue", "Choose the run again")
        return entry

    def _corrections(self, entry: Entry) -> Corrections:
        return {
            one.place: correction(one)
            for one in self._ledger.review.corrections(entry.item)
            if (one.step, one.sha256) == (entry.step, entry.sha256)
        }

    def _found(self, entry: Entry) -> Found:
        with self._lock:
            return self._finder.find(entry)

    def _heard(self, entry: Entry, found: Found, corrections: Corrections) -> tuple[Segment | None, str]:
        """Return the segment of a transcript, and the address of its recording."""
        if not isinstance(found.value, Transcript):
            return None, ""
        shown = {place: one for place, one in corrections.items() if not one.rejected}
        value = correct(found.value, shown).value
        assert isinstance(value, Transcript)
        segment = value.segments[entry.place]
        if found.source is None or found.source["kind"] == "Image" or segment.start is None:
            return segment, ""
        return segment, f"{file_url(self._pictures.recording(found.source))}#t={segment.start:.2f},{segment.end:.2f}"


def key_of(shapes: Mapping[str, Any]) -> tuple[int, int]:
    """Return the number of the find in a value of the component, and the base of positions of new shapes.

    Raises:
        NotShown: when it has none.
    """
    try:
        facts = json.loads(shapes["key"])
        return int(facts["find"]), int(facts["base"])
    except (ValueError, KeyError, TypeError) as error:
        raise NotShown("There is no find to judge", "Choose a run") from error


def run_of(shapes: Mapping[str, Any] | None) -> str:
    """Return the folder of the run in a value of the component; "" for none."""
    try:
        return str(json.loads((shapes or {})["key"])["run"])
    except (ValueError, KeyError, TypeError):
        return ""


def _number(entry: Entry | None) -> int | None:
    return None if entry is None else entry.id
