"""Whatever goes wrong ends in one sentence, a status and a log; no traceback reaches a person who did not ask for it."""

import argparse
import os
from pathlib import Path

import pytest

from superlink.cli import FAULT, main
from superlink.commands import tools as command


def breaks(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(given: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(command, "show", run)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("odd \x1b[31m\nvalue"), "ValueError: odd \\x1b[31m\\nvalue. Its"),
        (RecursionError("maximum recursion depth exceeded"), "RecursionError: maximum"),
        (MemoryError(), "MemoryError. Its"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28]"),
        (SystemExit(0), "ended the command with the status 0"),
        (BaseException("bare"), "BaseException: bare"),
        (ValueError("x" * 10**6), "(999500 more characters)"),
    ],
)
def test_a_fault_is_told_in_a_sentence(
    home: Path, error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks(monkeypatch, error)
    assert main(["tools"]) == FAULT
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and len(err) < 1000
    assert said in err and "Traceback" not in err
    log = home / "superlink.log"
    assert f"Its traceback is in {log}; --debug shows it" in err
    kept = log.read_text()
    assert "Traceback (most recent call last)" in kept and "in run\n" in kept and type(error).__name__ in kept


@pytest.mark.parametrize("where", [["--debug", "tools"], ["tools", "--debug"]])
def test_debug_shows_the_traceback(
    home: Path, where: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks(monkeypatch, ValueError("odd \x1b[31m"))
    assert main(where) == FAULT
    err = capsys.readouterr().err
    assert "in run\n" in err and "\x1b" not in err and "Its traceback is above" in err


def test_a_log_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SUPERLINK_HOME", str(tmp_path / "file"))
    breaks(monkeypatch, ValueError("odd"))
    assert main(["tools"]) == FAULT
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "could not be written; run it again with --debug" in err


def test_a_large_log_is_put_aside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.log.MOST", 10)
    breaks(monkeypatch, ValueError("first"))
    main(["tools"])
    breaks(monkeypatch, ValueError("second"))
    main(["tools"])
    assert "first" in (home / "superlink.log.1").read_text() and "first" not in (home / "superlink.log").read_text()


def test_the_user_s_own_stop_is_no_fault(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks(monkeypatch, KeyboardInterrupt())
    assert main(["tools"]) == 130
    assert capsys.readouterr().err == "superlink: stopped\n" and not (home / "superlink.log").exists()


HOSTILE_FILES: dict[str, bytes | None] = {
    "missing": None,
    "latin-1": '{"request": "gr\xfcn"}'.encode("latin-1"),
    "nested": b"[" * 200_000,
    "no object": b'"request"\n',
    "no text": b'{"request": 3}\n',
    "half a character": b'{"request": "\\ud800"}\n',
    "odd media": b'{"request": "x", "media": ["smell"]}\n',
    "media as text": b'{"request": "x", "media": "image"}\n',
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", [*HOSTILE_FILES, "folder"])
def test_a_hostile_file_of_requests_or_plan_is_told(
    home: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"{name}\x1b[31m"
    content = HOSTILE_FILES.get(name)
    if name == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    assert main(["plan", "--requests", str(file)]) == 1
    told = [capsys.readouterr().err]
    (tmp_path / "notes.txt").write_text("words")
    assert main(["run", "x", str(tmp_path / "notes.txt"), "--plan", str(file), "--yes"]) == 1
    told.append(capsys.readouterr().err)
    for err in told:
        assert f"{name}\\x1b[31m" in err and "\x1b" not in err and err.count("\n") == 1 and len(err) < 2000, err


def test_a_request_that_the_locale_could_not_decode_is_read_as_utf_8() -> None:
    from superlink.commands.options import words

    assert words(os.fsdecode("grün".encode())) == "grün" == words("gr\udcc3\udcbcn")
    for wrong in ("\udcff", "\ud800", "a\ud83d"):
        with pytest.raises(argparse.ArgumentTypeError, match="UTF-8"):
            words(wrong)
