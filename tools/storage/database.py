"""SQLite files that superlink keeps, and what their errors mean to a person.

SQLite reports a locked file, a damaged one and a full disk by the same exception classes. They are told apart by their
result codes (https://www.sqlite.org/rescode.html), here and nowhere else.
"""

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

from tools.core.errors import SuperlinkError
from tools.storage.atomic import flush

AGAIN = "give the same command again; it goes on where it stopped"

# By primary result code: what happened to the file, and what to do. A code that is not here is a fault of the program.
_WORDS = {
    sqlite3.SQLITE_PERM: ("may not be used", f"Check its permissions and {AGAIN}"),
    sqlite3.SQLITE_BUSY: ("is locked by another process", f"Wait until that one has ended and {AGAIN}"),
    sqlite3.SQLITE_LOCKED: ("is locked by another process", f"Wait until that one has ended and {AGAIN}"),
    sqlite3.SQLITE_NOMEM: ("does not fit into memory", f"Close other programs and {AGAIN}"),
    sqlite3.SQLITE_READONLY: (
        "cannot be written: it is read-only, or its folder is",
        f"Make both writable (chmod u+w) and {AGAIN}",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written: the disk reports an error",
        f"Check the disk, its quota and the space left, and {AGAIN}",
    ),
    sqlite3.SQLITE_FULL: ("cannot be written: the disk is full", f"Free some space and {AGAIN}"),
    # SQLite makes a file beside the database even to read it.
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened: its folder is missing or cannot be written",
        f"Make it writable, or copy all of the folder elsewhere, and {AGAIN}",
    ),
    sqlite3.SQLITE_PROTOCOL: ("is locked by another process", f"Wait until that one has ended and {AGAIN}"),
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def failure(
    error: sqlite3.Error | OSError, file: Path, name: str, repair: str, kind: type[SuperlinkError] = SuperlinkError
) -> SuperlinkError | None:
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
        return kind(
            f"{name} {file} cannot be opened: {error.strerror or error}",
            f"Check that its folder can be made and written, and {AGAIN}",
        )
    if _is_damage(error):
        return damage(file, name, repair, str(error), kind)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code not in _WORDS:
        return None
    happened, hint = _WORDS[code]
    return kind(f"{name} {file} {happened} ({error})", hint)


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    # Python itself finds text that is no UTF-8; SQLite does not look at it.
    return "decode" in str(error) if code is None else code & 0xFF in _DAMAGED


def damage(
    file: Path, name: str, repair: str, reason: str, kind: type[SuperlinkError] = SuperlinkError
) -> SuperlinkError:
    """The error of a database whose content cannot be right."""
    return kind(
        f"{name} {file} is damaged ({reason})",
        f"Give: {repair}. It keeps this file and recovers what can be read; then {AGAIN}",
    )


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
        except UnicodeDecodeError as error:  # of a message that quotes a damaged schema
            raise self.damaged(str(error)) from error

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


def connect(
    file: Path,
    name: str,
    repair: str,
    kind: type[SuperlinkError] = SuperlinkError,
    *,
    timeout: float = 60,
    isolation_level: Any = None,
) -> Database:
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
        database: Database = sqlite3.connect(
            file, timeout=timeout, isolation_level=isolation_level, check_same_thread=False, factory=Database
        )
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


def examine(file: Path, name: str) -> list[str]:
    """Look for damage in a whole database; nothing is changed.

    Args:
        file: the database.
        name: what the file is to a person.

    Returns:
        What is wrong, at most twenty faults; nothing for a file that is sound.

    Raises:
        SuperlinkError: when the file cannot be looked at, such as for its permissions.
    """
    if not file.exists():
        return ["it is missing"]
    if not file.stat().st_size:
        return ["it is empty"]
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            faults = [str(row[0]) for row in database.execute("PRAGMA integrity_check(20)")]
            if faults != ["ok"]:
                return [fault.removeprefix("*** in database main ***\n").splitlines()[0] for fault in faults]
            # SQLite does not look at what a text holds; Python does when it reads one.
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for _ in database.execute(f'SELECT * FROM "{table}"'):
                    pass
            return []
    except UnicodeDecodeError as error:  # of a message that quotes a damaged schema
        return [str(error)]
    except sqlite3.Error as error:
        if _is_damage(error):
            return [str(error)]
        raise failure(error, file, name, "superlink repair") or error from error


def put_in_place(new: Path, file: Path) -> Path | None:
    """Put a sound database in the place of a damaged one, which is kept beside it.

    Args:
        new: the sound one, closed, on the same disk.
        file: the damaged one.

    Returns:
        Where the damaged one is now, with its log if it has one; None when there was none.

    Raises:
        OSError: when the folder cannot be written; the damaged one is then still in its place.
    """
    kept = None
    log, index = (file.with_name(f"{file.name}{end}") for end in ("-wal", "-shm"))
    if any(one.exists() and one.stat().st_size for one in (file, log)):
        kept = file.with_name(f"{file.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}{file.suffix}")
        for old, place in ((file, kept), (log, kept.with_name(f"{kept.name}-wal"))):
            if old.exists() and old.stat().st_size:
                shutil.copy2(old, place)
                flush(place)
    flush(new)
    # The log first: SQLite would play it back over the new file.
    log.unlink(missing_ok=True)
    index.unlink(missing_ok=True)
    os.replace(new, file)
    flush(file.parent)
    return kept
