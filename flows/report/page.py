"""A report of a run: one HTML page that needs nothing else, for people."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.plan.plan import Plan, references
from agents.session.state import listed
from flows.batch.pilot import spread
from flows.batch.reading import MARKS, DoneItem, Reading
from flows.batch.review import Precision, precision
from flows.batch.samples import Sample, Viewer, sampled
from flows.batch.shard_store import ShardStore
from flows.exports.files import save
from flows.ledger.ledger import Ledger
from flows.report.markup import BINS, Markup, bar, histogram, interval, name, page, section, table, tiles, words
from tools.values import Detections
from tools.values.base import canonical_json

KINDS = ("Detections", "Poses", "Transcript", "Text", "Number", "Image", "Audio", "Video")
ALSO = MARKS  # finds are counted, whether they are outputs or not
FILE = "report.html"
_SAMPLES, _DOUBTFUL = 12, 6
_LABELS, _HISTOGRAMS, _REASONS, _FAILED, _EDITS = 60, 12, 40, 10, 50


@dataclass
class _Finds:
    """What was found under one label by one step."""

    count: int = 0
    items: int = 0
    total: float = 0.0
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))


@dataclass
class _Tally:
    """What one walk over the items counts."""

    done: int = 0
    finds: dict[tuple[str, str], _Finds] = field(default_factory=dict)
    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    numbers: dict[str, list[float]] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    weights: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    times: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    least: list[tuple[float, int]] = field(default_factory=list)


def write(reading: Reading, folder: Path, name: str) -> dict[str, Any]:
    """Write `report.html`: counts, scores, samples, failures, review, time, licences.

    It is read from ledger and store; only samples need the source's files, and say so where one is gone. Whatever the
    number of items, the page stays below a few megabytes.
    """
    ledger = reading.ledger
    tally = _tallied(reading)
    viewer = Viewer(ledger, ShardStore(reading.store.url, room=0), reading.steps)
    chosen = spread(tally.ids, _SAMPLES)
    doubtful = [number for _, number in sorted(tally.least) if number not in set(chosen)][:_DOUBTFUL]
    measured = precision(ledger)
    body = "".join(
        [
            _head(ledger, reading.plan, tally),
            section("Plan", _tree(reading.plan)),
            section("Found", _scores(tally), _labels(tally, measured), _made(reading.plan, tally)),
            section(
                "Samples",
                _gallery(sampled(viewer, chosen)),
                note=f"{len(chosen)} of {tally.done:,} items, at even distances." if len(chosen) < tally.done else "",
            ),
            section("Least certain", _gallery(sampled(viewer, doubtful)), note="The items with the lowest scores."),
            section("Failures", _failures(ledger)),
            section("Review", _review(ledger, measured)),
            section("Time", _times(ledger, reading.plan)),
            section("Weights and licences", _weights(tally)),
            section("Provenance", _provenance(reading.plan)),
        ]
    )
    save(folder / FILE, page(reading.plan.request or "superlink report", body))
    failed = ledger.counts().get("failed", 0)
    return {"items": tally.done, "failed": failed, "finds": sum(one.count for one in tally.finds.values())}


def _tallied(reading: Reading) -> _Tally:
    tally = _Tally()
    marks = Reading(reading.ledger, reading.store, MARKS)
    first, last = "", ""
    for row in reading.rows():
        tally.done += 1
        tally.ids.append(row.entry.id)
        for step, ref in ((step, ref) for step, refs in row.refs.items() for ref in listed(refs)):
            tally.made[step, ref["kind"]] += 1
            if ref["kind"] == "Number":
                tally.numbers.setdefault(step, []).append(float(ref["summary"]["value"]))
            if "provenance" in ref:
                made = ref["provenance"]
                tally.tools[step] = f"{made['tool']} {made['version']}"
                for one in made["weights"]:
                    tally.weights.setdefault((one["id"], one["sha256"], one["licence"]), set()).add(step)
                first, last = min(first or made["time"], made["time"]), max(last, made["time"])
        _count_finds(tally, marks, row)
    tally.times = [first, last] if first else []
    return tally


def _count_finds(tally: _Tally, marks: Reading, row: DoneItem) -> None:
    least = 2.0
    seen: set[tuple[str, str]] = set()
    for step, value in marks.marks(row):
        labels = value.labels if isinstance(value, Detections) else ("person",) * len(value)
        for label, score in zip(labels, value.scores.tolist(), strict=True):
            finds = tally.finds.setdefault((label, step), _Finds())
            finds.count += 1
            finds.items += (label, step) not in seen
            finds.total += score
            finds.bins[min(int(score * BINS), BINS - 1)] += 1
            seen.add((label, step))
            least = min(least, score)
    if least <= 1:
        tally.least.append((least, row.entry.id))


def _head(ledger: Ledger, plan: Plan, tally: _Tally) -> str:
    counts = ledger.counts()
    waiting = ledger.review.waiting()
    source = str(ledger.fact("source") or "").rstrip("/").rpartition("/")[2]
    facts = [
        ("done", f"{tally.done:,}", ""),
        ("failed", f"{counts.get('failed', 0):,}", "bad" if counts.get("failed") else ""),
    ]
    if left := counts.get("left", 0):
        facts.append(("not yet worked", f"{left:,}", "warn"))
    if tally.finds:
        facts += [
            ("found", f"{sum(one.count for one in tally.finds.values()):,}", ""),
            ("labels", f"{len({label for label, _ in tally.finds}):,}", ""),
        ]
    facts.append(("wait for review", f"{waiting:,}", "warn" if waiting else ""))
    about = " · ".join(part for part in (f"over {name(source)}" if source else "", words(_when(tally.times))) if part)
    return (
        f"<header>\n<p class=kicker>superlink report</p>\n<h1>{words(plan.request or '(no request)', 1000)}</h1>\n"
        f"<p class=note>{about}</p>\n{tiles(facts)}</header>\n"
    )


def _when(times: list[str]) -> str:
    """From the first result to the last, to the minute, as they are written in UTC."""
    if not times:
        return ""
    first, last = (f"{time[:10]} {time[11:16]}" for time in times)
    if first == last:
        return f"{first} UTC"
    return f"{first} to {last[11:] if first[:10] == last[:10] else last} UTC"


def _tree(plan: Plan) -> str:
    """The plan as a list, each step with its wiring and its plain arguments."""
    outputs = {found for text in plan.outputs for found in references(text)}
    rows = []
    for step in plan.steps:
        wired = {key: value for key, value in step.args.items() if any(references(value))}
        plain = {key: value for key, value in step.args.items() if key not in wired}
        arguments = "".join(f"<span>{words(key)} = {words(_shown(value), 400)}</span>" for key, value in plain.items())
        arrows = "".join(
            f"<span class=from>{words(key)} ← {words(_shown(value), 400)}</span>" for key, value in wired.items()
        )
        gives = "<span class=gives>output</span>" if step.id in outputs else ""
        rows.append(f"<li><code>{words(step.id)}</code> <b>{words(step.tool)}</b> {arrows}{arguments}{gives}</li>\n")
    return f"<ol class=plan>\n{''.join(rows)}</ol>\n"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value).decode()


def _ranked(tally: _Tally) -> list[tuple[tuple[str, str], _Finds]]:
    return sorted(tally.finds.items(), key=lambda one: (-one[1].count, one[0]))


def _scores(tally: _Tally) -> str:
    """A histogram for each of the labels that were found most."""
    several = len({step for _, step in tally.finds}) > 1
    cards = []
    for (label, step), finds in _ranked(tally)[:_HISTOGRAMS]:
        where = f" <code>{words(step)}</code>" if several else ""
        cards.append(
            f"<figure><figcaption><b>{name(label, 60)}</b>{where}<span>{finds.count:,}</span></figcaption>"
            f"{histogram(finds.bins, label)}</figure>\n"
        )
    return f"<div class=scores>{''.join(cards)}</div>\n" if cards else ""


def _labels(tally: _Tally, measured: list[Precision]) -> str:
    ranked = _ranked(tally)
    if not ranked:
        return ""
    most = ranked[0][1].count
    audited = {one.label: one for one in measured}
    rows: list[list[object]] = []
    for (label, step), finds in ranked[:_LABELS]:
        rows.append(
            [
                name(label),
                step,
                f"{finds.count:,}",
                bar(finds.count / most),
                f"{finds.items:,}",
                f"{finds.total / finds.count:.2f}",
                _precision(audited.get(label)),
            ]
        )
    more = ranked[_LABELS:]
    rest = (
        f"<p class=note>And {len(more):,} more labels with {sum(one.count for _, one in more):,} finds.</p>\n"
        if more
        else ""
    )
    return (
        table(["Label", "Step", "Finds", "", "Items", "Mean score", "Precision, 95 %"], rows, numbers=(2, 4, 5)) + rest
    )


def _precision(one: Precision | None) -> Markup:
    if one is None:
        return Markup("<span class=faint>not audited</span>")
    share = one.right / one.audited
    return Markup(
        f"<span class=range>{interval(one.low, share, one.high)} {one.low:.0%} to {one.high:.0%} "
        f"<span class=faint>({one.right:,} of {one.audited:,})</span></span>"
    )


def _made(plan: Plan, tally: _Tally) -> str:
    """What the steps gave, counted by kind; of numbers, their sum and range."""
    rows = []
    order = [step.id for step in plan.steps]
    for (step, kind), count in sorted(tally.made.items(), key=lambda one: (order.index(one[0][0]), one[0][1])):
        said = f"{count:,}"
        if kind == "Number":
            values = tally.numbers[step]
            said += (
                f": sum {sum(values):,g}, mean {sum(values) / count:,.3g}, from {min(values):,g} to {max(values):,g}"
            )
        rows.append([step, tally.tools.get(step, ""), kind, said])
    return (
        table(["Step", "Tool and version", "Gave", "Values"], rows) if rows else "<p class=note>No item is done.</p>\n"
    )


def _gallery(samples: Iterator[Sample]) -> str:
    figures = []
    for sample in samples:
        height, width = sample.size
        found = " · ".join(f"{name(label, 40)} <i>{score:.2f}</i>" for label, score in sample.found)
        more = f" and {sample.count - len(sample.found):,} more" if sample.count > len(sample.found) else ""
        lines = [f"<p>{found}{more}</p>"] if found else []
        lines += [f"<p class=said>{words(text, 160)}</p>" for text in sample.said]
        if sample.trouble:
            lines.append(f"<p class=bad>Cannot be shown: {words(sample.trouble)}</p>")
        picture = (
            f'<img src="data:image/jpeg;base64,{sample.jpeg}" width={width} height={height} alt="{words(sample.name)}">'
            if sample.jpeg
            else ""
        )
        figures.append(
            f"<figure>{picture}<figcaption><b>{name(sample.name)}</b>{''.join(lines)}</figcaption></figure>\n"
        )
    return f"<div class=samples>{''.join(figures)}</div>\n" if figures else ""


def _failures(ledger: Ledger) -> str:
    """Failed items by reason, the most frequent reason first; the items' own names and places are taken out of it."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item, address, error, hint in ledger.failed_addresses():
        place = address.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for own in (place, item, item.rpartition("/")[2]):
            error, hint = error.replace(own, "…"), hint.replace(own, "…")
        groups.setdefault((error, hint), []).append(item)
    if not groups:
        return "<p class=note>None.</p>\n"
    parts = []
    ranked = sorted(groups.items(), key=lambda one: (-len(one[1]), one[0]))
    for (error, hint), items in ranked[:_REASONS]:
        names = "".join(f"<li>{name(item)}</li>" for item in items[:_FAILED])
        more = (
            f"<li class=faint>and {len(items) - _FAILED:,} more, in failures.txt</li>" if len(items) > _FAILED else ""
        )
        parts.append(
            f"<details{' open' if len(ranked) == 1 else ''}><summary><b>{len(items):,}</b> {words(error, 500)}"
            f"{f'<span class=faint> {words(hint)}</span>' if hint else ''}</summary><ul>{names}{more}</ul></details>\n"
        )
    if rest := ranked[_REASONS:]:
        parts.append(
            f"<p class=note>And {sum(len(items) for _, items in rest):,} more items, for {len(rest):,} other reasons; "
            "all are in failures.txt.</p>\n"
        )
    return "".join(parts)


