"""The turns of one browser tab: requests, decisions and results, without widgets."""

import json
import logging
import shutil
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from agents.plan.plan import Plan, PlanJson
from agents.plan.problems import ProblemJson
from agents.plan.types import AnyTool
from agents.planners.base import Planner
from agents.session.events import DoneEvent, Event, StepEvent
from agents.session.memory import Saver
from agents.session.results import write_results
from agents.session.session import Session
from agents.session.state import Decision
from common.kinds import input_of
from tools.core.errors import MediaError, SuperlinkError
from tools.storage.store import Store
from tools.values import Value
from tools.values.convert import open_file
from ui.turns.words import sentences

Message = dict[str, Any]
"""``{"role": "user" or "assistant", "content": text or {"path": file}}``."""

Stage = Literal["idle", "working", "approval", "editing"]

_log = logging.getLogger("superlink.ui")


@dataclass
class Tab:
    """What one browser tab shows.

    Attributes:
        thread: of its session; empty before the first request.
        turn: number of requests so far.
        stage: idle, working, waiting for approval, or showing the editor.
        status: the same in a word or two, for the person.
        chat: what was said.
        plan: of the last request, as plain JSON.
        problems: of that plan.
        warnings: of that plan.
        progress: step id to its last ``step`` event.
        editor: the text in the editor.
        fault: what is wrong with that text.
        files: results of the last turn, the record last.
    """

    thread: str = ""
    turn: int = 0
    stage: Stage = "idle"
    status: str = ""
    chat: list[Message] = field(default_factory=list)
    plan: PlanJson | None = None
    problems: list[ProblemJson] = field(default_factory=list)
    warnings: list[ProblemJson] = field(default_factory=list)
    progress: dict[str, StepEvent] = field(default_factory=dict)
    editor: str = ""
    fault: str = ""
    files: tuple[Path, ...] = ()

    def say(self, text: str) -> None:
        """Add what superlink says."""
        self.chat.append({"role": "assistant", "content": text})


