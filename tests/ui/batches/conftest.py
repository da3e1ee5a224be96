"""Runs of the page, without a page."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.batch.spec import RunSpec
from tests.flows.conftest import DARKEN, make
from tests.flows.conftest import TOOLS as FINDING
from tests.flows.place import FADE, SLOW
from tests.waiting import until
from tools.core.settings import settings
from ui.batches.process import process_of
from ui.batches.progress import ACTIVE, Followers, Progress
from ui.batches.runs import RunRecord, Runs

OWNER = "ada"


@pytest.fixture
def photos(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve pictures and three damaged ones, in a folder that the page may use."""
    monkeypatch.setenv("SUPERLINK_UI_ROOTS", str(tmp_path))
    settings.cache_clear()
    return make(tmp_path / "photos", 12, 3)


class Desk:
    """The registry, and what a test asks of it."""

    def __init__(self, home: Path, photos: Path) -> None:
        self.home, self.photos = home, photos
        self.runs, self.followers = Runs(home), Followers()

    def spec(self, record: RunRecord, **more: Any) -> RunSpec:
        slow = more.pop("slow", False)
        given = {
            "source": str(self.photos),
            "out": record.folder,
            "plan": FADE if slow else DARKEN,
            "tools": [SLOW if slow else FINDING],
            "shard": 4,
            "pilot": 4,
        }
        return RunSpec.load({**given, **more})

    def look(self, record: RunRecord) -> Progress:
        return self.followers.look(self.runs.get(record.id, OWNER))

    def ended(self, record: RunRecord) -> Progress:
        """How a run stands once it has no process."""
        return until(lambda: (p := self.look(record)).state not in ACTIVE and p, f"the end of {record.folder.name}")


@pytest.fixture
def desk(home: Path, photos: Path) -> Iterator[Desk]:
    made = Desk(home, photos)
    yield made
    made.followers.close()
    for record in made.runs.all(OWNER):
        with contextlib.suppress(psutil.Error):
            if (process := process_of(record)) and process.pid != os.getpid():
                process.send_signal(signal.SIGKILL)
                process.wait(10)
