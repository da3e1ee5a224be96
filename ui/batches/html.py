"""HTML of the Batch tab; the templates escape names of files, labels, and what tools said."""

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from flows.batch.failures import FailureGroup
from ui.batches.pilot import PilotItem, PilotView, counts
from ui.batches.planning import PlanDraft
from ui.batches.progress import Progress, Thumbnail
from ui.batches.schedules import ScheduleView
from ui.batches.sources import SourceView
from ui.templates import Templates
from ui.units import byte_size

STYLE = (Path(__file__).parent / "batch.css").read_text(encoding="utf-8")
"""CSS of all that is here."""
LABELS = 12
"""Number of labels that have a colour and a slider of their own."""
SHEET = "pilot-sheet"
"""Id of the element that holds `pilot_html`."""

_render = Templates("ui.batches").render


def span(seconds: float) -> str:
    """Return a duration in words: "40 s", "3 min", "2.1 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def source_html(view: SourceView) -> str:
    """Return what is in a source."""
    return _render("source.html.j2", view=view, size=byte_size(view.size))


def fault_html(message: str, hint: str = "") -> str:
    """Return an error as a person reads it."""
    return _render("fault.html.j2", text=f"{message}. {hint}" if hint else message)


def note_html(text: str) -> str:
    """Return a sentence that is no error."""
    return _render("note.html.j2", text=text)


def plan_html(draft: PlanDraft, steps: Sequence[str]) -> str:
    """Return a plan with its steps in words, its problems and warnings."""
    return _render(
        "plan.html.j2",
        request="" if draft.plan is None else draft.plan.request,
        steps=steps,
        problems=draft.problems,
        missing=draft.missing,
        warnings=draft.warnings,
    )


def forecast_text(view: PilotView, free: int) -> str:
    """Return what the rest will take.

    Args:
        view: The pilot.
        free: Bytes that are free on the disk of the store.
    """
    known = view.forecast
    if not known.items:
        return f"All {known.pilot} items are worked. Nothing is left to do but the exports."
    enough = "" if known.bytes < free else " That is more than what is free."
    return (
        f"The other {known.items} items: about {span(known.seconds)}, {byte_size(known.bytes)} on the disk "
        f"({byte_size(free)} free), {known.review} finds to review.{enough}"
    )


def pilot_html(view: PilotView, free: int) -> str:
    """Return the contact sheet of a pilot, its failures, and the forecast. Boxes are hidden by `counts_html`."""
    labels = {label: number for number, label in enumerate(view.finds)}
    shown = [_tile(item, labels) for item in view.items if not item.fault]
    return _render(
        "pilot.html.j2",
        forecast=forecast_text(view, free),
        failures=view.failures,
        items=view.items,
        shown=shown,
        any_boxes=any(view.finds.values()),
    )


def counts_html(finds: Mapping[str, Sequence[float]], scores: Mapping[str, float]) -> str:
    """Return how many finds of each label are kept, and the style that hides the others on the contact sheet.

    Args:
        finds: `PilotView.finds`.
        scores: Label to least score.
    """
    hidden = [
        f"#{SHEET} .l{number}.p{percent}"
        for number, label in enumerate(finds)
        for percent in sorted({_percent(score) for score in finds[label]})
        if percent < round(100 * scores.get(label, 0.0))
    ]
    return _render("counts.html.j2", counts=counts(finds, scores), hidden=", ".join(hidden))


def run_html(progress: Progress, folder: Path) -> str:
    """Return how far a run is."""
    rate = f"{progress.rate:.1f} a second" if progress.rate >= 1 else f"{60 * progress.rate:.1f} a minute"
    left = ""
    if progress.seconds is not None:
        mean, least, most = progress.seconds
        left = f"about {span(mean)} ({span(least)} to {span(most)})"
    ended = f"{progress.done} of {progress.total} done" + (f", {progress.failed} failed" if progress.failed else "")
    return _render(
        "run.html.j2",
        run=progress,
        folder=folder,
        rate=rate if progress.rate else "",
        left=left,
        summary=ended if progress.total and progress.state in ("Done", "Paused", "Stopped", "Cancelled") else "",
    )


def download_html(url: str, name: str, count: int, said: Sequence[str]) -> str:
    """Return the link to a file, and what is said of it.

    Args:
        url: Address of the file.
        name: Name under which it is saved.
        count: Bytes.
        said: Sentences.
    """
    return _render("download.html.j2", url=url, name=name, size=byte_size(count), said=said)


def schedules_html(said: str, rows: Sequence[ScheduleView] | None = None) -> str:
    """Return a sentence, and a list of schedules if there is one."""
    return _render("schedules.html.j2", said=said, rows=rows)


def failures_html(groups: Sequence[FailureGroup]) -> str:
    """Return failures by reason."""
    return _render("failures.html.j2", groups=groups)


def latest_html(items: Sequence[Thumbnail]) -> str:
    """Return the items that were done last."""
    shown = [{"name": item.name, "jpeg": _base64(item.jpeg), "note": item.note} for item in items]
    return _render("latest.html.j2", items=shown)


def _tile(item: PilotItem, labels: Mapping[str, int]) -> dict[str, object]:
    boxes = [
        {
            "label": min(labels[one.label], LABELS),
            "percent": _percent(one.score),
            "x": round(one.box[0], 4),
            "y": round(one.box[1], 4),
            "width": round(one.box[2] - one.box[0], 4),
            "height": round(one.box[3] - one.box[1], 4),
            "title": f"{one.label} {one.score:.2f}",
        }
        for one in item.found
    ]
    return {"name": item.name, "jpeg": _base64(item.jpeg), "boxes": boxes, "said": item.said}


def _percent(score: float) -> int:
    # Scores are of 32 bits: 0.29 is a little less than 0.29.
    return math.floor(100 * score + 1e-4)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
