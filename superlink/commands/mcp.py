"""``superlink mcp``: a Model Context Protocol server, for assistants and agents."""

import argparse
from typing import TYPE_CHECKING

from superlink.commands.options import imports_of
from superlink.programs import NEEDS, add_options, serve_http, service_of

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
    with imports_of(*NEEDS):
        import anyio

        from api.mcp_server import PATH, http_app, serve_stdio
    with service_of(given) as service:
        if given.http:
            serve_http(given, http_app(service), "The MCP server", PATH)
        else:
            anyio.run(serve_stdio, service)
    return 0
