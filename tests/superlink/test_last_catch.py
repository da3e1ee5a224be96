"""Every fault ends in one sentence, an exit status and a log entry; a traceback is shown only on request."""

import argparse
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from agents.plan.plan import Plan
from superlink.cli import FAULT, main
from superlink.commands import tools as command
from tools.core.errors import SettingsInvalid


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
def test_a_fault_is_reported_in_a_sentence(
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


def test_a_log_that_cannot_be_written_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SUPERLINK_HOME", str(tmp_path / "file"))
    breaks(monkeypatch, ValueError("odd"))
    assert main(["tools"]) == FAULT
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "could not be written; run it again with --debug" in err


def test_a_large_log_is_put_aside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.core.log.MOST", 10)
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
def test_a_hostile_file_of_requests_or_plan_is_reported(
    home: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"{name}\x1b[31m"
    content = HOSTILE_FILES.get(name)
    if name == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    assert main(["plan", "--requests", str(file)]) == 1
    outputs = [capsys.readouterr().err]
    (tmp_path / "notes.txt").write_text("words")
    assert main(["run", "x", str(tmp_path / "notes.txt"), "--plan", str(file), "--yes"]) == 1
    outputs.append(capsys.readouterr().err)
    for err in outputs:
        assert f"{name}\\x1b[31m" in err and "\x1b" not in err and err.count("\n") == 1 and len(err) < 2000, err


STEP = {"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": ["x"]}}
HOSTILE_STEPS: dict[str, dict[str, object]] = {
    "tool": {"tool": "t" * 10**6},
    "argument": {"args": {"y" * 10**6: 1}},
    "reference": {"args": {"image": "$" + "z" * 10**6, "labels": ["x"]}},
    "number": {"args": {"image": "$image", "labels": ["x"], "min_score": 10**400}},
    "infinity": {"args": {"image": "$image", "labels": ["x"], "min_score": float("inf")}},
    "id": {"id": "s\x1b[2J\n1"},
}


@pytest.mark.parametrize("name", HOSTILE_STEPS)
def test_a_hostile_plan_is_refused_in_few_words(
    home: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, picture = tmp_path / "plan.json", tmp_path / "a.png"
    file.write_text(json.dumps({"request": "", "steps": [{**STEP, **HOSTILE_STEPS[name]}], "outputs": ["$s1"]}))
    Image.new("RGB", (8, 8)).save(picture)
    assert main(["run", "x", str(picture), "--plan", str(file), "--yes", "--out", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    assert len(out + err) < 5000 and "\x1b" not in out + err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [["tools", "--tools", "~nobody-has-this-name/own.py"], ["annotate", "x", "~nobody-has-this-name/photos", "--out"]],
)
def test_a_home_folder_that_is_not_known_is_reported(
    home: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, *[str(tmp_path / "out")] * (arguments[-1] == "--out")]) == 1
    assert "this home folder is not known" in capsys.readouterr().err


def test_a_plan_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"steps": [STEP]}), encoding="utf-8-sig")
    assert Plan.load(file).steps[0].tool == "detect"


FAILING = """
from tools import Text, tool

@tool
def spoil(text: Text) -> Text:
    \"\"\"Spoil \x1b[31mit[/b].\"\"\"
    raise ValueError("odd \x1b[2J" + "x" * 10**6)
"""


def test_a_fault_in_a_tool_is_reported_logged_and_in_the_record(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, words, file, out = tmp_path / "own.py", tmp_path / "a.txt", tmp_path / "plan.json", tmp_path / "e[/b]x"
    own.write_text(FAILING)
    words.write_text("words")
    file.write_text(
        json.dumps({"steps": [{"id": "s1", "tool": "spoil", "args": {"text": "$text"}}], "outputs": ["$s1"]})
    )
    given = ["run", "x", str(words), "--plan", str(file), "--yes", "--tools", str(own), "--out", str(out)]
    assert main(given) == 1
    output, _ = capsys.readouterr()
    assert f"It was raised in {own}, line 7, in spoil" in output and "Traceback" not in output
    assert "\x1b" not in output and len(output) < 9000 and f"1 file in {out}" in output
    (step,) = json.loads((out / "record.json").read_text())["steps"]
    for kept in (step["error"]["traceback"], (home / "superlink.log").read_text()):
        assert f'File "{own}", line 7, in spoil' in kept and len(kept) < 70_000
    assert main([*given, "--debug"]) == 1
    assert f'File "{own}", line 7, in spoil' in capsys.readouterr().err


def test_a_request_that_the_locale_could_not_decode_is_read_as_utf_8() -> None:
    from superlink.commands.options import words

    assert words(os.fsdecode("grün".encode())) == "grün" == words("gr\udcc3\udcbcn")
    for wrong in ("\udcff", "\ud800", "a\ud83d"):
        with pytest.raises(argparse.ArgumentTypeError, match="UTF-8"):
            words(wrong)


@pytest.mark.parametrize(
    "arguments",
    [
        ["review", "run", "--accept", "9" * 20],
        ["review", "run", "--limit", "9" * 5000],
        ["annotate", "x", "photos", "--out", "run", "--pilot", "-1"],
        ["ui", "--port", "65536"],
        ["world", "--n", "many"],
    ],
)
def test_numbers_are_checked_on_the_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "give a whole number" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("editor", ["/no/such/editor", "false", ""])
def test_an_editor_that_fails_is_reported(editor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from superlink.commands.run import _edit

    monkeypatch.setenv("EDITOR", editor)
    with pytest.raises(SettingsInvalid, match="Name another in EDITOR"):
        _edit({"steps": [STEP]})
    monkeypatch.setenv("EDITOR", "true")
    assert _edit({"steps": [STEP]}).steps[0].id == "s1"
