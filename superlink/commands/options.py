"""Options that several commands share: their declaration, and what is made of their values."""

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    """What a command adds its parser to."""

    from agents.examples.use import Examples
    from agents.planners.base import Planner
    from tools.runtime.tool import AnyTool


def add_tools(parser: argparse.ArgumentParser) -> None:
    """Declare ``--tools``."""
    parser.add_argument(
        "--tools",
        action="append",
        default=[],
        metavar="FILE.py",
        help="add the tools of a Python file; may be repeated",
    )


def add_planner(parser: argparse.ArgumentParser) -> None:
    """Declare ``--planner``."""
    parser.add_argument(
        "--planner",
        default="backbone",
        metavar="WHICH",
        help="backbone (default, offline), openai:MODEL (any OpenAI-compatible server: OPENAI_BASE_URL, "
        "OPENAI_API_KEY) or local:FOLDER (a chat model for transformers)",
    )


@contextlib.contextmanager
def imports_of(extra: str, what: str) -> Iterator[None]:
    """Name the package that is missing where an import of an optional part fails inside the block.

    Args:
        extra: Name of superlink's extra that has the package.
        what: What needs it.

    Raises:
        SettingsInvalid: when a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        from tools.core.errors import SettingsInvalid

        raise SettingsInvalid(
            f"{what} needs the package {error.name}", f"Run: pip install 'superlink[{extra}]'"
        ) from error


def words(text: str) -> str:
    """Return a request as text; bytes that the locale could not decode are read as UTF-8.

    Raises:
        ArgumentTypeError: when it is not UTF-8 text.
    """
    if not isinstance(text, str):
        raise argparse.ArgumentTypeError("the request is no text")
    try:
        return os.fsencode(text).decode() if any("\udc80" <= c <= "\udcff" for c in text) else text.encode().decode()
    except UnicodeError as error:
        raise argparse.ArgumentTypeError("the request is not UTF-8 text") from error


def whole(least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """Return the argparse type of an option that takes a whole number from `least` to `most`."""

    def number(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = least - 1
        if not least <= found <= most:
            between = (
                f"from {least} to {most}"
                if most < 2**63 - 1
                else f"of at least {least}"
                if found < least
                else "of 64 bits"
            )
            raise argparse.ArgumentTypeError(f"give a whole number {between}, not {shown(text)}")
        return found

    return number


def shown(text: str) -> str:
    """Return an argument as an error message quotes it."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def load_tools(given: argparse.Namespace) -> "dict[str, AnyTool]":
    """Return the tools by name: built-in ones, those of packages and settings, and those of ``--tools``."""
    from tools.runtime.registry import load

    return load(given.tools)


def examples_of_user() -> "Examples | None":
    """Return the examples of whoever gives the command; None where they are switched off."""
    import getpass

    from agents.examples.use import open_examples

    return open_examples(getpass.getuser())


def make_planner(given: argparse.Namespace) -> "Planner":
    """Return the planner that ``--planner`` names.

    Raises:
        SettingsInvalid: when there is no such planner.
    """
    from tools.core.errors import SettingsInvalid

    kind, _, name = given.planner.partition(":")
    if kind == "backbone" and not name:
        from agents.planners.backbone import BackbonePlanner

        return BackbonePlanner()
    if name and kind in ("openai", "local"):
        from agents.planners.chat import LocalChatPlanner, OpenAIPlanner

        return OpenAIPlanner(name) if kind == "openai" else LocalChatPlanner(name)
    raise SettingsInvalid(f"there is no planner {given.planner!r}", "Use backbone, openai:MODEL or local:FOLDER")
