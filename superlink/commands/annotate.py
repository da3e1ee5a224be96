"""``superlink annotate``: one request over a folder of any size; resumable, with exports."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands.options import add_planner, add_tools, examples_of_user, make_planner, whole, words
from superlink.stopping import Stopping
from superlink.terminal import ask, console, one_line, safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from agents.plan.plan import Plan
    from flows.batch.events import Approve, Event
    from flows.batch.pilot import Forecast
    from flows.batch.review import ReviewRouting
    from flows.batch.spec import RunSpec
    from flows.batch.summary import Summary
    from superlink.commands.options import Commands

_SHOWN = 20


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "annotate", help="do what a request says to every file of a folder, and export a data set"
    )
    parser.add_argument("request", type=words, help='what should happen, such as "find every dog"; "" with --plan')
    parser.add_argument(
        "source", metavar="SOURCE", help="a folder, a glob, a list of paths (.txt) or an address like s3://…"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where ledger and exports go; the same again resumes"
    )
    parser.add_argument("--plan", type=Path, metavar="plan.json", help="run this plan instead of asking the planner")
    parser.add_argument("--yes", action="store_true", help="do not ask after the pilot")
    parser.add_argument(
        "--pilot", type=whole(0), default=8, metavar="N", help="items to try first (default: 8; 0: none)"
    )
    parser.add_argument(
        "--pilot-only",
        action="store_true",
        help="end after the pilot; the same command without this goes on from it, and asks for approval",
    )
    parser.add_argument("--retry-failed", action="store_true", help="only the items that failed before")
    parser.add_argument(
        "--reason", default="", metavar="TEXT", help="with --retry-failed: only those that failed for this"
    )
    parser.add_argument(
        "--relocate",
        action="store_true",
        help="the files of the run in DIR were moved to SOURCE: keep what was done on them",
    )
    parser.add_argument("--limit", type=whole(1), metavar="N", help="work on at most N items")
    add_work(parser)
    add_planner(parser)
    add_tools(parser)
    parser.set_defaults(command=annotate)


def add_work(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a batch run that ``superlink schedule`` has, too."""
    parser.add_argument("--shard", type=whole(1), default=64, metavar="N", help="items worked together (default: 64)")
    parser.add_argument(
        "--workers", type=whole(1), default=1, metavar="N", help="processes at the same time (default: 1)"
    )
    parser.add_argument(
        "--runner",
        choices=("processes", "ray"),
        default="processes",
        help="where they run: on this computer (default), or on Ray: its cluster at RAY_ADDRESS, or here",
    )
    parser.add_argument(
        "--min-score",
        action="append",
        default=[],
        metavar="LABEL=SCORE",
        help="keep what was found under this label from this score on; may be repeated",
    )
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="LIMIT",
        help="stop cleanly at a time (2h), a size on disk (10GB) or a share of failures (5%%); may be repeated",
    )
    parser.add_argument(
        "--format",
        action="append",
        metavar="NAME",
        help="export as coco, yolo, voc, label-studio, jsonl, parquet, srt, vtt, mirror or report; may be repeated",
    )
    parser.add_argument(
        "--band",
        action="append",
        default=[],
        metavar="[LABEL=]LOW:HIGH",
        help="scores that go to review (default: 0.25:0.5); may be repeated",
    )
    parser.add_argument(
        "--audit", type=float, default=0.02, metavar="SHARE", help="share of all finds that is reviewed (default: 0.02)"
    )


