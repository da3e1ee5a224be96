"""What SQLite reports, in words: one test for each way in which its file can fail."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.core.errors import StoreError
from tools.storage.database import Database, connect

ROWS = 200


def open_database(file: Path, **more: float) -> Database:
    return connect(file, "The ledger", "superlink repair DIR", StoreError, **more)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "deep" / "a.sqlite"
    database = open_database(file)
    database.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    database.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 200) for n in range(ROWS)])
    database.close()
    return file


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    database = open_database(file, timeout=0)
    yield database
    database.close()


READS: list[Callable[[Database], object]] = [
    lambda db: db.execute("SELECT * FROM t").fetchall(),
    lambda db: list(db.execute("SELECT * FROM t")),
    lambda db: db.execute("SELECT * FROM t").fetchmany(ROWS),
    lambda db: db.execute("SELECT max(b) FROM t").fetchone(),
    lambda db: db.cursor().execute("SELECT * FROM t").fetchall(),
    lambda db: db.execute("UPDATE t SET b = 'y'"),
    lambda db: db.executemany("UPDATE t SET b = ?", [("y",)]),
    lambda db: db.executescript("UPDATE t SET b = 'y'"),
]


@pytest.mark.parametrize("read", READS)
def test_flipped_bytes(file: Path, read: Callable[[Database], object]) -> None:
    data = bytearray(file.read_bytes())
    data[4096 * 5 : 4096 * 5 + 8] = b"\xff" * 8
    file.write_bytes(data)
    database = open_database(file)
    with pytest.raises(StoreError, match=r"The ledger .*a\.sqlite is damaged .*superlink repair DIR"):
        read(database)
    database.close()


def test_text_that_is_none(database: Database) -> None:
    with pytest.raises(StoreError, match="is damaged .*superlink repair DIR"):
        database.execute("SELECT CAST(x'ff' AS TEXT)").fetchall()


@pytest.mark.parametrize("content", [b"no database " * 500, b"SQLite format 3\0" + b"\xff" * 5000])
def test_no_database(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged .*superlink repair DIR"):
        open_database(file)


def test_cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: 4096 * 3])
    with pytest.raises(StoreError, match="is damaged .*superlink repair DIR"):
        open_database(file).execute("SELECT * FROM t").fetchall()


def test_locked(file: Path, database: Database) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"locked by another process .*Wait until") as raised:
        database.execute("BEGIN IMMEDIATE")
    assert "space" not in str(raised.value) and "repair" not in str(raised.value)
    other.close()


def test_a_full_disk(database: Database) -> None:
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk is full.*Free some space"):
        database.executemany("INSERT INTO t (b) VALUES (?)", [("x" * 4000,)] * 5)


def test_a_commit_that_fails_is_reported(file: Path) -> None:
    database = connect(file, "The threads", "superlink repair", timeout=0, isolation_level="DEFERRED")
    reader = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode = DELETE")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM t").fetchone()
    database.execute("UPDATE t SET b = 'y'")
    with pytest.raises(Exception, match=r"The threads .* is locked by another process"):
        database.commit()
    reader.close()
    database.close()


def test_read_only(database: Database) -> None:
    database.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="read-only.*chmod"):
        database.execute("UPDATE t SET b = 'y'")


def test_a_folder_that_cannot_be(file: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be opened: (Not a directory|File exists)"):
        open_database(file / "a.sqlite")
    with pytest.raises(StoreError, match="cannot be opened: its folder is missing or cannot be written"):
        open_database(tmp_path)


def test_faults_of_the_program_stay_what_they_are(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        database.execute("SELECT * FROM absent")
    with pytest.raises(sqlite3.IntegrityError):
        database.execute("INSERT INTO t VALUES (1, '')")
    database.close()
    with pytest.raises(sqlite3.ProgrammingError):
        database.execute("SELECT 1")


def test_an_error_that_ends_its_transaction_is_not_hidden(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.execute("ROLLBACK")  # as SQLite does by itself where the disk is full
        _ = 1 / 0
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.execute("UPDATE t SET b = 'y'")
        _ = 1 / 0
    assert not database.execute("SELECT * FROM t WHERE b = 'y'").fetchall()
