"""SQLite files of superlink, and messages for their errors.

SQLite reports a locked file, a damaged file and a full disk by the same exception classes. Only this module
distinguishes them, by result code (https://www.sqlite.org/rescode.html).
"""

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn, Self

from tools.core.errors import SuperlinkError
from tools.storage.atomic import flush

AGAIN = "give the same command again; it goes on where it stopped"

# What happened and what to do, by primary result code. Any other code is a fault of the program.
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
    """Return the SuperlinkError for an error of SQLite or of its file.

    Args:
        error: The error.
        file: The database.
        name: What messages call the file, such as "The ledger".
        repair: The command that repairs it.
        kind: Class of the error to return.

    Returns:
        The error to raise from this one, or None for an error of the program: wrong SQL, or a closed connection.
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
    # Python, not SQLite, detects text that is not UTF-8; that error has no code.
    return "decode" in str(error) if code is None else code & 0xFF in _DAMAGED


def damage(
    file: Path, name: str, repair: str, reason: str, kind: type[SuperlinkError] = SuperlinkError
) -> SuperlinkError:
    """Return the error for a damaged database."""
    return kind(
        f"{name} {file} is damaged ({reason})",
        f"Give: {repair}. It keeps this file and recovers what can be read; then {AGAIN}",
    )


class Database(sqlite3.Connection):
    """A connection whose errors are raised as a `SuperlinkError`; `connect` makes it.

    Attributes:
        file: The database.
        name: What messages call it.
        repair: The command that repairs it.
        kind: Class of the errors.
    """

    file: Path
    name: str
    repair: str
    kind: type[SuperlinkError]

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise SQLite's errors inside the block as `kind`."""
        try:
            yield
        except sqlite3.Error as error:
            self.raise_translated(error)
        except UnicodeDecodeError as error:  # in a message that quotes a damaged schema
            raise self.damage_error(str(error)) from error

    def raise_translated(self, error: sqlite3.Error) -> NoReturn:
        """Raise the error as `kind`, or unchanged where the program is at fault."""
        said = failure(error, self.file, self.name, self.repair, self.kind)
        if said is None:
            raise error
        raise said from error

    def damage_error(self, reason: str) -> SuperlinkError:
        """Return the error for content that is invalid although SQLite can read it."""
        return damage(self.file, self.name, self.repair, reason, self.kind)

    def cursor(self, factory: "type[_Cursor] | None" = None) -> "_Cursor":  # type: ignore[override]
        """Return a cursor that raises errors in the same way."""
        return super().cursor(factory or _Cursor)

    def execute(self, sql: str, values: Any = (), /) -> "_Cursor":
        """Execute a statement as `sqlite3.Connection` does."""
        return self.cursor().execute(sql, values)

    def executemany(self, sql: str, rows: Iterable[Any], /) -> "_Cursor":
        """Execute a statement for each row as `sqlite3.Connection` does."""
        return self.cursor().executemany(sql, rows)

    def executescript(self, script: str, /) -> "_Cursor":
        """Execute several statements as `sqlite3.Connection` does."""
        return self.cursor().executescript(script)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the statements inside the block one transaction, of a connection that commits each by itself."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:  # a full disk ends it by itself
                self.execute("ROLLBACK")
            raise

    def commit(self) -> None:
        """Commit as `sqlite3.Connection` does."""
        with self.translated_errors():
            super().commit()


class _Cursor(sqlite3.Cursor):
    """A cursor with translated errors; rows are read from the disk one by one, so reading them can fail, too."""

    connection: Database

    def execute(self, sql: str, values: Any = (), /) -> Self:
        with self.connection.translated_errors():
            super().execute(sql, values)
        return self

    def executemany(self, sql: str, rows: Iterable[Any], /) -> Self:
        with self.connection.translated_errors():
            super().executemany(sql, rows)
        return self

    def executescript(self, script: str, /) -> Self:
        with self.connection.translated_errors():
            super().executescript(script)
        return self

    def fetchone(self) -> Any:
        with self.connection.translated_errors():
            return super().fetchone()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        with self.connection.translated_errors():
            return super().fetchmany(self.arraysize if size is None else size)

    def fetchall(self) -> list[Any]:
        with self.connection.translated_errors():
            return super().fetchall()

    # Called for every row, so without the overhead of a context manager.
    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as error:
            self.connection.raise_translated(error)


