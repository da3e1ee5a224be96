"""Where the page's password comes from."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from superlink.commands import ui
from tools.core.errors import SettingsInvalid


def _password(*arguments: str) -> str | None:
    parser = argparse.ArgumentParser()
    ui.add(parser.add_subparsers())
    return ui._password(parser.parse_args(["ui", *arguments]))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(ui.PASSWORD, raising=False)
    return monkeypatch


def test_from_the_environment_and_not_for_children(environment: pytest.MonkeyPatch) -> None:
    assert _password() is None
    environment.setenv(ui.PASSWORD, "from outside")
    assert _password() == "from outside"
    assert ui.PASSWORD not in ui.os.environ


def test_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("of a file\n")
    environment.setenv(ui.PASSWORD, "another")
    assert _password("--password-file", str(file)) == "of a file"
    with pytest.raises(SettingsInvalid, match="gone cannot be read"):
        _password("--password-file", str(tmp_path / "gone"))
    file.write_text("\n")
    with pytest.raises(SettingsInvalid, match="empty"):
        _password("--password-file", str(file))


def test_from_the_terminal(environment: pytest.MonkeyPatch) -> None:
    def terminal(there: bool, typed: str) -> None:
        environment.setattr(ui.sys.stdin, "isatty", lambda: there, raising=False)
        environment.setattr("getpass.getpass", lambda prompt: typed)

    terminal(True, "typed")
    assert _password("--password") == "typed"
    terminal(True, "")
    with pytest.raises(SettingsInvalid, match="empty"):
        _password("--password")
    terminal(False, "typed")
    with pytest.raises(SettingsInvalid, match="SUPERLINK_PASSWORD"):
        _password("--password")


def test_on_the_command_line_with_a_warning(environment: pytest.MonkeyPatch, capsys: Any) -> None:
    assert _password("--password", "seen by all") == "seen by all"
    assert "list of processes" in capsys.readouterr().err
