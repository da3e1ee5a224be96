"""All SQL of sessions: whose they are, their turns with records, the plans in editors, what was deleted."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from agents.plan.plan import PlanJson
from agents.session.events import Record
from agents.session.state import Decision, Fault
from tools.storage.store import Ref
from ui.access.database import open_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    thread TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    always INTEGER NOT NULL DEFAULT 0,
    approved TEXT NOT NULL DEFAULT '[]',
    stage TEXT NOT NULL DEFAULT 'new',
    status TEXT NOT NULL DEFAULT '',
    colour TEXT NOT NULL DEFAULT '',
    updated TEXT NOT NULL,
    deleted TEXT
);
CREATE INDEX IF NOT EXISTS sessions_by_owner ON sessions (owner, updated);
CREATE TABLE IF NOT EXISTS turns (
    thread TEXT NOT NULL,
    number INTEGER NOT NULL,
    request TEXT NOT NULL,
    files TEXT NOT NULL,
    state TEXT NOT NULL,
    base INTEGER NOT NULL DEFAULT -1,
    decided INTEGER NOT NULL DEFAULT 0,
    decision TEXT,
    answer TEXT NOT NULL DEFAULT '',
    record TEXT,
    results TEXT NOT NULL DEFAULT '[]',
    proposal TEXT,
    PRIMARY KEY (thread, number)
);
CREATE TABLE IF NOT EXISTS drafts (thread TEXT PRIMARY KEY, plan TEXT NOT NULL);
"""

TurnState = Literal["active", "waiting", "stopped", "failed", "ended"]
"""How a turn stands: to be run or running, waits for a person, stopped, failed before its end, ended."""


class FileJson(TypedDict):
    """A file of a request.

    ``name`` as the person gave it, ``stored`` under which our copy lies, ``ref`` of its value once it was opened.
    """

    name: str
    stored: str
    kind: str
    size: int
    ref: NotRequired[Ref]


class ResultJson(TypedDict):
    """The files of a value that a turn gave, relative to the turn's folder."""

    name: str
    final: bool
    files: list[str]


@dataclass
class TurnRow:
    """One turn as it is kept.

    Attributes:
        thread: Its session.
        number: From 1.
        request: In words.
        files: That came with it.
        state: How it stands.
        base: Number of turns that the session's memory had before this one; -1 until it begins.
        decided: Number of decisions that the session's memory had before `decision`.
        decision: Of a person, which the session may not know yet.
        answer: Said where there is no record of the end.
        record: Of its end, or of how far it came.
        results: Files of values.
        proposal: Plan that a person brought with the request; None asks the planner.
    """

    thread: str
    number: int
    request: str
    files: list[FileJson] = field(default_factory=list)
    state: TurnState = "active"
    base: int = -1
    decided: int = 0
    decision: Decision | None = None
    answer: str = ""
    record: Record | None = None
    results: list[ResultJson] = field(default_factory=list)
    proposal: PlanJson | None = None


@dataclass
class SessionRecord:
    """One session as it is kept; see `ui.turns.view.SessionView` and `Policy.approved_tools` for the fields."""

    thread: str
    owner: str
    title: str
    always: bool
    approved: list[tuple[str, ...]]
    stage: str
    status: str
    colour: str
    updated: str
    deleted: str | None


