"""The tables of a ledger, and the migration of ledgers of earlier versions.

The version is SQLite's `user_version`. A change of a table needs a new `VERSION` and, in `_STEPS`, the migration from
the version before. A ledger is migrated in one transaction when it is opened.
"""

import glob
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import PurePath

from tools.storage.database import Database

VERSION = 3
TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- address: relative to the fact "root", an absolute path, or a URL. state: new, done, failed, gone (no longer in the
-- source). signature: of the plan for which it is done or failed.
CREATE TABLE items (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, address BLOB NOT NULL, size INTEGER NOT NULL,
    stamp TEXT NOT NULL, scan INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'new', signature TEXT NOT NULL DEFAULT '',
    sha256 TEXT, ref TEXT, error TEXT NOT NULL DEFAULT '', hint TEXT NOT NULL DEFAULT '');
CREATE INDEX items_state ON items (state, signature);
CREATE TABLE steps (
    item INTEGER NOT NULL REFERENCES items (id), step TEXT NOT NULL, state TEXT NOT NULL, work TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '', hint TEXT NOT NULL DEFAULT '', seconds REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (item, step)) WITHOUT ROWID;
-- base: of tool, version, arguments and inputs. key: of these and the weights that were used. roles: those that pointed
-- to these weights. refs: the results, with their provenance.
CREATE TABLE works (
    key TEXT PRIMARY KEY, base TEXT NOT NULL, tool TEXT NOT NULL, weights TEXT NOT NULL, roles TEXT NOT NULL,
    refs TEXT NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX works_base ON works (base);
-- One thing that was found, for a person to look at. sha256 and place: of the value and within it.
CREATE TABLE review (
    id INTEGER PRIMARY KEY, item INTEGER NOT NULL, step TEXT NOT NULL, sha256 TEXT NOT NULL, place INTEGER NOT NULL,
    label TEXT NOT NULL, score REAL NOT NULL, reason TEXT NOT NULL, verdict TEXT NOT NULL DEFAULT '',
    correct TEXT NOT NULL DEFAULT '', who TEXT NOT NULL DEFAULT '', time TEXT NOT NULL DEFAULT '',
    UNIQUE (item, step, sha256, place));
CREATE INDEX review_open ON review (verdict, reason);
"""
# find: of `review`, which has the latest verdict. shape: what a person changed besides the label, as JSON; see
# flows.batch.corrections.
_VERDICTS = """
CREATE TABLE verdicts (
    find INTEGER NOT NULL, who TEXT NOT NULL, verdict TEXT NOT NULL, correct TEXT NOT NULL, shape TEXT NOT NULL,
    time TEXT NOT NULL, PRIMARY KEY (find, who)) WITHOUT ROWID;
CREATE INDEX verdicts_time ON verdicts (who, time);
CREATE INDEX review_order ON review (reason DESC, score, id, item);
"""
TABLES += _VERDICTS
NAMES = frozenset({"facts", "items", "steps", "works", "review", "verdicts"})
COPIED = {
    "items": "id, name, address, size, stamp, scan, state, signature, sha256, ref, error, hint",
    "works": "key, base, tool, weights, roles, refs, seconds, bytes",
    "steps": "item, step, state, work, error, hint, seconds",
    "review": "item, step, sha256, place, label, score, reason",
}
"""Table to columns that are copied between ledgers; numbers of detections are those of each ledger."""


def version(db: sqlite3.Connection) -> int:
    """Version of a ledger's tables; 0 for a new file or another program's database."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def tables(db: sqlite3.Connection) -> set[str]:
    """Names of the tables in the file."""
    return {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def bring_up_to_date(db: Database, is_beside_results: Callable[[], bool]) -> None:
    """Make the tables of a new ledger, or migrate those of an earlier version, within the open transaction.

    Args:
        db: the ledger.
        is_beside_results: whether its folder holds results of a run, so that the ledger cannot be new.

    Raises:
        SuperlinkError: of `db.kind`: a later version, another program's database, or lost tables.
    """
    known = version(db)
    if known > VERSION:
        raise db.kind(
            f"The ledger {db.file} was written by a newer superlink (layout {known}; this one knows {VERSION})",
            "Update superlink, or give another folder",
        )
    if known:
        for step in range(known, VERSION):
            _STEPS[step](db)
    elif tables(db):
        raise db.kind(f"{db.file} is no ledger but another program's database", "Move it away, or give another folder")
    elif is_beside_results():
        raise db.damage_error("it is empty, although the folder holds results of a run")
    else:
        for statement in TABLES.split(";"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")


def _relative_addresses(db: sqlite3.Connection) -> None:
    """From version 1 to 2: addresses become relative to the source's folder, so that it can be moved."""
    row = db.execute("SELECT value FROM facts WHERE name = 'source'").fetchone()
    source = "" if row is None else str(json.loads(row[0]))
    rows = db.execute("SELECT id, address FROM items").fetchall()
    # What the source was can no longer be asked of the disk: its folder may have been moved.
    for folder in (source, _before_wildcards(source), os.path.dirname(source)):
        start = os.fsencode(os.path.join(folder, ""))
        inside = [
            (bytes(address)[len(start) :], number)
            for number, address in rows
            if os.path.isabs(folder) and bytes(address).startswith(start)
        ]
        if inside:
            db.executemany("UPDATE items SET address = ? WHERE id = ?", inside)
            db.execute("INSERT OR REPLACE INTO facts VALUES ('root', ?)", (json.dumps(folder),))
            return


def _before_wildcards(pattern: str) -> str:
    parts = PurePath(pattern).parts
    steady = [part for at, part in enumerate(parts) if not any(map(glob.has_magic, parts[: at + 1]))]
    return os.path.join(*steady) if steady else ""


def _several_reviewers(db: sqlite3.Connection) -> None:
    """From version 2 to 3: the verdict of each person on a find, with what they changed."""
    for statement in _VERDICTS.split(";"):
        db.execute(statement)
    db.execute(LATEST_VERDICTS)


LATEST_VERDICTS = (
    "INSERT OR IGNORE INTO verdicts SELECT id, who, verdict, correct, '', time FROM review WHERE verdict != ''"
)
"""SQL that enters the latest verdicts where they are missing among those of each person."""

_STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _relative_addresses, 2: _several_reviewers}
