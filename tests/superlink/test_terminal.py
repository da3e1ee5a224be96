"""What reaches the terminal, from texts that nobody vouches for."""

import ast
import io
import json
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from superlink import terminal

COMMANDS = Path(terminal.__file__).parent
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\x00\r[red]x[/b]:smile:\udce9"


def written(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    return out + err


def test_no_text_drives_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.prepare()
    terminal.say(HOSTILE)
    terminal.say(HOSTILE, error=True)
    screen = terminal.console()
    screen.print(HOSTILE)
    screen.print(HOSTILE, style="red")
    screen.print(Text.assemble((HOSTILE, "red"), HOSTILE))
    screen.rule(HOSTILE)
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    screen.print(table, soft_wrap=False)
    output = written(capsys)
    assert not terminal._HARMFUL.search(output)
    assert output.count("[red]x[/b]:smile:") >= 6 and "\\x1b[2J" in output and "\\u202e" in output and "\\xe9" in output


def test_what_is_escaped_keeps_its_place_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a", "b", box=None)
    table.add_row("\x1b[31mred\x1b[0m", "second")
    table.add_row("plain", "second")
    terminal.console().print(table, soft_wrap=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if "second" in line]
    assert len({line.index("second") for line in lines}) == 1 and "\\x1b[31mred\\x1b[0m" in lines[0]


def test_colours_are_still_the_console_s(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal.console().print(f"a{HOSTILE}", style="red")
    output = capsys.readouterr().out
    assert output.startswith("\x1b[31ma\\x1b]0;owned") and output.count("\x1b") == 2


def test_ordinary_text_is_left_alone() -> None:
    for text in ("two\nlines\tand a tab", "Zürich, 東京, سلام, 👩\u200d🔬, e\u0301", "C:\\x1b"):
        assert terminal.safe(text) == text


def test_a_name_stays_in_its_line() -> None:
    assert terminal.one_line("a\nsuperlink: 0 failed\r\n") == "a\\nsuperlink: 0 failed\\n"
    assert terminal.one_line("x" * 1_000_000).endswith("… (999500 more characters)")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_json_is_read_back_whatever_the_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"zürich": HOSTILE, "tree": "├─ s1 ← $image"}
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.prepare()
    terminal.say_json(data)
    raw = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert json.loads(raw) == data and not terminal._HARMFUL.search(raw)


def test_what_an_encoding_lacks_is_written_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, wanted in (
        ("ascii", "|- s1  gr\\xfcn <- $a ... \\u6771"),
        ("latin-1", "|- s1  grün <- $a ... \\u6771"),
    ):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        terminal.prepare()
        for show in (terminal.say, terminal.console().print):
            show("├─ s1  grün ← $a … 東")
        stream.flush()
        raw = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
        assert raw.splitlines() == [wanted, wanted]


def test_commands_print_by_no_other_way() -> None:
    """A print of a command's own would let escape sequences through, and rich's markup would be shown as it stands."""
    for file in [*COMMANDS.glob("commands/*.py"), COMMANDS / "cli.py"]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                assert any(
                    keyword.arg == "file" and isinstance(keyword.value, ast.Name) for keyword in node.keywords
                ), f"{file}:{node.lineno}: use superlink.terminal.say"
            if isinstance(node, ast.ImportFrom):
                taken = {alias.name for alias in node.names}
                assert node.module != "rich.markup", file
                assert node.module != "rich.console" or not taken - {"Console"}, file
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "Console", f"{file}:{node.lineno}: use superlink.terminal.console"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert "[/]" not in node.value, f"{file}:{node.lineno}: the console takes no markup"


def test_a_question_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([" Y\n", None])

    def typed() -> str:
        answer = next(answers)
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", typed)
    screen = terminal.console()
    assert terminal.ask(screen, "Run it? [y]es, [n]o \x1b[2J:") == "y"
    assert terminal.ask(screen, "Again?") == ""  # Ctrl-D
    assert capsys.readouterr().out == "Run it? [y]es, [n]o \\x1b[2J: Again? \n"
