"""What the rows share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser

from .browser import WIDE, Walk
from .server import Server
from .table import Table


@dataclass
class Suite:
    """What the rows share.

    Attributes:
        folder: For files; the page may read those below it.
        cache: Of what is fetched once.
        server: The page, at work.
        browser: Chromium.
        table: Takes the figures.
        minutes: How long the rows last that watch something for minutes.
        complaints: What pages complained of, by the row in which they did.
    """

    folder: Path
    cache: Path
    server: Server
    browser: Browser
    table: Table
    minutes: float
    complaints: dict[str, list[str]] = field(default_factory=dict)
    _open: list[Walk] = field(default_factory=list)

    def visit(self, size: tuple[int, int] = WIDE, dark: bool = False, query: str = "") -> Walk:
        """Open the page with a browser profile of its own; it is closed at the end of the row."""
        walk = Walk(self.browser, self.server.address, size, dark, query)
        self._open.append(walk)
        return walk

    @contextmanager
    def within(self, row: str) -> Iterator[None]:
        """Run a row; the last screens of one that fails stay in the folder."""
        try:
            yield
        except Exception:
            for number, walk in enumerate(self._open):
                walk.page.screenshot(path=self.folder / f"failed_{row}_{number}.png")
            raise
        finally:
            for walk in self._open:
                self.complaints.setdefault(row, []).extend(walk.close())
            self._open.clear()