def connect(
    file: Path,
    name: str,
    repair: str,
    kind: type[SuperlinkError] = SuperlinkError,
    *,
    timeout: float = 60,
    isolation_level: Literal["", "DEFERRED", "EXCLUSIVE", "IMMEDIATE"] | None = None,
    read_only: bool = False,
) -> Database:
    """Open an SQLite file in WAL mode; the file and its folder are made when missing.

    A killed process loses no committed transaction; a power cut may lose the last ones.

    Args:
        file: The database.
        name: What messages call the file, such as "The ledger".
        repair: The command that repairs it, such as "superlink repair DIR".
        kind: Class of the errors to raise.
        timeout: Seconds to wait for a lock.
        isolation_level: As of `sqlite3.connect`; None leaves transactions to explicit statements.
        read_only: Open an existing file that is only read; every write fails.

    Raises:
        SuperlinkError: as `kind`, when it cannot be opened; later, when it cannot be read or written.
    """
    try:
        if not read_only:
            file.parent.mkdir(parents=True, exist_ok=True)
        log = file.with_name(f"{file.name}-wal")
        # SQLite would make a new database and delete the log, which holds the latest rows.
        if log.is_file() and log.stat().st_size and not (file.is_file() and file.stat().st_size):
            raise damage(file, name, repair, f"it is missing or empty, although {log.name} is not", kind)
        database: Database = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=ro" if read_only else file,
            uri=read_only,
            timeout=timeout,
            isolation_level=isolation_level,  # type: ignore[arg-type]  # "" is not in its stub
            check_same_thread=False,
            factory=Database,
        )
    except (sqlite3.Error, OSError) as error:
        said = failure(error, file, name, repair, kind)
        if said is None:
            raise
        raise said from error
    database.file, database.name, database.repair, database.kind = file, name, repair, kind
    try:
        if not read_only:
            database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
    except BaseException:
        database.close()
        raise
    return database


def examine(file: Path, name: str) -> list[str]:
    """Check a whole database for damage, without changing it.

    Args:
        file: The database.
        name: What messages call the file.

    Returns:
        At most twenty faults; none for an undamaged file.

    Raises:
        SuperlinkError: when the file cannot be read, for example for its permissions.
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
            # SQLite does not check that texts are UTF-8; Python does when it reads them.
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for _ in database.execute(f'SELECT * FROM "{table}"'):
                    pass
            return []
    except UnicodeDecodeError as error:  # in a message that quotes a damaged schema
        return [str(error)]
    except sqlite3.Error as error:
        if _is_damage(error):
            return [str(error)]
        raise failure(error, file, name, "superlink repair") or error from error


def has_content(file: Path) -> bool:
    """Return whether a database, or the log beside it, holds anything."""
    return any(one.exists() and one.stat().st_size for one in (file, file.with_name(f"{file.name}-wal")))


def put_in_place(new: Path, file: Path) -> Path | None:
    """Replace a damaged database, which is kept beside the new one under another name.

    Args:
        new: The new database, closed, on the same disk.
        file: The damaged database.

    Returns:
        New path of the damaged database, whose log is beside it; None when there was none.

    Raises:
        OSError: when the folder cannot be written; the damaged database is then unchanged.
    """
    backup = None
    log, index = (file.with_name(f"{file.name}{end}") for end in ("-wal", "-shm"))
    if has_content(file):
        backup = file.with_name(f"{file.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}{file.suffix}")
        for old, place in ((file, backup), (log, backup.with_name(f"{backup.name}-wal"))):
            if old.exists() and old.stat().st_size:
                shutil.copy2(old, place)
                flush(place)
    flush(new)
    # The log is removed first, because SQLite would apply it to the new file.
    log.unlink(missing_ok=True)
    index.unlink(missing_ok=True)
    os.replace(new, file)
    flush(file.parent)
    return backup
