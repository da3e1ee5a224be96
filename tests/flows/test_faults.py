"""What goes wrong around a run: disks that are full, files that vanish or are none, memory that runs out."""

import errno
import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Pil

from agents.plan.plan import Plan
from flows.annotate import annotate
from flows.batch.shard import RunStopped
from flows.batch.shard_store import ShardStore
from flows.exports import ExportError, export
from flows.items.source import scan
from flows.ledger.ledger import Ledger
from superlink.cli import main
from tests.flows.conftest import DARKEN, FIND, TOOLS, Run
from tools.core.errors import StoreError
from tools.storage import swap
from tools.storage.store import Store

FORMATS = ["jsonl", "coco", "mirror"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def same(folder: Path, other: Path) -> None:
    files = [path.relative_to(other) for name in FORMATS for path in (other / name).rglob("*.*")]
    assert len(files) > 12
    for file in files:
        assert (folder / file).read_bytes() == (other / file).read_bytes(), file


def test_a_disk_that_is_really_full(run: Run, pictures: Path, tmp_path: Path, small_disk: Path) -> None:
    run(pictures, DARKEN, formats=FORMATS, out=tmp_path / "enough", store=str(tmp_path / "store"))
    given = {"out": small_disk / "out", "store": str(small_disk / "store"), "shard": 4, "formats": FORMATS}
    with pytest.raises((RunStopped, ExportError), match="No space left|full"):
        run(pictures, DARKEN, **given)
    # What is noted is whole, and nothing is taken for done that is not there.
    ledger = Ledger.open_existing(small_disk / "out")
    noted = len(list(ledger.finished_steps()))
    for entry, refs in ledger.done():
        assert Store(small_disk / "store").get(refs["s2"]), entry.name
    ledger.close()
    assert 0 < noted < 24
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert (run(pictures, DARKEN, **given).done, run(pictures, DARKEN, **given).failed) == (12, 3)
    same(small_disk / "out", tmp_path / "enough")


def test_a_disk_that_fails_while_it_is_flushed(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.fsync
    left = [5]

    def fsync(file: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunStopped, match="disk is full"):
        run(pictures, DARKEN, shard=6)
    monkeypatch.setattr(os, "fsync", whole)
    assert run(pictures, DARKEN, shard=6, formats=FORMATS).done == 12


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        (
            "shutil.copyfileobj",
            errno.ENOSPC,
            r"mirror cannot be written: the disk is full \(No space .* Free some space and give the same",
        ),
        ("shutil.copyfileobj", errno.EDQUOT, "the disk quota is used up"),
        ("os.rename", errno.EIO, "the disk reports a fault"),
        ("os.mkdir", errno.EROFS, r"mirror cannot be written: the disk is read-only \(Read-only .* Mount it"),
    ],
)
def test_an_export_that_the_disk_does_not_take_leaves_the_one_before(
    run: Run, pictures: Path, tmp_path: Path, what: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pictures, DARKEN, formats=["mirror"])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "mirror").rglob("*")}
    ledger = Ledger.open_existing(tmp_path / "out")

    def fails(*given: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched, pytest.raises(ExportError, match=words):
        patched.setattr(swap, "_exchange", lambda one, other: False)  # with two renames, so that one can fail
        patched.setattr(what, fails)
        export(ledger, Store(ledger.fact("store")), "mirror", tmp_path / "out" / "mirror")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "mirror").rglob("*")} == before and len(
        before
    ) > 12
    assert not list((tmp_path / "out").glob(".superlink*"))
    export(ledger, Store(ledger.fact("store")), "mirror", tmp_path / "out" / "mirror")


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


@pytest.mark.parametrize(("hinder", "words"), [("size=1m", "the disk is full"), ("ro", "the disk is read-only")])
def test_an_export_to_a_real_disk_goes_on_when_it_can(
    run: Run,
    pictures: Path,
    tmp_path: Path,
    small_disk: Path,
    hinder: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(pictures, DARKEN, formats=FORMATS)
    remount(small_disk, "size=1m")
    command = ["export", str(tmp_path / "out"), *FORMATS, "--to", str(small_disk)]
    assert main(command) == 0
    (small_disk / "mirror" / "provenance.json").unlink()  # so that old and new differ
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filling").write_bytes(bytes(free - (8 << 10)))
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()}
    remount(small_disk, hinder)
    capsys.readouterr()
    assert main(command) == 1
    output = capsys.readouterr().err
    assert (
        output.startswith("superlink: The export ")
        and f"cannot be written: {words}" in output
        and output.count("\n") == 1
    )
    for path, data in before.items():
        if path.parent.name not in output:  # those before the one that failed may be new
            assert path.read_bytes() == data
    remount(small_disk, "rw,size=64m")
    assert main(command) == 0
    same(small_disk, tmp_path / "out")
    assert not list(small_disk.glob(".superlink*")) and (small_disk / "filling").exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are looked up in /proc")
