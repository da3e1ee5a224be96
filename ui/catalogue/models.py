"""HTML of the Models tab; the templates escape every text."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tools.weights.requirements import in_words
from ui.catalogue.jobs import Job, progress_in_words
from ui.catalogue.weights import Computer, StarterSet, WeightsRow

STYLE = (Path(__file__).parent / "catalogue.css").read_text(encoding="utf-8")
"""CSS of the components that show this HTML."""


def computer_html(computer: Computer, starter: StarterSet) -> str:
    """Return what this computer has and uses, and what of the starter set is missing."""
    return _render("computer.html.j2", computer=computer, starter=starter)


def rows_html(rows: list[WeightsRow], focus: str = "") -> str:
    """Return the weights as a table; the row of `focus` is marked."""
    return _render("weights.html.j2", rows=rows, focus=focus)


def question_html(rows: list[WeightsRow], action: str) -> str:
    """Return what a person has to decide before weights are fetched, with those that they need, or removed."""
    return _render("question.html.j2", rows=rows, action=action)


def starter_question_html(starter: StarterSet) -> str:
    """Return what a person has to decide before the starter set is fetched and chosen."""
    return _render("starter.html.j2", starter=starter)


def _percent(job: Job) -> int | None:
    return None if not job.total else min(100, 100 * job.done // job.total)


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


def _render(template: str, **context: object) -> str:
    return _environment().get_template(template).render(context)
