"""The report's templates (jinja2), and the filters through which every text goes into them."""

import re
from functools import cache
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # marks that turn the direction of writing


def text(value: object, limit: int = 300) -> Markup:
    """Return a value as HTML text, without control characters and marks of direction.

    Names of files and labels come from others and may be written to be read as markup, or as another name. Every
    expression of a template goes through this function, also where the template names no filter.

    Args:
        value: What to write. `Markup` is returned as it is.
        limit: Characters that are shown at most.
    """
    if isinstance(value, Markup):
        return value
    plain = _DIRECTION.sub("", _CONTROL.sub("\ufffd", str(value)))
    return escape(plain if len(plain) <= limit else plain[: limit - 1] + "…")


def bdi(value: object, limit: int = 160) -> Markup:
    """Return a file's name or a label as HTML, isolated from the direction of the writing around it."""
    return Markup("<bdi>{}</bdi>").format(text(value, limit))


def duration(seconds: float) -> str:
    """Return a time in the unit that fits it."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def render(template: str, **context: object) -> str:
    """Return a template of `flows/report/templates`, filled in.

    Raises:
        jinja2.TemplateError: when the template is faulty or names something that the context lacks.
    """
    return environment().get_template(template).render(context)


@cache
def environment(*folders: Path) -> Environment:
    """Return the environment of the templates, in which every text is escaped.

    Args:
        folders: Further folders of templates, which may include those of the report.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("flows.report"), FileSystemLoader(folders)]),
        autoescape=True,
        finalize=text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "text": text,
        "bdi": bdi,
        "duration": duration,
        "thousands": "{:,}".format,
        "percent": "{:.0%}".format,
    }
    return environment