def annotate(given: argparse.Namespace) -> int:
    """Run the request over the source, show its progress, and print how it ended."""
    from flows.batch.events import Callbacks
    from flows.orchestration.server import configured, server

    screen = console()
    recorded = (configured() or given.runner == "ray") and not given.pilot_only
    # Errors are printed here in our own words; Prefect's messages with tracebacks are in its dashboard.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    approve, look = approval(screen, "Run it on all?", given.yes)
    with Stopping(), server() if recorded else nullcontext(), Progress(screen) as progress:
        run: Callable[..., Summary]
        if recorded:
            from flows.orchestration.flow import run_recorded as run
        else:
            from flows.annotate import run_batch

            run = partial(run_batch, pilot_only=given.pilot_only)
        spec = run_spec(
            given,
            pilot=given.pilot,
            retry_failed=given.retry_failed,
            reason=given.reason,
            limit=given.limit,
            relocate=given.relocate,
        )
        summary = run(spec, Callbacks(make_planner(given), approve, progress.show, look, examples_of_user()))
    if given.pilot_only:
        screen.print("Nothing else was worked on. The same command without --pilot-only goes on.")
        return 0
    _print_summary(screen, summary, given.out)
    return 1 if summary.failed or summary.stopped or summary.damaged else 0


def _print_summary(screen: "Console", summary: "Summary", out: Path) -> None:
    from rich.text import Text

    for name, reason, hint in summary.failures[:_SHOWN]:
        screen.print(Text.assemble((one_line(name), "red"), f": {safe(reason)}{'. ' + safe(hint) if hint else ''}"))
    if len(summary.failures) > _SHOWN:
        screen.print(f"… and {summary.failed - _SHOWN} more, all with their reasons in {one_line(out)}/failures.txt")
    if summary.first_only:
        names = ", ".join(one_line(name) for name in summary.first_only[:_SHOWN])
        more = f" and {len(summary.first_only) - _SHOWN} more" if len(summary.first_only) > _SHOWN else ""
        screen.print(
            f"Only the first of several pages or frames was worked on in {len(summary.first_only)} items: "
            f"{names}{more}",
            style="yellow",
        )
    if summary.nothing_found:
        screen.print(
            f"In {summary.nothing_found} of {summary.done} items nothing was found, and nothing was changed.",
            style="yellow",
        )
    for name, folder in summary.exports.items():
        screen.print(f"{name}: {one_line(folder)}", style="dim")
    if summary.stopped:
        screen.print(f"Stopped: {summary.stopped}. The same command goes on.", style="yellow")
    left = f", {summary.left} left" if summary.left else ""
    screen.print(
        f"{summary.done} of {summary.items} done, {summary.failed} failed{left}, in {_time(summary.seconds)} "
        f"({summary.ran} calls run, {summary.cached} reused)"
    )


class Progress:
    """Prints the events of a run: a progress bar with the time left on a terminal, lines elsewhere."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        self.console = console
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}")
        self.bar = Bar(*columns, console=console, transient=True)
        self.task: TaskID | None = None

    def __enter__(self) -> "Progress":
        """Begin; nothing is shown before the first event."""
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the progress bar."""
        if self.task is not None:
            self.bar.stop()

    def show(self, event: "Event") -> None:
        """Print one event."""
        match event["event"]:
            case "plan":
                self.console.print(event["tree"])
                if event["sure"]:
                    self.console.print(event["sure"], style="dim")
                if event["doubt"]:
                    self.console.print(f"Look at it: {event['doubt']}.", style="yellow")
                for warning in event["warnings"]:
                    self.console.print(f"Warning: {warning}", style="yellow")
            case "scan":
                changes = ", ".join(
                    f"{event[key]} {key.replace('_', ' ')}"
                    for key in ("new", "changed", "gone", "left_out")
                    if event[key]
                )
                self.console.print(
                    f"{event['items']} items{' (' + changes + ')' if changes else ''}, {event['pending']} to do"
                )
                if event["skipped"]:
                    self.console.print(f"skipped: {event['skipped']}")
            case "forecast":
                self.console.print(_forecast(event["forecast"]))
            case "aside":
                self.console.print(f"{one_line(event['file'])}: kept; the export has a file of the same name")
            case "damaged":
                for name, reason, _ in event["items"]:
                    self.console.print(f"{one_line(name)}: {reason}; it is made again")
            case "progress":
                note = f"{event['failed']} failed, {_time(event['left'])} left"
                if not self.console.is_terminal:
                    self.console.print(f"{event['done'] + event['failed']} of {event['all']}, {note}", style="dim")
                    return
                if self.task is None:
                    self.bar.start()
                    self.task = self.bar.add_task("items", total=event["all"], note=note)
                self.bar.update(self.task, completed=event["done"] + event["failed"], note=note)


