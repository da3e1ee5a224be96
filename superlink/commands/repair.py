"""``superlink repair``: recover what can be read of a damaged ledger, and of the databases of the home."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands.options import imports_of
from superlink.terminal import one_line, say

_PAGE = "page.sqlite"

if TYPE_CHECKING:
    from superlink.commands.options import Commands


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "repair", help="recover what can be read of a damaged run, or of the memory of sessions and examples"
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="the folder that superlink annotate wrote to, or the page's (default: SUPERLINK_HOME, for its threads, "
        "examples and page)",
    )
    parser.set_defaults(command=repair)


def repair(given: argparse.Namespace) -> int:
    """Repair a ledger, or the databases of the home; print faults, what was recovered, and what to do next."""
    from tools.core.settings import settings

    home = settings().home
    if given.folder is None or given.folder.absolute() == home:
        _repair_threads(home / "threads.sqlite")
        _repair_examples(home)
        if (home / "page" / _PAGE).exists():
            _repair_page(home / "page")
    elif (given.folder / _PAGE).exists():
        _repair_page(given.folder)
    else:
        _repair_run(given.folder)
    return 0


def _repair_threads(file: Path) -> None:
    from agents.session.memory_repair import repair_threads

    done = repair_threads(file)
    _print_faults(file, done.faults, done.kept)
    say(f"{done.threads} threads with {done.states} states.")


def _repair_examples(home: Path) -> None:
    from agents.examples.bank import NAME
    from agents.examples.repair import repair_examples

    if not any((home / f"{NAME}{end}").exists() for end in ("", "-wal")):
        return
    done = repair_examples(home / NAME)
    _print_faults(home / NAME, done.faults, done.kept)
    say(f"{done.examples} examples.")


def _repair_page(folder: Path) -> None:
    with imports_of("ui", "the page"):
        from ui.turns.repair import repair_page
    done = repair_page(folder)
    _print_faults(folder / _PAGE, done.faults, done.kept)
    if done.faults:
        say(", ".join(f"{count} {name}" for name, count in sorted(done.rows.items())) + ". Users have to log in again.")


def _repair_run(folder: Path) -> None:
    from flows.items.run_files import LEDGER
    from flows.repair import repair

    done = repair(folder)
    _print_faults(folder / LEDGER, done.faults, done.kept)
    say(
        f"{done.items} items, {done.works} finished calls, {done.verdicts} verdicts of people"
        f"{f' ({done.refound} of them from the exports)' if done.refound else ''}."
    )
    if done.again or (done.faults and not done.items):
        what = f"The next run looks at {done.again} items again" if done.again else "The next run lists the items anew"
        kept = f"; the {done.works} finished calls are not run again" if done.works else ""
        say(f"{what}{kept}. Give the same superlink annotate command.")


def _print_faults(file: Path, faults: list[str], kept: Path | None) -> None:
    if not faults:
        say(f"{one_line(file)} is sound.")
    for fault in faults:
        say(f"{one_line(file)}: {one_line(fault)}")
    if kept is not None:
        say(f"The damaged file is kept as {one_line(kept)}.")
