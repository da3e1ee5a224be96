"""What both servers for programs do: plan, run, call one tool, say where a run stands; over `Session`."""

import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from langgraph.checkpoint.memory import InMemorySaver

from agents.examples.use import open_examples
from agents.plan.check import wire_and_check
from agents.plan.plan import Plan, Step, escape
from agents.plan.preflight import missing_weights, with_remedy
from agents.plan.problems import ProblemJson, nearest
from agents.plan.types import AnyTool, step_number, value_types
from agents.planners.base import Planner
from agents.planners.repair import Attempt, PlanningTask, examine, plan_request
from agents.session.events import ApprovalEvent, DoneEvent, Event, Record, Stands
from agents.session.memory import Saver
from agents.session.policy import Policy, doubt
from agents.session.results import RECORD, write_results, written_names
from agents.session.session import Session, SessionError
from agents.session.state import Decision, confidence_of
from api.files import Given, files_of, kind_of, named, open_as
from api.outcomes import Outcome, Planned, StepOutcome
from api.roots import Roots
from common.kinds import KIND_OF_INPUT, USUAL_MEDIA
from tools.core.errors import ArgumentsInvalid, SuperlinkError
from tools.core.faults import Fault
from tools.storage.store import Store
from tools.values import Value
from tools.values.convert import open_file

PREFIX = "api-"
"""Of the names of threads that were begun here; the threads of other doors cannot be reached."""

Decide = Callable[[ApprovalEvent], Decision | None]
"""The decision on a plan that waits; None lets it wait."""


