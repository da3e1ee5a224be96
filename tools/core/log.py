"""The log: what the logger "superlink" is told, kept in ``superlink.log`` of the home folder."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST = 4 << 20
"""Bytes after which the file is put aside as ``superlink.log.1`` and begun anew."""

logger = logging.getLogger("superlink")
# Without a handler of the program that uses us, Python would print to standard error.
logger.addHandler(logging.NullHandler())


class LogFile(logging.FileHandler):
    """Writes to a file that may not be there to be written, and never disturbs the work.

    Attributes:
        file: where.
        broken: it could not be written.
    """

    def __init__(self) -> None:
        """Choose the file; it is opened when there is something to write."""
        # Not from the settings: a settings file that cannot be read is among the things that are logged.
        home = Path(os.path.expanduser(os.environ.get("SUPERLINK_HOME", "~/.cache/superlink"))).absolute()
        self.file, self.broken = home / "superlink.log", False
        super().__init__(self.file, encoding="utf-8", errors="backslashreplace", delay=True)
        self.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            if self.stream is None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                if self.file.exists() and self.file.stat().st_size > MOST:
                    self.file.replace(self.file.with_name(f"{self.file.name}.1"))
            super().emit(record)
        except Exception:
            self.broken = True

    def handleError(self, record: logging.LogRecord) -> None:
        """Remember that it could not be written."""
        self.broken = True


@contextmanager
def kept(*more: logging.Handler, level: int = logging.INFO) -> Iterator[LogFile]:
    """Keep the log in its file inside the block, for the command line and the processes that it starts.

    Args:
        more: further handlers.
        level: the least that is logged.
    """
    into, before = LogFile(), logger.level
    handlers = [into, *more]
    logger.setLevel(level)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield into
    finally:
        logger.setLevel(before)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
