"""``superlink ui``: the session page in a browser."""

import argparse
from typing import Any

from superlink.commands.options import add_planner, add_tools, load_tools, make_planner


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("ui", help="open the session page on this computer")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--host", default="127.0.0.1", help="default: this computer only")
    parser.add_argument(
        "--password", help="asked of visitors (user name: superlink); required for any other host than this computer"
    )
    add_planner(parser)
    add_tools(parser)
    parser.set_defaults(command=serve)


def serve(given: argparse.Namespace) -> int:
    """Serve until stopped."""
    try:
        from ui.page import launch
    except ModuleNotFoundError as error:
        from tools.errors import SettingsInvalid

        raise SettingsInvalid(f"the page needs the package {error.name}", "Run: pip install 'superlink[ui]'") from error

    launch(load_tools(given), make_planner(given), given.host, given.port, given.password)
    return 0
