"""HTML as the report writes it: words made harmless, tables, and drawings of numbers as SVG."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BINS = 20
"""Bars of a histogram of scores between 0 and 1."""

# Should anything get past `words`, the browser still loads nothing and runs nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # marks that turn the direction of writing


class Markup(str):
    """Text that is HTML already."""


def words(value: object, limit: int = 300) -> Markup:
    """Anything as HTML text: names of files and labels come from others, and may be meant to be read as something else.

    Args:
        value: what to write.
        limit: characters that are shown at most.
    """
    if isinstance(value, Markup):
        return value
    text = _TURNING.sub("", _UNSEEN.sub("\ufffd", str(value)))
    return Markup(escape(text if len(text) <= limit else text[: limit - 1] + "…"))


def name(value: object, limit: int = 160) -> Markup:
    """A file's name or a label, kept apart from the direction of the writing around it."""
    return Markup(f"<bdi>{words(value, limit)}</bdi>")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> Markup:
    """A table that scrolls by itself where it is too wide.

    Args:
        heads: of the columns.
        rows: cells; what is no `Markup` is made harmless.
        numbers: which columns hold numbers.
    """

    def cells(tag: str, row: Sequence[object]) -> str:
        return "".join(
            f"<{tag}{' class=n' if place in numbers else ''}>{words(cell)}</{tag}>" for place, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>\n" for row in rows)
    return Markup(
        f"<div class=wide><table><thead><tr>{cells('th', heads)}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )


def section(title: str, *parts: str, note: str = "") -> str:
    """A part of the page under a heading; nothing where it has no parts."""
    body = "".join(parts)
    said = f"<p class=note>{words(note)}</p>\n" if note else ""
    return f"<section>\n<h2>{words(title)}</h2>\n{said}{body}</section>\n" if body else ""


def tiles(facts: Iterable[tuple[str, object, str]]) -> str:
    """Numbers in large: what, how much, and the class that colours it."""
    found = "".join(
        f"<div{f' class={kind}' if kind else ''}><b>{words(much)}</b><span>{words(what)}</span></div>"
        for what, much, kind in facts
    )
    return f"<div class=tiles>{found}</div>\n"


def histogram(bins: NDArray[np.int64], what: str) -> Markup:
    """Bars for how many scores lie in each of `BINS` equal parts from 0 to 1."""
    most, width, height = max(1, int(bins.max())), 240, 62
    step = width / BINS
    bars = []
    for place, count in enumerate(bins.tolist()):
        if count:
            high = max(1.5, count / most * height)
            bars.append(
                f'<rect x="{place * step + 0.75:g}" y="{height - high:.2f}" width="{step - 1.5:g}" height="{high:.2f}" '
                f'rx="1"><title>{place / BINS:.2f} to {(place + 1) / BINS:.2f}: {count:,}</title></rect>'
            )
    marks = "".join(
        f'<text x="{x}" y="76" text-anchor="{at}">{score}</text>'
        for x, at, score in ((0, "start", "0"), (120, "middle", "0.5"), (240, "end", "1"))
    )
    return Markup(
        f'<svg viewBox="0 0 {width} 78" role="img" aria-label="Scores of {words(what)}">{"".join(bars)}'
        f'<path d="M0 {height + 0.5}H{width}"/>{marks}</svg>'
    )


def bar(share: float) -> Markup:
    """A share of a whole as a line of that length."""
    return Markup(
        f'<svg class=bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{max(0.0, min(1.0, share)) * 100:.2f}" height="8"/></svg>'
    )


def interval(low: float, share: float, high: float) -> Markup:
    """A share with the range in which it may lie, on a line from 0 to 1."""
    return Markup(
        '<svg class=interval viewBox="0 0 110 12" aria-hidden="true"><path d="M5 6H105"/>'
        f'<rect x="{5 + low * 100:.2f}" y="4" width="{max(0.5, (high - low) * 100):.2f}" height="4" rx="2"/>'
        f'<circle cx="{5 + share * 100:.2f}" cy="6" r="4"/></svg>'
    )


def page(title: str, body: str) -> str:
    """A whole page that asks for nothing from anywhere."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    return (
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        "<meta name=viewport content='width=device-width, initial-scale=1'>\n<meta name=referrer content=no-referrer>\n"
        f"<title>{words(title, 120)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
