"""Repair of the bank of examples."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.examples.bank import COLUMNS, Bank, example_of
from tools.storage.atomic import write_error
from tools.storage.database import examine, has_content, put_in_place
from tools.storage.salvage import copy_rows


@dataclass
class ExamplesRepair:
    """The result of a repair.

    Attributes:
        faults: in words; none when everything is sound.
        kept: the damaged file under its new name, if there was one.
        examples: number of examples that could be read.
    """

    faults: list[str] = field(default_factory=list)
    kept: Path | None = None
    examples: int = 0


def repair_examples(file: Path) -> ExamplesRepair:
    """Replace a damaged bank by one with the examples that can be read.

    Args:
        file: "examples.sqlite" of a home.

    Raises:
        SuperlinkError: when it is locked or cannot be read.
        WriteError: when the new one cannot be written; the old one is untouched.
    """
    if not has_content(file):
        return ExamplesRepair()  # there is nothing yet
    found = ExamplesRepair(examine(file, "The bank of examples"))
    if not found.faults:
        try:
            found.examples, lost = _count(file)
            found.faults += [f"{lost} of its examples are damaged"] if lost else []
        except sqlite3.OperationalError as error:  # the names of its columns are damaged
            found.faults += [str(error)]
    if not found.faults:
        return found
    try:
        with TemporaryDirectory(prefix=".repair-", dir=file.parent) as folder:
            new = Path(folder) / file.name
            bank = Bank(new)
            bank.add(())
            bank.close()
            copy_rows(file, new, left_out=(), strays={"examples"})
            found.examples, _ = _count(new, drop=True)
            found.kept = put_in_place(new, file)
    except OSError as error:
        raise write_error(error, file) from error
    return found


def _count(file: Path, drop: bool = False) -> tuple[int, int]:
    """The numbers of examples that can be read, and of those that cannot, which are removed where `drop` is set."""
    right, wrong = 0, []
    with closing(sqlite3.connect(file)) as database:
        for number, *row in database.execute(f"SELECT rowid, {COLUMNS} FROM examples").fetchall():
            try:
                example_of(row)
                right += 1
            except ValueError:
                wrong.append((number,))
        if drop:
            database.executemany("DELETE FROM examples WHERE rowid = ?", wrong)
            database.commit()
    return right, len(wrong)
