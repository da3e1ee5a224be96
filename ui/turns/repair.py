"""Repair of the page's database: users, owners of files, sessions."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.storage.atomic import write_error
from tools.storage.database import examine, put_in_place
from tools.storage.salvage import Row, Salvage, tables
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
    log = file.with_name(f"{NAME}-wal")
    if not any(one.exists() and one.stat().st_size for one in (file, log)):
        return PageRepair()  # there is nothing yet
    found = PageRepair(examine(file, "The database of the page"))
    if not found.faults:
        return found
    try:
        with TemporaryDirectory(prefix=".repair-", dir=folder) as draft:
            Access.open(Path(draft)).close()
            Catalogue(Path(draft)).close()
            new = Path(draft) / NAME
            with closing(sqlite3.connect(new)) as database:
                known = tables(database)
                salvage = Salvage(file, database)
                for name in known:
                    if not set(salvage.tables[name].columns) <= set(known[name].columns):  # its names are damaged
                        salvage.tables[name] = known[name]
                    rows = list(salvage.rows(name))  # read in any case: `strays` yields what is left
                    _insert(database, salvage, name, [] if name in _LEFT_OUT else rows)
                for name, row in salvage.strays():
                    _insert(database, salvage, name, [row] if name in _STRAYS else [])
                for name in known.keys() - _LEFT_OUT:
                    found.rows[name] = database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                database.commit()
            found.kept = put_in_place(new, file)
            file.chmod(0o600)
    except OSError as error:
        raise write_error(error, file) from error
    return found


def _insert(database: sqlite3.Connection, salvage: Salvage, table: str, rows: Iterable[Row]) -> None:
    columns = salvage.tables[table].columns
    sql = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    for row in rows:
        with suppress(sqlite3.IntegrityError):
            database.execute(sql, row)
