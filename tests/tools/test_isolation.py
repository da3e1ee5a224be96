"""Tools in a process of their own: what crashes there is an error here, and everything else is as it would be here."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.tools.isolated import act, invert, linger, sleep
from tests.waiting import WAIT, until
from tools import Image, Number, Store, Text, ToolError, tool
from tools.core.abandon import Stopped, abandonable
from tools.core.errors import DeclarationInvalid, OutOfMemory, SuperlinkError, ToolCrashed
from tools.runtime import isolation
from tools.runtime.execute import call, call_many
from tools.runtime.registry import file_tools


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    isolation.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_it_runs_elsewhere_and_its_process_is_kept() -> None:
    first = act(Text("who"))
    assert first == act(text=Text("who")) and first.text != str(os.getpid())
    assert act(Text("a"), 3) == Text("aaa")


def test_what_it_makes_is_stored_with_its_weights(store: Store) -> None:
    ref = call(act, {"text": "note"}, store, "s1")
    assert isinstance(ref, dict) and store.get(ref) == Text("note")
    assert [used["id"] for used in ref["provenance"]["weights"]] == ["m"]
    assert ref["provenance"]["args"] == {"times": 1, "text": "note"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("crash", "act (step s1): its process was ended by SIGSEGV before the tool did. It was in {file}, line "),
        ("kill", "its process was ended by SIGKILL before the tool did. Perhaps memory ran out"),
        ("leave", "its process ended with the status 3 before the tool did"),
        ("exit", "act (step s1): SystemExit: 0. It was raised in {file}, line "),
        ("stop", "act (step s1): KeyboardInterrupt. It was raised in {file}, line "),
        ("raise", "act (step s1): ValueError: odd odd "),
        ("refuse", "act (step s1): a.jpg is damaged. Copy it again"),
        ("memory", "act (step s1): memory ran out. Use a smaller"),
        ("deep", "act (step s1): RecursionError: maximum recursion depth exceeded"),
        ("wrong", "act (step s1): it returned int where Text was declared"),
    ],
)
def test_whatever_it_does_is_a_failed_step(store: Store, word: str, said: str) -> None:
    with pytest.raises(ToolError) as caught:
        call(act, {"text": word}, store, "s1")
    error = caught.value
    assert said.format(file=act.fn.__code__.co_filename) in str(error) and len(str(error)) < 9000
    assert error.tool == "act" and error.step == "s1"
    if word in ("crash", "exit", "stop", "raise", "deep"):
        assert "isolated.py" in error.traceback and "act" in error.traceback and len(error.traceback) < 70_000
    if word == "memory":
        assert isinstance(error.__cause__, OutOfMemory)
    assert call(act, {"text": "next"}, store)


def test_a_crash_is_that_of_one_item(store: Store) -> None:
    rows = [{"images": store.put(Image.from_numpy(np.full((2, 2, 3), shade, np.uint8)))} for shade in (1, 99, 3)]
    good, bad, other = call_many(invert, rows, store, "s1")
    assert isinstance(bad, ToolError) and bad.item == 1 and "SIGABRT" in str(bad)
    for ref, shade in ((good, 254), (other, 252)):
        assert isinstance(ref, dict)
        made = store.get(ref)
        assert isinstance(made, Image) and made.pixels[0, 0, 0] == shade


def test_a_process_that_was_killed_between_calls_is_replaced() -> None:
    before = int(act(Text("who")).text)
    os.kill(before, 9)
    os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
    assert int(act(Text("who")).text) != before


def test_calls_at_the_same_time_have_a_process_each() -> None:
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda n: act(Text(str(n))).text, range(8))) == list("01234567")


def test_a_call_that_takes_too_long_is_given_up_with_all_it_started(store: Store, tmp_path: Path) -> None:
    assert sleep(Text("")) == Number(0)
    note = tmp_path / "pids"
    with pytest.raises(ToolError, match="did not end within 1 s"):
        call(sleep, {"text": str(note)}, store)
    if note.exists():  # a busy computer may not have come so far
        assert all(gone(int(pid)) for pid in note.read_text().split())
    assert sleep(Text("")) == Number(0)


def test_a_call_that_is_left_ends_with_all_it_started(tmp_path: Path) -> None:
    note, stop = tmp_path / "pids", threading.Event()

    def wait() -> None:
        until(lambda: note.exists() and len(note.read_text().split()) == 2, "the tool and its program")
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    with pytest.raises(Stopped):
        abandonable(lambda: linger(Text(str(note))), stop)
    assert all(gone(int(pid)) for pid in note.read_text().split())
    assert linger(Text("")) == Number(0)


def test_it_ends_with_us_even_when_we_are_killed(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    code = (
        "import sys, threading, os\n"
        "from tests.tools.isolated import linger\n"
        "from tools import Text\n"
        f"threading.Thread(target=linger, args=(Text({str(note)!r}),), daemon=True).start()\n"
        "sys.stdin.read()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ours = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    until(lambda: note.exists() and len(note.read_text().split()) == 2, "the tool and its program")
    assert ours.stdin
    ours.stdin.close()
    assert ours.wait(WAIT) == -9
    assert all(gone(int(pid)) for pid in note.read_text().split())


def test_its_words_do_not_mix_with_our_output(capfd: pytest.CaptureFixture[str]) -> None:
    isolation.close()  # a new process, whose standard error is the captured one
    act(Text("print"))
    isolation.close()
    out, err = capfd.readouterr()
    assert not out and "words of a tool" in err


def test_a_tool_of_a_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "import os\nfrom tools import Text, tool\n\n\n"
        '@tool(isolated=True)\ndef whose(text: Text) -> Text:\n    """Tell."""\n'
        "    return Text(f'{text.text} {os.getpid()}')\n"
    )
    (whose,) = file_tools(file)
    word, pid = whose(Text("mine")).text.split()
    assert word == "mine" and int(pid) != os.getpid()


def test_a_file_that_cannot_be_loaded_there_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from tools import Text, tool\n\n\n"
        '@tool(isolated=True)\ndef gone(text: Text) -> Text:\n    """Tell."""\n    return text\n'
    )
    (lost,) = file_tools(file)
    file.write_text("import nowhere\n")
    with pytest.raises(SuperlinkError, match="cannot be loaded: ModuleNotFoundError"):
        lost(Text("a"))


def test_what_cannot_be_isolated_is_refused() -> None:
    with pytest.raises(DeclarationInvalid, match="inside a function"):

        @tool(isolated=True)
        def inner(text: Text) -> Text:
            """Tell."""
            return text

    for timeout in (1.0, -1.0):
        with pytest.raises(DeclarationInvalid, match="timeout"):
            tool(timeout=timeout, isolated=timeout < 0)(act.fn)


def test_a_crash_is_an_error_of_its_own() -> None:
    with pytest.raises(ToolCrashed):
        act(Text("leave"))


@pytest.mark.parametrize("isolated", [True, False])
def test_a_changed_file_is_loaded_anew(tmp_path: Path, isolated: bool) -> None:
    file = tmp_path / "tools.py"
    for word in ("one", "two", "one"):  # of the same length, within a second
        file.write_text(
            f"from tools import Text, tool\n\n\n@tool(isolated={isolated})\ndef say(text: Text) -> Text:\n"
            f"    '''Say a word.'''\n    return Text('{word}')\n"
        )
        (say,) = file_tools(file)
        assert say(Text("")) == Text(word)