class Service:
    """Plans and runs for programs.

    Args:
        tools: by name.
        planner: the planner.
        store: of values.
        saver: where threads are kept.
        roots: the folders whose files callers may name.
        results: folder of result files, in which each run has a folder of its own.
        tool_files: Python files of which some of the tools are; batch runs load them again.
    """

    def __init__(
        self,
        tools: Mapping[str, AnyTool],
        planner: Planner,
        store: Store,
        saver: Saver,
        roots: Roots,
        results: Path,
        tool_files: Sequence[str] = (),
    ) -> None:
        """Keep the objects that all calls share."""
        self.tools, self.planner, self.store, self.saver = tools, planner, store, saver
        self.roots, self.results, self.tool_files = roots, results, tuple(tool_files)
        self.examples = open_examples()  # callers may be programs, so that none of their plans are kept
        self._at_work: set[str] = set()
        self._lock = threading.Lock()

    def open_files(self, files: Sequence[str]) -> Given:
        """Open files inside the roots: "image" for one picture, "images" for a list of several.

        Raises:
            OutsideRoots: a path leads out of the roots.
            MediaError: a file cannot be read.
        """
        return named(open_file(self.roots.resolve(file)) for file in dict.fromkeys(files))

    def plan(
        self, request: str, files: Sequence[str] = (), media: Sequence[str] | None = None, plan: Plan | None = None
    ) -> Planned:
        """Plan a request, or check a plan; nothing is run.

        Args:
            request: in words.
            files: that come with it, inside the roots.
            media: without files, the kinds that will come: names of `common.kinds.KIND_OF_INPUT`; None for the usual.
            plan: to check, instead of asking the planner.

        Raises:
            OutsideRoots: a path leads out of the roots.
            MediaError: a file cannot be read.
            SuperlinkError: the planner cannot work.
        """
        opened = {name: kind_of(value) for name, value in self.open_files(files).items()}
        values = opened or {name: KIND_OF_INPUT[name] for name in (USUAL_MEDIA if media is None else media)}
        if plan is None:
            return self._planned(plan_request(request, values, self.tools, self.planner, self.examples))
        task = PlanningTask(request or plan.request, value_types(values), self.tools, given=values.keys())
        return self._planned(examine(task, Attempt(plan.with_request(task.request))))

    def _planned(self, attempt: Attempt) -> Planned:
        plan = attempt.plan
        missing = _missing(plan, self.tools)
        return {
            "plan": None if plan is None else plan.to_json(),
            "hash": "" if plan is None else plan.hash,
            "tree": "" if plan is None else plan.tree(),
            "problems": list(map(str, attempt.problems)),
            "warnings": list(map(str, attempt.warnings)),
            "missing": missing,
            "confidence": None if attempt.confidence is None else attempt.confidence.to_json(),
            "doubt": doubt(attempt.confidence) if attempt.works else "",
            "demonstrations": [shown.to_json() for shown in attempt.demonstrations],
            "works": attempt.works,
            "needs_approval": plan is not None
            and attempt.works
            and not Policy().allows(plan, self.tools, bool(attempt.warnings or missing), attempt.confidence),
        }

    @contextmanager
    def session(self, thread: str, approved: Collection[str] = ()) -> Iterator[Session]:
        """The session of a thread, which nobody else works on inside the block.

        Args:
            thread: its name.
            approved: hashes of plans that run without asking.

        Raises:
            SessionError: somebody works on it.
        """
        with self._lock:
            if thread in self._at_work:
                raise SessionError(f"the run {thread} is at work", "Wait until it has ended")
            self._at_work.add(thread)
        try:
            yield self._open(thread, Policy(approved=frozenset(approved)))
        finally:
            with self._lock:
                self._at_work.discard(thread)

    def at_work(self) -> frozenset[str]:
        """Names of the threads that are worked on in this process."""
        with self._lock:
            return frozenset(self._at_work)

    def _open(self, thread: str, policy: Policy | None = None) -> Session:
        return Session(
            thread,
            tools=self.tools,
            planner=self.planner,
            store=self.store,
            memory=self.saver,
            policy=policy,
            examples=self.examples,
        )

    def status(self, thread: str, folder: Path | None = None) -> Outcome:
        """Where a run stands.

        Args:
            thread: its name.
            folder: of its files; by default its own among the results.

        Raises:
            SessionError: there is no such run.
        """
        session = self._open(thread)
        state = session.state() if thread.startswith(PREFIX) else None
        if state is None or state["stands"] == "new":
            raise SessionError(f"there is no run {thread!r}", "Give the name that the run returned")
        folder = folder or self.results / thread
        files = [str(file) for file in files_of(folder)] if state["stands"] == "done" else []
        return self.outcome(state, state["stands"], files)

    def outcome(self, record: Record, stands: Stands, files: Sequence[str]) -> Outcome:
        """A run as callers see it, from its record."""
        plan = None if record["plan"] is None else Plan.load(record["plan"])
        steps: list[StepOutcome] = []
        for step in record["steps"]:
            shown: StepOutcome = {
                "id": step["id"],
                "tool": step["tool"],
                "state": step["state"],
                "seconds": step["seconds"],
            }
            if "error" in step:
                shown["error"] = str(SuperlinkError(step["error"]["message"], step["error"]["hint"]))
            steps.append(shown)
        return {
            "thread": record["thread"],
            "request": record["request"],
            "stands": stands,
            "result": record["result"],
            "answer": record["answer"],
            "plan": record["plan"],
            "hash": record["hash"],
            "tree": plan.tree() if plan is not None and plan.steps else "",
            "problems": [_sentence(problem) for problem in record["problems"]],
            "warnings": [_sentence(warning) for warning in record["warnings"]],
            "missing": _missing(plan, self.tools) if stands == "approval" else [],
            "confidence": record["confidence"],
            "doubt": doubt(confidence_of(record)) if stands == "approval" else "",
            "demonstrations": record["demonstrations"],
            "works": plan is not None and bool(plan.steps) and not record["problems"],
            "needs_approval": stands == "approval",
            "steps": steps,
            "files": list(files),
        }

    def write(self, record: Record, folder: Path) -> list[str]:
        """Write the files of a run that has ended; nothing where no step ended.

        Raises:
            WriteError: a file cannot be written.
        """
        if not any("refs" in step or "error" in step for step in record["steps"]):
            return []
        return [str(file) for file in dict.fromkeys(write_results(folder, record, self.store))]

    def has_written(self, file: Path) -> bool:
        """Whether a file is one that `write` has written; `file` has no symbolic links."""
        ours = file.is_relative_to(self.results) or file.name in {RECORD, *written_names(file.parent)}
        return ours and file.is_file()

    def tool(self, name: str, others: Collection[str] = ()) -> AnyTool:
        """The tool of this name.

        Args:
            name: of the tool.
            others: further names that callers may have meant.

        Raises:
            ArgumentsInvalid: there is none.
        """
        if name not in self.tools:
            raise ArgumentsInvalid(name, [f"there is no tool {name!r}. {nearest(name, [*others, *self.tools])}"])
        return self.tools[name]

    def call_tool(self, name: str, arguments: Mapping[str, object], notify: Callable[[Event], None]) -> Outcome:
        """Call one tool; its inputs are paths of files, or lists of these. Text may be given as it is.

        Args:
            name: of the tool.
            arguments: by name.
            notify: called with every event.

        Raises:
            ArgumentsInvalid: they do not fit the tool.
            OutsideRoots: a path leads out of the roots.
            MediaError: a file cannot be read.
        """
        tool = self.tool(name)
        values: Given = {}
        args = {}
        for argument, value in arguments.items():
            if argument not in tool.inputs or value is None:
                args[argument] = escape(value)  # type: ignore[arg-type]
                continue
            opened = self._open_input(tool, argument, value)
            if isinstance(opened, str):
                args[argument] = escape(opened)
                continue
            given = f"given_{argument}" if step_number(argument) else argument
            values[given], args[argument] = opened, f"${given}"
        kinds = {given: kind_of(value) for given, value in values.items()}
        plan, problems = wire_and_check(Plan(steps=(Step(id="s1", tool=name, args=args),)), self.tools, kinds)
        if problems:
            raise ArgumentsInvalid(name, [_sentence(problem.to_json(), place=problem.argument) for problem in problems])
        thread = f"{name}-{uuid.uuid4().hex[:8]}"
        session = Session(
            thread,
            tools=self.tools,
            planner=self.planner,
            store=self.store,
            memory=InMemorySaver(),
            policy=Policy(yes=True),  # the caller chose tool and arguments: there is no plan to look at
        )
        done = follow(session, session.start(name, values, plan), notify)
        assert done["event"] == "done"
        return self.outcome(done["record"], "done", self.write(done["record"], self.results / thread))

    def _open_input(self, tool: AnyTool, name: str, value: object) -> str | Value | list[Value]:
        given = tool.inputs[name]
        if isinstance(value, str) and given.literal and not value.startswith("file:"):
            return value
        items = value if isinstance(value, list) else [value]
        paths = [item for item in items if isinstance(item, str)]
        if not paths or len(paths) < len(items):
            raise ArgumentsInvalid(tool.name, [f"{name}: takes the path of a file, or a list of paths"])
        opened = [open_as(self.roots.resolve(path), given.accepted) for path in paths]
        return opened if isinstance(value, list) or given.many else opened[0]


