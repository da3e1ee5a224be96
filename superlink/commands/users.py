"""``superlink ui user``: the users of the page."""

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands.options import imports_of
from superlink.terminal import one_line, say

if TYPE_CHECKING:
    from superlink.commands.options import Commands
    from ui.access.users import Users


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the commands below ``superlink ui``."""
    commands = parser.add_subparsers(title="commands", metavar="user", dest="part")
    users: Commands = commands.add_parser("user", help="add, list and remove users of the page").add_subparsers(
        required=True, metavar="ACTION"
    )
    for name, action, text in (
        ("add", _add, "add a user; the password is asked for on the terminal"),
        ("password", _password, "change a password; the user has to log in again"),
        ("remove", _remove, "remove a user, who is logged out at once; sessions and files stay"),
        ("logout", _log_out, "end all logins of a user, and the tokens of programs"),
        ("token", _token, "print a new token with which a program is this user: Authorization: Bearer TOKEN"),
    ):
        one = users.add_parser(name, help=text)
        one.add_argument("name", metavar="NAME")
        if name in ("add", "password"):
            one.add_argument(
                "--password-file", type=Path, metavar="FILE", help="read it from the first line of a file instead"
            )
        one.set_defaults(command=action)
    users.add_parser("list", help="list the users").set_defaults(command=_list)


def read_password_file(file: Path) -> str:
    """Return the first line of a file.

    Raises:
        SettingsInvalid: when it cannot be read.
    """
    from tools.core.errors import SettingsInvalid
    from tools.core.settings import expand_path

    try:
        return (expand_path(file).read_text(encoding="utf-8").splitlines() or [""])[0]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{file} cannot be read: {error}", "Give a file of one line") from error


def type_password(prompt: str) -> str:
    """Return a password that is typed on the terminal, where it is not shown.

    Raises:
        SettingsInvalid: when the input ends first.
    """
    from tools.core.errors import SettingsInvalid

    try:
        return getpass.getpass(prompt)
    except EOFError as error:
        raise SettingsInvalid("no password was typed", "Give the command again") from error


def open_users() -> "Users":
    """Return the users of the page in SUPERLINK_HOME.

    Raises:
        SettingsInvalid: when a package of the page is missing.
    """
    with imports_of("ui", "the page"):
        from ui.access.database import open_database, page_folder
        from ui.access.users import Users
    return Users(open_database(page_folder()))


def _add(given: argparse.Namespace) -> int:
    users = open_users()
    users.check_new(given.name)
    users.add(given.name, _ask(given))
    say(f"Added {given.name}. Sessions and files that belonged to a user of this name before belong to the new one.")
    return 0


def _password(given: argparse.Namespace) -> int:
    users = open_users()
    users.stored(given.name)
    users.set_password(given.name, _ask(given))
    say(f"Changed the password of {given.name}, who has to log in again.")
    return 0


def _remove(given: argparse.Namespace) -> int:
    open_users().remove(given.name)
    say(f"Removed {given.name}. Sessions and files stay, and nobody can open them.")
    return 0


def _log_out(given: argparse.Namespace) -> int:
    open_users().log_out_all(given.name)
    say(f"Logged out {given.name}; tokens are not valid any more.")
    return 0


def _token(given: argparse.Namespace) -> int:
    say(open_users().make_token(given.name))
    return 0


def _list(given: argparse.Namespace) -> int:
    users = open_users().all()
    for user in users:
        single = "  (password given at the start)" if user.single else ""
        say(f"{one_line(user.name)}  added {user.made:%Y-%m-%d}, {user.logins} logins, {user.tokens} tokens{single}")
    if not users:
        say("There are no users: the page is open to this computer only. Add one: superlink ui user add NAME")
    return 0


def _ask(given: argparse.Namespace) -> str:
    """Return the new password, from a file or typed twice on the terminal.

    Raises:
        SettingsInvalid: when there is no terminal, or the two differ.
    """
    from tools.core.errors import SettingsInvalid

    if given.password_file:
        return read_password_file(given.password_file)
    if not sys.stdin.isatty():
        raise SettingsInvalid("the password is asked for on a terminal, and there is none", "Use --password-file FILE")
    password = type_password(f"Password of {given.name}: ")
    if type_password("Once more: ") != password:
        raise SettingsInvalid("the two passwords differ", "Give the command again")
    return password
