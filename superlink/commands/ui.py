"""``superlink ui``: the session page in a browser."""

import argparse
import ipaddress
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands import users
from superlink.commands.options import add_planner, add_tools, imports_of, load_tools, make_planner, shown, whole
from superlink.terminal import say

PASSWORD = "SUPERLINK_PASSWORD"
"""Environment variable that holds the page's password."""
_ASK = ""

if TYPE_CHECKING:
    from superlink.commands.options import Commands


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "ui",
        help="open the session page on this computer",
        epilog="Any other host than this computer needs users (superlink ui user add NAME) or one password for all. "
        f"That one's user name is superlink; it may also stand in the environment variable {PASSWORD}.",
    )
    parser.add_argument("--port", type=whole(0, 65535), default=7860)
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on; default: this computer only")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name under which visitors reach the page, such as that of a proxy; may be repeated",
    )
    parser.add_argument(
        "--behind-proxy",
        nargs="?",
        const="127.0.0.1",
        type=_address,
        metavar="ADDRESS",
        help="the page is reached by https through a proxy at this address (default: 127.0.0.1), whose X-Forwarded-For "
        "and X-Forwarded-Proto are believed; its name goes to --allow-host",
    )
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--password",
        nargs="?",
        const=_ASK,
        help="visitors have to give a password, which is asked for on the terminal; a password on the command line can "
        "be read by every user of this computer",
    )
    given.add_argument(
        "--password-file", type=Path, metavar="FILE", help="read that password from the first line of a file"
    )
    parser.add_argument(
        "--max-upload",
        type=whole(1),
        metavar="MB",
        help="most that is uploaded at once; default: 512 (ui_upload_bytes)",
    )
    add_planner(parser)
    add_tools(parser)
    parser.set_defaults(command=serve)
    users.add(parser)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"give the IP address of the proxy, not {shown(text)}") from None


def serve(given: argparse.Namespace) -> int:
    """Serve until stopped."""
    from tools.core.allocator import limit_arenas

    limit_arenas()
    with imports_of("ui", "the page"):
        from ui.page import launch
    launch(
        load_tools(given),
        make_planner(given),
        given.host,
        given.port,
        _password(given),
        hosts=given.allow_host,
        max_upload=given.max_upload << 20 if given.max_upload else None,
        proxy=given.behind_proxy or "",
    )
    return 0


def _password(given: argparse.Namespace) -> str | None:
    """Return the password from the terminal, a file, the environment or the command line; None without one.

    Raises:
        SettingsInvalid: when it is empty, or the file cannot be read.
    """
    from tools.core.errors import SettingsInvalid

    # Removed from the environment, so that programs started by tools do not inherit it.
    password = os.environ.pop(PASSWORD, None)
    if given.password == _ASK:
        if not sys.stdin.isatty():
            raise SettingsInvalid(
                "--password asks on a terminal, and there is none", f"Use --password-file or {PASSWORD}"
            )
        password = users.type_password("Password for visitors: ")
    elif given.password is not None:
        say(
            f"superlink: the list of processes shows this password to others; {PASSWORD} or --password-file do not",
            error=True,
        )
        password = given.password
    elif given.password_file:
        password = users.read_password_file(given.password_file)
    if password is not None and not password.strip():
        raise SettingsInvalid("the password is empty", "Give one, or leave it out to serve this computer only")
    return password
