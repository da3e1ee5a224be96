"""The Tools tab without a browser: files that are looked at, loaded and taken out, and what the cards say."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")

from agents.plan.types import AnyTool
from tests.agents.fakes import TOOLS, Scripted
from tests.ui.test_models import Served, declare, entry
from tools import Store, Text, tool
from tools.core.errors import DeclarationInvalid, SettingsInvalid
from tools.core.settings import settings
from tools.runtime.registry import file_tools
from tools.runtime.registry import load as catalogue
from tools.weights import weights
from tools.weights.needs import Missing, Need
from ui.access.visitors import Files
from ui.catalogue import tools as cards
from ui.catalogue.rendering import render
from ui.catalogue.tool_files import Draft, forget, keep_file, load, look_at
from ui.catalogue.tools import file_of, kinds, kinds_needed, one_call, rows
from ui.context import Context

BACKWARDS = '''
from superlink import Text, tool

@tool(examples=["turn the text <b>round</b>"])
def backwards(text: Text) -> Text:
    """Turn a text <i>round</i>."""
    return Text(text.text[::-1])
'''
TWICE = '''
@tool
def twice(text: Text) -> Text:
    """Say it twice."""
    return Text(text.text * 2)
'''


@pytest.fixture
def context(tmp_path: Path, home: Path) -> Context:
    saver: Any = None  # no session is opened
    return Context(TOOLS, Scripted(), Store(tmp_path / "store"), saver, tmp_path / "page", Files(tmp_path / "page"))


def drafted(folder: Path, text: str, name: str = "mine.py") -> Draft:
    (folder / name).write_text(text)
    return look_at(folder / name)


def loaded_before(context: Context) -> Path:
    """Where the file lies that was loaded before, without the process that tries it first."""
    file = settings().home / "tools" / "mine.py"
    file.parent.mkdir(parents=True)
    file.write_text(BACKWARDS)
    context.tools = {**TOOLS, **{tool.name: tool for tool in file_tools(file)}}
    return file


def called(context: Context, name: str, text: str) -> str:
    said = context.tools[name](Text(text))
    assert isinstance(said, Text)
    return said.text


def test_a_file_is_looked_at_without_running_it(tmp_path: Path, home: Path) -> None:
    ran = tmp_path / "ran"
    draft = drafted(tmp_path, f"import json, os.path\nfrom pathlib import Path\nPath({str(ran)!r}).touch()\n", "a b.py")
    assert draft.name == "a_b.py" and draft.imports == ("json", "os.path", "pathlib") and "touch" in draft.text
    assert not ran.exists() and not draft.replaces
    asked = render("draft.html.j2", draft=replace(draft, name="<i>.py"))
    assert "<i>" not in asked and "imports json, os.path, pathlib." in asked and "takes the place" not in asked
    (tmp_path / "bom.py").write_text("import json\n", encoding="utf-8-sig")
    assert look_at(tmp_path / "bom.py").imports == ("json",)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"x = 1", "is no Python file"),
        ("bad.py", b"x = 1\ndef f(:\n", "in line 2: invalid syntax"),
        ("latin.py", "x = 'ä'".encode("latin-1"), "is no Python that can be read"),
        ("null.py", b"x\0", "is no Python that can be read"),
        ("deep.py", b"x = " + b"-" * 100_000 + b"1", "is no Python that can be read"),
        ("big.py", b"#" * ((1 << 20) + 1), "has 1048577 bytes"),
    ],
)
def test_what_is_no_python_is_refused(tmp_path: Path, home: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DeclarationInvalid, match=said):
        look_at(tmp_path / name)


def test_a_loaded_tool_is_used_at_once(tmp_path: Path, context: Context) -> None:
    seen = iter(context.tools)
    next(seen)
    # Whatever the file prints, also past Python, is not taken for the answer of the process that tried it.
    printing = 'import os\nprint("{}")\nos.write(1, b"no line end")\n'
    assert load(drafted(tmp_path, printing + BACKWARDS), context) == ["backwards"]
    assert called(context, "backwards", "abc") == "cba" and len(list(seen)) == len(TOOLS) - 1
    draft = drafted(tmp_path, BACKWARDS.replace("[::-1]", "[1:]") + TWICE)
    assert draft.replaces and "It takes the place of the mine.py" in render("draft.html.j2", draft=draft)
    assert load(draft, context) == ["backwards", "twice"]
    assert called(context, "backwards", "abc") == "bc" and called(context, "twice", "ab") == "abab"
    assert (
        load(drafted(tmp_path, "from superlink import Text, tool\n" + TWICE), context) == ["twice"]
        and "backwards" not in context.tools
    )
    file = Path(file_of(context.tools["twice"]))
    assert forget(file, context) == ["twice"] and not file.exists() and context.tools == TOOLS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n1 / 0\n", r"mine.py cannot be loaded: ZeroDivisionError: .*\n?.*mine.py.*line 2"),
        ("import os\nos._exit(3)\n", r"mine.py ended the process that imported it \(status 3\)"),
        (BACKWARDS.replace("def backwards", "def detect"), "there is a tool 'detect' already"),
    ],
)
def test_a_file_that_cannot_be_loaded_changes_nothing(tmp_path: Path, context: Context, text: str, said: str) -> None:
    file = loaded_before(context)
    before = context.tools
    with pytest.raises(DeclarationInvalid, match=said) as caught:
        load(drafted(tmp_path, text), context, keep=True)
    assert str(file.parent) not in str(caught.value)
    assert context.tools is before and called(context, "backwards", "ab") == "ba"
    assert file.read_text() == BACKWARDS and not (settings().home / "settings.toml").exists()


def test_a_new_file_that_cannot_be_loaded_is_not_kept(tmp_path: Path, context: Context) -> None:
    with pytest.raises(DeclarationInvalid, match="defines no tool"):
        load(drafted(tmp_path, "x = 1"), context)
    assert not list((settings().home / "tools").iterdir())


def test_an_import_that_does_not_end_is_ended_with_all_that_it_began(tmp_path: Path, context: Context) -> None:
    left = "import subprocess, time\nsubprocess.Popen(['sleep', '600'])\nwhile True:\n    time.sleep(1)\n"
    with pytest.raises(DeclarationInvalid, match=r"was not imported within 0\.5 s"):
        load(drafted(tmp_path, left), context, seconds=0.5)
    assert context.tools is TOOLS


def test_a_kept_file_is_loaded_at_every_start(tmp_path: Path, context: Context) -> None:
    home, place = settings().home, settings().home / "settings.toml"
    home.mkdir(exist_ok=True)
    other = tmp_path / "other.py"
    other.write_text("from superlink import Text, tool\n" + TWICE)
    place.write_text(f'# mine\ntools = "{other}"\nui_files = 3 # few\n')
    settings.cache_clear()
    load(drafted(tmp_path, BACKWARDS), context, keep=True)
    keep_file(home / "tools" / "mine.py")  # once only
    assert tomllib.loads(place.read_text())["tools"] == [str(other), str(home / "tools" / "mine.py")]
    assert "# mine" in place.read_text() and "ui_files = 3 # few" in place.read_text()
    assert {"backwards", "twice"} <= set(catalogue(entry_points=False))
    forget(home / "tools" / "mine.py", context)
    assert tomllib.loads(place.read_text()) == {"tools": [str(other)], "ui_files": 3}
    context.tools = catalogue(entry_points=False)
    assert forget(other, context) == ["twice"] and other.exists()  # a person's own file is not deleted
    assert tomllib.loads(place.read_text())["tools"] == []
    place.write_text("tools = [")
    with pytest.raises(SettingsInvalid, match="settings.toml cannot be read"):
        load(drafted(tmp_path, BACKWARDS), context, keep=True)
    assert "backwards" not in context.tools and not (home / "tools" / "mine.py").exists()


def test_cards_are_found_and_their_texts_are_inert(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded_before(context)
    lack = Missing("weights<b>", "", "MIT", 50_000_000, "")
    monkeypatch.setattr(cards, "missing_of", lambda one, args: [lack] if one.name == "detect" else [])
    found = rows(context.tools, faults={"backwards": ("It <u>broke</u>.", "2026-05-04")})
    assert [row.name for row in found][:2] == ["backwards", "detect"] and len(found) == len(TOOLS) + 1
    assert [row.name for row in rows(context.tools, "ROUND text")] == ["backwards"]
    assert [row.name for row in rows(context.tools, "find the dogs")] == ["detect"]
    assert {row.name for row in rows(context.tools, kind="Audio")} == {"say", "hear"}
    assert "detect" not in [row.name for row in rows(context.tools, works=True)]
    assert {"Audio", "Text", "Detections"} <= set(kinds(context.tools))
    html = render("tools.html.j2", rows=found, open="backwards")
    assert not [mark for mark in ("<i>round", "<b>round", "<u>", "weights<b>") if mark in html]
    assert "Its last call failed on 2026-05-04: It &lt;u&gt;broke&lt;/u&gt;." in html
    assert 'data-action="get" data-id="weights&lt;b&gt;"' in html and "50 MB, MIT" in html
    assert html.count("<details open") == 1 and html.count('data-action="forget"') == 1
    assert "No tool fits" in render("tools.html.j2", rows=rows(context.tools, "no such thing"), open="")


def test_what_a_tool_uses_is_named_with_its_licence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    declare(home, entry("tiny", licence="MIT<b>"), entry("other"))
    Served(monkeypatch).go_on.set()
    weights.pull("tiny")

    @tool(needs=lambda _: [Need("tiny"), Need("other")])
    def hum(text: Text) -> Text:
        """Hum."""
        return text

    [row] = rows({"hum": hum})
    assert [(one.weights, one.licence) for one in row.uses] == [("tiny", "MIT<b>")]
    assert [lack.weights for lack in row.missing] == ["other"]
    assert "Uses tiny (MIT&lt;b&gt;" in render("tools.html.j2", rows=[row], open="")
    assert not rows({"nothing": nothing})[0].uses


def test_a_call_is_tried_with_values_of_the_kinds_that_it_needs() -> None:
    assert one_call(TOOLS["blur"]).to_json()["steps"] == [{"id": "s1", "tool": "blur", "args": {}}]
    assert kinds_needed(TOOLS["blur"]) == [("Image",), ("Detections",)]
    assert kinds_needed(TOOLS["pose"]) == [("Image",)] and kinds_needed(TOOLS["collage"]) == [("Image",)]
    assert kinds_needed(TOOLS["hear"]) == [("Audio",)]
    built_in: dict[str, AnyTool] = catalogue(entry_points=False)
    assert kinds_needed(built_in["speak"]) == []  # a text can be written into the form


@tool
def nothing() -> Text:
    """Take nothing."""
    return Text("")


def test_a_tool_without_inputs_has_a_card() -> None:
    assert "nothing → Text" in render("tools.html.j2", rows=rows({"nothing": nothing}), open="")
