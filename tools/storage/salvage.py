"""Recovery of rows from the pages of a damaged SQLite file, without SQLite, which stops at the first fault.

Tables are read from the root pages in the file's own schema. Leaf pages that no root leads to are assigned to tables by
the number and types of their columns. A write-ahead log beside the file is applied.
https://www.sqlite.org/fileformat2.html
"""

import sqlite3
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

SqlValue = int | float | str | bytes | None
Row = tuple[SqlValue, ...]

_PAGE = 4096
_INDEX, _TABLE, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
_TYPES = {"INTEGER": (int,), "REAL": (int, float), "TEXT": (str,), "BLOB": (bytes,)}


class _Damaged(Exception):
    """A page or a cell is damaged."""


@dataclass
class Table:
    """Declaration of a table.

    Attributes:
        columns: Names of the columns, in order of declaration.
        types: Their types, such as "TEXT".
        required: Whether they are NOT NULL.
        defaults: Their values in rows written before the column was added.
        rowid: Index of the column that is the rowid, or None.
        own: Whether the rows have a rowid.
    """

    columns: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    required: list[bool] = field(default_factory=list)
    defaults: list[SqlValue] = field(default_factory=list)
    rowid: int | None = None
    own: bool = True

    def row(self, number: int | None, values: list[SqlValue]) -> Row | None:
        """Return a record as a row of this table, or None when it does not fit."""
        if not 0 < len(values) <= len(self.columns) or (number is None) == self.own:
            return None
        values = values + self.defaults[len(values) :]
        if self.rowid is not None:
            values[self.rowid] = number
        for value, kind, required in zip(values, self.types, self.required, strict=True):
            if (value is None and required) or (
                value is not None and not isinstance(value, _TYPES.get(kind, (object,)))
            ):
                return None
        return tuple(values)


def tables(database: sqlite3.Connection) -> dict[str, Table]:
    """Return the tables of a database by name."""
    found = {}
    for name, sql in database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall():
        table = Table(own="WITHOUT ROWID" not in sql.upper())
        info = database.execute(f'PRAGMA table_info("{name}")').fetchall()
        keys = sum(bool(row[5]) for row in info)
        for at, column, kind, required, default, key in info:
            table.columns.append(column)
            table.types.append(kind.upper())
            alone = table.own and key and keys == 1 and kind.upper() == "INTEGER"
            table.required.append(bool(required) and not alone)
            table.defaults.append(None if default is None else database.execute(f"SELECT {default}").fetchone()[0])
            if alone:
                table.rowid = at
        found[name] = table
    return found


