"""Runs of the HTTP server: they work in the background, and their state is read from the memory of threads."""

import logging
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NotRequired
from urllib.parse import quote

from typing_extensions import TypedDict

from agents.plan.plan import Plan
from agents.session.events import Event
from agents.session.session import Session, SessionError
from agents.session.state import Decision
from api.files import files_of, named
from api.service import Service, follow, new_thread, unforeseen
from tools.core.errors import MediaError, SuperlinkError, WeightsMissing
from tools.storage.store import Refs
from tools.values import Value
from tools.values.convert import open_file

_log = logging.getLogger("superlink.api")


class FileJson(TypedDict):
    """A file of a run: its address at the server, and its size."""

    name: str
    url: str
    bytes: int


class ErrorJson(TypedDict):
    """Why a run ended before its time."""

    message: str
    hint: str


class RunJson(TypedDict):
    """A run as callers see it.

    Attributes:
        state: "queued", "working", "approval" (a plan waits), "done", "failed", or "interrupted" (the server was ended
            meanwhile).
        outcome: its plan, steps and answer, as `api.service.Outcome` without the files; absent before there are any.
        error: absent unless it failed, or was interrupted.
    """

    id: str
    object: Literal["run"]
    state: str
    outcome: NotRequired[dict[str, Any]]
    error: NotRequired[ErrorJson]
    files: list[FileJson]


class NoSuchRun(SuperlinkError):
    """There is no run or file of this name."""


