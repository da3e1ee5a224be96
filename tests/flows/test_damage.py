"""Values that are damaged or lost in the store: named, left out of exports, and made again by the next run."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from flows.batch.job import BatchJob
from flows.batch.review import ReviewRouting
from flows.exports import export
from flows.ledger.keys import signature
from flows.ledger.ledger import Ledger
from flows.workers.remote import merge_shard, pack_shard, work_remotely
from superlink.cli import main
from tests.flows.conftest import DARKEN, FIND, TOOLS, Run, annotate_command, raw_sql, read_files, write_plan
from tools.runtime.registry import load
from tools.storage.store import Store, as_list

FORMATS = ["jsonl", "coco", "yolo", "mirror", "report"]
Damage = Callable[[Path], object]


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:10])


def place(out: Path, item: str, step: str) -> Path:
    """Where the store has what a step gave."""
    ledger = Ledger.open_existing(out)
    [refs] = [refs[step] for entry, refs in ledger.done() if entry.name == item]
    path = Store(ledger.fact("store")).path(as_list(refs)[0])
    ledger.close()
    assert path is not None
    return path


def exported(out: Path) -> dict[str, bytes]:
    return read_files(out, FORMATS)


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_a_damaged_value_is_named_left_out_and_made_again(
    run: Run, pictures: Path, tmp_path: Path, log: Path, damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(pictures, DARKEN, formats=FORMATS)
    whole = exported(out)
    lost = place(out, "p0004.jpg", "s2")
    damage(lost)
    assert main(["export", str(out), "mirror", "jsonl", "report", "--to", str(tmp_path / "fresh")]) == 1
    output = capsys.readouterr().err
    assert f"p0004.jpg is left out: {'The Image' if damage is Path.unlink else lost}" in output and str(lost) in output
    assert "The same superlink run or superlink annotate command makes it again" in output
    assert {path.name for path in (tmp_path / "fresh" / "mirror").rglob("*.png")} == {
        Path(name).name for name in whole if name.startswith("mirror/") and name.endswith(".png")
    } - {"p0004.png"}
    assert len((tmp_path / "fresh" / "jsonl" / "items.jsonl").read_text().splitlines()) == 11
    assert json.loads((tmp_path / "fresh" / "mirror" / "provenance.json").read_text())["items"] == {
        "done": 11,
        "failed": 3,
    }
    # It is named as long as it is not made again; formats that do not need it leave it out as well.
    assert main(["export", str(out), "coco", "--to", str(tmp_path / "fresh")]) == 1
    assert "p0004.jpg is left out" in capsys.readouterr().err
    log.write_text("")
    summary = run(pictures, DARKEN, formats=FORMATS)
    assert (summary.done, summary.failed, summary.ran, summary.damaged) == (12, 3, 1, [])
    assert Counter(line.split()[0] for line in log.read_text().splitlines()) == {"darken": 1}
    assert without_times(exported(out)) == without_times(whole)


def without_times(files: dict[str, bytes]) -> dict[str, bytes]:
    """Reports contain the times at which values were made."""
    return {name: data for name, data in files.items() if not name.startswith("report/")}


@pytest.mark.parametrize("step", ["s1", "s2"])
def test_a_run_finds_damage_by_itself(run: Run, pictures: Path, tmp_path: Path, log: Path, step: str) -> None:
    """A value of a step in between counts as well, and what was made of it stays as it is."""
    out = tmp_path / "out"
    run(pictures, DARKEN, formats=FORMATS)
    whole = exported(out)
    flip(place(out, "p0005.jpg", step))
    log.write_text("")
    events: list[dict[str, object]] = []
    summary = run(pictures, DARKEN, formats=FORMATS, on_event=events.append)
    [[(name, reason, _)]] = [event["items"] for event in events if event["event"] == "damaged"]  # type: ignore[misc]
    assert name == "p0005.jpg" and "is damaged: it was the" in reason
    assert (summary.done, summary.failed, summary.ran, summary.damaged) == (12, 3, 1, [])
    assert [line.split()[0] for line in log.read_text().splitlines()] == [{"s1": "bright", "s2": "darken"}[step]]
    assert without_times(exported(out)) == without_times(whole)


def test_all_of_it_is_lost(run: Run, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, store = tmp_path / "out", tmp_path / "store"
    run(pictures, DARKEN, formats=FORMATS, store=str(store))
    whole = exported(out)
    store.rename(tmp_path / "away")
    for command in (["export", str(out), "mirror"], annotate_command(pictures, out)):
        assert main(command) == 1
        output = capsys.readouterr().err
        assert f"The store {store}" in output and "is not there. Put it back" in output and exported(out) == whole
    store.mkdir()
    assert main(["export", str(out), "mirror"]) == 1  # an empty data set in place of a whole one helps nobody
    assert "damaged or lost of each of the 12 items" in capsys.readouterr().err and exported(out) == whole
    summary = run(pictures, DARKEN, formats=FORMATS, store=str(store))
    assert (summary.done, summary.ran) == (12, 24) and without_times(exported(out)) == without_times(whole)


def test_a_source_that_was_changed_is_left_out(run: Run, pictures: Path, tmp_path: Path) -> None:
    run(pictures, formats=["jsonl"])
    flip(pictures / "p0001.jpg")
    (pictures / "p0002.jpg").unlink()
    ledger = Ledger.open_existing(tmp_path / "out")
    counts = export(ledger, Store(ledger.fact("store")), "yolo", tmp_path / "out" / "yolo")
    assert counts["train"] + counts["val"] == 10
    reasons = {name: reason for name, reason, _ in ledger.reopened_items().values()}
    ledger.close()
    assert reasons.keys() == {"p0001.jpg", "p0002.jpg"}
    assert "p0001.jpg was changed since the run" in reasons["p0001.jpg"] and "No such file" in reasons["p0002.jpg"]


def test_what_was_copied_from_elsewhere_is_copied_again(run: Run, pictures: Path, tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    for file in pictures.glob("p*.jpg"):
        files.pipe_file(f"/{tmp_path.name}/{file.name}", file.read_bytes())
    count = run(f"memory://{tmp_path.name}", FIND, formats=["jsonl"]).done
    ledger = Ledger.open_existing(tmp_path / "out")
    for entry, _ in ledger.done():
        assert entry.ref is not None
        flip(Path(str(Store(ledger.fact("store")).path(entry.ref))))
    ledger.close()
    assert run(f"memory://{tmp_path.name}", DARKEN, formats=["mirror"]).done == count > 5


def test_other_computers_make_it_again_too(run: Run, pictures: Path, tmp_path: Path) -> None:
    out, store = tmp_path / "out", tmp_path / "store"
    run(pictures, FIND, formats=[], store=str(store))
    lost = place(out, "p0004.jpg", "s1")
    ledger = Ledger.open_existing(out)
    job = BatchJob(
        str(out), str(store), (TOOLS,), json.dumps(ReviewRouting().to_json()), signature(ledger.plan, load([TOOLS]))
    )
    ids = [row[0] for row in raw_sql(ledger, "SELECT id FROM items WHERE state = 'done'")]
    # As it is where a tool does not give the same twice.
    raw_sql(ledger, "UPDATE works SET refs = replace(refs, ?, ?)", (lost.name, "0" * 64))
    outcome = merge_shard(ledger, Store(store), work_remotely(job.to_json(), pack_shard(ledger, ids)))
    assert outcome.ran == 1
    for _, refs in ledger.done():
        assert Store(store).get(as_list(refs["s1"])[0])
    ledger.close()


def test_one_picture_run_again_mends_what_was_damaged(home: Path, pictures: Path, tmp_path: Path) -> None:
    command = [
        "run",
        "darken",
        str(pictures / "p0000.jpg"),
        "--plan",
        str(write_plan(tmp_path)),
        "--tools",
        TOOLS,
        "--yes",
        "--out",
        str(tmp_path / "results"),
    ]
    assert main(command) == 0
    whole = pictures_in(tmp_path / "results")
    values = [path for path in (home / "store").glob("*/*") if path.is_file()]
    for value in values:
        flip(value)
    shutil.rmtree(tmp_path / "results")
    assert main(command) == 0 and len(values) >= 3
    assert pictures_in(tmp_path / "results") == whole != set()
    assert all(hashlib.sha256(value.read_bytes()).hexdigest() == value.name for value in values)


def pictures_in(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*.png")}