def _review(ledger: Ledger, measured: list[Precision]) -> str:
    """The queue by reason and verdict, how good each label is, and what people changed."""
    states: dict[str, Counter[str]] = {}
    for reason, verdict, count in ledger.review.by_verdict():
        states.setdefault(reason, Counter())[verdict] = count
    if not states:
        return "<p class=note>Nothing was put in the queue.</p>\n"
    why = {"audit": "random sample (audit)", "band": "doubtful score (band)"}
    rows = [
        [why.get(reason, reason), *(f"{found[verdict]:,}" for verdict in ("", "accepted", "corrected", "rejected"))]
        for reason, found in sorted(states.items())
    ]
    parts: list[str] = [table(["Why", "Open", "Accepted", "Corrected", "Rejected"], rows, numbers=(1, 2, 3, 4))]
    if measured:
        parts.append("<h3>Precision, from the random sample</h3>\n")
        parts.append(
            table(
                ["Label", "Right", "Audited", "95 % interval"],
                [
                    [name(one.label), f"{one.right:,}", f"{one.audited:,}", _precision(one)]
                    for one in measured[:_LABELS]
                ],
                numbers=(1, 2),
            )
        )
    changes = ledger.review.changes()
    if changes:
        parts.append("<h3>Changed by people</h3>\n")
        parts.append(
            table(
                ["Item", "Step", "Found as", "Score", "Verdict"],
                [
                    [
                        name(item),
                        step,
                        name(label),
                        f"{score:.2f}",
                        Markup(f"now {name(correct)}") if correct else "rejected",
                    ]
                    for item, step, label, score, correct in changes[:_EDITS]
                ],
                numbers=(3,),
            )
        )
        if len(changes) > _EDITS:
            parts.append(f"<p class=note>And {len(changes) - _EDITS:,} more, in provenance.json.</p>\n")
    return "".join(parts)


