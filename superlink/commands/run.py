"""``superlink run``: words and files in; a plan to approve; results out."""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superlink.commands.options import add_planner, add_tools, load_tools, make_planner, words
from superlink.terminal import ask, console, one_line

if TYPE_CHECKING:
    from rich.console import Console

    from agents.plan import Plan
    from agents.session import Event, Session
    from agents.state import Decision
    from tools.store import Store
    from tools.values import Value


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("run", help="do what a request says to some files")
    parser.add_argument("request", type=words, help='what should happen, in words, such as "blur every face"')
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="pictures, sound, video or text")
    parser.add_argument("--yes", action="store_true", help="do not ask before running the plan")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where results go (default: out)")
    parser.add_argument("--plan", type=Path, metavar="plan.json", help="run this plan instead of asking the planner")
    add_planner(parser)
    add_tools(parser)
    parser.set_defaults(command=run)


@dataclass(frozen=True)
class Item:
    """What one run of the plan works on: a name for its results, and files by kind."""

    name: str
    files: tuple[Path, ...]


def run(given: argparse.Namespace) -> int:
    """Plan once, ask once, run the plan on every item."""
    from agents.plan import Plan
    from agents.planner import Planner
    from agents.results import write_results
    from tools.errors import SuperlinkError
    from tools.settings import settings
    from tools.store import Store

    screen = console()
    tools = load_tools(given)
    planner: Planner = make_planner(given)
    store = Store(settings().store_url)
    plan = Plan.load(given.plan) if given.plan else None
    opened, failures = _opened(given.files)
    for path, error in failures:
        screen.print(f"{one_line(path)}: {error}", style="red")
    if failures and not opened:
        return 1
    items = _items(opened)
    approved: set[str] = set()
    shown: set[str] = set()
    failed = len(failures)
    for item in items:
        if len(items) > 1:
            screen.rule(one_line(item.name), align="left")
        media = {_kind_name(opened[file]): opened[file] for file in item.files}
        session = _session(given, item, tools, planner, store, approved)
        try:
            with session:
                done = _turn(screen, session, given, media, plan, shown)
                if done is None:
                    return 1
                record = done["record"]
                screen.print(done["answer"])
                folder = given.out / item.name if len(items) > 1 else given.out
                if record["outputs"]:
                    files = write_results(folder, record, store)
                    screen.print(f"{len(files)} files in {one_line(folder)}", style="dim")
                bad = bool(record["problems"]) or any(step["state"] != "finished" for step in record["steps"])
                failed += bad
                if record["problems"]:
                    return 1
                if plan is None and record["plan"] and record["steps"]:
                    plan = Plan.load(record["plan"])
                if plan is not None:
                    approved.add(record["hash"])
        except SuperlinkError as error:
            if len(items) == 1:
                raise
            failed += 1
            screen.print(f"{one_line(item.name)}: {error}", style="red")
    if failed:
        screen.print(f"{failed} of {len(items) + len(failures)} failed", style="red")
    return 1 if failed else 0


def _opened(files: list[Path]) -> "tuple[dict[Path, Value], list[tuple[Path, Exception]]]":
    """The files as values, and those that cannot be opened with the reason."""
    from tools.errors import SuperlinkError
    from tools.values.convert import open_file

    opened: dict[Path, Value] = {}
    failures: list[tuple[Path, Exception]] = []
    for path in dict.fromkeys(files):
        try:
            opened[path] = open_file(path)
        except SuperlinkError as error:
            failures.append((path, error))
    return opened, failures


def _kind_name(value: "Value") -> str:
    return value.kind.lower()


def _items(opened: "dict[Path, Value]") -> list[Item]:
    """What each run works on: several files of one kind are worked on one by one, beside the single files of other kinds.

    Raises:
        ArgumentsInvalid: there are several files of two kinds, so that it is not clear which go together.
    """
    from tools.errors import ArgumentsInvalid

    by_kind: dict[str, list[Path]] = {}
    for path, value in opened.items():
        by_kind.setdefault(_kind_name(value), []).append(path)
    several = [kind for kind, paths in by_kind.items() if len(paths) > 1]
    if len(several) > 1:
        counts = " and ".join(f"{len(by_kind[kind])} {kind} files" for kind in several)
        raise ArgumentsInvalid("run", [f"it is not clear which of {counts} go together; run them in turn"])
    shared = tuple(paths[0] for kind, paths in by_kind.items() if kind not in several)
    many = by_kind[several[0]] if several else []
    if not many:
        return [Item(shared[0].stem if shared else "result", shared)]
    names: dict[str, int] = {}
    items = []
    for path in many:
        names[path.stem] = names.get(path.stem, 0) + 1
        name = path.stem if names[path.stem] == 1 else f"{path.stem}_{names[path.stem]}"
        items.append(Item(name, (path, *shared)))
    return items


