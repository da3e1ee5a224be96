"""Templates and style of the Tools and Models tabs; the templates escape every text."""

from pathlib import Path

from tools.weights.requirements import in_words
from ui.catalogue.jobs import Job, progress_in_words
from ui.templates import Templates

STYLE = (Path(__file__).parent / "catalogue.css").read_text(encoding="utf-8")
"""CSS of the components that show this HTML."""
SCRIPT = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-action]');
  if (button) trigger('select', { ...button.dataset });
});
"""
"""Script of these components: a button with `data-action` is a "select" event with all of its data."""


def _percent(job: Job) -> int | None:
    return None if not job.total else min(100, 100 * job.done // job.total)


render = Templates("ui.catalogue", {"size": in_words, "progress": progress_in_words, "percent": _percent}).render
