"""The registry of runs: what the page started, what a person opened, and what lies in the folder of runs.

A run is a folder with a ledger. The registry holds a small JSON file for each, with its owner, its process, and what
was asked of it last; everything else is read from the ledger.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import JsonValue

from flows.batch.spec import RunSpec
from flows.items.run_files import LEDGER
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError
from tools.storage.atomic import write
from ui.access.users import LOCAL
from ui.batches.sources import allowed

Asked = Literal["", "pilot", "run", "pause", "cancel"]
"""What a person asked of a run last."""

_ID = re.compile(r"[0-9a-f]{16}")
_WORD = re.compile(r"[^a-z0-9]+")


class RunNotFound(SuperlinkError):
    """There is no such run, or it belongs to somebody else."""


@dataclass(frozen=True)
class RunRecord:
    """A run as the registry has it.

    Attributes:
        id: Hash of its folder.
        folder: Of the run.
        owner: User whose run it is.
        made: When it was entered, in seconds since 1970.
        spec: What it is asked to do, as plain JSON; None where the ledger alone knows.
        pid: Number of its process; 0 before the first.
        started: When that process began, in seconds since 1970.
        asked: What a person asked of it last.
    """

    id: str
    folder: Path
    owner: str
    made: float
    spec: dict[str, JsonValue] | None = None
    pid: int = 0
    started: float = 0.0
    asked: Asked = ""


class Runs:
    """The registry.

    Args:
        home: Folder of all data of superlink; runs lie in `home`/runs.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "runs"
        self.uploads = home / "run-sources"
        self._records = self.folder / ".records"

    def new(self, owner: str, request: str) -> RunRecord:
        """Make a run with a folder of its own, named after the request."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = "-".join(_WORD.sub(" ", request.lower()).split()[:6])[:48] or "run"
        for number in range(1, 10_000):
            folder = self.folder / (stem if number == 1 else f"{stem}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                return self.save(RunRecord(run_id(folder), folder, owner, time.time()))
        raise SuperlinkError(f"There are too many runs named {stem} in {self.folder}", "Say the request in other words")

    def open(self, owner: str, folder: str | Path) -> RunRecord:
        """Enter a run that was made elsewhere, such as by `superlink annotate`; one that is known is returned.

        Raises:
            SourceRefused: when the folder is outside of `ui_roots`.
            RunNotFound: when there is no run in it, or it belongs to somebody else.
        """
        place = allowed(folder, [self.folder])
        if not (place / LEDGER).is_file():
            raise RunNotFound(f"There is no run in {place}", "Give the folder that superlink annotate wrote to (--out)")
        known = self._read(run_id(place))
        if known is None and place.is_relative_to(os.path.realpath(self.folder)):
            return self._of(RunRecord(run_id(place), place, LOCAL, time.time()), owner)
        if known is None:
            return self.save(RunRecord(run_id(place), place, owner, time.time()))
        return self._of(known, owner)

    def get(self, number: str, owner: str) -> RunRecord:
        """Return a run.

        Raises:
            RunNotFound: when there is none, or it belongs to somebody else.
        """
        record = self._read(number)
        if record is None:
            record = next((one for one in self._unrecorded() if one.id == number), None)
        if record is None:
            raise RunNotFound("There is no such run", "Choose one of the list")
        return self._of(record, owner)

    def all(self, owner: str) -> list[RunRecord]:
        """Return the runs of an owner, newest first; runs of the command line in the folder of runs are "local"."""
        found = [record for file in self._records.glob("*.json") if (record := self._read(file.stem)) is not None]
        found += self._unrecorded()
        mine = [record for record in found if record.owner == owner and record.folder.is_dir()]
        return sorted(mine, key=lambda record: (-record.made, record.id))

    def save(self, record: RunRecord) -> RunRecord:
        """Write a record to the registry."""
        self._records.mkdir(parents=True, exist_ok=True)
        data = {**asdict(record), "folder": str(record.folder)}
        write(self._records / f"{record.id}.json", json.dumps(data, sort_keys=True), 0o600)
        return record

    def uses(self, folder: Path) -> bool:
        """Return whether a run, of whichever owner, has a folder of uploads as its source.

        Raises:
            OSError: when a record cannot be read.
        """
        # Names of folders of uploads are random; so also a record of another version is understood.
        return any(folder.name in file.read_text(errors="replace") for file in self._records.glob("*.json"))

    @contextmanager
    def changing(self, number: str, owner: str) -> Iterator[RunRecord]:
        """Yield a run that nobody else changes inside the block, in this process or another."""
        self.get(number, owner)
        self._records.mkdir(parents=True, exist_ok=True)
        with FileLock(self._records / f"{number}.lock"):
            yield self.get(number, owner)

    def _of(self, record: RunRecord, owner: str) -> RunRecord:
        if record.owner != owner:
            raise RunNotFound("There is no such run", "Choose one of the list")
        return record

    def _read(self, number: str) -> RunRecord | None:
        if not _ID.fullmatch(number):
            return None
        try:
            data = json.loads((self._records / f"{number}.json").read_text(encoding="utf-8"))
            return RunRecord(**{**data, "folder": Path(data["folder"])})
        except (OSError, ValueError, KeyError, TypeError):  # gone, or of another version
            return None

    def _unrecorded(self) -> Iterator[RunRecord]:
        """Yield runs of the command line that lie in the folder of runs."""
        for ledger in self.folder.glob(f"*/{LEDGER}"):
            folder = Path(os.path.realpath(ledger.parent))
            if not (self._records / f"{run_id(folder)}.json").exists():
                with suppress(OSError):
                    yield RunRecord(run_id(folder), folder, LOCAL, ledger.stat().st_mtime)


def run_id(folder: Path) -> str:
    """Return the id of the run in a folder."""
    return hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]


def spec_of(record: RunRecord) -> RunSpec:
    """Return what a run is asked to do; of a run of the command line, what its ledger says.

    Raises:
        SuperlinkError: when neither says it.
    """
    if record.spec is not None:
        return RunSpec.load(record.spec)
    ledger = Ledger.open_existing(record.folder, read_only=True)
    try:
        facts = ledger.fact("spec")
        said = RunSpec.load(facts) if isinstance(facts, dict) else None
        source = ledger.after_move(ledger.text("source"))
        update = {"plan": ledger.plan, "request": ledger.text("request"), "source": source, "out": record.folder}
        if said is None:
            return RunSpec.load(update)
        return said.model_copy(update={**update, "scores": {}, "retry_failed": False, "reason": ""})
    finally:
        ledger.close()


def with_spec(record: RunRecord, spec: RunSpec) -> RunRecord:
    """Return the record with another specification."""
    return replace(record, spec=spec.portable().to_json())
