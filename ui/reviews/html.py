"""HTML of the Review tab; the templates escape every text."""

from collections.abc import Mapping
from pathlib import Path

from ui.reviews.desk import Look, Strip
from ui.reviews.figures import Figures
from ui.reviews.keys import listed
from ui.reviews.queue import REASONS, WORDS
from ui.templates import Templates

_render = Templates(
    "ui.reviews",
    {
        "state": WORDS.__getitem__,
        "reason": {reason: word for word, reason in REASONS.items()}.__getitem__,
    },
).render

STYLE = (Path(__file__).parent / "reviews.css").read_text(encoding="utf-8")
"""CSS of the components that show this HTML."""
STRIP_SCRIPT = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-find]');
  if (button) trigger('select', { find: Number(button.dataset.find) });
});
"""
"""Script of the strip: sends the event "select" with the number of the find that was clicked."""


def head_html(look: Look, who: str = "") -> str:
    """Return where a find is in the queue, and what it is.

    Args:
        look: At the find.
        who: Name of the person who looks, whose verdicts are "by you".
    """
    return _render("head.html.j2", look=look, who=who)


def sound_html(look: Look) -> str:
    """Return a player of the recording, from where the segment begins; "" where there is none."""
    return _render("sound.html.j2", look=look) if look.sound else ""


def strip_html(strip: Strip, current: int) -> str:
    """Return the neighbours of a find as buttons."""
    return _render("strip.html.j2", strip=strip, current=current)


def figures_html(figures: Figures) -> str:
    """Return precision of each label, pace, and agreement."""
    return _render("figures.html.j2", figures=figures)


def keys_html(keys: Mapping[str, str]) -> str:
    """Return all keys and what they do."""
    return _render("keys.html.j2", rows=listed(keys))


def note_html(text: str, bad: bool = False) -> str:
    """Return a line of text; "" for none."""
    return _render("note.html.j2", text=text, bad=bad) if text else ""
