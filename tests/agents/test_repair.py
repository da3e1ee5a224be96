"""The memory of threads is repaired: a thread goes on from the latest of its states that can be read."""

import sqlite3
from pathlib import Path

import pytest

from agents.session.memory import close_saver, open_saver
from agents.session.memory_repair import repair_threads
from agents.session.session import Session
from superlink.cli import main
from tests.agents.fakes import TOOLS, Scripted, plan
from tools import Store
from tools.core.errors import SuperlinkError

PAGE = 4096
THREADS = [f"t{n}" for n in range(6)]


@pytest.fixture
def file(home: Path, tmp_path: Path) -> Path:
    file = home / "threads.sqlite"
    saver = open_saver(file)
    for thread in THREADS:
        with talk(thread, saver, tmp_path) as session:
            assert list(session.start("go"))[-1]["event"] == "done"
    close_saver(saver)
    return file


def talk(thread: str, memory: object, tmp_path: Path) -> Session:
    return Session(thread, tools=TOOLS, planner=Scripted([plan()]), store=Store(tmp_path / "s"), memory=memory)  # type: ignore[arg-type]


def rows(file: Path) -> set[object]:
    db = sqlite3.connect(file)
    found = {row for table in ("checkpoints", "writes") for row in db.execute(f"SELECT * FROM {table}")}
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    return found


def flip(file: Path, page: int, at: int = 0) -> bytes:
    data = bytearray(file.read_bytes())
    data[page * PAGE + at : page * PAGE + at + 12] = b"\xff" * 12
    file.write_bytes(data)
    return bytes(data)


def test_a_sound_memory_is_left_alone(file: Path, home: Path) -> None:
    before = file.read_bytes()
    done = repair_threads(file)
    assert (done.faults, done.kept, done.threads) == ([], None, len(THREADS)) and file.read_bytes() == before
    assert repair_threads(home / "none.sqlite").threads == 0 and not (home / "none.sqlite").exists()


def test_each_page_that_is_damaged_costs_its_own_states_alone(file: Path, tmp_path: Path) -> None:
    whole, before = file.read_bytes(), rows(file)
    for page in range(len(whole) // PAGE):
        file.write_bytes(whole)
        data = flip(file, page)
        done = repair_threads(file)
        assert done.faults and done.kept is not None and done.kept.read_bytes() == data
        assert rows(file) <= before and len(rows(file)) > len(before) * 0.75
        done.kept.unlink()


def test_threads_go_on_after_their_repair(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(file, 1)
    flip(file, 2, 2000)
    assert main(["repair"]) == 0
    output = capsys.readouterr().out
    assert f"{len(THREADS)} threads with" in output and "The damaged file is kept as" in output
    saver = open_saver(file)
    for thread in [*THREADS, "new"]:
        with talk(thread, saver, tmp_path) as session:
            assert list(session.start("go on"))[-1]["event"] == "done"
    close_saver(saver)
    assert main(["repair", str(file.parent)]) == 0
    assert "is sound" in capsys.readouterr().out


def test_a_state_that_cannot_be_decoded_is_left_out(file: Path) -> None:
    db = sqlite3.connect(file)
    db.execute("UPDATE checkpoints SET checkpoint = x'c1c1' WHERE thread_id = 't0'")
    db.commit()
    db.close()
    done = repair_threads(file)
    assert done.threads == len(THREADS) - 1 and "cannot be decoded" in done.faults[0] and done.kept is not None
    assert repair_threads(file).faults == []


@pytest.mark.parametrize("content", [b"no database " * 1000, bytes(9000)])
def test_a_memory_without_a_row(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    done = repair_threads(file)
    assert done.kept is not None and done.kept.read_bytes() == content and done.threads == 0
    assert rows(file) == set()


def test_a_repair_that_cannot_be_written_changes_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = flip(file, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(SuperlinkError, match="disk is full"):
        repair_threads(file)
    assert file.read_bytes() == data
