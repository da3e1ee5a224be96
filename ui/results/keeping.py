"""What a person keeps of what was found: rows that pass a score and are not of a hidden label."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tools.core.errors import ValueInvalid
from tools.storage.store import Ref, Store
from tools.values import Detections, Poses
from ui.results.reading import Item
from ui.shapes.from_values import PERSON


def choice_of(value: Mapping[str, Any]) -> tuple[float, set[str]]:
    """Return the lowest score and the hidden labels of the component's value, which comes from a browser.

    Raises:
        ValueInvalid: when they are not what the component writes.
    """
    least, hidden = value.get("threshold"), value.get("hidden")
    if not isinstance(least, int | float) or not 0 <= least <= 1:
        raise ValueInvalid(f"The lowest score is {least!r}, not a number between 0 and 1", "Load the page again")
    if not isinstance(hidden, list) or not all(isinstance(label, str) for label in hidden):
        raise ValueInvalid("The hidden labels are no list of texts", "Load the page again")
    return float(least), set(hidden)


def keep(items: Sequence[Item], least: float, hidden: Collection[str], store: Store) -> list[Ref]:
    """Store what passes of each item; the provenance says that a person chose it.

    Args:
        items: Detections or poses.
        least: Lowest score that is kept.
        hidden: Labels that are not kept.
        store: Of the values.

    Raises:
        ValueInvalid: when an item holds no detections or poses.
        StoreError: when one is no longer in the store.
    """
    return [_keep(item, least, hidden, store) for item in items]


def _keep(item: Item, least: float, hidden: Collection[str], store: Store) -> Ref:
    value = store.get(item.ref)
    if not isinstance(value, Detections | Poses):
        raise ValueInvalid(f"Nothing can be chosen of {value.kind}")
    labels = value.labels if isinstance(value, Detections) else (PERSON,) * len(value)
    # As the browser compares: scores are written as the shortest decimals.
    scores = [float(str(score)) for score in value.scores]
    rows = [row for row in range(len(value)) if labels[row] not in hidden and scores[row] >= least]
    kept = (
        value.select(rows)
        if isinstance(value, Detections)
        else Poses(value.keypoints[rows], value.scores[rows], value.xyxy[rows], value.size)
    )
    # Its input is also what the choice was made from, so that it is found in the same picture.
    inputs = [item.ref["sha256"], *([] if item.source is None else [item.source["sha256"]])]
    return store.put(
        kept,
        {
            "step": "",
            "tool": "person",
            "version": "",
            "weights": [],
            "args": {"least_score": least, "hidden_labels": sorted(hidden)},
            "inputs": inputs,
            "seconds": 0.0,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