def follow(
    session: Session,
    events: Iterator[Event],
    notify: Callable[[Event], None] | None = None,
    decide: Decide | None = None,
) -> ApprovalEvent | DoneEvent:
    """Read the events of a run to its end, or to a plan on which nobody decides.

    Args:
        session: of the run.
        events: of the session.
        notify: called with every event.
        decide: asked when a plan waits, which without it goes on waiting.
    """
    while True:
        last: Event | None = None
        for last in events:
            if notify is not None:
                notify(last)
        assert last is not None
        if last["event"] == "done":
            return last
        assert last["event"] == "approval"
        decision = None if decide is None else decide(last)
        if decision is None:
            return last
        events = session.resume(decision)


def unforeseen(error: Exception) -> SuperlinkError:
    """An exception that is none of superlink's own errors, as callers see it."""
    return SuperlinkError(f"a fault of superlink: {Fault.of(error, '').what}", "The server's log says more")


def new_thread() -> str:
    """A name for a new thread, which cannot be guessed."""
    return f"{PREFIX}{uuid.uuid4().hex}"


def _missing(plan: Plan | None, tools: Mapping[str, AnyTool]) -> list[str]:
    return [] if plan is None else [with_remedy(lack) for lack in missing_weights(plan, tools)]


def _sentence(problem: ProblemJson, place: str = "") -> str:
    text = f"{place}: {problem['message']}" if place else problem["message"]
    return f"{text}. {problem['hint']}" if problem["hint"] else text
