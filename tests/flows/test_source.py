"""What counts as an item."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.kinds import media_kind_of
from flows.items.names import address_name, listed_name, relative_name
from flows.items.source import SourceError, scan
from tests.flows.conftest import FIND, Run, make


def names(source: object) -> list[str]:
    return [item.name for item in scan(str(source)).items]


def test_folders_globs_files_and_lists(tmp_path: Path) -> None:
    folder = make(tmp_path / "in", 5)
    (folder / "notes.txt").write_text("p0000.jpg\n../elsewhere.jpg\n")
    (folder / ".hidden.jpg").touch()
    assert names(folder) == ["p0000.jpg", "p0001.jpg", "p0002.jpg", "p0004.jpg", "sub/p0003.jpg"]
    assert names(folder / "**" / "*3.jpg") == ["sub/p0003.jpg"]
    assert names(folder / "p0001.jpg") == ["p0001.jpg"]
    # A name never leads out of the folder that results go to.
    assert names(folder / "notes.txt") == ["_up1/elsewhere.jpg", "p0000.jpg"]
    with pytest.raises(SourceError):
        scan(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        scan(str(tmp_path / "empty"))


def test_file_names_that_are_no_utf8(tmp_path: Path, run: Run) -> None:
    folder = make(tmp_path / "in", 2)
    # Two byte strings that a lossy decoding would make one name, and the name that an escape of the first would have.
    os.rename(os.fsencode(folder / "p0000.jpg"), os.fsencode(folder) + b"/caf\xe9.jpg")
    os.rename(os.fsencode(folder / "p0001.jpg"), os.fsencode(folder) + b"/caf\xe8.jpg")
    (folder / "caf%E9.jpg").write_bytes(Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")).read_bytes())
    assert names(folder) == ["caf%25E9.jpg", "caf%E8.jpg", "caf%E9.jpg"]
    assert run(folder, FIND).done == 3
    listed = tmp_path / "some.txt"
    listed.write_bytes(b"in/caf\xe9.jpg\nin/caf\xe8.jpg\n")
    assert names(listed) == ["in/caf%E8.jpg", "in/caf%E9.jpg"]


def test_control_characters_do_not_reach_the_names_of_results(tmp_path: Path) -> None:
    for name in ("a\x1b[2J.jpg", "b\nc.jpg", "a%1B[2J.jpg", "100%25.jpg", "50%.jpg", "my%20photo.jpg"):
        (tmp_path / name).touch()
    assert names(tmp_path) == ["100%25.jpg", "50%.jpg", "a%1B[2J.jpg", "a%251B[2J.jpg", "b%0Ac.jpg", "my%20photo.jpg"]


@given(st.sets(st.text(st.sampled_from("a%E9258107F\udce9\x1b\n_")), min_size=2, max_size=12))
def test_different_files_have_different_names(paths: set[str]) -> None:
    assert len({relative_name(path or "x") for path in paths - {"x"}}) == len(paths)


@given(
    st.sets(
        st.lists(st.sampled_from(["a", "_up1", "__up1", "_s3", "_"]), min_size=1, max_size=3).map(tuple), max_size=12
    ),
    st.integers(0, 2),
)
def test_no_path_of_a_list_has_the_name_of_another(paths: set[tuple[str, ...]], up: int) -> None:
    inside = {listed_name("/".join(path)) for path in paths}
    outside = {listed_name("/".join([".."] * (up + 1) + list(path))) for path in paths}
    elsewhere = {address_name("s3://" + "/".join(path)) for path in paths}
    assert len(inside | outside | elsewhere) == 3 * len(paths)


def test_a_list_of_files_that_end_alike(tmp_path: Path) -> None:
    for folder in ("d/a", "d/b", "lists/d/a"):
        make(tmp_path / folder, 1)
    listed = tmp_path / "lists" / "all.txt"
    listed.write_text(
        "../d/a/p0000.jpg\nd/a/p0000.jpg\n../d/b/p0000.jpg\n../d/b/p0000.jpg\nmemory://x/a/1.jpg\nmemory://x/b/1.jpg\n"
    )
    found = scan(str(listed))
    assert [item.name for item in found.items] == [
        "_memory/x/a/1.jpg",
        "_memory/x/b/1.jpg",
        "_up1/d/a/p0000.jpg",
        "_up1/d/b/p0000.jpg",
        "d/a/p0000.jpg",
    ]
    assert found.skipped_text == "1 listed twice"


@pytest.mark.parametrize("pattern", ["", "/**/*", "/**/*.*"])
def test_what_is_skipped_is_counted_the_same_for_folders_and_globs(tmp_path: Path, pattern: str) -> None:
    folder = make(tmp_path / "in", 4)
    (folder / "loop").symlink_to(folder)
    (folder / "sub" / "up").symlink_to("..")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.jpg").touch()
    (folder / ".hidden.jpg").touch()
    (folder / "notes.md").touch()
    (folder / "linked.jpg").symlink_to(folder / "p0000.jpg")
    for source in (f"{folder}{pattern}", f"file://{folder}{pattern}"):
        found = scan(source)
        assert [item.name for item in found.items] == [
            "linked.jpg",
            "p0000.jpg",
            "p0001.jpg",
            "p0002.jpg",
            "sub/p0003.jpg",
        ]
        assert found.skipped["links"] == 2 and found.skipped["hidden"] == 2
    assert scan(str(folder)).skipped_text == "2 hidden, 2 links, 1 of unknown kind"


def test_a_glob_looks_no_deeper_than_it_is_written(tmp_path: Path) -> None:
    folder = make(tmp_path / "in", 4)
    assert names(folder / "*.jpg") == ["p0000.jpg", "p0001.jpg", "p0002.jpg"]
    assert names(folder / "*" / "*.jpg") == ["sub/p0003.jpg"]
    with pytest.raises(SourceError, match="1 of unknown kind"):
        (folder / "a.xyz").touch()
        scan(str(folder / "*.xyz"))
    with pytest.raises(SourceError, match="cannot be read"):
        scan(str(folder / "**.jpg"))


def test_endings_do_not_depend_on_the_systems_table(monkeypatch: pytest.MonkeyPatch) -> None:
    import mimetypes

    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: (None, None))
    assert [media_kind_of(name) for name in ("a.JFIF", "a.mkv", "a.opus", "a.txt", "a", ".jpg")] == [
        "image",
        "video",
        "audio",
        "",
        "",
        "",
    ]


def test_what_a_run_writes_is_no_source(tmp_path: Path, run: Run) -> None:
    folder = make(tmp_path / "in", 3)
    for _ in range(2):
        assert run(folder, FIND, out=folder / "found", formats=["yolo", "report", "coco"]).items == 3
    # Nor of another run; neither is what an export or superlink run has put elsewhere.
    shutil.copytree(folder / "found" / "yolo", folder / "moved")
    shutil.copytree(folder / "found" / "coco", folder / "moved2")
    make(folder / "moved2", 1)
    make(folder / "results", 2)
    (folder / "results" / "record.json").write_text(json.dumps({"files": {"s1": ["p0000.jpg"]}}))
    found = scan(str(folder), tmp_path / "another")
    assert [item.name for item in found.items] == ["p0000.jpg", "p0001.jpg", "p0002.jpg", "results/p0001.jpg"]
    assert found.skipped == {"results": 4, "of unknown kind": 1}
    assert [item.name for item in scan(str(folder / "moved" / "images")).items]  # named by a person, it is
    for source, out in (
        (folder, folder),
        (folder / "found" / "yolo", folder / "found"),
        (folder / "found", tmp_path / "x"),
    ):
        with pytest.raises(SourceError, match="where this run writes|another run"):
            scan(str(source), out)


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