def _times(ledger: Ledger, plan: Plan) -> str:
    """How long each step took; what is shared by items of the same content is one call."""
    rows: list[list[object]] = []
    spent = [ledger.step_cost(step.id, step.tool) for step in plan.steps]
    total = sum(one.seconds for one in spent)
    for step, (items, failed, calls, seconds) in zip(plan.steps, spent, strict=True):
        rows.append(
            [
                step.id,
                step.tool,
                f"{calls:,}",
                f"{items - calls:,}",
                f"{failed:,}",
                _time(seconds),
                bar(seconds / total if total else 0),
                _time(seconds / calls) if calls else "",
            ]
        )
    return table(["Step", "Tool", "Calls", "Reused", "Failed", "Time", "", "Mean"], rows, numbers=(2, 3, 4, 5, 7))


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _weights(tally: _Tally) -> str:
    if not tally.weights:
        return "<p class=note>No weights were used.</p>\n"
    rows = [
        [
            key,
            Markup(f"<span class=licence>{words(licence or 'unknown')}</span>"),
            ", ".join(sorted(steps)),
            Markup(f"<code>{words(sha256)}</code>"),
        ]
        for (key, sha256, licence), steps in sorted(tally.weights.items())
    ]
    return table(["Weights", "Licence", "Steps", "sha256"], rows)


def _provenance(plan: Plan) -> str:
    text = json.dumps(json.loads(plan.dumps()), indent=2, ensure_ascii=False)
    return (
        f"<p>Plan <code>{plan.hash}</code></p>\n"
        f"<details><summary>The plan as JSON</summary><pre>{words(text, 100_000)}</pre></details>\n"
    )
