"""Rows are read from the pages of a file as SQLite itself reads them, and from damaged files as far as they go."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.storage.salvage import Salvage

SCHEMA = """
CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, data BLOB, score REAL NOT NULL);
CREATE TABLE b (item INTEGER NOT NULL, step TEXT NOT NULL, refs TEXT NOT NULL, PRIMARY KEY (item, step)) WITHOUT ROWID;
CREATE INDEX b_step ON b (step);
"""
COUNT = 600
PAGE = 4096


def rows_a() -> list[tuple[Any, ...]]:
    rng = random.Random(1)
    return [
        (
            n * 3,
            f"name {n} ü",
            rng.randbytes(rng.choice([0, 5, 300, 20_000 if n % 50 == 0 else 40])),
            [0.0, 1.0, n / 7][n % 3],
        )
        for n in range(1, COUNT)
    ] + [(-5, "below", None, -1.5), (2**62, "above", b"", 2.0)]


def rows_b() -> list[tuple[Any, ...]]:
    return [(n, f"s{n % 2}", "x" * (n % 90) if n % 40 else "long " * 3000) for n in range(-300, COUNT * 1000, 1000)]


def model() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.executescript(SCHEMA)
    return db


@pytest.fixture
def file(tmp_path: Path) -> Path:
    db = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA user_version = 7;" + SCHEMA)
    db.execute("BEGIN")
    db.executemany("INSERT INTO a VALUES (?, ?, ?, ?)", rows_a())
    db.executemany("INSERT INTO b VALUES (?, ?, ?)", rows_b())
    db.execute("COMMIT")
    db.close()
    return tmp_path / "a.sqlite"


def read(file: Path) -> tuple[Salvage, set[Any], set[Any]]:
    salvage = Salvage(file, model())
    found = {name: set(salvage.rows(name)) for name in ("a", "b")}
    for name, row in salvage.strays():
        found[name].add(row)
    return salvage, found["a"], found["b"]


def test_a_sound_file_is_read_whole(file: Path) -> None:
    salvage, a, b = read(file)
    assert a == set(rows_a()) and b == set(rows_b())
    assert salvage.version == 7 and not salvage.lost
    assert sorted((row[1], row[0]) for row in rows_a()) == sorted(map(tuple, salvage.index("sqlite_autoindex_a_1")))


def test_the_log_counts_as_far_as_it_was_committed(file: Path, tmp_path: Path) -> None:
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("UPDATE a SET name = 'changed' WHERE id = 3")
    db.execute("BEGIN")
    db.execute("PRAGMA cache_size = 1")
    db.execute("UPDATE a SET score = 99")  # more than the cache holds, so that it is in the log before it is committed
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(file.read_bytes())
    copy.with_name("copy.sqlite-wal").write_bytes(file.with_name("a.sqlite-wal").read_bytes())
    db.execute("ROLLBACK")
    db.close()
    _, a, _ = read(copy)
    changed = [(3, "changed", *row[2:]) if row[0] == 3 else row for row in rows_a()]
    assert a == set(changed)


def test_old_rows_of_pages_that_were_given_up_stay_gone(file: Path) -> None:
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("DELETE FROM a WHERE id > 300")
    db.close()
    damage(file, lambda data: flip(data, 3))
    _, a, _ = read(file)
    assert all(row[0] <= 300 for row in a)


def damage(file: Path, how: Callable[[bytearray], None]) -> None:
    data = bytearray(file.read_bytes())
    how(data)
    file.write_bytes(data)


def flip(data: bytearray, page: int) -> None:
    data[page * PAGE : page * PAGE + 16] = b"\xff" * 16


def roots(file: Path) -> dict[str, int]:
    db = sqlite3.connect(file)
    found = dict(db.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    db.close()
    return found


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_lost_root_loses_no_leaf(file: Path, name: str) -> None:
    root = roots(file)[name]
    damage(file, lambda data: flip(data, root - 1))
    salvage, a, b = read(file)
    # Rows of a table without row numbers lie in its inner pages, too.
    assert a == set(rows_a()) and len(set(rows_b()) - b) < 40 and b <= set(rows_b())
    assert salvage.lost == {root}


def test_a_lost_first_page_loses_no_row(file: Path) -> None:
    damage(file, lambda data: flip(data, 0))
    damage(file, lambda data: data.__setitem__(slice(100, 116), bytes(16)))
    salvage, a, b = read(file)
    assert a == set(rows_a()) and salvage.version == 0
    assert len(set(rows_b()) - b) < 40 and {row for row in b if row[2] != row[1]} <= set(rows_b())


def test_each_damaged_page_costs_its_own_rows_alone(file: Path) -> None:
    whole = file.read_bytes()
    for page in range(1, len(whole) // PAGE, 7):
        file.write_bytes(whole)
        damage(file, lambda data: flip(data, page))  # noqa: B023 -- called at once
        salvage, a, b = read(file)
        assert a <= set(rows_a()) and b <= set(rows_b())
        assert len(set(rows_a()) - a) + len(set(rows_b()) - b) < 150


def test_a_file_that_was_cut_short(file: Path) -> None:
    whole = file.read_bytes()
    kept = [len(a) for size in range(0, len(whole), 65_537) for a in [read_cut(file, whole[:size])]]
    assert kept == sorted(kept) and kept[0] == 0 and kept[-1] > COUNT // 2


def read_cut(file: Path, data: bytes) -> set[Any]:
    file.write_bytes(data)
    _, a, b = read(file)
    assert a <= set(rows_a()) and b <= set(rows_b())
    return a


def test_anything_may_lie_in_the_file(file: Path) -> None:
    rng = random.Random(3)
    whole = file.read_bytes()
    for _ in range(30):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 2000)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(data)
        read(file)
    for content in (b"", b"no database " * 1000, rng.randbytes(100_000), bytes(50_000)):
        file.write_bytes(content)
        assert read(file)[1:] == (set(), set())


def test_a_column_that_was_added_later_has_its_default(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "a.sqlite")
    db.executescript(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, data BLOB);"
        "INSERT INTO a VALUES (1, 'x', NULL);"
        "ALTER TABLE a ADD COLUMN score REAL NOT NULL DEFAULT 0.5; INSERT INTO a VALUES (2, 'y', x'00', 2);"
    )
    db.close()
    salvage = Salvage(tmp_path / "a.sqlite", model())
    assert list(salvage.rows("a")) == [(1, "x", None, 0.5), (2, "y", b"\0", 2)]
