"""What can be read of a damaged database of the page, copied into a new one."""

import sqlite3
from collections.abc import Collection, Iterable
from contextlib import closing, suppress
from pathlib import Path

from tools.storage.salvage import Row, Salvage, tables


def copy_rows(file: Path, new: Path, left_out: Collection[str], strays: Collection[str]) -> dict[str, int]:
    """Copy the rows that can be read; returns their numbers by table.

    Args:
        file: The damaged database.
        new: A database with empty tables.
        left_out: Tables that stay empty.
        strays: Tables whose rows are also taken from pages to which no table leads; deleted rows may stand there.
    """
    with closing(sqlite3.connect(new)) as database:
        known = tables(database)
        salvage = Salvage(file, database)
        for name in known:
            if not set(salvage.tables[name].columns) <= set(known[name].columns):  # its names are damaged
                salvage.tables[name] = known[name]
            rows = list(salvage.rows(name))  # read in any case: `strays` yields what is left
            _insert(database, salvage, name, [] if name in left_out else rows)
        for name, row in salvage.strays():
            _insert(database, salvage, name, [row] if name in strays else [])
        database.commit()
        count = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in known}
    return {name: number for name, number in count.items() if name not in left_out}


def _insert(database: sqlite3.Connection, salvage: Salvage, table: str, rows: Iterable[Row]) -> None:
    columns = salvage.tables[table].columns
    sql = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    for row in rows:
        with suppress(sqlite3.IntegrityError):
            database.execute(sql, row)
