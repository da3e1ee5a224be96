"""The results of a run as exports, review and contact sheets read them: done items, their values, people's verdicts."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from agents.plan.interpreter import uses
from agents.plan.plan import reference, unescape
from flows.batch.corrections import REVIEWED, Corrected, Correction, correct, correction
from flows.ledger.ledger import Ledger
from flows.ledger.rows import LedgerItem
from tools.core.errors import StoreError, SuperlinkError
from tools.storage.store import Ref, Refs, Store, as_list
from tools.values import Detections, Poses, Value

LOCATION_KINDS = ("Detections", "Poses")


class SourceChanged(SuperlinkError):
    """A file of the source is missing, or was changed since the run."""


@dataclass(frozen=True)
class DoneItem:
    """One item that is done.

    Attributes:
        entry: its row in the ledger, with its content.
        refs: step to its results.
    """

    entry: LedgerItem
    refs: dict[str, Refs]

    @property
    def name(self) -> str:
        """Name of the item within the source."""
        return self.entry.name

    @property
    def ref(self) -> Ref:
        """Content of the item."""
        assert self.entry.ref is not None  # an item that is done was opened
        return self.entry.ref

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a picture or video in pixels, (0, 0) of a sound."""
        summary = self.ref["summary"]
        return int(summary.get("height", 0)), int(summary.get("width", 0))


class Located(NamedTuple):
    """Detections or poses in an item: the step, the value, and for each row whether a person changed or added it."""

    step: str
    value: Detections | Poses
    human: tuple[bool, ...]


