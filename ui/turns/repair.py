"""Repair of the page's database: users, owners of files, sessions."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.storage.atomic import write_error
from tools.storage.database import examine, has_content, put_in_place
from tools.storage.salvage import copy_rows
from ui.access.access import Access
from ui.access.database import NAME
from ui.turns.catalogue import Catalogue

_LEFT_OUT = {"logins", "attempts"}
"""Tables that begin anew: people log in again, and no login comes back that was ended."""
_STRAYS = {"sessions", "turns", "drafts"}
"""Tables whose rows are also taken from pages to which no table leads, where deleted rows may stand, too."""


@dataclass
class PageRepair:
    """The result of a repair.

    Attributes:
        faults: In words; none when everything is sound.
        kept: The damaged file under its new name, if there was one.
        rows: Number of rows that could be read, by table.
    """

    faults: list[str] = field(default_factory=list)
    kept: Path | None = None
    rows: dict[str, int] = field(default_factory=dict)


def repair_page(folder: Path) -> PageRepair:
    """Replace a damaged database of a page by one with the rows that can be read.

    Args:
        folder: Of the page.

    Raises:
        SuperlinkError: When it is locked or cannot be read.
        WriteError: When the new one cannot be written; the old one is untouched.
    """
    file = folder / NAME
    if not has_content(file):
        return PageRepair()  # there is nothing yet
    found = PageRepair(examine(file, "The database of the page"))
    if not found.faults:
        return found
    try:
        with TemporaryDirectory(prefix=".repair-", dir=folder) as draft:
            Access.open(Path(draft)).close()
            Catalogue(Path(draft)).close()
            new = Path(draft) / NAME
            found.rows = copy_rows(file, new, _LEFT_OUT, _STRAYS)
            found.kept = put_in_place(new, file)
            file.chmod(0o600)
    except OSError as error:
        raise write_error(error, file) from error
    return found
