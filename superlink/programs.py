"""What ``superlink mcp`` and ``superlink serve`` share: their options, and the service that they are made of."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands.options import add_planner, add_tools, load_tools, make_planner, whole
from superlink.terminal import say

if TYPE_CHECKING:
    from api.service import Service


def add_options(parser: argparse.ArgumentParser, port: int) -> None:
    """Declare the options of both servers.

    Args:
        parser: Of the command.
        port: By default.
    """
    parser.add_argument(
        "--root",
        action="append",
        type=Path,
        metavar="DIR",
        help="a folder whose files callers may name, and where results may go; nothing outside is read or written; may "
        "be repeated (default: the current folder)",
    )
    parser.add_argument("--port", type=whole(0, 65535), default=port, help=f"0 for a free one (default: {port})")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name under which the server is reached, such as that of a proxy; may be repeated",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="the token that callers send over HTTP; made, for you alone to read, when missing (default: api-token in "
        "the home folder)",
    )
    add_planner(parser)
    add_tools(parser)


def missing_package(error: ModuleNotFoundError) -> Exception:
    """Return the error of a package that the servers need."""
    from tools.core.errors import SettingsInvalid

    return SettingsInvalid(f"this server needs the package {error.name}", "Run: pip install 'superlink[api]'")


@contextlib.contextmanager
def service_of(given: argparse.Namespace, results: Path | None = None) -> "Iterator[Service]":
    """Make the service of the options of `add_options`, and close it in the end.

    Args:
        given: The options.
        results: Folder of result files; "superlink-results" in the first root by default.
    """
    from agents.session.memory import close_saver, open_saver
    from api.roots import Roots
    from api.service import Service
    from tools.core.settings import settings
    from tools.storage.store import Store

    roots = Roots(given.root or [Path()])
    home = settings().home
    home.mkdir(parents=True, exist_ok=True)
    saver = open_saver(home / "threads.sqlite")
    try:
        yield Service(
            load_tools(given),
            make_planner(given),
            Store(settings().store_url),
            saver,
            roots,
            results or roots.folders[0] / "superlink-results",
            [str(Path(file).absolute()) for file in given.tools],
        )
    finally:
        close_saver(saver)


def say_started(what: str, address: str, file: Path) -> None:
    """Print where a server is; its token is not printed, because output may be logged."""
    say(f"{what} is at {address} (Ctrl+C stops it). Its token is in {file}, which only you can read")