class Reading:
    """The results of a run, with people's verdicts applied.

    Args:
        ledger: of the run.
        store: where values are.
        kinds: of values to read, such as those that a format can hold.
        steps: ids of the steps to read; by default the outputs of these kinds, or else the last steps of these kinds.
    """

    def __init__(self, ledger: Ledger, store: Store, kinds: Sequence[str], steps: tuple[str, ...] = ()) -> None:
        """Choose the steps.

        Raises:
            SuperlinkError: a given step is not in the plan.
        """
        self.ledger, self.store, self.kinds, self.plan = ledger, store, tuple(kinds), ledger.plan
        ids = [step.id for step in self.plan.steps]
        if unknown := [step for step in steps if step not in ids]:
            raise SuperlinkError(f"The plan has no step {unknown[0]!r}", f"Its steps are {', '.join(ids)}")
        self.steps = steps or self._default_steps()

    @cached_property
    def _corrections(self) -> dict[tuple[int, str, str], dict[int, Correction]]:
        """Corrections by position within a value, by item, step and sha256 of the value."""
        found: dict[tuple[int, str, str], dict[int, Correction]] = {}
        for change in self.ledger.review.corrections():
            found.setdefault(change[:3], {})[change.place] = correction(change)
        return found

    def rows(self) -> Iterator[DoneItem]:
        """Done items, in order of name."""
        return (DoneItem(entry, refs) for entry, refs in self.ledger.done() if entry.ref is not None)

    def refs(self, row: DoneItem, kinds: Sequence[str] = ()) -> Iterator[tuple[str, int, Ref]]:
        """Step, position in its list, and reference of each result of the chosen steps; of these kinds, if any."""
        for step in self.steps:
            for number, ref in enumerate(as_list(row.refs.get(step, []))):
                if ref["kind"] in (kinds or self.kinds):
                    yield step, number, ref

    def locations(self, row: DoneItem) -> Iterator[Located]:
        """All detections and poses in the item itself, not in parts cut out of it; corrections applied.

        Boxes without an area are left out: no format can hold them, and libraries refuse a data set for one of them.
        """
        for step, _, ref in self.refs(row, LOCATION_KINDS):
            if tuple(ref["summary"]["size"]) != row.size:
                continue
            value, human, _ = self.corrected(row, step, ref)
            if isinstance(value, Detections | Poses):
                places = _with_area(value)
                if len(places) == len(value):
                    yield Located(step, value, human)
                else:
                    yield Located(step, _selected(value, places), tuple(human[n] for n in places))

    def corrected(self, row: DoneItem, step: str, ref: Ref) -> Corrected:
        """A value with people's corrections applied."""
        corrections = self._corrections.get((row.entry.id, step, ref["sha256"]), {}) if ref["kind"] in REVIEWED else {}
        return correct(self.store.get(ref), corrections)

    def value(self, row: DoneItem, step: str, ref: Ref) -> Value:
        """A value with people's corrections applied."""
        return self.corrected(row, step, ref).value

    def labels(self) -> list[str]:
        """Class names: labels in the plan, in its order, found or not; then other labels that were found, sorted.

        So two runs of one plan number their classes alike, whatever is in their pictures.
        """
        found: set[str] = set()
        for row in self.rows():
            for _, _, ref in self.refs(row, LOCATION_KINDS):
                if tuple(ref["summary"]["size"]) == row.size:
                    found |= {"person"} if ref["kind"] == "Poses" else set(ref["summary"]["labels"])
        found |= {one.label for places in self._corrections.values() for one in places.values() if one.label}
        return list(dict.fromkeys([*self._plan_labels(), *sorted(found)]))

    def _plan_labels(self) -> Iterator[str]:
        """Labels in the arguments of the chosen steps and of the steps that they use."""
        sources = set(self.steps)
        for step in reversed(self.plan.steps):
            if step.id in sources:
                sources |= uses(step)
        for step in self.plan.steps:
            labels = step.args.get("labels") if step.id in sources else None
            if isinstance(labels, list):
                yield from (str(unescape(label)).strip() for label in labels)

    def open_source(self, row: DoneItem) -> BinaryIO:
        """Open the item's file for reading.

        Raises:
            SourceChanged, StoreError: see `open_media`.
        """
        return open_media(row, self.store)

    def find_damaged(self, sources: bool, also: Sequence[str]) -> dict[int, SuperlinkError]:
        """Read all values that an export reads, and collect what is damaged or lost.

        Args:
            sources: whether the export reads the items' own files.
            also: further kinds that it reads, of the steps that are chosen for them.

        Returns:
            Number of an item to its first error.
        """
        readings = [self, Reading(self.ledger, self.store, also)]
        found: dict[int, SuperlinkError] = {}
        for row in self.rows():
            refs = [ref for reading in readings for _, _, ref in reading.refs(row)]
            refs += [
                ref
                for step, many in row.refs.items()
                for ref in as_list(many)
                if (row.entry.id, step, ref["sha256"]) in self._corrections
            ]
            try:
                if sources or any(ref["sha256"] == row.ref["sha256"] for ref in refs):
                    self.open_source(row).close()
                for ref in refs:
                    if ref["sha256"] != row.ref["sha256"]:
                        self.store.get(ref)
            except (StoreError, SourceChanged) as error:
                found[row.entry.id] = error
        return found

    def output_kinds(self) -> set[str]:
        """Kinds of the values that the plan's steps gave."""
        return {ref["kind"] for step in self.plan.steps for ref in self.ledger.sample(step.id)[:1]}

    def _default_steps(self) -> tuple[str, ...]:
        """The outputs of the kinds to read, or else the last steps of these kinds."""
        fitting = {
            step.id for step in self.plan.steps if any(ref["kind"] in self.kinds for ref in self.ledger.sample(step.id))
        }
        outputs = [name for name in map(reference, self.plan.outputs) if name in fitting]
        if outputs:
            return tuple(dict.fromkeys(name for name in outputs if name is not None))
        built_on = {name for step in self.plan.steps if step.id in fitting for name in uses(step)}
        return tuple(step.id for step in self.plan.steps if step.id in fitting and step.id not in built_on)


def _with_area(value: Detections | Poses) -> list[int]:
    """Rows whose boxes have an area once rounded to a hundredth of a pixel."""
    corners = np.round(value.xyxy.astype(np.float64), 2)
    return [int(n) for n in np.flatnonzero((corners[:, 2:] > corners[:, :2]).all(1))]


def _selected(value: Detections | Poses, places: list[int]) -> Detections | Poses:
    if isinstance(value, Poses):
        return Poses(value.keypoints[places], value.scores[places], value.xyxy[places], value.size)
    return value.select(places)


def open_media(row: DoneItem, store: Store) -> BinaryIO:
    """Open the file of an item for reading: at its address, else from the store.

    Raises:
        SourceChanged: it is in neither place, or was changed.
        StoreError: it is damaged in the store.
    """
    address = row.entry.address
    why = f"{address} was changed since the run"
    if "://" not in address:
        try:
            file = Path(address).open("rb")  # noqa: SIM115 -- the caller closes it
            # The sound of a video is not its file; it is in the store.
            same = os.fstat(file.fileno()).st_size == row.ref["bytes"]
            if same and hashlib.file_digest(file, "sha256").hexdigest() == row.ref["sha256"]:
                file.seek(0)
                return file
            file.close()
        except OSError as error:
            why = f"{address} cannot be read any more: {error.strerror}"
    if "://" in address or row.ref in store:
        return store.get(row.ref).stream()
    raise SourceChanged(why, "Put it back, or give the same superlink annotate command again")
