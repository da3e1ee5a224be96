"""``superlink run``: one request on some files: plan, approval, results."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands.options import add_planner, add_tools, examples_of_user, load_tools, make_planner, words
from superlink.terminal import ask, console, one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from agents.plan.plan import Plan, PlanJson
    from agents.session.events import ApprovalEvent, DoneEvent, Event, ProblemsEvent, ProgressEvent, Record, ThreadState
    from agents.session.session import Session
    from agents.session.state import Decision
    from superlink.commands.options import Commands
    from superlink.items import RunItem
    from superlink.stopping import Stopping
    from tools.storage.store import Ref


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser("run", help="do what a request says to some files")
    parser.add_argument("request", type=words, help='what should happen, in words, such as "blur every face"')
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="pictures, sound, video or text")
    parser.add_argument("--yes", action="store_true", help="do not ask before running the plan")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where results go (default: out)")
    parser.add_argument("--plan", type=Path, metavar="plan.json", help="run this plan instead of asking the planner")
    parser.add_argument(
        "--fresh", action="store_true", help="use nothing that an earlier run of the same command has done"
    )
    add_planner(parser)
    add_tools(parser)
    parser.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """Plan once, ask once, and run the plan on every item."""
    from superlink.stopping import Stopping, say_stopped
    from tools.core.abandon import Stopped

    with Stopping() as stopping:
        work = _Work(given, stopping)
        try:
            return work.run()
        except (Stopped, KeyboardInterrupt):
            say_stopped(work.describe_progress())
            return stopping.status


class _Work:
    """State of one ``superlink run``.

    Attributes:
        plan: The plan, once it is known; later items use it again.
        approved: Hashes of approved plans.
        shown: Hashes of plans that were printed.
        problems: Problems that were not printed yet.
        steps: Ids of finished steps of the current item.
        items: All items.
        ended: Number of items that have ended.
    """

    def __init__(self, given: argparse.Namespace, stopping: "Stopping") -> None:
        self.given, self.stopping, self.screen = given, stopping, console()
        self.plan: Plan | None = None
        self.approved: set[str] = set()
        self.shown: set[str] = set()
        self.problems: list[ProblemsEvent] = []
        self.steps: list[str] = []
        self.items: list[RunItem] = []
        self.ended = 0

    def run(self) -> int:
        """Run the plan on every item.

        Returns:
            The exit status.
        """
        from agents.plan.plan import Plan
        from superlink.items import items_of, open_files
        from tools.core.abandon import Stopped
        from tools.core.errors import SuperlinkError
        from tools.core.settings import settings
        from tools.storage.store import Store

        self.tools = load_tools(self.given)
        self.planner = make_planner(self.given)
        self.examples = examples_of_user()
        self.store = Store(settings().store_url)
        self.plan = Plan.load(self.given.plan) if self.given.plan else None
        self.opened, failures = open_files(self.given.files)
        for path, error in failures:
            self._print_error(path, error)
        if failures and not self.opened:
            return 1
        self.items = items_of(self.opened)
        failed = len(failures)
        for item in self.items:
            if len(self.items) > 1:
                file = item.files[0]
                self.screen.rule(
                    one_line(item.name if item.name == file.stem else f"{item.name} ({file})"), align="left"
                )
            try:
                record = self._turn(item)
                if record is None or record["result"] == "refused":
                    return 1
                failed += any(step["state"] != "finished" for step in record["steps"])
            except Stopped:
                raise
            except SuperlinkError as error:
                if len(self.items) == 1:
                    raise
                failed += 1
                self._print_error(item.name, error)
            self.ended += 1
            self.stopping.check()
        if failed:
            self.screen.print(f"{failed} of {len(self.items) + len(failures)} failed", style="red")
        return 1 if failed else 0

    def describe_progress(self) -> str:
        """Return in a sentence what is kept when the command is stopped."""
        from superlink.stopping import KEPT

        parts = [f"{self.ended} of {len(self.items)} items have ended"] if len(self.items) > 1 else []
        if self.steps and self.ended < len(self.items):
            of = f" of {one_line(self.items[self.ended].name)}" if len(self.items) > 1 else ""
            parts.append(f"Finished steps{of}: {', '.join(self.steps)}")
        return ". ".join([*parts, KEPT])

    def _print_error(self, what: object, error: Exception) -> None:
        self.screen.print(f"{one_line(what)}: {error}", style="red")

    def _turn(self, item: "RunItem") -> "Record | None":
        """Run one turn on an item.

        Returns:
            The record; None when the person rejected the plan.
        """
        from agents.plan.plan import Plan
        from agents.session.policy import Policy
        from agents.session.results import write_results
        from agents.session.session import Session
        from superlink.items import kind_name
        from superlink.threads import lock_thread, thread_of
        from tools.core.settings import settings

        self.steps = []
        given, home = self.given, settings().home
        media = {kind_name(self.opened[file]): self.store.put(self.opened[file]) for file in item.files}
        thread = thread_of(given.request, media, self.plan, given.planner, self.tools)
        with (
            lock_thread(thread, home),
            Session(
                thread,
                tools=self.tools,
                planner=self.planner,
                store=self.store,
                memory=home / "threads.sqlite",
                policy=Policy(yes=given.yes, approved=frozenset(self.approved)),
                examples=self.examples,
            ) as session,
            self.stopping.watching(session),
        ):
            done = self._follow(session, self._begin(session, media))
        if done is None:
            return None
        record = done["record"]
        self.screen.print(done["answer"], style={"done": "", "failed": "red"}.get(done["result"], "yellow"))
        folder = given.out / item.name if len(self.items) > 1 else given.out
        if any("refs" in step or "error" in step for step in record["steps"]):  # an error is written, too
            files = write_results(folder, record, self.store)
            self.screen.print(f"{len(files)} file{'s' * (len(files) > 1)} in {one_line(folder)}", style="dim")
        if record["plan"] is not None and record["steps"] and not record["problems"]:
            self.plan = self.plan or Plan.load(record["plan"])
            self.approved.add(record["hash"])
        return record

    def _begin(self, session: "Session", media: "Mapping[str, Ref]") -> "Iterator[Event]":
        """Continue an earlier run of the same command, or start."""
        from agents.session.session import SessionError

        if self.given.fresh:
            session.forget()
        state = session.state()
        self.steps = [step["id"] for step in state["steps"] if step["state"] == "finished"]
        if state["stands"] == "working":
            self.screen.print("Continuing a run that was cut short.", style="dim")
            return session.continue_()
        if not self._sees_the_same(state, media):
            self.screen.print("The planner's examples have changed since, so this is planned anew.", style="dim")
            session.forget()
        try:
            events = session.again()
        except SessionError:  # nothing has run
            session.forget()
            return session.start(self.given.request, media, self.plan)
        self.screen.print(
            "Going on from earlier work on the same request and content; --fresh begins anew.", style="dim"
        )
        return events

    def _sees_the_same(self, state: "ThreadState", media: "Mapping[str, Ref]") -> bool:
        """Return whether the plan of an earlier run was made with the examples that the planner would see now."""
        from agents.plan.plan import Plan
        from agents.plan.types import value_types

        if state["plan"] is None or self.plan is not None:  # there was no plan, or it is given
            return True
        before = [shown["id"] for shown in state["demonstrations"]]
        if self.examples is None:
            return not before
        values = value_types({name: ref["kind"] for name, ref in media.items()})
        return self.examples.would_show(before, Plan.load(state["plan"]), self.given.request, values, self.tools)

    def _follow(self, session: "Session", events: "Iterator[Event]") -> "DoneEvent | None":
        """Follow a turn to its end; return None when the person rejected the plan."""
        while True:
            waiting = self._print_events(events)
            if waiting["event"] == "done":
                return waiting
            decision = _decision(self.screen, waiting)
            if decision["action"] == "reject":
                for _ in session.resume(decision):
                    pass
                self.screen.print("Nothing was run.")
                return None
            events = session.resume(decision)

    def _print_events(self, events: "Iterator[Event]") -> "ApprovalEvent | DoneEvent":
        """Print events until the turn ends or waits for approval; each plan is printed once."""
        with _StepBars(self.screen) as bars:
            for event in events:
                if event["event"] == "progress":
                    bars.update(event)
                    continue
                if event["event"] == "step" and event["state"] != "started":
                    bars.remove(event["step"])
                self._print_event(event)
                if event["event"] == "approval" or event["event"] == "done":
                    return event
        raise AssertionError("a turn ends in approval or done")

    def _print_event(self, event: "Event") -> None:
        from rich.text import Text

        from agents.plan.preflight import with_remedy
        from agents.session.policy import in_words
        from agents.session.state import confidence_of

        if event["event"] == "problems":
            self.problems.append(event)
            return
        if event["event"] == "done" and event["record"]["problems"]:
            del self.problems[-1:]  # the answer names them
        self._print_problems()
        if event["event"] in ("plan", "approval") and event["hash"] not in self.shown:
            self.shown.add(event["hash"])
            self.screen.print(event["tree"])
            if line := in_words(confidence_of(event), [step["id"] for step in event["plan"]["steps"]]):
                self.screen.print(line, style="dim")
            for warning in event["warnings"]:
                self.screen.print(f"Warning: {warning['message']}. {warning['hint']}", style="yellow")
            for lack in event["missing"]:
                self.screen.print(f"Warning: {with_remedy(lack)}", style="yellow")
        if event["event"] == "step" and event["state"] == "started":
            self.screen.print(f"{event['step']} {event['tool']} …", style="dim")
        elif event["event"] == "step":
            if event["state"] == "finished":
                self.steps.append(event["step"])
            colour = {"finished": "green", "failed": "red"}.get(event["state"], "yellow")
            ended = f"{event['step']} {event['tool']} {event['state']}"
            self.screen.print(Text.assemble((ended, colour), f" in {event['seconds']:.1f} s"))

    def _print_problems(self) -> None:
        """Print the problems of the plans that did not work."""
        from rich.text import Text

        for event in self.problems:
            for problem in event["problems"]:
                where = one_line(".".join(filter(None, (problem["step"], problem["argument"]))))
                self.screen.print(Text.assemble((where, "yellow"), f" {problem['message']}. {problem['hint']}"))
        self.problems.clear()


class _StepBars:
    """Bars of the steps that are running, below all lines; rich shows them on a terminal alone."""

    def __init__(self, screen: "Console") -> None:
        self._screen = screen
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_StepBars":
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, event: "ProgressEvent") -> None:
        """Show how much a step has done."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        if self._bars is None:
            columns = TextColumn("{task.description}", style="dim"), BarColumn(), MofNCompleteColumn()
            self._bars = Progress(*columns, console=self._screen, transient=True, auto_refresh=False)
            self._bars.start()
        step = event["step"]
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=event["total"])
        self._bars.update(self._tasks[step], completed=event["done"], total=event["total"], refresh=True)

    def remove(self, step: str) -> None:
        """Remove the bar of a step that ended."""
        if self._bars is not None and step in self._tasks:
            self._bars.remove_task(self._tasks.pop(step))
            self._bars.refresh()


