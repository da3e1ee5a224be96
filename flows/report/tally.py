"""Counts over the items of a run that are done, collected in one pass."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flows.batch.reading import LOCATION_KINDS, DoneItem, Reading
from tools.storage.store import as_list
from tools.values import Detections

BINS = 20
"""Equal parts into which a histogram divides scores between 0 and 1."""


@dataclass
class LabelCounts:
    """What one step found under one label.

    Attributes:
        count: Number of detections.
        items: Number of items that hold at least one.
        total: Sum of the scores.
        bins: Number of scores in each of `BINS` equal parts from 0 to 1.
    """

    count: int = 0
    items: int = 0
    total: float = 0.0
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))


@dataclass
class Tally:
    """Counts over all items that are done.

    Attributes:
        done: Number of items.
        finds: (label, step) to what was found.
        results: (step, kind of value) to the number of values.
        numbers: Step to the numbers that it gave.
        tools: Step to its tool and version.
        weights: (id, sha256, licence) to the steps that used these weights.
        times: When the first and the last result were made, in UTC; empty if there is none.
        ids: Numbers of the items in the ledger.
        lowest_scores: Lowest score and number of each item in which something was found.
    """

    done: int = 0
    finds: dict[tuple[str, str], LabelCounts] = field(default_factory=dict)
    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    numbers: dict[str, list[float]] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    weights: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    times: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    lowest_scores: list[tuple[float, int]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of all detections."""
        return sum(counts.count for counts in self.finds.values())

    def rank_labels(self) -> list[tuple[str, str, LabelCounts]]:
        """Return label, step and counts, the most detections first."""
        ranked = sorted(self.finds.items(), key=lambda entry: (-entry[1].count, entry[0]))
        return [(label, step, counts) for (label, step), counts in ranked]


def tally_items(reading: Reading) -> Tally:
    """Return the counts over the items of a run that are done."""
    tally = Tally()
    marks = Reading(reading.ledger, reading.store, LOCATION_KINDS)
    first, last = "", ""
    for row in reading.rows():
        tally.done += 1
        tally.ids.append(row.entry.id)
        for step, ref in ((step, ref) for step, refs in row.refs.items() for ref in as_list(refs)):
            tally.results[step, ref["kind"]] += 1
            if ref["kind"] == "Number":
                tally.numbers.setdefault(step, []).append(float(ref["summary"]["value"]))
            if "provenance" in ref:
                record = ref["provenance"]
                tally.tools[step] = f"{record['tool']} {record['version']}"
                for used in record["weights"]:
                    tally.weights.setdefault((used["id"], used["sha256"], used["licence"]), set()).add(step)
                first, last = min(first or record["time"], record["time"]), max(last, record["time"])
        _count_finds(tally, marks, row)
    tally.times = [first, last] if first else []
    return tally


def _count_finds(tally: Tally, marks: Reading, row: DoneItem) -> None:
    lowest: float | None = None
    seen: set[tuple[str, str]] = set()
    for step, value, _ in marks.locations(row):
        labels = value.labels if isinstance(value, Detections) else ("person",) * len(value)
        for label, score in zip(labels, value.scores.tolist(), strict=True):
            counts = tally.finds.setdefault((label, step), LabelCounts())
            counts.count += 1
            counts.items += (label, step) not in seen
            counts.total += score
            counts.bins[min(int(score * BINS), BINS - 1)] += 1
            seen.add((label, step))
            lowest = score if lowest is None else min(lowest, score)
    if lowest is not None:
        tally.lowest_scores.append((lowest, row.entry.id))
