"""Provenance of a data set, written with its exports: plan, tools, weights, scores, verdicts and edits of people."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from pydantic import JsonValue

from agents.plan.plan import PlanJson
from agents.planners.base import DemonstrationJson
from flows.batch.corrections import Shape
from flows.batch.reading import Reading
from flows.ledger.review_queue import FindRow
from tools.storage.store import Ref, as_list
from tools.values import Detections


class WeightsRecord(TypedDict):
    """Weights that took part."""

    id: str
    sha256: str
    licence: str


class ScoreRange(TypedDict):
    """Number of detections of a label, and their scores."""

    count: int
    min: float
    max: float
    mean: float


class HumanEdit(TypedDict):
    """A find that a person rejected, corrected or added.

    Attributes:
        place: position within its value; below 0 where a person added it.
        box: in pixels, as it was found; of what a person added, as they drew it.
        shape: what the person changed besides the label; see `flows.batch.corrections.Shape`. Missing for nothing.
    """

    item: str
    step: str
    place: int
    label: str
    score: float
    box: list[float]
    verdict: str
    correct: str
    who: str
    time: str
    shape: NotRequired[dict[str, JsonValue]]


class DataSetProvenance(TypedDict):
    """How a data set was made.

    Attributes:
        request: in words.
        plan: of the run.
        plan_sha256: of the plan.
        demonstrations: examples that the planner saw.
        chooser: name of what chose them; "" where that is not known.
        steps: ids of the steps whose results are in the data set.
        tools: tool to version.
        weights: sorted by id.
        licences: of the weights.
        items: numbers of items that are "done" and "failed".
        scores: label to its scores, with verdicts applied.
        review: reason and verdict to number of detections.
        human_edits: in order of item.
    """

    request: str
    plan: PlanJson
    plan_sha256: str
    demonstrations: list[DemonstrationJson]
    chooser: str
    steps: list[str]
    tools: dict[str, str]
    weights: list[WeightsRecord]
    licences: list[str]
    items: dict[str, int]
    scores: dict[str, ScoreRange]
    review: dict[str, int]
    human_edits: list[HumanEdit]


def provenance(reading: Reading) -> DataSetProvenance:
    """Collect how the data set of a reading was made."""
    tools: dict[str, str] = {}
    weights: dict[tuple[str, str], str] = {}
    review: Counter[str] = Counter()
    edits: list[HumanEdit] = []
    finds: dict[tuple[int, str, str], list[FindRow]] = {}
    shapes = {change[:4]: change.shape for change in reading.ledger.review.corrections()}
    for find in reading.ledger.review.rows():
        finds.setdefault((find.item, find.step, find.sha256), []).append(find)
    for row in reading.rows():
        for step, ref in ((step, ref) for step, refs in row.refs.items() for ref in as_list(refs)):
            source = ref.get("provenance")
            if source:
                tools[source["tool"]] = source["version"]
                weights |= {(used["id"], used["sha256"]): used["licence"] for used in source["weights"]}
            for find in finds.get((row.entry.id, step, ref["sha256"]), ()):
                review[f"{find.reason}: {find.verdict or 'open'}"] += 1
                if find.verdict in ("rejected", "corrected"):
                    shape = Shape.facts(shapes.get(find[:4], ""))
                    edit: HumanEdit = {
                        "item": row.name,
                        "step": step,
                        "place": find.place,
                        "label": find.label,
                        "score": find.score,
                        "box": _box(reading, ref, find.place, shape),
                        "verdict": find.verdict,
                        "correct": find.correct,
                        "who": find.who,
                        "time": find.time,
                    }
                    if shape:
                        edit["shape"] = shape
                    edits.append(edit)
    plan, counts = reading.plan, reading.ledger.counts()
    return {
        "request": plan.request,
        "plan": plan.to_json(),
        "plan_sha256": plan.hash,
        "demonstrations": [shown.to_json() for shown in reading.ledger.demonstrations],
        "chooser": reading.ledger.text("chooser"),
        "steps": list(reading.steps),
        "tools": dict(sorted(tools.items())),
        "weights": [
            {"id": name, "sha256": sha256, "licence": licence} for (name, sha256), licence in sorted(weights.items())
        ],
        "licences": sorted(set(weights.values())),
        "items": {"done": counts.get("done", 0), "failed": counts.get("failed", 0)},
        "scores": _scores(reading),
        "review": dict(sorted(review.items())),
        "human_edits": edits,
    }


def _scores(reading: Reading) -> dict[str, ScoreRange]:
    """Label to its scores, with verdicts applied, in order of label."""
    found: dict[str, tuple[int, float, float, float]] = {}
    for row in reading.rows():
        for _, value, _ in reading.locations(row):
            labels = value.labels if isinstance(value, Detections) else ("person",) * len(value)
            for label, score in zip(labels, value.scores.tolist(), strict=True):
                count, least, most, total = found.get(label, (0, 1.0, 0.0, 0.0))
                found[label] = (count + 1, min(least, score), max(most, score), total + score)
    return {
        label: {"count": count, "min": round(least, 6), "max": round(most, 6), "mean": round(total / count, 6)}
        for label, (count, least, most, total) in sorted(found.items())
    }


def _box(reading: Reading, ref: Ref, place: int, shape: Mapping[str, Any]) -> list[float]:
    """Corners of a detection in pixels; empty for any other value."""
    value = reading.store.get(ref)
    if not isinstance(value, Detections):
        return []
    corners = value.xyxy[place].tolist() if place >= 0 else shape.get("box", [])
    return [round(float(side), 2) for side in corners]
