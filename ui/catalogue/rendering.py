"""Templates and style of the Tools and Models tabs; the templates escape every text."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tools.weights.requirements import in_words
from ui.catalogue.jobs import Job, progress_in_words

STYLE = (Path(__file__).parent / "catalogue.css").read_text(encoding="utf-8")
"""CSS of the components that show this HTML."""
SCRIPT = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-action]');
  if (button) trigger('select', { ...button.dataset });
});
"""
"""Script of these components: a button with `data-action` is a "select" event with all of its data."""


def render(template: str, **context: object) -> str:
    """Return the HTML that a template makes."""
    return _environment().get_template(template).render(context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ui.catalogue"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": in_words, "progress": progress_in_words, "percent": _percent}
    return environment


def _percent(job: Job) -> int | None:
    return None if not job.total else min(100, 100 * job.done // job.total)
