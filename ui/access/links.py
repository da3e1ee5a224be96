"""Addresses under which the page serves files."""

from pathlib import Path
from urllib.parse import quote

FILES = "/gradio_api/file="
"""Start of the address of a file."""


def file_url(path: Path | str) -> str:
    """Return the address of a file for its owner, such as "/gradio_api/file=/home/me/page/a%20b.png".

    Args:
        path: The file, inside the folder of the page.
    """
    return FILES + quote(str(Path(path).absolute()))