class Salvage:
    """A damaged file, opened for reading.

    Args:
        file: The database.
        model: An undamaged database with the tables that the file should have.

    Attributes:
        tables: Tables by name, from the file's own schema where it can be read, else from the model.
        version: SQLite's `user_version`, 0 where it cannot be read.
        lost: Numbers of the pages read so far that are damaged.
    """

    def __init__(self, file: Path, model: sqlite3.Connection) -> None:
        """Read the file's header and schema."""
        self._data = file.read_bytes() if file.is_file() else b""
        head = self._data[:100]
        sound = head[:16] == b"SQLite format 3\0"
        size = int.from_bytes(head[16:18], "big")
        size = 65536 if size == 1 else size
        self._size = size if sound and size >= 512 and size & (size - 1) == 0 else _PAGE
        self._usable = self._size - (head[20] if sound and head[20] <= 32 else 0)
        self._log = _log(file.with_name(f"{file.name}-wal"), self._size)
        self._seen: set[int] = set()
        self.lost: set[int] = set()
        header = self._page(1)[:100]
        self.version = int.from_bytes(header[60:64], "big") if header[:16] == b"SQLite format 3\0" else 0
        self.tables = tables(model)
        self._roots: dict[str, int] = {}
        own: list[str] = []
        for _, values in self._tree(1, _TABLE):
            if len(values) == 5 and isinstance(values[1], str) and isinstance(values[3], int):
                self._roots[values[1]] = values[3]
                if values[0] == "table" and values[1] in self.tables and isinstance(values[4], str):
                    own.append(values[4])
        self._overlay(own)

    def rows(self, name: str) -> Iterator[Row]:
        """Yield the rows of a table that can be read."""
        table = self.tables[name]
        for number, values in self._tree(self._roots.get(name, 0), _TABLE if table.own else _INDEX):
            row = table.row(number, values)
            if row is not None:
                yield row

    def index(self, name: str) -> Iterator[list[SqlValue]]:
        """Yield the entries of an index that can be read: its columns, then the rowid."""
        for _, values in self._tree(self._roots.get(name, 0), _INDEX):
            yield values

    def strays(self) -> Iterator[tuple[str, Row]]:
        """Yield rows of pages that no table leads to, with the names of the tables that they fit.

        To be called after `rows` of all tables.
        """
        for number in [] if not self.lost else self._strays():
            try:
                page, start = self._page(number), 100 if number == 1 else 0
                if page[start] not in (_INDEX_LEAF, _TABLE_LEAF):
                    continue
                for at in self._cells(page, start):
                    try:
                        rowid, values = self._cell(page, at, page[start])
                    except (_Damaged, IndexError):
                        continue
                    for name, table in self.tables.items():
                        row = table.row(rowid, values) if len(values) == len(table.columns) else None
                        if row is not None:
                            yield name, row
            except (_Damaged, IndexError):
                continue

    def _overlay(self, statements: list[str]) -> None:
        """Replace the tables' columns by those of the file's own statements, as far as these can be read."""
        scratch = sqlite3.connect(":memory:")
        for statement in statements:
            try:
                scratch.execute(statement)
            except sqlite3.Error:
                continue
        self.tables |= {name: table for name, table in tables(scratch).items() if name in self.tables}
        scratch.close()

    def _page(self, number: int) -> bytes:
        page = self._log.get(number) or self._data[(number - 1) * self._size : number * self._size]
        return page if len(page) == self._size else bytes(self._size)

    def _count(self) -> int:
        return max([-(-len(self._data) // self._size), *self._log])

    def _strays(self) -> list[int]:
        free, trunk = set[int](), int.from_bytes(self._page(1)[32:36], "big")
        while 0 < trunk <= self._count() and trunk not in free:  # free pages hold deleted rows
            page = self._page(trunk)
            count = min(int.from_bytes(page[4:8], "big"), self._usable // 4 - 2)
            free |= {trunk, *(int.from_bytes(page[8 + 4 * n : 12 + 4 * n], "big") for n in range(count))}
            trunk = int.from_bytes(page[:4], "big")
        return [number for number in range(1, self._count() + 1) if number not in self._seen and number not in free]

    def _tree(self, root: int, kind: int) -> Iterator[tuple[int | None, list[SqlValue]]]:
        """Yield rowid (None for tables without) and values of every record below a page."""
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in self._seen:
                continue
            page, start = self._page(number) if number > 0 else b"\0" * _PAGE, 100 if number == 1 else 0
            flag = page[start]
            if flag not in (kind, kind + 8):
                self.lost.add(number)
                continue
            self._seen.add(number)
            if flag == kind:
                waiting.append(int.from_bytes(page[start + 8 : start + 12], "big"))
            for at in self._cells(page, start):
                try:
                    if flag == kind:
                        waiting.append(int.from_bytes(page[at : at + 4], "big"))
                    if flag != _TABLE:
                        yield self._cell(page, at, flag)
                except (_Damaged, IndexError):
                    self.lost.add(number)

    def _cells(self, page: bytes, start: int) -> Iterator[int]:
        """Yield the offsets of the cells of a page."""
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        first = start + (12 if page[start] in (_INDEX, _TABLE) else 8)
        for n in range(min(count, (self._usable - first) // 2)):
            at = int.from_bytes(page[first + 2 * n : first + 2 * n + 2], "big")
            if first + 2 * count <= at < self._usable:
                yield at

    def _cell(self, page: bytes, at: int, flag: int) -> tuple[int | None, list[SqlValue]]:
        at += 4 if flag == _INDEX else 0
        size, at = _varint(page, at)
        number: int | None = None
        if flag == _TABLE_LEAF:
            number, at = _varint(page, at)
        usable = self._usable
        most = usable - 35 if flag == _TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if size > len(self._data) + len(self._log) * self._size:
            raise _Damaged
        if size <= most:
            payload = page[at : at + size]
        else:
            least = (usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (usable - 4)
            local = local if local <= most else least
            payload = page[at : at + local]
            following, chain = int.from_bytes(page[at + local : at + local + 4], "big"), set[int]()
            while len(payload) < size:
                if not 0 < following <= self._count() or following in chain:
                    raise _Damaged
                chain.add(following)
                more = self._page(following)
                payload += more[4 : min(usable, 4 + size - len(payload))]
                following = int.from_bytes(more[:4], "big")
            self._seen |= chain
        if len(payload) != size:
            raise _Damaged
        return number, _record(payload)


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
            _insert_rows(database, salvage, name, [] if name in left_out else rows)
        for name, row in salvage.strays():
            _insert_rows(database, salvage, name, [row] if name in strays else [])
        database.commit()
        count = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in known}
    return {name: number for name, number in count.items() if name not in left_out}


def _insert_rows(database: sqlite3.Connection, salvage: Salvage, table: str, rows: Iterable[Row]) -> None:
    columns = salvage.tables[table].columns
    sql = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    for row in rows:
        with suppress(sqlite3.IntegrityError):
            database.execute(sql, row)


def _log(file: Path, size: int) -> dict[int, bytes]:
    """Return the latest committed pages of a write-ahead log by number."""
    data = file.read_bytes() if file.is_file() else b""
    salt = data[16:24]
    latest: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    for at in range(32, len(data) - size - 23, size + 24):
        frame = data[at : at + 24]
        if frame[8:16] != salt:  # left over from before the log began anew
            break
        pending[int.from_bytes(frame[:4], "big")] = data[at + 24 : at + 24 + size]
        if any(frame[4:8]):
            latest |= pending
            pending = {}
    return latest


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of one to nine bytes, and the offset of its end."""
    value = 0
    for n in range(8):
        byte = data[at + n]
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at + n + 1
    value = value << 8 | data[at + 8]
    return value - (1 << 64) if value >= 1 << 63 else value, at + 9


def _record(payload: bytes) -> list[SqlValue]:
    """Return the values of a record."""
    length, at = _varint(payload, 0)
    kinds = []
    while at < length:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != length:
        raise _Damaged
    values: list[SqlValue] = []
    for kind in kinds:
        if kind in (10, 11) or kind < 0:
            raise _Damaged
        size = _SIZES[kind] if kind < 12 else (kind - 12) // 2
        data = payload[at : at + size]
        at += size
        if len(data) != size:
            raise _Damaged
        values.append(_value(kind, data))
    if at != len(payload):
        raise _Damaged
    return values


def _value(kind: int, data: bytes) -> SqlValue:
    if kind == 0:
        return None
    if kind == 7:
        number: float = struct.unpack(">d", data)[0]
        return number
    if kind in (8, 9):
        return kind - 8
    if kind < 7:
        return int.from_bytes(data, "big", signed=True)
    if kind % 2 == 0:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _Damaged from error