class TabTurns:
    """Runs the turns of all tabs on sessions.

    Args:
        tools: Tools by name.
        planner: The planner.
        store: The store of values.
        saver: The database of threads.
        folder: Folder of result files, with a folder for each thread and turn.
    """

    def __init__(
        self,
        tools: Mapping[str, AnyTool],
        planner: Planner,
        store: Store,
        saver: Saver,
        folder: Path,
    ) -> None:
        """Keep the objects that all tabs share."""
        self._tools, self._planner, self._store, self._saver = tools, planner, store, saver
        self._folder = folder
        self._stopping: set[str] = set()

    def ask(self, tab: Tab, request: str, files: Sequence[str]) -> Iterator[Tab]:
        """Start a turn; yields the tab after every change.

        Args:
            tab: The tab, changed in place.
            request: The request.
            files: Paths of the files of the request.
        """
        tab.thread = tab.thread or uuid.uuid4().hex
        tab.turn += 1
        tab.plan, tab.problems, tab.progress, tab.files = None, [], {}, ()
        tab.chat += [{"role": "user", "content": {"path": file}} for file in files]
        tab.chat.append({"role": "user", "content": request})
        tab.stage, tab.status = "working", "Planning …"
        yield tab
        yield from self._follow(tab, lambda session: session.start(request, open_files(files)))

    def decide(self, tab: Tab, decision: Decision) -> Iterator[Tab]:
        """Accept, edit or reject the plan that waits for approval."""
        tab.stage = "working"
        tab.status = "Rejected" if decision["action"] == "reject" else "Running …"
        yield tab
        yield from self._follow(tab, lambda session: session.resume(decision))

    def edit(self, tab: Tab) -> Tab:
        """Open the editor on the plan that waits for approval."""
        tab.editor = json.dumps(tab.plan, indent=2, ensure_ascii=False)
        tab.stage, tab.fault = "editing", ""
        return tab

    def use_edited(self, tab: Tab, text: str) -> Iterator[Tab]:
        """Run the plan in the editor when it passes every check."""
        tab.editor = text
        try:
            plan = Plan.load(text)
        except SuperlinkError as error:
            tab.fault = sentences(error.message, error.hint)
            yield tab
            return
        tab.plan, tab.problems, tab.fault = plan.to_json(), [], ""
        yield from self.decide(tab, {"action": "edit", "plan": plan.to_json()})

    def leave_editor(self, tab: Tab) -> Tab:
        """Close the editor; the plan is unchanged."""
        tab.stage, tab.fault = "approval", ""
        return tab

    def stop(self, tab: Tab) -> Tab:
        """Stop the turn after its running steps."""
        self._stopping.add(tab.thread)
        tab.status = "Stopping after the step in hand …"
        return tab

    def folder(self, tab: Tab) -> Path:
        """Return the folder of a tab's result files; the tab must have a thread."""
        return self._folder / tab.thread

    def forget(self, tab: Tab) -> None:
        """Delete the files of a closed tab; the values stay in the store."""
        if tab.thread:
            shutil.rmtree(self.folder(tab), ignore_errors=True)

    def _follow(self, tab: Tab, begin: Callable[[Session], Iterator[Event]]) -> Iterator[Tab]:
        """Read the events of a turn into the tab, until it ends, waits for a person, or is stopped."""
        self._stopping.discard(tab.thread)
        session = Session(tab.thread, tools=self._tools, planner=self._planner, store=self._store, memory=self._saver)
        try:
            with closing(cast(Generator[Event, None, None], begin(session))) as events:
                for event in events:
                    self._take(tab, event)
                    yield tab
                    if tab.thread in self._stopping and tab.stage == "working":
                        tab.stage, tab.status = "idle", "Stopped"
                        tab.say("Stopped. What the finished steps gave can be used in the next request.")
                        yield tab
                        return
        except SuperlinkError as error:
            self._fail(tab, session, sentences(error.message, error.hint))
            yield tab
        except Exception as error:
            _log.exception("a turn failed")
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            self._fail(tab, session, f"Something went wrong that should not ({what}). The terminal says more")
            yield tab

    def _fail(self, tab: Tab, session: Session, message: str) -> None:
        waits = session.state()["stands"] == "approval"
        tab.stage, tab.status = ("approval", "Waits for you") if waits else ("idle", "Failed")
        tab.say(sentences(message))

    def _take(self, tab: Tab, event: Event) -> None:
        if event["event"] == "plan":
            tab.plan, tab.problems, tab.warnings, tab.progress = event["plan"], [], event["warnings"], {}
            tab.status = "Running …"
        elif event["event"] == "problems":
            tab.plan, tab.problems, tab.warnings = event["plan"], event["problems"], []
            tab.status = "Mending the plan …"
        elif event["event"] == "approval":
            tab.plan, tab.problems = event["plan"], event["problems"]
            tab.stage, tab.status = "approval", "Needs changes" if tab.problems else "Waits for you"
        elif event["event"] == "step":
            tab.progress[event["step"]] = event
        elif event["event"] == "done":
            self._show_end(tab, event)

    def _show_end(self, tab: Tab, done: DoneEvent) -> None:
        record = done["record"]
        rejected = record["decision"] is not None and record["decision"]["action"] == "reject"
        tab.stage = "idle"
        tab.status = "Rejected" if rejected else _STATUS[record["result"]]
        if record["plan"] and not record["plan"]["steps"]:
            tab.plan = None
        tab.say(done["answer"])
        if record["outputs"]:
            folder = self.folder(tab) / f"turn_{tab.turn}"
            tab.files = tuple(dict.fromkeys(write_results(folder, record, self._store)))


_STATUS = {
    "done": "Done",
    "nothing": "Nothing found or changed",
    "partly": "Partly done",
    "failed": "Failed",
    "refused": "Nothing was run",
}


def open_files(files: Sequence[str]) -> dict[str, Value | list[Value]]:
    """Open files as the values of a request: "image" for one picture, "images" for a list of several.

    Raises:
        MediaError: when a file cannot be read; names it as the person did.
    """
    by_kind: dict[str, list[Value]] = {}
    for file in dict.fromkeys(files):
        try:
            value = open_file(file)
        except SuperlinkError as error:
            # The path is that of our copy, which the person has never seen.
            message = error.message.replace(file, Path(file).name)
            raise MediaError(message, error.hint) from error
        by_kind.setdefault(value.kind.lower(), []).append(value)
    return {
        name if len(values) == 1 else f"{name}s": values[0] if len(values) == 1 else values
        for name, values in by_kind.items()
    }


def of_type(files: Sequence[Path], kind: str) -> list[Path]:
    """Return the files of a type: "image", "audio", "video" or "text"."""
    return [file for file in files if input_of(file.name) == kind]
