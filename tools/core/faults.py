"""What went wrong inside somebody's tool, as text: it travels between processes and is kept where the error object is not."""

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
        what: its type and message, in one line of bounded length.
        where: file, line and function of the tool's own code that it came through last; empty when it came through none.
        traceback: as Python writes it, of bounded length.
    """

    what: str
    where: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException, file: str) -> "Fault":
        """Read an exception.

        Args:
            error: as it was caught.
            file: the tool's source file.
        """
        trace = _bounded("".join(traceback.format_exception(error)))
        return cls(readable(told(error)), readable(_place(error, file)), readable(trace))


def told(error: BaseException) -> str:
    """Return the type and the message of an exception."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    try:
        message = str(error)
    except Exception:  # the exception's own code is broken, too
        message = "(its message cannot be shown)"
    return shortened(f"{type(error).__name__}: {message}" if message else type(error).__name__)


def stops_the_program(error: BaseException) -> bool:
    """Whether an exception asks the program to stop, so that no tool's failure may be made of it.

    Everything that is no `Exception` does (Ctrl-C, the cancelling of a run), but for what tools themselves are known to end
    with: `sys.exit`, a bare `BaseException`, and the panics of libraries written in Rust.
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
