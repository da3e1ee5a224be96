"""Sources of runs: what the page may read, and what it says about it."""

import os
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from flows.batch.spec import RunSpec
from flows.items.source import SourceError
from tests.agents.fakes import Scripted
from tests.flows.conftest import DARKEN
from tools import Store
from tools.core.settings import settings
from ui.access.owners import Files
from ui.batches.desk import Desk as PageDesk
from ui.batches.runs import with_spec
from ui.batches.sources import SourceRefused, allowed, folders, items_of, keep_uploads, unreadable_text, view
from ui.context import Context


def test_what_is_in_a_folder(photos: Path) -> None:
    (photos / "notes.docx").touch()
    seen = view(photos)
    assert (seen.count, seen.kinds, seen.checked, seen.skipped) == (15, {"image": 15}, 15, "1 of unknown kind")
    assert [name for name, _ in seen.unreadable] == ["bad0.jpg", "bad1.jpg", "bad2.jpg"]
    assert unreadable_text(seen).startswith(
        "3 of 15 opened cannot be read: bad0.jpg: it is empty (0 bytes); bad1.jpg: "
    )
    assert str(photos) not in unreadable_text(seen)
    assert view(photos / "*.jpg").count == 12 and view(photos / "p0000.jpg").count == 1
    assert folders(photos) == ["sub"] and folders(photos.parent) == ["photos"]
    few = view(photos, seconds=0)
    assert few.checked == 1 and few.count == 15


def test_nothing_outside_of_the_roots_is_read(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "inside").mkdir()
    (photos / "link").symlink_to(elsewhere)
    wrong = [
        "/etc",
        str(elsewhere),
        "../..",
        "photos/../../..",
        photos / "link",
        photos / "link/inside",
        "a\0b",
        "s3://b/c",
    ]
    for path in wrong:
        with pytest.raises(SourceRefused):
            allowed(path)
        with pytest.raises(SourceRefused):
            view(path)
        with pytest.raises(SourceRefused):
            folders(path)
    with pytest.raises(SourceRefused) as refused:
        allowed("/etc")
    assert str(photos.parent) in refused.value.hint
    assert "link" not in folders(photos)
    assert allowed("photos") == photos and allowed(elsewhere, [elsewhere]) == elsewhere
    (photos / "list.txt").write_text("/etc/hostname\n")
    with pytest.raises(SourceRefused, match="may name files anywhere"):
        view(photos / "list.txt")


def test_what_belongs_to_others_is_no_source(photos: Path, home: Path) -> None:
    theirs, own = home / "page/results/t1", home / "run-sources/own"
    for folder in (theirs, own):
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes((photos / "p0000.jpg").read_bytes())
    patterned = photos.parent / f"{home.name[:2]}*" / "page/results/t1"
    (photos / "link.jpg").symlink_to(theirs / "a.jpg")
    for source in (home, theirs, theirs / "a.jpg", own, patterned / "*.jpg", photos, photos.parent):
        with pytest.raises(SourceRefused, match="belongs to superlink, or to another user"):
            view(source)
        with pytest.raises(SourceRefused, match="belongs to"):
            items_of(source)
    with pytest.raises(SourceRefused):
        folders(home)
    assert view(own, [own]).count == 1
    (photos / "link.jpg").unlink()
    assert view(photos).count == 15


def test_an_empty_and_a_missing_folder_are_said(photos: Path) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(SourceError, match="no pictures, sound or video"):
        view(photos / "empty")
    with pytest.raises(SourceError, match="no file or folder"):
        view(photos / "nothing")
    with pytest.raises(SourceRefused, match="cannot be read"):
        folders(photos / "nothing")


def test_the_default_is_the_current_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPERLINK_UI_ROOTS", raising=False)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    assert allowed(".") == tmp_path
    with pytest.raises(SourceRefused):
        allowed("/")


def test_uploads_of_one_name_are_all_kept(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    other = tmp_path / "x/p0000.jpg"
    other.write_bytes((photos / "p0001.jpg").read_bytes())
    kept = keep_uploads(tmp_path / "kept", [photos / "p0000.jpg", other])
    assert sorted(os.listdir(kept)) == ["p0000.jpg", "p0000_2.jpg"]
    (photos / "p0000.jpg").unlink()  # what is uploaded is deleted after an hour
    assert view(kept, [tmp_path / "kept"]).unreadable == ()
    with pytest.raises(SourceRefused, match="No file"):
        keep_uploads(tmp_path / "kept", [])


def test_uploads_that_no_run_uses_go_after_an_hour(photos: Path, home: Path, tmp_path: Path) -> None:
    files = Files(tmp_path / "page")
    desk = PageDesk(Context({}, Scripted([]), Store(tmp_path / "store"), InMemorySaver(), tmp_path / "page", files))
    used, unused, fresh = (desk.keep_uploads([str(photos / "p0000.jpg")], "ada") for _ in range(3))
    assert files.used("ada") == 3 * (photos / "p0000.jpg").stat().st_size
    record = desk.runs.new("ada", "darken")
    desk.runs.save(with_spec(record, RunSpec.load({"source": str(used), "out": record.folder, "plan": DARKEN})))
    world = home / "run-sources/world/world-1-0-512"
    world.mkdir(parents=True)
    for folder in (used, unused, world):
        os.utime(folder, (1e9, 1e9))
    files.sweep()
    assert (used.exists(), unused.exists(), fresh.exists(), world.exists()) == (True, False, True, True)
