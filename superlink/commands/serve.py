"""``superlink serve``: an OpenAI-compatible server, for programs."""

import argparse
from typing import TYPE_CHECKING

from superlink.commands.options import whole
from superlink.programs import add_options, missing_package, say_started, service_of

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
    try:
        from api.access import guarded, token_file
        from api.openai_server import application
        from api.server import serve as serve_http
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    from tools.core.settings import settings

    with service_of(given) as service:
        file = token_file(given.token_file)
        app = guarded(
            application(service, settings().home / "runs"), file, given.allow_host, max_body=given.max_upload << 20
        )
        serve_http(app, given.host, given.port, lambda at: say_started("The server", f"{at}/v1", file))
    return 0
