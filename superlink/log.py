"""The log as the command line keeps and shows it."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from superlink.terminal import one_line, safe
from tools.core import log


@contextmanager
def kept(debug: bool) -> Iterator[Callable[[], str]]:
    """Keep the log in its file, and with `debug` show it on standard error, too.

    Yields:
        A function that says in a sentence where the traceback of the last error is.
    """
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(_Shown("%(levelname)s %(name)s: %(message)s"))
    with log.kept(*[shown] * debug, level=logging.DEBUG if debug else logging.INFO) as into:

        def where() -> str:
            if debug:
                return "Its traceback is above"
            if into.broken:
                return f"{one_line(into.file)} could not be written; run it again with --debug to see the traceback"
            return f"Its traceback is in {one_line(into.file)}; --debug shows it"

        yield where


class _Shown(logging.Formatter):
    """Makes what is logged harmless on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return safe(super().format(record))
