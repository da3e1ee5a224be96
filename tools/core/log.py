"""The logger "superlink", and the file ``superlink.log`` in the home folder that it is written to."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST = 4 << 20
"""Size in bytes from which on the file is renamed to ``superlink.log.1`` and a new one is begun."""

logger = logging.getLogger("superlink")
# Without any handler, Python would print to standard error.
logger.addHandler(logging.NullHandler())


class LogFile(logging.FileHandler):
    """Handler that writes to a file and never raises.

    Attributes:
        file: Path of the file.
        broken: Whether it could not be written.
    """

    def __init__(self) -> None:
        """Choose the file; it is opened by the first record."""
        # The settings are not used, because an unreadable settings file is logged, too.
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
        """Set `broken`."""
        self.broken = True


@contextmanager
def log_to_file(*more: logging.Handler, level: int = logging.INFO) -> Iterator[LogFile]:
    """Write the log to its file inside the block, for the command line and the processes that it starts.

    Args:
        more: Further handlers.
        level: The lowest level that is logged.
    """
    file, before = LogFile(), logger.level
    handlers = [file, *more]
    logger.setLevel(level)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield file
    finally:
        logger.setLevel(before)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
