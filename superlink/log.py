"""Logging of the command line: to a file, and with ``--debug`` to standard error."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from superlink.terminal import one_line, safe
from tools.core import log


@contextmanager
def log_to_file(debug: bool) -> Iterator[Callable[[], str]]:
    """Write the log to its file inside the block, and with `debug` to standard error, too.

    Yields:
        A function that returns a sentence about where the traceback of the last error is.
    """
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(_SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    with log.log_to_file(*[shown] * debug, level=logging.DEBUG if debug else logging.INFO) as handler:

        def where() -> str:
            if debug:
                return "Its traceback is above"
            if handler.broken:
                return f"{one_line(handler.file)} could not be written; run it again with --debug to see the traceback"
            return f"Its traceback is in {one_line(handler.file)}; --debug shows it"

        yield where


class _SafeFormatter(logging.Formatter):
    """Escapes whatever could control the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return safe(super().format(record))
