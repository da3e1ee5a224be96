"""What Prefect's dashboard shows of a run: plan, progress, counts and failures as artifacts."""

import re
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.batch.events import Event, OnEvent
from flows.batch.summary import Summary

_SHOWN = 100  # failures; the others are in the ledger


class ArtifactReporter:
    """Writes the events of a run as artifacts of the flow run that this code is in.

    Args:
        out: folder of the run; artifacts are named after it.
        on_event: called with each event, too.
    """

    def __init__(self, out: Path, on_event: OnEvent | None) -> None:
        """Nothing is written yet."""
        self._key = re.sub(r"[^a-z0-9]+", "-", out.name.lower()).strip("-") or "run"
        self._on_event = on_event
        self._progress: UUID | None = None

    def show(self, event: Event) -> None:
        """Write one event."""
        if event["event"] == "plan":
            create_markdown_artifact(f"```\n{event['tree']}\n```", f"{self._key}-plan", f"Plan {event['hash']}")
        if event["event"] == "progress":
            percent = 100 * (event["done"] + event["failed"]) / event["all"]
            text = f"{event['done']} of {event['all']} done, {event['failed']} failed, {event['left']:.0f} s left"
            if self._progress is None:
                self._progress = cast(UUID, create_progress_artifact(percent, f"{self._key}-progress", text))
            else:
                update_progress_artifact(self._progress, percent, text)
        if self._on_event is not None:
            self._on_event(event)

    def show_summary(self, summary: Summary) -> None:
        """Write how the run ended, and which items failed."""
        counts = {name: getattr(summary, name) for name in ("items", "done", "failed", "left", "ran", "cached")}
        exports = {name: str(folder) for name, folder in summary.exports.items()}
        create_table_artifact(
            [{**counts, "seconds": round(summary.seconds, 1), **exports}],
            f"{self._key}-summary",
            summary.stopped or "How the run ended",
        )
        if summary.failures:
            rows = [{"item": name, "reason": reason, "hint": hint} for name, reason, hint in summary.failures[:_SHOWN]]
            create_table_artifact(rows, f"{self._key}-failures", f"{len(rows)} of {summary.failed} items that failed")