def _decision(screen: "Console", waiting: "ApprovalEvent") -> "Decision":
    """Ask on the terminal whether to run the plan.

    Raises:
        SuperlinkError: when standard input is no terminal.
    """
    from agents.plan.preflight import error_of
    from agents.session.policy import PlanDoubtful, doubt
    from agents.session.state import confidence_of
    from tools.core.errors import SuperlinkError

    why = doubt(confidence_of(waiting))
    if not sys.stdin.isatty():
        if waiting["missing"]:
            raise error_of(waiting["missing"])
        if why:
            raise PlanDoubtful(why)
        raise SuperlinkError("this plan needs approval, and nobody can be asked here", "Look at it and add --yes")
    if why:
        screen.print(f"Look at it: {why}.", style="yellow")
    while True:
        said = ask(screen, "Run it? [y]es, [e]dit, [n]o:")
        if said in ("y", "yes"):
            return {"action": "accept"}
        if said in ("n", "no", ""):
            return {"action": "reject"}
        if said in ("e", "edit"):
            try:
                return {"action": "edit", "plan": _edit(waiting["plan"]).to_json()}
            except SuperlinkError as error:
                screen.print(str(error), style="red")


def _edit(plan: "PlanJson") -> "Plan":
    """Open the plan in an editor and return the edited plan.

    Raises:
        PlanInvalid: when the edited file is no plan.
        SettingsInvalid: when the editor cannot be started, or fails.
    """
    import json

    from agents.plan.plan import Plan
    from tools.core.errors import SettingsInvalid

    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False, encoding="utf-8") as file:
        json.dump(plan, file, indent=2, ensure_ascii=False)
    editor = os.environ.get("EDITOR", "nano")
    try:
        subprocess.run([*editor.split(), file.name], check=True)
        return Plan.load(Path(file.name))
    except (OSError, subprocess.CalledProcessError) as error:
        raise SettingsInvalid(f"the editor {editor!r} cannot be used: {error}", "Name another in EDITOR") from error
    finally:
        os.unlink(file.name)
