"""``superlink mcp``: a Model Context Protocol server, for assistants and agents."""

import argparse
from typing import TYPE_CHECKING

from superlink.programs import add_options, missing_package, say_started, service_of

if TYPE_CHECKING:
    from superlink.commands.options import Commands

PORT = 8765


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "mcp",
        help="serve the tools to an assistant by the Model Context Protocol",
        epilog="By default one client, which starts this command, is served on standard input and output.",
    )
    parser.add_argument("--http", action="store_true", help="serve clients on this computer over HTTP, with a token")
    add_options(parser, PORT)
    parser.set_defaults(command=serve)


def serve(given: argparse.Namespace) -> int:
    """Serve until stopped, or until the client has ended."""
    try:
        import anyio

        from api.access import guarded, token_file
        from api.mcp_server import PATH, http_app, serve_stdio
        from api.server import serve as serve_http
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    with service_of(given) as service:
        if not given.http:
            anyio.run(serve_stdio, service)
            return 0
        file = token_file(given.token_file)
        app = guarded(http_app(service), file, given.allow_host)
        serve_http(app, "127.0.0.1", given.port, lambda at: say_started("The MCP server", f"{at}{PATH}", file))
    return 0
