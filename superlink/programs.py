"""What ``superlink mcp`` and ``superlink serve`` share: options, the service that they are made of, and serving it."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands.options import add_planner, add_tools, imports_of, load_tools, make_planner, whole
from superlink.terminal import say

if TYPE_CHECKING:
    from api.service import Service
    from tools.core.http_guard import App

NEEDS = ("api", "this server")
"""The extra whose packages both servers need, for `imports_of`."""
_CLOSING = 3  # seconds that answers in hand have when a server is stopped


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


@contextlib.contextmanager
def service_of(given: argparse.Namespace) -> "Iterator[Service]":
    """Make the service of the options of `add_options`, and close it in the end."""
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
            roots.folders[0] / "superlink-results",
            [str(Path(file).absolute()) for file in given.tools],
        )
    finally:
        close_saver(saver)


def serve_http(
    given: argparse.Namespace, app: "App", what: str, path: str, host: str = "127.0.0.1", max_body: int | None = None
) -> None:
    """Serve an application behind the guard and the token until stopped, and print where it and the token are.

    Args:
        given: The options of `add_options`.
        app: The application.
        what: Name of the server at the start of a sentence.
        path: At which programs call it.
        host: Address of this computer.
        max_body: Bytes of a request's body; None for no limit.
    """
    with imports_of(*NEEDS):
        from api.access import guarded, token_file
        from tools.core.serving import Server
    file = token_file(given.token_file)

    def say_started(address: str) -> None:
        # The token itself is not printed, because output may be logged.
        say(f"{what} is at {address}{path} (Ctrl+C stops it). Its token is in {file}, which only you can read")

    Server(guarded(app, file, given.allow_host, max_body), say_started, _CLOSING).serve_on(host, given.port)
