"""Repair of the memory of threads, which `superlink run` and the page share."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from agents.session.memory import ChecksumSerializer, is_checkpoint
from tools.storage.atomic import write_error
from tools.storage.database import examine, has_content, put_in_place
from tools.storage.salvage import Row, Salvage, tables

_CONTENT = {"checkpoints": "type, checkpoint, metadata", "writes": "type, value"}


@dataclass
class ThreadsRepair:
    """The result of a repair.

    Attributes:
        faults: in words; none when everything is sound.
        kept: the damaged file under its new name, if there was one.
        threads: number of threads that could be read.
        states: number of their states that could be read.
    """

    faults: list[str] = field(default_factory=list)
    kept: Path | None = None
    threads: int = 0
    states: int = 0


def repair_threads(file: Path) -> ThreadsRepair:
    """Replace a damaged memory by one with the states that can be read; a thread goes on from its latest one.

    Args:
        file: "threads.sqlite" of a home.

    Raises:
        SuperlinkError: when it is locked or cannot be read.
        WriteError: when the new one cannot be written; the old one is untouched.
    """
    if not has_content(file):
        return ThreadsRepair()  # there is nothing yet
    found = ThreadsRepair(examine(file, "The memory of sessions"))
    if not found.faults:
        found.faults += _undecoded(file)
    draft = file.with_name(f".{file.name}.repair")
    try:
        draft.unlink(missing_ok=True)
        with closing(sqlite3.connect(draft if found.faults else file)) as database:
            saver = SqliteSaver(database, serde=ChecksumSerializer())
            if found.faults:
                saver.setup()
                salvage = Salvage(file, database)
                for name, known in tables(database).items():
                    if not set(salvage.tables[name].columns) <= set(known.columns):  # its names are damaged
                        salvage.tables[name] = known
                for table, rows in (("checkpoints", salvage.rows("checkpoints")), ("writes", salvage.rows("writes"))):
                    _insert(saver, salvage, table, rows)
                for table, row in salvage.strays():
                    _insert(saver, salvage, table, iter([row]))
                database.commit()
            counts = database.execute("SELECT count(DISTINCT thread_id), count(*) FROM checkpoints")
            found.threads, found.states = counts.fetchone()
        if found.faults:
            found.kept = put_in_place(draft, file)
    except OSError as error:
        raise write_error(error, file) from error
    finally:
        draft.unlink(missing_ok=True)
    return found


def _undecoded(file: Path) -> list[str]:
    """Descriptions of faults in the content of a file that SQLite itself accepts."""
    with closing(sqlite3.connect(file)) as database:
        try:
            lost = sum(
                not _decodes(table, row)
                for table, columns in _CONTENT.items()
                for row in database.execute(f"SELECT {columns} FROM {table}")
            )
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            return [str(error)]  # the names of its columns are damaged
    return [f"{lost} of its states cannot be decoded"] if lost else []


def _insert(saver: SqliteSaver, salvage: Salvage, table: str, rows: Iterator[Row]) -> None:
    """Insert the rows whose content can be read: SQLite does not notice a changed byte in a value."""
    columns = salvage.tables[table].columns
    content = [columns.index(name) for name in _CONTENT[table].split(", ")]
    for row in rows:
        if not _decodes(table, [row[place] for place in content]):
            continue
        marks = ", ".join("?" * len(columns))
        saver.conn.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})", row)


def _decodes(table: str, content: Sequence[Any]) -> bool:
    kind, data, *metadata = content
    try:
        value = ChecksumSerializer().loads_typed((kind, data))
        for text in metadata:
            json.loads(text or b"null")
    except Exception:  # whatever the decoders make of damaged bytes
        return False
    return table == "writes" or is_checkpoint(value)
