"""What is read of a run while it works, and what it costs."""

from pathlib import Path
from typing import Any

import pytest

from flows.annotate import run_batch
from flows.batch import samples
from flows.batch.events import Callbacks
from flows.batch.spec import RunSpec
from flows.batch.status import RunStatus
from flows.ledger.ledger import Ledger
from tests.flows.conftest import FIND, TOOLS, make
from tests.ui.batches.conftest import OWNER, Desk
from tools.core.errors import SuperlinkError
from ui.batches.exports import FORMATS, ExportRefused, archive
from ui.batches.progress import Followers, state_of
from ui.batches.runs import RunRecord, with_spec


@pytest.fixture
def done(desk: Desk, tmp_path: Path) -> RunRecord:
    """A run that is done, with its folder outside of the folder of runs."""
    spec = RunSpec.load(
        {"source": str(desk.photos), "out": tmp_path / "out", "plan": FIND, "tools": [TOOLS], "pilot": 0, "formats": []}
    )
    run_batch(spec, Callbacks())
    return desk.runs.open(OWNER, tmp_path / "out")


def test_nothing_is_read_again_before_something_was_written(
    desk: Desk, done: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = desk.look(done)
    assert (first.state, first.total, first.failed, len(first.groups)) == ("Done", 15, 3, 3)
    assert len(first.thumbnails) == 12 and first.rate == 0

    def broken(*ignored: Any) -> Any:
        raise AssertionError("read again")

    monkeypatch.setattr(Ledger, "counts", broken)
    monkeypatch.setattr(samples, "draw", broken)
    assert desk.look(done) == first
    ledger = Ledger(done.folder / "ledger.sqlite")
    ledger.set_facts(request="other words")
    with pytest.raises(AssertionError, match="read again"):
        desk.look(done)
    monkeypatch.undo()
    assert desk.look(done).request == "other words"
    ledger.close()


def test_a_ledger_that_was_replaced_is_read(desk: Desk, done: RunRecord, tmp_path: Path) -> None:
    from tools.storage.database import put_in_place

    desk.look(done)
    new = Ledger(tmp_path / "new.sqlite")
    new.set_facts(request="repaired")
    new.close()
    put_in_place(tmp_path / "new.sqlite", done.folder / "ledger.sqlite")
    assert (desk.look(done).request, desk.look(done).total) == ("repaired", 0)
    (done.folder / "ledger.sqlite").write_bytes(b"no database")
    fault = Followers().look(done)
    assert fault.state == "Failed" and "damaged" in fault.reason and "superlink repair" in fault.hint


def test_thumbnails_come_one_by_one_while_a_run_works(desk: Desk, tmp_path: Path, home: Path) -> None:
    seen: list[int] = []
    out = tmp_path / "out"

    def look(event: Any) -> None:
        if event["event"] == "progress":
            progress = desk.look(desk.runs.open(OWNER, out))
            assert progress.state == "Running"
            seen.append(len(progress.thumbnails))

    make(desk.photos, 24)
    spec = RunSpec.load(
        {"source": str(desk.photos), "out": out, "plan": FIND, "tools": [TOOLS], "pilot": 0, "shard": 8}
    )
    run_batch(spec, Callbacks(on_event=look))
    assert seen[0] == 1 and max(seen) <= len(seen)


def record(**more: Any) -> RunRecord:
    return RunRecord("0" * 16, Path("/nowhere"), OWNER, 0.0, None, **{"pid": 7, "started": 100.0, **more})


@pytest.mark.parametrize(
    ("status", "asked", "running", "expected"),
    [
        (RunStatus(), "run", True, "Starting"),
        (RunStatus("done", pid=6, began=50), "run", True, "Starting"),
        (RunStatus("pilot", pid=7, began=101), "pilot", True, "Pilot"),
        (RunStatus("exporting", pid=7, began=101), "run", True, "Running"),
        (RunStatus("working", pid=7, began=101), "pause", True, "Stopping"),
        (RunStatus("stopped", pid=7, began=101), "cancel", True, "Stopping"),
        (RunStatus("working", pid=9, began=500), "pause", True, "Running"),  # of the command line, since
        (RunStatus("waiting", pid=7, began=101), "pilot", False, "Waits for you"),
        (RunStatus("done", pid=7, began=101), "run", False, "Done"),
        (RunStatus("done", pid=6, began=50), "run", False, "Failed"),  # the later process noted nothing
        (RunStatus("working", pid=7, began=101), "run", False, "Failed"),
        (RunStatus("working", pid=7, began=101), "pause", False, "Paused"),
        (RunStatus("stopped", pid=7, began=101), "run", False, "Paused"),  # by a signal from elsewhere
        (RunStatus("stopped", "no time is left", pid=7, began=101), "run", False, "Stopped"),
        (RunStatus("stopped", pid=7, began=101), "cancel", False, "Cancelled"),
        (RunStatus("failed", "the disk is full", pid=7, began=101), "run", False, "Failed"),
        (RunStatus("done", pid=9, began=500), "run", False, "Done"),  # of the command line, since
    ],
)
def test_the_state_in_words(status: RunStatus, asked: Any, running: bool, expected: str) -> None:
    assert state_of(record(asked=asked), status, running)[0] == expected


def test_a_run_that_has_no_ledger_yet_shows_what_it_was_asked(desk: Desk) -> None:
    new = desk.runs.new(OWNER, "find every dog")
    asked = with_spec(new, RunSpec.load({"source": str(desk.photos), "out": new.folder, "request": "find every dog"}))
    seen = Followers().look(asked)
    assert (seen.request, seen.source) == ("find every dog", str(desk.photos))


def test_exports_as_one_archive(desk: Desk, done: RunRecord, tmp_path: Path) -> None:
    from zipfile import ZipFile

    pytest.importorskip("pyarrow")
    file, said = archive(done, list(FORMATS.values()), tmp_path / "downloads")
    assert len(said) == 6 and said[4] == "jsonl: 12 items"
    names = ZipFile(file).namelist()
    assert {name.split("/")[0] for name in names} == set(FORMATS.values())
    assert "coco/annotations.json" in names and not list((tmp_path / "downloads").glob(".*"))
    with pytest.raises(ExportRefused, match="No format"):
        archive(done, [], tmp_path)
    file, said = archive(done, ["jsonl", "gif"], tmp_path / "downloads")
    assert "no export format" in said[1] and {name.split("/")[0] for name in ZipFile(file).namelist()} == {"jsonl"}
    with pytest.raises(ExportRefused, match="Nothing could be exported: gif"):
        archive(done, ["gif"], tmp_path / "downloads")
    ledger = Ledger(done.folder / "ledger.sqlite")
    ledger.close()
    with pytest.raises(SuperlinkError):
        archive(record(), ["jsonl"], tmp_path / "downloads")