def test_an_item_is_done_once_the_disk_has_its_values_and_their_names(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[str] = set()
    whole, settle = os.fsync, Ledger.settle

    def fsync(file: int) -> None:
        flushed.add(os.readlink(f"/proc/self/fd/{file}"))
        whole(file)

    def settled(self: Ledger, *given: object) -> None:
        values = list((tmp_path / "store").glob("??/*"))
        assert len(values) == 24 and {str(path.parent) for path in values} <= flushed
        assert (
            len([name for name in flushed if Path(name).parent.name == ".drafts" or len(Path(name).name) == 64]) >= 24
        )
        settle(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Ledger, "settle", settled)
    assert run(pictures, DARKEN, formats=[], store=str(tmp_path / "store")).done == 12


def test_what_a_power_cut_left_short_is_made_again(run: Run, pictures: Path, tmp_path: Path) -> None:
    run(pictures, FIND, store=str(tmp_path / "store"))
    first = sorted((tmp_path / "store").glob("??/*"))[0]
    os.truncate(first, 10)
    assert run(pictures, DARKEN, store=str(tmp_path / "store")).ran == 13  # one to find again, twelve to darken


def test_a_folder_of_the_run_that_cannot_be_made(
    home: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "plan.json").write_text(Plan.load(FIND).dumps())
    assert (
        main(
            [
                "annotate",
                "",
                str(pictures),
                "--out",
                str(tmp_path / "file" / "out"),
                "--yes",
                "--tools",
                TOOLS,
                "--plan",
                str(tmp_path / "plan.json"),
            ]
        )
        == 1
    )
    assert "Not a directory" in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_reported_and_the_rest_is_done(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.scandir

    def scandir(folder: Path) -> object:
        if Path(folder).name == "sub":  # permissions would not keep root out
            raise PermissionError(errno.EACCES, "Permission denied")
        return whole(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    summary = run(pictures)
    reasons = {name: reason for name, reason, _ in summary.failures}
    assert summary.done == 9 and "was not looked into" in reasons["sub"] and len(reasons) == 4
    monkeypatch.setattr(os, "scandir", whole)
    assert (run(pictures).done, run(pictures).failed) == (12, 3)


def test_a_file_that_vanishes_after_the_scan(run: Run, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "aside").mkdir()

    def on_event(event: dict[str, object]) -> None:
        if event["event"] == "scan":
            shutil.move(pictures / "p0001.jpg", tmp_path / "aside")

    summary = run(pictures, on_event=on_event)
    reasons = {name: reason for name, reason, _ in summary.failures}
    assert summary.done == 11 and "No such file" in reasons["p0001.jpg"]
    shutil.move(tmp_path / "aside" / "p0001.jpg", pictures)
    assert run(pictures, retry_failed=True).done == 12


def test_a_file_that_changes_or_vanishes_during_its_shard(pictures: Path, tmp_path: Path) -> None:
    shard_store = ShardStore(tmp_path / "store", cache_bytes=0)
    item = next(item for item in scan(str(pictures)).items if item.name == "p0001.jpg")
    ref = shard_store.open(item, "Image")
    shutil.copy(pictures / "p0002.jpg", pictures / "p0001.jpg")
    with pytest.raises(StoreError, match="was changed during the run"):
        shard_store.get(ref)
    (pictures / "p0001.jpg").unlink()
    with pytest.raises(StoreError, match="cannot be read any more"):
        shard_store.get(ref)


def test_names_of_pictures_that_are_no_files(run: Run, pictures: Path) -> None:
    (pictures / "folder.jpg").mkdir(mode=0)
    (pictures / "nothing.jpg").symlink_to("nowhere.jpg")
    (pictures / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(pictures / "pipe.jpg")
    reasons = {name: reason for name, reason, _ in run(pictures).failures}
    assert (os.getuid() == 0 or "is a folder" in reasons["folder.jpg"]) and "No such file" in reasons["nothing.jpg"]
    assert "symbolic links" in reasons["loop.jpg"] and "is no file" in reasons["pipe.jpg"]


def test_files_whose_headers_lie(run: Run, tmp_path: Path) -> None:
    def png(width: int, height: int, flip: int = 0) -> bytes:
        chunks = [
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), 0),
            (b"IDAT", zlib.compress(bytes(8 * 25)), flip),
            (b"IEND", b"", 0),
        ]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ wrong)
            for name, data, wrong in chunks
        )

    for name, data in {"good": png(8, 8), "none": png(0, 0), "bomb": png(40_000, 40_000), "sum": png(8, 8, 1)}.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    summary = run(tmp_path)
    reasons = {name: reason for name, reason, _ in summary.failures}
    assert (
        summary.done == 1
        and "checksum" in reasons["sum.png"]
        and "too large" in reasons["bomb.png"]
        and "none.png" in reasons
    )


def test_memory_that_runs_out(home: Path, pictures: Path, tmp_path: Path, log: Path) -> None:
    Pil.effect_noise((500, 300), 60).save(pictures / "large.jpg")
    plan = Plan.load({"steps": [{"id": "s1", "tool": "weigh", "args": {"image": "$image"}}], "outputs": ["$s1"]})
    tools = [str(Path(__file__).with_name("hungry.py"))]
    summary = annotate("", str(pictures), tmp_path / "out", plan=plan, tools=tools, pilot=0)
    reasons = {name: f"{reason}. {hint}" for name, reason, hint in summary.failures}
    assert (summary.done, summary.failed) == (12, 4)
    assert "memory ran out" in reasons["large.jpg"] and "smaller" in reasons["large.jpg"]
    assert log.read_text().split().count("weigh") == 12  # in smaller batches, each picture once
    with Pil.open(pictures / "large.jpg") as large:
        large.resize((250, 150)).save(pictures / "large.jpg")
    again = annotate("", str(pictures), tmp_path / "out", plan=plan, tools=tools, pilot=0)
    assert (again.done, again.ran) == (13, 1)
