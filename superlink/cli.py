"""The console script: reads the command line, runs the command, turns errors into one clear line."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from superlink.commands import annotate, export, models, plan, review, run, schedule, serve_flows, tools, ui, world
from superlink.packages import foreign_packages

COMMANDS = (run, plan, annotate, schedule, serve_flows, export, review, tools, models, ui, world)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 done, 1 something failed, 2 the command line was wrong, 130 stopped by the user.
    """
    foreign = foreign_packages()
    if foreign:
        print("\n".join(foreign), file=sys.stderr)
        return 1
    given = _parser().parse_args(arguments)
    # Nothing that superlink starts may call home or fetch a model by itself.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from tools.errors import SuperlinkError

    try:
        status: int = given.command(given)
        return status
    except SuperlinkError as error:
        print(f"superlink: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("superlink: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="superlink",
        description="Say what should happen to pictures, sound or video; see the plan; run it.",
        epilog='Example: superlink run "blur every face" holiday.jpg',
    )
    try:
        number = version("superlink")
    except PackageNotFoundError:
        number = "(not installed)"
    parser.add_argument("--version", action="version", version=f"superlink {number}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser
