"""Exceptions of tools as text, which can be sent between processes and stored."""

import asyncio
import traceback
from dataclasses import dataclass

from tools.core.errors import readable, shortened

_LINE = 500
_LINES = 120


@dataclass(frozen=True)
class Fault:
    """An exception as text.

    Attributes:
        what: Type and message, of bounded length.
        where: File, line and function of the innermost frame in the tool's own file, or "".
        traceback: Python's traceback, of bounded length.
    """

    what: str
    where: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException, file: str) -> "Fault":
        """Return an exception as text.

        Args:
            error: The exception.
            file: The tool's source file.
        """
        trace = _bounded("".join(traceback.format_exception(error)))
        return cls(readable(describe(error)), readable(_place(error, file)), readable(trace))


def describe(error: BaseException) -> str:
    """Return the type and the message of an exception."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    try:
        message = str(error)
    except Exception:  # the exception's __str__ failed
        message = "(its message cannot be shown)"
    return shortened(f"{type(error).__name__}: {message}" if message else type(error).__name__)


def stops_the_program(error: BaseException) -> bool:
    """Return whether an exception is a request to stop the program, not a failure of a tool.

    Every exception that is no `Exception` is (Ctrl-C, the cancellation of a run), except those that tools raise:
    `sys.exit`, a bare `BaseException`, and panics of libraries in Rust.
    """
    if isinstance(error, Exception | SystemExit | GeneratorExit):
        return False
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return True
    return type(error) is not BaseException and type(error).__name__ != "PanicException"


def _place(error: BaseException, file: str) -> str:
    own = [frame for frame in traceback.walk_tb(error.__traceback__) if frame[0].f_code.co_filename == file]
    if not own:
        return ""
    frame, line = own[-1]
    return f"{file}, line {line}" + (f", in {frame.f_code.co_name}" if frame.f_code.co_name != "<module>" else "")


def _bounded(text: str) -> str:
    lines = [
        line if len(line) <= _LINE else f"{line[:_LINE]}… ({len(line) - _LINE} more characters)"
        for line in text.splitlines()
    ]
    if len(lines) > _LINES:
        half = _LINES // 2
        lines[half:-half] = [f"… {len(lines) - _LINES} more lines …"]
    return "\n".join(lines)
