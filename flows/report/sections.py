"""What each section of the report shows, as plain data for the templates."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agents.plan.plan import Plan, references
from flows.batch.review import Precision
from flows.ledger.ledger import Ledger
from flows.report.tally import Tally
from tools.values.base import canonical_json

_LABELS, _HISTOGRAMS, _REASONS, _FAILED, _EDITS = 60, 12, 40, 10, 50
_REVIEW_REASONS = {"audit": "random sample (audit)", "band": "doubtful score (band)", "person": "changed by a person"}


@dataclass(frozen=True)
class Tile:
    """A number in large: its name, and the class that colours it ("", "bad" or "warn")."""

    name: str
    number: int
    mood: str = ""


@dataclass(frozen=True)
class PlanStep:
    """A step of the plan: its arguments that refer to values, and its plain ones, as (name, value)."""

    id: str
    tool: str
    wired: list[tuple[str, str]]
    plain: list[tuple[str, str]]
    is_output: bool


@dataclass(frozen=True)
class Histogram:
    """Scores of a label's detections: number in each part from 0 to 1."""

    label: str
    step: str
    count: int
    bins: list[int]


@dataclass(frozen=True)
class LabelRow:
    """Detections of a label: their share of the most frequent label's, the items that hold them, their mean score."""

    label: str
    step: str
    count: int
    share: float
    items: int
    mean: float
    precision: Precision | None


@dataclass(frozen=True)
class ResultRow:
    """Values of one kind that a step gave: their number, and of numbers their sum and range."""

    step: str
    tool: str
    kind: str
    values: str


@dataclass(frozen=True)
class FailureGroup:
    """Items that failed for one reason: how many there are, and the names of the first."""

    error: str
    hint: str
    count: int
    items: list[str]


@dataclass(frozen=True)
class VerdictRow:
    """Detections in the review queue for one reason: open, accepted, corrected, rejected."""

    reason: str
    counts: list[int]


@dataclass(frozen=True)
class TimeRow:
    """Calls of a step, items that reused a call of the same content, failed items, seconds and share of all time."""

    step: str
    tool: str
    calls: int
    reused: int
    failed: int
    seconds: float
    share: float


@dataclass(frozen=True)
class WeightsRow:
    """Weights that were used, and by which steps."""

    id: str
    licence: str
    steps: list[str]
    sha256: str


def tiles(ledger: Ledger, tally: Tally) -> list[Tile]:
    """Return the numbers at the head of the page."""
    counts, waiting = ledger.counts(), ledger.review.waiting()
    failed, left = counts.get("failed", 0), counts.get("left", 0)
    found = [Tile("done", tally.done), Tile("failed", failed, "bad" if failed else "")]
    if left:
        found.append(Tile("not yet worked", left, "warn"))
    if tally.finds:
        found += [Tile("found", tally.count), Tile("labels", len({label for label, _ in tally.finds}))]
    return [*found, Tile("wait for review", waiting, "warn" if waiting else "")]


def period(times: Sequence[str]) -> str:
    """Return the time from the first result to the last, to the minute, in UTC; "" without results.

    Args:
        times: Two times in ISO 8601, or none.
    """
    if not times:
        return ""
    first, last = (f"{time[:10]} {time[11:16]}" for time in times)
    if first == last:
        return f"{first} UTC"
    return f"{first} to {last[11:] if first[:10] == last[:10] else last} UTC"


def plan_steps(plan: Plan) -> list[PlanStep]:
    """Return the steps of a plan with their arguments."""
    outputs = {found for output in plan.outputs for found in references(output)}
    steps = []
    for step in plan.steps:
        arguments: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
        for name, value in step.args.items():
            shown = value if isinstance(value, str) else canonical_json(value).decode()
            arguments[any(references(value))].append((name, shown))
        steps.append(PlanStep(step.id, step.tool, arguments[True], arguments[False], step.id in outputs))
    return steps


def found(tally: Tally, plan: Plan, precisions: Sequence[Precision]) -> dict[str, object]:
    """Return what the section of detections shows: histograms and a table of labels, and the values of each step."""
    ranked = tally.rank_labels()
    precision_of = {one.label: one for one in precisions}
    return {
        "several_steps": len({step for _, step, _ in ranked}) > 1,
        "histograms": [
            Histogram(label, step, counts.count, counts.bins.tolist()) for label, step, counts in ranked[:_HISTOGRAMS]
        ],
        "labels": [
            LabelRow(
                label,
                step,
                counts.count,
                counts.count / ranked[0][2].count,
                counts.items,
                counts.total / counts.count,
                precision_of.get(label),
            )
            for label, step, counts in ranked[:_LABELS]
        ],
        "further_labels": len(ranked[_LABELS:]),
        "further_finds": sum(counts.count for _, _, counts in ranked[_LABELS:]),
        "results": _results(tally, plan),
    }


def _results(tally: Tally, plan: Plan) -> list[ResultRow]:
    order = [step.id for step in plan.steps]
    rows = []
    for (step, kind), count in sorted(tally.results.items(), key=lambda entry: (order.index(entry[0][0]), entry[0][1])):
        values = f"{count:,}"
        if kind == "Number":
            numbers = tally.numbers[step]
            values += f": sum {sum(numbers):,g}, mean {sum(numbers) / count:,.3g}"
            values += f", from {min(numbers):,g} to {max(numbers):,g}"
        rows.append(ResultRow(step, tally.tools.get(step, ""), kind, values))
    return rows


def failures(ledger: Ledger) -> dict[str, object]:
    """Return failed items by reason, the most frequent first; the items' own names and paths are cut out of it."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item, address, error, hint in ledger.failed_addresses():
        path = address.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for own in (path, item, item.rpartition("/")[2]):
            error, hint = error.replace(own, "…"), hint.replace(own, "…")
        groups.setdefault((error, hint), []).append(item)
    ranked = sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return {
        "failures": [
            FailureGroup(error, hint, len(items), items[:_FAILED]) for (error, hint), items in ranked[:_REASONS]
        ],
        "further_reasons": len(ranked[_REASONS:]),
        "further_failed": sum(len(items) for _, items in ranked[_REASONS:]),
    }


def review(ledger: Ledger, precisions: Sequence[Precision]) -> dict[str, object]:
    """Return the review queue by reason and verdict, the precision of each label, and what people changed."""
    counts: dict[str, Counter[str]] = {}
    for reason, verdict, count in ledger.review.by_verdict():
        counts.setdefault(reason, Counter())[verdict] = count
    changes = ledger.review.changes()
    return {
        "verdicts": [
            VerdictRow(
                _REVIEW_REASONS.get(reason, reason),
                [of_reason[verdict] for verdict in ("", "accepted", "corrected", "rejected")],
            )
            for reason, of_reason in sorted(counts.items())
        ],
        "precisions": precisions[:_LABELS],
        "changes": changes[:_EDITS],
        "further_changes": len(changes[_EDITS:]),
    }


def times(ledger: Ledger, plan: Plan) -> list[TimeRow]:
    """Return how long each step took; items of the same content share one call."""
    costs = [ledger.step_cost(step.id, step.tool) for step in plan.steps]
    total = sum(one.seconds for one in costs) or 1.0
    return [
        TimeRow(step.id, step.tool, calls, items - calls, failed, seconds, seconds / total)
        for step, (items, failed, calls, seconds) in zip(plan.steps, costs, strict=True)
    ]


def weights(tally: Tally) -> list[WeightsRow]:
    """Return the weights that were used, with their licences."""
    return [
        WeightsRow(id, licence, sorted(steps), sha256) for (id, sha256, licence), steps in sorted(tally.weights.items())
    ]
