"""The runs of the Review tab: which ones a person may open, and those that are open."""

import getpass
import shutil
import threading
import time
from pathlib import Path

from flows.items.run_files import LEDGER
from tools.core.settings import settings
from ui.access.users import LOCAL
from ui.batches.runs import Runs, run_id
from ui.batches.sources import allowed
from ui.context import Context, examples_of
from ui.reviews.desk import Desk
from ui.reviews.found import NotShown

_IDLE = 600  # seconds after which a run that nobody reviews is closed
_OLD = 7 * 86400  # seconds for which pictures of a run are kept


class Desks:
    """The runs that people review, each as one person reviews it.

    Args:
        context: What all tabs share.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._runs = context, Runs(settings().home)
        self._open: dict[tuple[Path, str], tuple[Desk, float]] = {}
        self._lock = threading.Lock()

    def choices(self, owner: str, also: Path | None = None) -> list[tuple[str, str]]:
        """Return name and folder of the runs of an owner, the newest first, and of one more."""
        folders = [record.folder for record in self._runs.all(owner) if (record.folder / LEDGER).is_file()]
        if also is not None and also not in folders:
            folders.append(also)
        return [(folder.name, str(folder)) for folder in folders]

    def open(self, folder: str, owner: str) -> Desk:
        """Return the run in a folder as a person reviews it.

        Runs that the page made belong to one person; those in the folders of `ui_roots` are for everyone, so that
        several people can judge the same finds.

        Args:
            folder: Of the run.
            owner: The person.

        Raises:
            SuperlinkError: when there is no run, or the person may not use it.
        """
        if not folder.strip():
            raise NotShown("No run is chosen", "Choose one, or give its folder")
        place = allowed(folder, [self._runs.folder])
        if place.is_relative_to(self._runs.folder.resolve()):
            self._runs.get(run_id(place), owner)
        who, now = getpass.getuser() if owner == LOCAL else owner, time.monotonic()
        with self._lock:
            for key, (desk, used) in list(self._open.items()):
                if now - used > _IDLE and key != (place, who):
                    desk.close()
                    del self._open[key]
            known = self._open.get((place, who))
            if known is None:
                pictures = self._context.folder / "reviews" / run_id(place)
                desk = Desk(place, who, pictures, examples_of(owner))
                self._context.files.give(pictures, owner)
                self._forget_pictures()
            else:
                desk = known[0]
            self._open[place, who] = desk, now
            return desk

    def _forget_pictures(self) -> None:
        """Delete the pictures of runs that were not reviewed for a week; they are made again."""
        for folder in (self._context.folder / "reviews").glob("*"):
            if time.time() - folder.stat().st_mtime > _OLD:
                shutil.rmtree(folder, ignore_errors=True)
