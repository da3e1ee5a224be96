"""Owners of files, without a server."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui.test_users import Clock
from tools.core.errors import MediaError
from tools.core.settings import settings
from tools.storage.database import Database
from tools.values import Audio, Image
from ui.access.database import open_database
from ui.access.limits import check_media
from ui.access.links import file_url
from ui.access.owners import UNUSED_SECONDS, DiskFull, Files


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "page"


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    opened = open_database(folder)
    yield opened
    opened.close()


@pytest.fixture
def files(folder: Path, database: Database, clock: Clock) -> Files:
    return Files(folder, database, clock)


def _written(path: Path, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_files_are_found_by_owner_after_a_restart(files: Files, folder: Path, clock: Clock) -> None:
    upload = _written(folder / ("a" * 64) / "a.png")
    strange = _written(folder / ("b" * 64) / os.fsdecode(b"\xff\\xff.png"))
    result, given = _written(folder / "results/t1/turn_1/a.png"), _written(folder / "batches/7/thumbnails/a.png")
    sample, database = _written(folder / "samples/a.png"), folder / "page.sqlite"
    files.enter_upload(upload, "ada")
    files.enter_upload(strange, "ada")
    files.give(folder / "batches/7", "ada")
    again = open_database(folder)
    later = Files(folder, again, clock)
    later.owner_of_thread = {"t1": "ada"}.get
    for path in (upload, strange, result, given):
        assert later.may_read(path, "ada") and not later.may_read(path, "bob"), path
        assert later.may_read(f"{folder}/results/../{path.relative_to(folder)}", "ada")
        assert later.may_read(f"{folder}/samples/../{path.relative_to(folder)}", "bob") is False
    assert later.may_read(sample, "bob")
    for path in (database, folder, folder / "results", folder / "samples", Path("/etc/passwd"), "", "\0", "a" * 5000):
        assert not later.may_read(path, "ada"), path
    assert not later.may_read(_written(folder / "results/t2/a.png"), "ada")  # nobody's session
    for link, target in ((folder / "results/t1/link", "/etc/passwd"), (folder / "samples/link", upload)):
        link.symlink_to(target)
        assert not later.may_read(link, "bob")
    assert not later.may_read(folder / "results/t1/link", "ada")
    later.release(folder / "batches/7")
    assert not later.may_read(given, "ada")
    again.close()


def test_unused_uploads_go_after_an_hour(files: Files, folder: Path, clock: Clock) -> None:
    used, unused, shared = (_written(folder / (letter * 64) / "a.png") for letter in "abc")
    stray, results = _written(folder / "tmpx1y2"), _written(folder / "results/t1/a.png")
    for upload in (used, unused, shared):
        files.enter_upload(upload, "ada")
    for path in (used, unused, shared, stray, results):
        clock.now = max(clock.now, path.stat().st_ctime)
    start = clock.now
    files.enter_upload(used, "ada")
    files.enter_upload(unused, "ada")
    files.enter_upload(shared, "ada")
    clock.now = start + UNUSED_SECONDS - 5
    files.note_use([used])
    files.enter_upload(shared, "bob")
    files.sweep()
    assert unused.exists() and stray.exists()
    clock.now = start + UNUSED_SECONDS + 5
    files.sweep()
    assert not unused.parent.exists() and not stray.exists()
    assert used.exists() and shared.exists() and results.exists()
    assert files.may_read(shared, "bob") and not files.may_read(shared, "ada")


def test_a_user_has_so_much_disk(files: Files, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_UI_DISK_BYTES", "1000")
    settings.cache_clear()
    files.owner_of_thread = {"t1": "ada", "t2": "bob"}.get
    files.enter_upload(_written(folder / ("a" * 64) / "a.txt", bytes(300)), "ada")
    _written(folder / "results/t1/turn_1/steps/a.txt", bytes(500))
    _written(folder / "results/t2/a.txt", bytes(900))
    assert (files.used("ada"), files.used("bob"), files.used("eve")) == (800, 900, 0)
    files.check_room("ada", 200)
    with pytest.raises(DiskFull, match="more than 0.0 GB"):
        files.check_room("ada", 201)
    clock.now += 60
    _written(folder / "results/t1/b.txt", bytes(200))
    with pytest.raises(DiskFull):
        files.check_room("ada", 1)
    # What was given to a user counts, too, wherever it lies.
    _written(folder.parent / "run-sources/eve/1/a.txt", bytes(700))
    files.give(folder.parent / "run-sources/eve", "eve")
    clock.now += 60
    assert files.used("eve") == 700
    settings.cache_clear()


def test_refused_uploads_are_deleted_unless_another_has_them(files: Files, folder: Path) -> None:
    mine, theirs = (_written(folder / (letter * 64) / "a.png") for letter in "ab")
    files.enter_upload(theirs, "bob")
    files.discard([mine, theirs])
    assert not mine.exists() and theirs.exists()


def test_media_over_the_limits_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_UI_PIXELS", "1000")
    monkeypatch.setenv("SUPERLINK_UI_MINUTES", "0.01")
    settings.cache_clear()
    import av
    import numpy as np

    small, large = tmp_path / "small.png", tmp_path / "large.png"
    for file, side in ((small, 30), (large, 40)):
        file.write_bytes(Image.from_numpy(np.zeros((side, side, 3), np.uint8)).to_bytes())
    check_media(small)
    with pytest.raises(MediaError, match="large.png has 40 × 40 pixels"):
        check_media(large)
    long = tmp_path / "long.flac"
    long.write_bytes(Audio(np.zeros(8000, np.float32), 8000).to_bytes())
    with pytest.raises(MediaError, match="long.flac takes .* minutes"):
        check_media(long)
    # Files that are made while recording do not say how long they are.
    recorded = tmp_path / "recorded.webm"
    with av.open(str(recorded), "w", format="webm", options={"live": "1"}) as container:
        stream: Any = container.add_stream("libopus", 48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(str(recorded)) as container:
        assert not container.duration
    with pytest.raises(MediaError, match=r"recorded.webm takes more than 0.01 minutes"):
        check_media(recorded)
    monkeypatch.setenv("SUPERLINK_UI_MINUTES", "0.1")
    settings.cache_clear()
    check_media(recorded)
    for name in ("plan.json", "notes.txt", "tools.py", "none"):  # left to those who open them
        check_media(_written(tmp_path / name))
    with pytest.raises(MediaError, match="broken.png is not a picture"):
        check_media(_written(tmp_path / "broken.png"))
    settings.cache_clear()


def test_an_address_of_a_file_is_one_whatever_its_name() -> None:
    assert file_url("/p/a b#?%<é>.png") == "/gradio_api/file=/p/a%20b%23%3F%25%3C%C3%A9%3E.png"
