"""SQLite files that superlink keeps, and what their errors mean to a person.

SQLite reports a locked file, a damaged one and a full disk by the same exception classes. They are told apart by their
result codes (https://www.sqlite.org/rescode.html), here and nowhere else.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

from tools.errors import SuperlinkError

AGAIN = "give the same command again; it goes on where it stopped"

# By primary result code: what happened to the file, and what to do. A code that is not here is a fault of the program.
_WORDS = {
    sqlite3.SQLITE_PERM: ("may not be used", f"Check its permissions and {AGAIN}"),
    sqlite3.SQLITE_BUSY: ("is locked by another process", f"Wait until that one has ended and {AGAIN}"),
    sqlite3.SQLITE_LOCKED: ("is locked by another process", f"Wait until that one has ended and {AGAIN}"),
    sqlite3.SQLITE_NOMEM: ("does not fit into memory", f"Close other programs and {AGAIN}"),
    sqlite3.SQLITE_READONLY: ("cannot be written: it is read-only, or its folder is",
                              f"Make both writable (chmod u+w) and {AGAIN}"),  # fmt: skip
    sqlite3.SQLITE_IOERR: ("cannot be read or written: the disk reports an error",
                           f"Check the disk, its quota and the space left, and {AGAIN}"),  # fmt: skip
    sqlite3.SQLITE_CORRUPT: ("is damaged", ""),
    sqlite3.SQLITE_FULL: ("cannot be written: the disk is full", f"Free some space and {AGAIN}"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", f"Check that its folder is there and its permissions, and {AGAIN}"),
    sqlite3.SQLITE_PROTOCOL: ("is locked by another process", f"Wait until that one has ended and {AGAIN}"),
    sqlite3.SQLITE_NOTADB: ("is damaged, or is no database", ""),
}  # fmt: skip
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def failure(error: sqlite3.Error | OSError, file: Path, name: str, repair: str,
            kind: type[SuperlinkError] = SuperlinkError) -> SuperlinkError | None:  # fmt: skip
    """Say in words what an error of SQLite, or of its file, means.

    Args:
        error: that was raised.
        file: the database.
        name: what the file is to a person, such as "The ledger".
        repair: the command that repairs it.
        kind: of error to make.

    Returns:
        The error to raise from this one, or None where the program is at fault: wrong SQL, or a closed connection.
    """
    if isinstance(error, OSError):
        return kind(f"{name} {file} cannot be opened: {error.strerror or error}",
                    f"Check that its folder can be made and written, and {AGAIN}")  # fmt: skip
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # Python itself finds text that is no UTF-8; SQLite does not look at it.
        return damage(file, name, repair, str(error), kind) if "decode" in str(error) else None
    primary = code & 0xFF
    if primary in _DAMAGED:
        return damage(file, name, repair, str(error), kind)
    if primary not in _WORDS:
        return None
    happened, hint = _WORDS[primary]
    return kind(f"{name} {file} {happened} ({error})", hint)


def damage(file: Path, name: str, repair: str, reason: str, kind: type[SuperlinkError] = SuperlinkError
           ) -> SuperlinkError:  # fmt: skip
    """The error of a database whose content cannot be right."""
    return kind(f"{name} {file} is damaged ({reason})",
                f"Give: {repair}. It keeps this file and recovers what can be read; then {AGAIN}")  # fmt: skip


class Database(sqlite3.Connection):
    """A connection whose errors are a `SuperlinkError` with the right words, whoever uses it; made by `connect`."""

    file: Path
    name: str
    repair: str
    kind: type[SuperlinkError]

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn SQLite's errors inside the block into words."""
        try:
            yield
        except sqlite3.Error as error:
            self.tell(error)

    def tell(self, error: sqlite3.Error) -> NoReturn:
        """Raise the error in words, or as it is where the program is at fault."""
        said = failure(error, self.file, self.name, self.repair, self.kind)
        if said is None:
            raise error
        raise said from error

    def damaged(self, reason: str) -> SuperlinkError:
        """The error for content that cannot be right although SQLite can read it."""
        return damage(self.file, self.name, self.repair, reason, self.kind)

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor that tells errors in the same way."""
        return super().cursor(factory or _Cursor)

    def execute(self, *given: Any) -> sqlite3.Cursor:
        """As of `sqlite3.Connection`."""
        cursor: sqlite3.Cursor = self.cursor().execute(*given)
        return cursor

    def executemany(self, *given: Any) -> sqlite3.Cursor:
        """As of `sqlite3.Connection`."""
        cursor: sqlite3.Cursor = self.cursor().executemany(*given)
        return cursor

    def executescript(self, *given: Any) -> sqlite3.Cursor:
        """As of `sqlite3.Connection`."""
        cursor: sqlite3.Cursor = self.cursor().executescript(*given)
        return cursor

    def commit(self) -> None:
        """As of `sqlite3.Connection`."""
        with self.told():
            super().commit()


class _Cursor(sqlite3.Cursor):
    """Rows are read from the disk as they are asked for, so reading them fails like a statement does."""

    connection: Database

    def execute(self, *given: Any) -> Self:
        with self.connection.told():
            super().execute(*given)
        return self

    def executemany(self, sql: str, rows: Iterable[Any], /) -> Self:
        with self.connection.told():
            super().executemany(sql, rows)
        return self

    def executescript(self, script: str, /) -> Self:
        with self.connection.told():
            super().executescript(script)
        return self

    def fetchone(self) -> Any:
        with self.connection.told():
            return super().fetchone()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        with self.connection.told():
            return super().fetchmany(self.arraysize if size is None else size)

    def fetchall(self) -> list[Any]:
        with self.connection.told():
            return super().fetchall()

    # Called for every row, so without a context manager.
    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as error:
            self.connection.tell(error)


def connect(file: Path, name: str, repair: str, kind: type[SuperlinkError] = SuperlinkError, *, timeout: float = 60,
            isolation_level: Any = None) -> Database:  # fmt: skip
    """Open an SQLite file, made when missing with its folder, in a mode where a killed process loses nothing.

    A power cut may lose the last moments.

    Args:
        file: the database.
        name: what the file is to a person, such as "The ledger".
        repair: the command that repairs it, such as "superlink repair DIR".
        kind: of error to raise.
        timeout: seconds to wait for a lock.
        isolation_level: as of `sqlite3.connect`; None leaves transactions to explicit statements.

    Raises:
        SuperlinkError: of that kind, when it cannot be opened, and later when it cannot be read or written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        log = file.with_name(f"{file.name}-wal")
        # SQLite would begin anew and delete the log, which holds the latest rows.
        if log.is_file() and log.stat().st_size and not (file.is_file() and file.stat().st_size):
            raise damage(file, name, repair, f"it is missing or empty, although {log.name} is not", kind)
        database: Database = sqlite3.connect(file, timeout=timeout, isolation_level=isolation_level,
                                             check_same_thread=False, factory=Database)  # fmt: skip
    except (sqlite3.Error, OSError) as error:
        said = failure(error, file, name, repair, kind)
        if said is None:
            raise
        raise said from error
    database.file, database.name, database.repair, database.kind = file, name, repair, kind
    try:
        database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
    except BaseException:
        database.close()
        raise
    return database