def _forecast(forecast: "Forecast") -> str:
    lines = [f"Pilot: {forecast.pilot} items, {forecast.failed} failed."]
    lines += [f"  {reason}" for reason in forecast.reasons]
    lines.append(
        f"The other {forecast.items}: about {_time(forecast.seconds)}, {forecast.bytes / 1e6:.0f} MB, "
        f"{forecast.review} finds to review."
    )
    if forecast.sheet:
        lines.append(f"Look at {one_line(forecast.sheet)}")
    return "\n".join(lines)


def approval(screen: "Console", question: str, yes: bool) -> "tuple[Approve | None, Approve | None]":
    """Return whom to ask about a plan, and whom about a doubtful one if nobody else is asked: see `Callbacks`.

    Args:
        screen: The terminal.
        question: What to ask there.
        yes: Whether a plan that the planner does not doubt needs no approval.
    """
    person = asker(screen, question)
    return (None, person if sys.stdin.isatty() else None) if yes else (person, None)


def asker(screen: "Console", question: str) -> "Approve":
    """Return a function that asks for approval on the terminal, as `flows.annotate.annotate` calls it.

    It raises SuperlinkError when standard input is no terminal.
    """

    def approved(plan: "Plan", forecast: "Forecast | None") -> bool:
        from tools.core.errors import SuperlinkError

        if not sys.stdin.isatty():
            raise SuperlinkError(
                "this plan needs approval, and nobody can be asked here", "Look at the pilot and add --yes"
            )
        return ask(screen, f"{question} [y]es, [n]o:") in ("y", "yes")

    return approved


def run_spec(given: argparse.Namespace, **options: object) -> "RunSpec":
    """Return the specification of a run from the options of `add_work` and further ones.

    Raises:
        SuperlinkError: when the value of an option is invalid.
    """
    from flows.batch.spec import RunSpec

    return RunSpec.load(
        {
            "request": given.request,
            "source": given.source,
            "out": given.out,
            "plan": given.plan,
            "tools": given.tools,
            "scores": _scores(given),
            "shard": given.shard,
            "workers": given.workers,
            "runner": given.runner,
            "budget": given.budget,
            "formats": given.format,
            "routing": _routing(given),
            **options,
        }
    )


def _scores(given: argparse.Namespace) -> dict[str, float]:
    """Return what ``--min-score`` says.

    Raises:
        ArgumentsInvalid: when it is malformed.
    """
    from tools.core.errors import ArgumentsInvalid

    scores: dict[str, float] = {}
    for text in given.min_score:
        label, _, score = text.rpartition("=")
        try:
            scores[label] = float(score)
        except ValueError:
            label = ""
        if not label:
            raise ArgumentsInvalid("annotate", [f"--min-score {text}: write LABEL=SCORE, such as dog=0.4"])
    return scores


def _routing(given: argparse.Namespace) -> "ReviewRouting":
    """Return what ``--band`` and ``--audit`` say.

    Raises:
        ArgumentsInvalid: when a band is malformed.
    """
    from flows.batch.review import ReviewRouting
    from tools.core.errors import ArgumentsInvalid

    bands: dict[str, tuple[float, float]] = {}
    for text in given.band:
        label, _, scores = text.rpartition("=")
        try:
            low, high = (float(score) for score in scores.split(":"))
        except ValueError as error:
            raise ArgumentsInvalid("annotate", [f"--band {text}: write LOW:HIGH or LABEL=LOW:HIGH"]) from error
        bands[label] = (low, high)
    everywhere = bands.pop("", (0.25, 0.5))
    return ReviewRouting(everywhere, bands, given.audit)


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
