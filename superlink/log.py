"""The log: the logger "superlink" of every layer, kept in ``superlink.log`` of the home folder."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from superlink.terminal import one_line, safe

MOST = 4 << 20
"""Bytes after which the file is put aside as ``superlink.log.1`` and begun anew."""


@contextmanager
def kept(debug: bool) -> Iterator[Callable[[], str]]:
    """Keep the log in the home folder, and with `debug` show it on standard error, too.

    Yields:
        A function that says in a sentence where the traceback of the last error is.
    """
    logger = logging.getLogger("superlink")
    file = _file()
    handlers: list[logging.Handler] = []
    into = _Kept(file, encoding="utf-8", errors="backslashreplace", delay=True)
    into.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    handlers.append(into)
    if debug:
        shown = logging.StreamHandler(sys.stderr)
        shown.setFormatter(_Shown("%(levelname)s %(name)s: %(message)s"))
        handlers.append(shown)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    for handler in handlers:
        logger.addHandler(handler)

    def where() -> str:
        if debug:
            return "Its traceback is above"
        if into.broken or not file.exists():
            return f"{one_line(file)} could not be written; run it again with --debug to see the traceback"
        return f"Its traceback is in {one_line(file)}; --debug shows it"

    try:
        yield where
    finally:
        logger.setLevel(level)
        logger.propagate = propagate
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def _file() -> Path:
    # Not from the settings: a settings file that cannot be read is among the things that are logged.
    home = Path(os.environ.get("SUPERLINK_HOME", "~/.cache/superlink")).expanduser().absolute()
    return home / "superlink.log"


class _Kept(logging.FileHandler):
    """Writes to a file that may not be there to be written, and never disturbs the work."""

    broken = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            file = Path(self.baseFilename)
            if self.stream is None:
                file.parent.mkdir(parents=True, exist_ok=True)
                if file.exists() and file.stat().st_size > MOST:
                    file.replace(file.with_name(f"{file.name}.1"))
            super().emit(record)
        except Exception:
            self.broken = True

    def handleError(self, record: logging.LogRecord) -> None:
        self.broken = True


class _Shown(logging.Formatter):
    """Makes what is logged harmless on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return safe(super().format(record))
