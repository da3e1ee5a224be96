"""Which files belong to which user of the page."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.core.errors import SuperlinkError
from tools.core.settings import settings
from tools.storage.database import Database
from ui.access.database import open_database

UNUSED_SECONDS = 3600
"""How long an upload is kept after its last use. Sessions keep copies of the files of their requests."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS uploads (
    path BLOB,
    user TEXT,
    size INTEGER NOT NULL,
    used REAL NOT NULL,
    PRIMARY KEY (path, user)
);
CREATE TABLE IF NOT EXISTS folders (path BLOB, user TEXT, PRIMARY KEY (path, user));
"""
_UPLOAD_FOLDER = re.compile("[0-9a-f]{64}")  # Gradio puts an upload into a folder named by its hash
_RECENT = 30  # seconds for which the size of a user's results is remembered

_log = logging.getLogger("superlink.ui")


class DiskFull(SuperlinkError):
    """The uploads and results of a user take as much as one user may have."""


class Files:
    """Owners of files, which survive a restart. All methods may be called from several threads.

    - An upload belongs to those who uploaded it.
    - The folder `results/THREAD` belongs to the owner of the session.
    - What was given with `give` belongs to that user.
    - The folder `samples` is for everyone.

    Args:
        folder: The page's folder.
        database: Of the page; by default the one in its folder.
        clock: Returns the time in seconds since 1970.

    Attributes:
        owner_of_thread: Returns the owner of a session, or None where there is none. Set by the page.
        sweepers: Called in each `sweep`, with the time before which what nobody used is deleted.
    """

    def __init__(self, folder: Path, database: Database | None = None, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = folder.resolve(), clock
        self._database = open_database(folder) if database is None else database
        self._results = self._folder / "results"
        self._public = self._folder / "samples"
        self._sizes: dict[str, tuple[float, int]] = {}
        self.owner_of_thread: Callable[[str], str | None] = lambda thread: None
        self.sweepers: list[Callable[[float], None]] = []
        self._database.executescript(_SCHEMA)

    def give(self, path: Path | str, user: str) -> None:
        """Make a user an owner of a file, or of everything in a folder."""
        self._database.execute("INSERT OR IGNORE INTO folders VALUES (?, ?)", (_key(Path(path).resolve()), user))

    def release(self, path: Path | str) -> None:
        """Forget a file or folder that was given and is deleted."""
        self._database.execute("DELETE FROM folders WHERE path = ?", (_key(Path(path).resolve()),))

    def enter_upload(self, path: Path | str, user: str) -> None:
        """Make a user an owner of an uploaded file.

        Raises:
            OSError: when the file is gone.
        """
        place = Path(path).resolve()
        values = (_key(place), user, place.stat().st_size, self._clock())
        self._database.execute("REPLACE INTO uploads VALUES (?, ?, ?, ?)", values)

    def note_use(self, paths: Iterable[Path | str]) -> None:
        """Keep uploads for another hour."""
        for path in paths:
            values = (self._clock(), _key(Path(path).resolve()))
            self._database.execute("UPDATE uploads SET used = ? WHERE path = ?", values)

    def may_read(self, path: Path | str, user: str) -> bool:
        """Return whether a file is public or belongs to the user. Links are followed."""
        try:
            place = Path(path).resolve()
        except (OSError, ValueError, RuntimeError):  # too long, a null byte, a loop of links
            return False
        if self._public in place.parents:
            return True
        if self._results in place.parents:
            thread = place.relative_to(self._results).parts[0]
            if self.owner_of_thread(thread) == user:
                return True
        holders = [_key(place), *map(_key, place.parents)]
        marks = ", ".join("?" * len(holders))
        found = self._database.execute(
            "SELECT 1 FROM uploads WHERE path = ? AND user = ? "
            f"UNION SELECT 1 FROM folders WHERE user = ? AND path IN ({marks})",
            (holders[0], user, user, *holders),
        )
        return found.fetchone() is not None

    def check_room(self, user: str, size: int = 0) -> None:
        """Check that a user may have further files.

        Args:
            user: The user.
            size: Bytes of the further files.

        Raises:
            DiskFull: when they would take more than `ui_disk_bytes` with the user's other files.
        """
        most = settings().ui_disk_bytes
        if self.used(user) + size > most:
            raise DiskFull(
                f"your files would take more than {most / 1e9:.1f} GB, which is what one user may have",
                "Delete sessions that you do not need",
            )

    def used(self, user: str) -> int:
        """Return the bytes of a user's uploads, results and given files; the latter two as of half a minute ago."""
        uploads = self._database.execute("SELECT coalesce(sum(size), 0) FROM uploads WHERE user = ?", (user,))
        counted, size = self._sizes.get(user, (float("-inf"), 0))
        if not 0 <= self._clock() - counted <= _RECENT:
            try:
                threads = [thread for thread in self._results.iterdir() if self.owner_of_thread(thread.name) == user]
            except OSError:  # no results yet
                threads = []
            given = self._database.execute("SELECT path FROM folders WHERE user = ?", (user,)).fetchall()
            size = sum(map(_size, [*threads, *(Path(os.fsdecode(path)) for (path,) in given)]))
            self._sizes[user] = self._clock(), size
        return int(uploads.fetchone()[0]) + size

    def sweep(self) -> None:
        """Delete uploads that were not used for an hour, and files of uploads that were cut short."""
        before = self._clock() - UNUSED_SECONDS
        self._database.execute("DELETE FROM uploads WHERE used < ?", (before,))
        try:
            folders = [folder for folder in self._folder.iterdir() if _UPLOAD_FOLDER.fullmatch(folder.name)]
            strays = [file for file in self._folder.glob("tmp*") if file.is_file()]
        except OSError:
            return
        for file in [*(file for folder in folders for file in folder.glob("*")), *strays]:
            try:
                if file.lstat().st_ctime < before and not self._entered(file):
                    file.unlink()
            except OSError as error:
                _log.warning("the upload %s could not be deleted: %s", file, error)
        for folder in folders:
            try:
                folder.rmdir()
            except OSError:  # it is not empty
                continue
        for sweep in self.sweepers:
            sweep(before)

    def discard(self, paths: Iterable[Path | str]) -> None:
        """Delete uploads that were refused, unless another user has them."""
        for path in paths:
            if not self._entered(Path(path).resolve()):
                Path(path).unlink(missing_ok=True)

    def _entered(self, place: Path) -> bool:
        found = self._database.execute("SELECT 1 FROM uploads WHERE path = ?", (_key(place),))
        return found.fetchone() is not None


def _key(path: Path) -> bytes:
    # Bytes, because names of files need not be text.
    return os.fsencode(path)


def _size(folder: Path) -> int:
    size = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(root, name)).st_size
            except OSError:  # deleted meanwhile
                continue
    return size
