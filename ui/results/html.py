"""HTML of the results; names of files and what tools said are escaped."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ui.access.links import file_url
from ui.templates import Templates
from ui.units import byte_size

_render = Templates("ui.results").render

STYLE = (Path(__file__).parent / "downloads.css").read_text(encoding="utf-8")
"""CSS of `downloads_html`."""


def downloads_html(files: Sequence[Path], archive: str, record: Path | None) -> str:
    """Return the links to files.

    Args:
        files: Files of what is shown.
        archive: Address of all files as one; "" for none.
        record: Record of the turn.
    """
    listed = [
        {"url": file_url(file), "name": file.name, "size": byte_size(file.stat().st_size)}
        for file in files
        if file.is_file()
    ]
    return _render(
        "downloads.html", files=listed, archive=archive, record=file_url(record) if record is not None else ""
    )


def note_html(text: str) -> str:
    """Return sentences as a paragraph."""
    return f"<p>{escape(text)}</p>" if text else ""
