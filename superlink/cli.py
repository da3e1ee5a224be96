"""The console script: parses the command line, runs the command, prints errors as one line."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from superlink.commands import (
    annotate,
    examples,
    export,
    mcp,
    models,
    plan,
    repair,
    review,
    run,
    schedule,
    serve,
    serve_flows,
    tools,
    ui,
    world,
)
from superlink.stopping import leave
from superlink.terminal import one_line, prepare, safe, say

COMMANDS = (
    run,
    plan,
    annotate,
    schedule,
    serve_flows,
    export,
    review,
    examples,
    repair,
    tools,
    models,
    ui,
    mcp,
    serve,
    world,
)

FAULT = 70
"""Exit status for a fault of superlink itself (EX_SOFTWARE of sysexits.h)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Arguments of the command line; by default those of this process, which is then ended without waiting
            for abandoned work.

    Returns:
        The exit status: 0 done, 1 something failed, 2 the command line was wrong, 70 a fault of superlink itself, 130
        stopped by the user.
    """
    status = _run(arguments)
    if arguments is None:
        leave(status)
    return status


def _run(arguments: Sequence[str] | None) -> int:
    prepare()
    given = _parser().parse_args(arguments)
    # Libraries and processes that superlink starts send no usage reports and fetch no models by themselves.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from superlink.log import log_to_file
    from tools.core.errors import SuperlinkError

    log = logging.getLogger("superlink.cli")
    with log_to_file(given.debug) as describe_log:
        try:
            status: int = given.command(given)
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
        except SuperlinkError as error:
            log.debug("%s", error, exc_info=True)
            say(f"superlink: {error}", error=True)
            return 1
        except KeyboardInterrupt:
            say("superlink: stopped", error=True)
            return 130
        except OSError as error:
            if not _is_output_error(error):
                return _fault(error, log, describe_log)
            return 1
        except BaseException as error:
            return _fault(error, log, describe_log)


def _fault(error: BaseException, log: logging.Logger, describe_log: Callable[[], str]) -> int:
    """Print an unexpected error in a sentence, and log its traceback; return the exit status."""
    log.critical("A fault ended the command", exc_info=error)
    what = f"{type(error).__name__}: {one_line(error)}" if str(error) else type(error).__name__
    if isinstance(error, SystemExit):
        what = f"something ended the command with the status {one_line(error.code)}"
    say(f"superlink: a fault of superlink, or of something it uses: {what.rstrip('.')}. {describe_log()}", error=True)
    return FAULT


def _is_output_error(error: OSError) -> bool:
    """Return whether standard output could not be written.

    Standard output is then closed, so that Python does not try to flush it at the end.
    """
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None or frame.tb_frame.f_globals.get("__name__") not in (
        __name__,
        "superlink.terminal",
        "rich.console",
    ):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):  # a reader such as `head` may close the pipe early
        say(f"superlink: the output cannot be written: {error.strerror or error}", error=True)
    return True


class _Parser(argparse.ArgumentParser):
    """Parser with ``--debug`` in every command and options between files, whose errors are escaped for the terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._intermixed = False
        self.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show the log, with the traceback of every error",
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # overloaded in argparse
        """Parse a command line; a command's options may stand before, between and after its positional arguments."""
        if self._intermixed or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._intermixed = True  # parse_known_intermixed_args calls this method
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixed = False

    def error(self, message: str) -> NoReturn:
        super().error(safe(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="superlink",
        description="Say what should happen to pictures, sound or video; see the plan; run it.",
        epilog='Example: superlink run "blur every face" holiday.jpg',
    )
    parser.set_defaults(debug=False)
    try:
        number = version("superlink")
    except PackageNotFoundError:
        number = "(not installed)"
    parser.add_argument("--version", action="version", version=f"superlink {number}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser
