"""A folder is replaced as a whole, wherever a kill strikes, and what is not ours in it stays."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import pytest

from tools.storage import swap
from tools.storage.swap import files_in, replace_folder

OLD = {"a.txt": "old a", "sub/b.txt": "old b", "sub/gone.txt": "old"}
NEW = {"a.txt": "new a", "sub/b.txt": "new b", "sub/deep/c.txt": "new c"}
MINE = {"letter.txt": "mine", "sub/own/note.txt": "mine too"}


def ours(folder: Path) -> Collection[str]:
    return {*OLD, *NEW}


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in files_in(folder)}


def replace(folder: Path) -> None:
    with replace_folder(folder, ours) as draft:
        fill(draft, NEW)


def killed(folder: Path, at: int) -> bool:
    """Replace a folder in a child that is killed before its n-th system call; return whether it made that many."""
    child = os.fork()
    if child == 0:
        left = at

        def count(event: str, args: object) -> None:
            nonlocal left
            if event.startswith(("os.", "open", "shutil.")) and event != "os.kill":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            replace(folder)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return os.WIFSIGNALED(status)


def kill_at_every_moment(place: Path, exchange: bool) -> None:
    """Leave a folder for each moment, as a kill left it, and as the last one that of a child that came to its end."""
    with pytest.MonkeyPatch.context() as patch:
        without_what_is_not_tested(patch, exchange)
        for at in range(1000):
            folder = place / str(at) / "out"
            fill(folder, OLD | MINE)
            if not killed(folder, at):
                break


def without_what_is_not_tested(patch: pytest.MonkeyPatch, exchange: bool) -> None:
    patch.setattr(swap, "flush_tree", lambda folder: None)  # a kill takes nothing from the system's memory
    if not exchange:  # as on a disk that cannot
        patch.setattr(swap, "_exchange", lambda one, other: False)


@pytest.mark.parametrize("exchange", [True, False])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    # The children are forked from a small process: each takes a copy of the memory's map, which is large here.
    code = f"from tests.tools.test_swap import *; kill_at_every_moment(Path(sys.argv[1]), {exchange})"
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=Path(__file__).parents[2], check=True)
    without_what_is_not_tested(monkeypatch, exchange)
    *moments, last = [tmp_path / str(at) / "out" for at in range(len(os.listdir(tmp_path)))]
    assert content(last) == NEW | MINE
    seen: list[dict[str, str]] = []
    for folder in moments:
        if exchange:
            assert content(folder) in (OLD | MINE, NEW | MINE)
        with suppress(KeyError), replace_folder(folder, ours):  # the next run, which fails
            raise KeyError
        seen.append(content(folder))
        assert os.listdir(folder.parent) == ["out"]
        replace(folder)
        assert content(folder) == NEW | MINE and os.listdir(folder.parent) == ["out"]
    assert len(seen) > 30 and all(found in (OLD | MINE, NEW | MINE) for found in seen)
    assert OLD | MINE in seen and NEW | MINE in seen


def test_a_file_of_a_person_in_the_way_goes_aside(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for text, kept in (("mine", "a.txt"), ("mine", "a.txt"), ("also mine", "a_2.txt")):
        fill(folder, {"a.txt": text})
        (folder / "link").unlink(missing_ok=True)
        (folder / "link").symlink_to("nowhere")
        moved: list[Path] = []
        with replace_folder(folder, lambda place: (), moved.append) as draft:
            fill(draft, {"a.txt": "new"})
        assert (folder / "a.txt").read_text() == "new" and (folder / "link").is_symlink()
        assert (tmp_path / "out.kept" / kept).read_text() == text
    assert moved == [tmp_path / "out.kept" / "a_2.txt"] and len(content(tmp_path / "out.kept")) == 2
    # Where the new one has a file in place of a folder.
    fill(folder, {"deep/a": "mine"})
    with replace_folder(folder, lambda place: ("a.txt",)) as draft:
        fill(draft, {"deep": "new"})
    assert (folder / "deep").read_text() == "new" and (tmp_path / "out.kept" / "deep" / "a").read_text() == "mine"


def test_the_target_of_a_link_is_replaced(tmp_path: Path) -> None:
    fill(tmp_path / "disk" / "out", OLD)
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "out")
    replace(tmp_path / "out")
    assert (tmp_path / "out").is_symlink() and content(tmp_path / "disk" / "out") == NEW
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        replace(tmp_path / "file")


def test_two_at_a_time(tmp_path: Path) -> None:
    with replace_folder(tmp_path / "out", ours) as first, replace_folder(tmp_path / "out", ours) as second:
        fill(first, OLD)
        fill(second, NEW)
    assert content(tmp_path / "out") == OLD and os.listdir(tmp_path) == ["out"]


def test_without_syncfs_each_file_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(swap, "_libc", lambda: None)
    monkeypatch.setattr(swap, "flush", flushed.append)
    replace(tmp_path / "out")
    assert {path.name for path in flushed} >= {"a.txt", "b.txt", "c.txt", "sub", "deep"}
    assert content(tmp_path / "out") == NEW


@pytest.mark.parametrize("number", [1, 2])
def test_a_rename_that_fails_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    fill(tmp_path / "out", OLD)
    rename, calls = os.rename, []

    def fails(*args: Path) -> None:
        calls.append(args)
        if len(calls) == number:
            raise OSError(errno.EIO, "Input/output error")
        rename(*args)

    monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(OSError, match="Input/output"):
        replace(tmp_path / "out")
    assert content(tmp_path / "out") == OLD and os.listdir(tmp_path) == ["out"]