class Runs:
    """Runs of a server.

    Args:
        service: what runs them.
        folder: in which each run has a folder for its files.
        parallel: most runs that work at the same time.
    """

    def __init__(self, service: Service, folder: Path, parallel: int = 2) -> None:
        """Start nothing yet."""
        self._service, self._folder = service, folder
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="superlink-run")
        self._lock = threading.Lock()
        self._queued: set[str] = set()
        self._errors: dict[str, ErrorJson] = {}
        self._sessions: dict[str, Session] = {}

    def begin(
        self,
        request: str,
        plan: Plan | None = None,
        paths: Sequence[str] = (),
        uploads: Sequence[tuple[str, Path]] = (),
        approved_hash: str | None = None,
    ) -> str:
        """Begin a run; return its id at once.

        Args:
            request: in words; may be empty with a plan.
            plan: to run instead of asking the planner.
            paths: of files inside the roots.
            uploads: name and place of files that came with the request; they may be deleted afterwards.
            approved_hash: of a plan that may run without asking.

        Raises:
            OutsideRoots: a path leads out of the roots.
            MediaError: a file cannot be read.
        """
        values: list[Value] = [open_file(self._service.roots.resolve(path)) for path in dict.fromkeys(paths)]
        values += [_open_upload(name, file) for name, file in uploads]
        given = {name: self._store(value) for name, value in named(values).items()}
        request = request or (plan.request if plan else "")
        run_id = new_thread()
        approved = [approved_hash] if approved_hash else ()
        self._submit(run_id, lambda session: session.start(request, given, plan), approved)
        return run_id

    def decide(self, run_id: str, decision: Decision, plan_hash: str | None = None) -> None:
        """Decide on the plan that waits.

        Args:
            run_id: of the run.
            decision: what is decided.
            plan_hash: decide only if it is this plan.

        Raises:
            NoSuchRun: there is none.
            SessionError: no plan waits, or another one than is meant, or one with problems is accepted.
            PlanInvalid: the edited plan is none.
            WeightsMissing: what is accepted needs weights that are not on this computer.
        """
        state = self.state(run_id)
        outcome = state.get("outcome")
        if state["state"] != "approval" or outcome is None:
            raise SessionError(f"no plan waits in the run {run_id}", f"Its state is {state['state']}")
        if plan_hash not in (None, outcome["hash"]):
            raise SessionError("another plan waits than the one that was decided on", "Read the run again")
        if decision["action"] == "edit":
            Plan.load(decision.get("plan") or {})
        if decision["action"] == "accept" and outcome["problems"]:
            raise SessionError("this plan has problems, it cannot be accepted", "Edit or reject it")
        if decision["action"] == "accept" and outcome["missing"]:
            raise WeightsMissing("; ".join(outcome["missing"]), "Then decide again")
        self._submit(run_id, lambda session: session.resume(decision))

    def state(self, run_id: str) -> RunJson:
        """Where a run stands.

        Raises:
            NoSuchRun: there is none.
        """
        with self._lock:
            queued, error = run_id in self._queued, self._errors.get(run_id)
        at_work = run_id in self._service.at_work()
        found: RunJson = {"id": run_id, "object": "run", "state": "queued" if queued else "working", "files": []}
        try:
            outcome = self._service.status(run_id, self._folder / run_id)
        except SessionError as gone:
            if not (queued or at_work or error):
                raise NoSuchRun(f"there is no run {run_id!r}", "Give the id that POST /v1/runs returned") from gone
        else:
            found["outcome"] = {key: value for key, value in outcome.items() if key != "files"}
            found["files"] = [_file(run_id, Path(file)) for file in outcome["files"]]
            if not (queued or at_work):
                found["state"] = "interrupted" if outcome["stands"] == "working" else outcome["stands"]
        if error is not None and not (queued or at_work):
            found["state"], found["error"] = "failed", error
        elif found["state"] == "interrupted":
            found["error"] = {"message": "the server was ended during this run", "hint": "Begin it again"}
        return found

    def file(self, run_id: str, name: str) -> Path:
        """A file that a run has written.

        Raises:
            NoSuchRun: there is none.
        """
        if self.state(run_id)["state"] == "done":
            for file in files_of(self._folder / run_id):
                if file.name == name:
                    return file
        raise NoSuchRun(f"the run {run_id} has no file {name!r}", "Its files are listed by GET /v1/runs/{id}")

    def delete(self, run_id: str) -> None:
        """Stop a run, and forget it and its files.

        Raises:
            NoSuchRun: there is none.
            SessionError: it is still at work on something that cannot be stopped.
        """
        self.state(run_id)
        with self._lock:
            session = self._sessions.get(run_id)
        if session is not None:
            session.stop()
            raise SessionError(f"the run {run_id} is being stopped", "Delete it when it has ended")
        with self._service.session(run_id) as session:
            session.forget()
        shutil.rmtree(self._folder / run_id, ignore_errors=True)
        with self._lock:
            self._errors.pop(run_id, None)

    def close(self) -> None:
        """Stop all runs; finished steps are kept."""
        with self._lock:
            sessions = list(self._sessions.values())
        for session in sessions:
            session.stop()
        self._pool.shutdown(cancel_futures=True)

    def _store(self, value: Value | list[Value]) -> Refs:
        store = self._service.store
        return [store.put(one) for one in value] if isinstance(value, list) else store.put(value)

    def _submit(self, run_id: str, begin: Callable[[Session], Iterator[Event]], approved: Collection[str] = ()) -> None:
        with self._lock:
            self._queued.add(run_id)
            self._errors.pop(run_id, None)
        self._pool.submit(self._work, run_id, begin, approved)

    def _work(self, run_id: str, begin: Callable[[Session], Iterator[Event]], approved: Collection[str]) -> None:
        """Run to the end, or to a plan that waits. An error is noted before the run counts as ended."""
        try:
            with self._service.session(run_id, approved) as session:
                with self._lock:
                    self._queued.discard(run_id)
                    self._sessions[run_id] = session
                try:
                    last = follow(session, begin(session))
                    if last["event"] == "done":
                        self._service.write(last["record"], self._folder / run_id)
                except Exception as error:
                    self._note(run_id, error)
                finally:
                    with self._lock:
                        self._sessions.pop(run_id, None)
        except SuperlinkError as error:  # somebody else works on it
            self._note(run_id, error)
        finally:
            with self._lock:
                self._queued.discard(run_id)

    def _note(self, run_id: str, error: Exception) -> None:
        if not isinstance(error, SuperlinkError):
            _log.error("the run %s failed", run_id, exc_info=error)
            error = unforeseen(error)
        with self._lock:
            self._errors[run_id] = {"message": error.message, "hint": error.hint}


def _open_upload(name: str, file: Path) -> Value:
    try:
        return open_file(file)
    except SuperlinkError as error:  # our copy has a path that the caller has never seen
        raise MediaError(error.message.replace(str(file), name), error.hint) from error


def _file(run_id: str, file: Path) -> FileJson:
    return {"name": file.name, "url": f"/v1/runs/{run_id}/files/{quote(file.name)}", "bytes": file.stat().st_size}
