"""Files are written whole, whatever goes wrong in between."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.core.errors import WriteError
from tools.storage import atomic


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow over 64 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.txt"
    assert atomic.write(file, "één\n") == file and file.read_bytes() == "één\n".encode()
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask()
    file.chmod(0o640)
    atomic.write(file, b"two")
    assert file.read_bytes() == b"two" and file.stat().st_mode & 0o777 == 0o640
    assert atomic.write(tmp_path / "key", b"k", 0o600).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["a.txt"]


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_keeps_its_target_and_a_device_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("one")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    atomic.write(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "a").read_text() == "two"
    atomic.write("/dev/null", "three")


def test_a_name_of_255_bytes(tmp_path: Path) -> None:
    atomic.write(tmp_path / ("n" * 255), "long")
    assert (tmp_path / ("n" * 255)).read_text() == "long"


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, small_files: None) -> None:
    file = tmp_path / "a"
    atomic.write(file, "old")
    with pytest.raises(
        WriteError, match=r"a cannot be written: the file is larger than .* allows \(File too large\)\. Raise the limit"
    ):
        atomic.write(file, b"x" * (1 << 17))
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full (No space left on device). Free some space"),
        (errno.EDQUOT, "the disk quota is used up (Disk quota exceeded). Free some space"),
        (errno.EROFS, "the disk is read-only (Read-only file system). Mount it for writing"),
        (errno.EACCES, "writing there is not allowed (Permission denied). Allow writing"),
    ],
)
def test_each_fault_has_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    def fails(file: int) -> None:
        raise OSError(code, os.strerror(code))

    file = tmp_path / "a"
    atomic.write(file, "old")
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(WriteError) as raised:
        atomic.write(file, "new")
    assert f"{file} cannot be written: {words}" in str(raised.value) and isinstance(raised.value.__cause__, OSError)
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    atomic.write(tmp_path / "a", "file")
    with pytest.raises(WriteError, match="a folder of its path is a file"):
        atomic.write(tmp_path / "a" / "b" / "c", "no")
    (tmp_path / "d").mkdir()
    with pytest.raises(WriteError, match="there is a folder of this name"):
        atomic.write(tmp_path / "d", "no")


def test_an_error_of_the_writer_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a"
    atomic.write(file, "old")
    with pytest.raises(KeyError), atomic.open_new(file) as out:
        out.write(b"half")
        raise KeyError
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, signal, sys
from tools.storage import atomic
def dies(*args):
    os.kill(os.getpid(), signal.SIGKILL)
with atomic.open_new(sys.argv[1]) as out:
    out.write(b"new" * 9)
    setattr(os, sys.argv[2], dies)
"""


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_kill_leaves_what_was_there_and_the_next_write_clears_up(tmp_path: Path, step: str) -> None:
    file = tmp_path / "a"
    atomic.write(file, "old")
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(file), step], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert child.returncode == -signal.SIGKILL and file.read_text() == "old" and len(list(tmp_path.iterdir())) == 2
    with atomic.open_new(file) as first, atomic.open_new(file) as second:  # one at work is not cleared up
        first.write(b"1")
        second.write(b"2")
    assert file.read_bytes() == b"1" and list(tmp_path.iterdir()) == [file]