def _session(
    given: argparse.Namespace, item: Item, tools: Any, planner: Any, store: "Store", approved: set[str]
) -> "Session":
    """The session of an item. The same request on the same files finds its thread again, so that a run that was cut short goes on."""
    from agents.policy import Policy
    from agents.session import Session
    from tools.settings import settings

    digest = hashlib.sha256(repr((given.request, str(given.plan), given.planner, given.tools)).encode())
    for file in item.files:
        with file.open("rb") as content:  # a video can be larger than memory
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return Session(
        f"run-{digest.hexdigest()[:24]}",
        tools=tools,
        planner=planner,
        store=store,
        memory=settings().home / "threads.sqlite",
        policy=Policy(yes=given.yes, approved=frozenset(approved)),
    )


def _turn(
    screen: "Console",
    session: "Session",
    given: argparse.Namespace,
    media: "dict[str, Value]",
    plan: "Plan | None",
    shown: set[str],
) -> "Event | None":
    """One turn from start to end; None when a person rejected the plan."""
    if session.state()["stands"] == "working":
        screen.print("Continuing a run that was cut short.", style="dim")
        events = session.continue_()
    else:
        events = session.start(given.request, dict(media), plan)
    while True:
        waiting = _follow(screen, events, shown)
        if waiting["event"] == "done":
            return waiting
        decision = _decision(screen, waiting)
        if decision["action"] == "reject":
            for _ in session.resume(decision):
                pass
            screen.print("Nothing was run.")
            return None
        events = session.resume(decision)


def _follow(screen: "Console", events: "Iterator[Event]", shown: set[str]) -> "Event":
    """Show events until the turn ends or waits for a person; a plan that was shown before is not shown again."""
    from rich.text import Text

    for event in events:
        if "tree" in event and event["hash"] not in shown:
            shown.add(event["hash"])
            screen.print(event["tree"])
        match event["event"]:
            case "approval" | "done":
                return event
            case "problems":
                for problem in event["problems"]:
                    where = one_line(".".join(filter(None, (problem["step"], problem["argument"]))))
                    screen.print(Text.assemble((where, "yellow"), f" {problem['message']}. {problem['hint']}"))
            case "step" if event["state"] == "started":
                screen.print(f"{event['step']} {event['tool']} …", style="dim")
            case "step":
                colour = {"finished": "green", "failed": "red"}.get(event["state"], "yellow")
                ended = f"{event['step']} {event['tool']} {event['state']}"
                screen.print(Text.assemble((ended, colour), f" in {event['seconds']:.1f} s"))
    raise AssertionError("a turn ends in approval or done")


def _decision(screen: "Console", waiting: "Event") -> "Decision":
    """Ask a person."""
    from tools.errors import SuperlinkError

    if not sys.stdin.isatty():
        raise SuperlinkError("this plan needs approval, and nobody can be asked here", "Look at it and add --yes")
    while True:
        said = ask(screen, "Run it? [y]es, [e]dit, [n]o:")
        if said in ("y", "yes"):
            return {"action": "accept"}
        if said in ("n", "no", ""):
            return {"action": "reject"}
        if said in ("e", "edit"):
            try:
                return {"action": "edit", "plan": _edited(waiting["plan"]).model_dump(mode="json")}
            except SuperlinkError as error:
                screen.print(str(error), style="red")


def _edited(plan: dict[str, Any]) -> "Plan":
    """The plan as a person leaves it in their editor.

    Raises:
        PlanInvalid: what they leave is none.
        SettingsInvalid: the editor cannot be started, or fails.
    """
    import json

    from agents.plan import Plan
    from tools.errors import SettingsInvalid

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
