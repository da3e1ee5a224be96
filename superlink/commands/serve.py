"""``superlink serve``: an OpenAI-compatible server, for programs."""

import argparse
from typing import TYPE_CHECKING

from superlink.commands.options import imports_of, whole
from superlink.programs import NEEDS, add_options, serve_http, service_of

if TYPE_CHECKING:
    from superlink.commands.options import Commands

PORT = 8000


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "serve", help="serve planner, plans and runs to programs over HTTP, as OpenAI's clients expect"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on; default: this computer only")
    parser.add_argument(
        "--max-upload", type=whole(1), default=512, metavar="MB", help="most that one request may hold; default: 512"
    )
    add_options(parser, PORT)
    parser.set_defaults(command=serve)


def serve(given: argparse.Namespace) -> int:
    """Serve until stopped."""
    from tools.core.allocator import limit_arenas

    limit_arenas()
    with imports_of(*NEEDS):
        from api.openai_server import application
    from tools.core.settings import settings

    with service_of(given) as service:
        app = application(service, settings().home / "runs")
        serve_http(given, app, "The server", "/v1", given.host, given.max_upload << 20)
    return 0
