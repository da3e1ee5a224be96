"""A fault of a tool's own code is a failed step that says where, with the traceback kept; a request to stop is none."""

import asyncio
import logging
from pathlib import Path

import pytest

from tools import Number, Store, Text, ToolError, tool
from tools.core.errors import DeclarationInvalid, MediaError, SuperlinkError
from tools.core.faults import Fault
from tools.runtime.execute import call
from tools.runtime.registry import file_tools


class PanicException(BaseException):
    """What libraries in Rust raise."""


class Cancelled(BaseException):
    """What a program may raise to stop what is running."""


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


raised: list[BaseException] = []


def helper() -> None:
    raise raised[0]


@tool
def spoil(text: Text) -> Number:
    """Raise it."""
    helper()
    return Number(0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def failure(store: Store, error: BaseException) -> ToolError:
    raised[:] = [error]
    with pytest.raises(ToolError) as caught:
        call(spoil, {"text": "a"}, store, "s1")
    return caught.value


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (ValueError("odd"), "ValueError: odd"),
        (SystemExit(0), "SystemExit: 0"),
        (GeneratorExit(), "GeneratorExit"),
        (BaseException("bare"), "BaseException: bare"),
        (PanicException("rust"), "PanicException: rust"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (Unspeakable(), "Unspeakable: (its message cannot be shown)"),
    ],
)
def test_a_fault_says_file_and_line_of_the_tool(
    store: Store, error: BaseException, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    reported = failure(store, error)
    assert reported.message == f"spoil (step s1): {what}"
    line = helper.__code__.co_firstlineno + 1
    assert reported.hint == f"It was raised in {__file__}, line {line}, in helper"
    assert f'"{__file__}", line {line}, in helper' in reported.traceback
    (record,) = caplog.records
    assert (
        record.name == "superlink.tools"
        and record.levelno == logging.ERROR
        and reported.traceback in record.getMessage()
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError(), Cancelled()])
def test_a_request_to_stop_is_passed_on(store: Store, error: BaseException) -> None:
    raised[:] = [error]
    with pytest.raises(type(error)):
        call(spoil, {"text": "a"}, store)


def test_a_reason_of_the_tool_s_own_has_no_traceback(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    reported = failure(store, MediaError("a.jpg is damaged", "Copy it again"))
    assert (
        str(reported) == "spoil (step s1): a.jpg is damaged. Copy it again"
        and not reported.traceback
        and not caplog.records
    )


def test_what_is_kept_of_a_fault_is_bounded(store: Store) -> None:
    for error in (ValueError("x" * 10**6), MediaError("y" * 10**6, "z" * 10**6), ValueError("line\n" * 10**5)):
        reported = failure(store, error)
        assert len(str(reported)) < 9000 and "more characters" in str(reported) and len(reported.traceback) < 70_000

    def endless(depth: int) -> None:
        if depth % 2:
            endless(depth + 1)
        endless(depth + 2)

    with pytest.raises(RecursionError) as caught:
        endless(0)
    assert len(Fault.of(caught.value, __file__).traceback.splitlines()) < 130


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"import sys\nsys.exit(0)", "SystemExit: 0. It was raised in {file}, line 2"),
        (b"raise BaseException('x')", "BaseException: x. It was raised in {file}, line 1"),
        (b"def (", "SyntaxError: invalid syntax ({file}, line 1)"),
        (b"\xff\xfe", "SyntaxError: (unicode error)"),
        (b"import nowhere", "ModuleNotFoundError: No module named 'nowhere'. It was raised in {file}, line 1"),
        (
            b"def f():\n    f()\nf()",
            "RecursionError: maximum recursion depth exceeded. It was raised in {file}, line 2, in f",
        ),
        (b"x = 1", "{file} defines no tool"),
    ],
)
def test_a_tools_file_that_fails_is_reported(tmp_path: Path, source: bytes, said: str) -> None:
    file = tmp_path / "own.py"
    file.write_bytes(source)
    with pytest.raises(DeclarationInvalid) as caught:
        file_tools(file)
    assert said.format(file=file) in str(caught.value)


def test_what_a_tools_file_prints_is_no_output_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "print('loading')\n" + 'from tools import Text, tool\n@tool\ndef a(text: Text) -> Text:\n    """Do."""\n'
    )
    file_tools(file)
    out, err = capsys.readouterr()
    assert not out and err == "loading\n"


def test_every_error_is_bounded_and_has_a_utf_8_form(store: Store) -> None:
    error = SuperlinkError("x" * 10**6, "y" * 10**6)
    assert len(str(error)) < 9000
    for text, shown in (
        ("a\udcff.jpg", "a\\xff.jpg"),
        ("gr\udcc3\udcbcn", "grün"),
        ("\ud800", "\\ud800"),
        ("grün", "grün"),
    ):
        assert SuperlinkError(text, text).message == SuperlinkError(text, text).hint == shown
        reported = failure(store, ValueError(text))
        (reported.message + reported.hint + reported.traceback).encode()
        assert reported.message.endswith(f"ValueError: {shown}")