class Catalogue:
    """The tables of sessions in the page's database.

    Args:
        folder: Of the page; its database is made when missing.
    """

    def __init__(self, folder: Path) -> None:
        """Open the database.

        Raises:
            SuperlinkError: when it cannot be opened.
        """
        self._database = open_database(folder)
        self._database.executescript(_SCHEMA)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def owner_of_thread(self, thread: str) -> str | None:
        """Return the owner of a session, also of a deleted one; None where there is none."""
        found = self._rows("SELECT owner FROM sessions WHERE thread = ?", thread)
        return str(found[0][0]) if found else None

    def session(self, thread: str) -> SessionRecord | None:
        """Return a session, also a deleted one; None where there is none."""
        found = self._rows(f"SELECT {_SESSION} FROM sessions WHERE thread = ?", thread)
        return _session(found[0]) if found else None

    def sessions(self, owner: str, search: str = "") -> list[SessionRecord]:
        """Return the sessions of an owner that are not deleted, newest first.

        Args:
            owner: User.
            search: Text that the title or a request must have; upper and lower case are the same.
        """
        pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found = self._rows(
            f"SELECT {_SESSION} FROM sessions WHERE owner = ? AND deleted IS NULL AND (title LIKE ? ESCAPE '\\' OR "
            "EXISTS (SELECT 1 FROM turns WHERE turns.thread = sessions.thread AND request LIKE ? ESCAPE '\\')) "
            "ORDER BY updated DESC, thread",
            owner,
            pattern,
            pattern,
        )
        return [_session(row) for row in found]

    def add_session(self, thread: str, owner: str, title: str) -> None:
        """Enter a new session."""
        self._write(
            "INSERT INTO sessions (thread, owner, title, updated) VALUES (?, ?, ?, ?)", thread, owner, title, _now()
        )

    def set_title(self, thread: str, title: str) -> None:
        """Rename a session."""
        self._write("UPDATE sessions SET title = ? WHERE thread = ?", title, thread)

    def set_always(self, thread: str, always: bool) -> None:
        """Set whether plans like an approved one run at once."""
        self._write("UPDATE sessions SET always = ? WHERE thread = ?", int(always), thread)

    def approve(self, thread: str, tools: Sequence[str]) -> None:
        """Note the tools of a plan that a person let run."""
        with self._transaction():
            row = self._database.execute("SELECT approved FROM sessions WHERE thread = ?", (thread,)).fetchone()
            approved = json.loads(row[0]) if row else []
            if list(tools) not in approved:
                values = (json.dumps([*approved, list(tools)]), thread)
                self._database.execute("UPDATE sessions SET approved = ? WHERE thread = ?", values)

    def set_status(self, thread: str, stage: str, status: str, colour: str) -> None:
        """Note where a session stands, for lists of sessions."""
        self._write(
            "UPDATE sessions SET stage = ?, status = ?, colour = ?, updated = ? WHERE thread = ?",
            stage,
            status,
            colour,
            _now(),
            thread,
        )

    def set_deleted(self, thread: str, deleted: bool) -> None:
        """Delete a session so that it can be restored, or restore it."""
        self._write("UPDATE sessions SET deleted = ? WHERE thread = ?", _now() if deleted else None, thread)

    def deleted_before(self, time: str) -> list[str]:
        """Return the sessions that were deleted before an ISO time."""
        return [str(row[0]) for row in self._rows("SELECT thread FROM sessions WHERE deleted < ?", time)]

    def purge(self, thread: str) -> None:
        """Remove a session with all its turns."""
        with self._transaction():
            for table in ("drafts", "turns", "sessions"):
                self._database.execute(f"DELETE FROM {table} WHERE thread = ?", (thread,))

    def turns(self, thread: str) -> list[TurnRow]:
        """Return the turns of a session, old to new."""
        found = self._rows(f"SELECT {_TURN} FROM turns WHERE thread = ? ORDER BY number", thread)
        return [_turn(row) for row in found]

    def turn(self, thread: str, number: int) -> TurnRow:
        """Return one turn, which must exist."""
        return _turn(self._rows(f"SELECT {_TURN} FROM turns WHERE thread = ? AND number = ?", thread, number)[0])

    def active(self) -> list[str]:
        """Return the sessions that are not deleted and whose last turn was not at its end."""
        found = self._rows(
            "SELECT thread FROM turns WHERE state = 'active' AND number = "
            "(SELECT max(number) FROM turns AS own WHERE own.thread = turns.thread) "
            "AND thread IN (SELECT thread FROM sessions WHERE deleted IS NULL) ORDER BY rowid"
        )
        return [str(row[0]) for row in found]

    def save(self, row: TurnRow) -> None:
        """Write a turn."""
        values = (
            row.thread,
            row.number,
            row.request,
            _text(row.files),
            row.state,
            row.base,
            row.decided,
            None if row.decision is None else _text(row.decision),
            row.answer,
            None if row.record is None else _text(row.record),
            _text(row.results),
            None if row.proposal is None else _text(row.proposal),
        )
        self._write(f"INSERT OR REPLACE INTO turns ({_TURN}) VALUES ({', '.join('?' * len(values))})", *values)

    def last_calls(self, owner: str) -> list[tuple[str, Fault | None, str]]:
        """Return for each tool how its last call went in the newest turns of an owner.

        Returns:
            Name of the tool; the fault, None where it gave a result; ISO time of the turn's end, "" where it has none.
        """
        found = self._rows(_LAST_CALLS, owner, _NEWEST_TURNS)
        last = {tool: (tool, error and json.loads(error), ended or "") for tool, error, ended in reversed(found)}
        return list(last.values())

    def draft(self, thread: str) -> PlanJson | None:
        """Return the plan in the editor; None when it is closed."""
        found = self._rows("SELECT plan FROM drafts WHERE thread = ?", thread)
        plan: PlanJson | None = json.loads(found[0][0]) if found else None
        return plan

    def set_draft(self, thread: str, plan: PlanJson | None) -> None:
        """Keep the plan in the editor; None when it is closed."""
        if plan is None:
            self._write("DELETE FROM drafts WHERE thread = ?", thread)
        else:
            self._write("INSERT OR REPLACE INTO drafts (thread, plan) VALUES (?, ?)", thread, _text(plan))

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            rows: list[tuple[Any, ...]] = self._database.execute(sql, values).fetchall()
            return rows

    def _write(self, sql: str, *values: object) -> None:
        with self._lock:
            self._database.execute(sql, values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._database.transaction():
            yield


_SESSION = "thread, owner, title, always, approved, stage, status, colour, updated, deleted"
_TURN = "thread, number, request, files, state, base, decided, decision, answer, record, results, proposal"

_NEWEST_TURNS = 200
_LAST_CALLS = """
SELECT json_extract(step.value, '$.tool'), json_extract(step.value, '$.error'), json_extract(record, '$.ended')
FROM (
    SELECT record, updated, number FROM turns JOIN sessions USING (thread)
    WHERE owner = ? AND deleted IS NULL AND record IS NOT NULL ORDER BY updated DESC, number DESC LIMIT ?
), json_each(record, '$.steps') AS step
WHERE json_extract(step.value, '$.state') IN ('finished', 'failed')
ORDER BY updated DESC, number DESC, step.key DESC
"""


def _session(row: tuple[Any, ...]) -> SessionRecord:
    thread, owner, title, always, approved, *rest = row
    return SessionRecord(thread, owner, title, bool(always), [tuple(one) for one in json.loads(approved)], *rest)


def _turn(row: tuple[Any, ...]) -> TurnRow:
    thread, number, request, files, state, base, decided, decision, answer, record, results, proposal = row
    return TurnRow(
        thread,
        number,
        request,
        json.loads(files),
        state,
        base,
        decided,
        None if decision is None else json.loads(decision),
        answer,
        None if record is None else json.loads(record),
        json.loads(results),
        None if proposal is None else json.loads(proposal),
    )


def _text(data: object) -> str:
    return json.dumps(data, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
