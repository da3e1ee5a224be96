"""What counts as an item."""

import os
from pathlib import Path

import pytest

from flows.source import SourceError, scan
from tests.flows.conftest import FIND, Run, make


def names(source: object) -> list[str]:
    return [item.name for item in scan(str(source))]


def test_folders_globs_files_and_lists(tmp_path: Path) -> None:
    folder = make(tmp_path / "in", 5)
    (folder / "notes.txt").write_text("p0000.jpg\n../elsewhere.jpg\n")
    (folder / ".hidden.jpg").touch()
    assert names(folder) == ["p0000.jpg", "p0001.jpg", "p0002.jpg", "p0004.jpg", "sub/p0003.jpg"]
    assert names(folder / "**" / "*3.jpg") == ["sub/p0003.jpg"]
    assert names(folder / "p0001.jpg") == ["p0001.jpg"]
    # A name never leads out of the folder that results go to.
    assert names(folder / "notes.txt") == ["elsewhere.jpg", "p0000.jpg"]
    with pytest.raises(SourceError):
        scan(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        scan(str(tmp_path / "empty"))


def test_file_names_that_are_no_utf8(tmp_path: Path, run: Run) -> None:
    folder = make(tmp_path / "in", 1)
    os.rename(os.fsencode(folder / "p0000.jpg"), os.fsencode(folder) + b"/caf\xe9.jpg")
    assert names(folder) == ["caf\ufffd.jpg"]
    assert run(folder, FIND).done == 1


def test_an_fsspec_address(tmp_path: Path, run: Run) -> None:
    import fsspec

    folder = make(tmp_path / "in", 4, 1)
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/bucket", recursive=True)
    try:
        assert names("memory://bucket") == ["bad0.jpg", "p0000.jpg", "p0001.jpg", "p0002.jpg", "sub/p0003.jpg"]
        assert names("memory://bucket/*.jpg")[1:] == ["p0000.jpg", "p0001.jpg", "p0002.jpg"]
        summary = run("memory://bucket", FIND, formats=["yolo"])
        assert (summary.done, summary.failed) == (4, 1)
        assert len(list((tmp_path / "out" / "yolo" / "images").rglob("*.jpg"))) == 4
        assert run("memory://bucket", FIND).ran == 0
    finally:
        memory.rm("/bucket", recursive=True)


def test_a_video_and_its_sound(tmp_path: Path, run: Run) -> None:
    import numpy as np

    from tools.values import Audio, Video

    sound = Audio(np.sin(np.arange(8000) / 15).astype(np.float32) / 2, 8000)
    video = Video.from_frames((np.full((32, 48, 3), n * 20, np.uint8) for n in range(10)), 10, sound)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clip.mp4").write_bytes(video.to_bytes())
    plan = {"steps": [{"id": "s1", "tool": "hear", "args": {"audio": "$audio"}}], "outputs": ["$s1"]}
    assert run(tmp_path / "in", plan, formats=["vtt"]).done == 1
    assert run(tmp_path / "in", plan).ran == 0
