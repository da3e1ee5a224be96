"""Tools that run in a process of their own: what crashes there is a failed step here.

Each isolated tool has a worker process for every call that runs at the same time. It is started with the first call, kept for
the next ones, and ends with this process, however that ends. Values go over as their stored bytes, or as the path of a file
that lies on this computer.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tools.core import errors
from tools.core.abandon import when_left
from tools.core.errors import SuperlinkError, ToolCrashed, ToolTimedOut
from tools.core.faults import Fault
from tools.runtime.packing import pack, unpack
from tools.runtime.registry import FILE_MODULE
from tools.weights.weights import record

if TYPE_CHECKING:
    from tools.runtime.tool import Tool

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tools.runtime.worker import serve; serve(*sys.argv[2:])"


class ToolFault(Exception):
    """An exception of the tool's own code in its process."""

    def __init__(self, fault: Fault) -> None:
        """Keep it as text."""
        super().__init__(fault.what)
        self.fault = fault


def run(tool: "Tool[..., Any]", arguments: Mapping[str, Any]) -> Any:
    """Run a tool's function in its process.

    Returns:
        What the function returned.

    Raises:
        ToolCrashed: the process ended before the function did.
        ToolTimedOut: the function took longer than the tool's `timeout`; its process was ended.
        ToolFault: the function raised an exception.
        SuperlinkError: it raised one of these.
    """
    worker = _taken(tool)
    try:
        with when_left(worker.leave):
            worker.begin()
            answer = worker.asked({name: pack(value) for name, value in arguments.items()}, tool.timeout)
    except BaseException:  # also Ctrl-C: whatever it is doing, nobody waits for it any more
        worker.end()
        raise
    with _lock:
        _idle.setdefault(worker.key, []).append(worker)
    if "fault" in answer:
        raise _raised(answer)
    record(answer["weights"])
    return unpack(answer["made"])


class _Worker:
    """A process that runs one tool."""

    def __init__(self, key: str, tool: "Tool[..., Any]", place: list[str]) -> None:
        self.key, self.file, self.begun = key, tool.fn.__code__.co_filename, False
        self.left = False
        # Where a crash leaves its traceback (faulthandler).
        self.crash: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by `end`
        self.connection, theirs = Pipe()
        with theirs:
            numbers = [str(theirs.fileno()), str(self.crash.fileno())]
            # A group of its own: Ctrl-C is for us to act on, and ending it ends what the tool has started.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, json.dumps(sys.path), *numbers, *place],
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=[int(n) for n in numbers],
                start_new_session=True,
            )

    def begin(self) -> None:
        """Wait until it has loaded the tool.

        Raises:
            ToolCrashed: it ended.
            ToolFault, SuperlinkError: it cannot load the tool.
        """
        if self.begun:
            return
        try:
            answer = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._crashed() from error
        if answer:
            raise _raised(answer)
        self.begun = True

    def asked(self, arguments: Mapping[str, Any], timeout: float | None) -> dict[str, Any]:
        """Run the function and return the answer.

        Raises:
            ToolCrashed: the process ended.
            ToolTimedOut: it did not answer in time.
        """
        try:
            self.connection.send(arguments)
            if not self.connection.poll(timeout):
                raise ToolTimedOut(
                    f"it did not end within {timeout:g} s, and its process was ended",
                    "Give it more time with @tool(isolated=True, timeout=…), or less to do",
                )
            answer: dict[str, Any] = self.connection.recv()
            return answer
        except (EOFError, OSError) as error:
            raise self._crashed() from error

    def leave(self) -> None:
        """End the process and all that it has started; who waits for its answer sees it end."""
        self.left = True
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End the process, and wait until it has."""
        self.leave()
        self.process.wait()
        self.connection.close()
        self.crash.close()

    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.process.poll() is None and not self.connection.poll()  # nothing comes unasked but its end

    def _crashed(self) -> ToolCrashed:
        try:
            status = self.process.wait(5)
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with the status {status}"
        except subprocess.TimeoutExpired:
            status, how = 0, "closed its connection"
        self.crash.seek(0)
        dump = self.crash.read(20_000).decode(errors="replace")
        line = next((line for line in dump.splitlines() if self.file in line), "")
        where = line.strip().replace('File "', "").replace('", line', ", line").replace(" in ", ", in ")
        hint = "The call was given up" if self.left else ""
        hint = hint or "Perhaps memory ran out" if status == -signal.SIGKILL else f"It was in {where}" if where else ""
        error = ToolCrashed(f"its process {how} before the tool did", hint)
        error.fault = Fault(error.message, where, dump)
        return error


_lock = threading.Lock()
_idle: dict[str, list[_Worker]] = {}


def _taken(tool: "Tool[..., Any]") -> _Worker:
    """A worker that nobody else uses."""
    place = _place_of(tool)
    # A tools file's module is named by its content, too. Settings reach a worker by the environment that it was started with.
    key = json.dumps(
        [
            place,
            tool.name,
            tool.fn.__module__,
            sorted(item for item in os.environ.items() if item[0].startswith("SUPERLINK_")),
        ]
    )
    with _lock:
        waiting = _idle.get(key, [])
        while waiting:
            worker = waiting.pop()
            if worker.alive():
                return worker
            worker.end()
    return _Worker(key, tool, place)


def _place_of(tool: "Tool[..., Any]") -> list[str]:
    """How another process finds the tool: the way of finding it, module or file, and name."""
    name = tool.fn.__module__
    module = sys.modules.get(name)
    if name == "__main__" or name.startswith(FILE_MODULE):
        return [
            "file",
            str(Path(getattr(module, "__file__", None) or tool.fn.__code__.co_filename).absolute()),
            tool.name,
        ]
    return ["module", name, tool.fn.__qualname__]


def _raised(answer: Mapping[str, Any]) -> Exception:
    fault = Fault(**answer["fault"])
    if answer["kind"] is None:
        return ToolFault(fault)
    kind = getattr(errors, answer["kind"], SuperlinkError)
    try:
        return kind(answer["message"], answer["hint"])
    except TypeError:
        return SuperlinkError(answer["message"], answer["hint"])


def close() -> None:
    """End all workers that are not at work."""
    with _lock:
        workers = [worker for waiting in _idle.values() for worker in waiting]
        _idle.clear()
    for worker in workers:
        worker.end()


atexit.register(close)
if hasattr(os, "register_at_fork"):  # a fork's copy of our end of a connection would keep its worker alive
    os.register_at_fork(after_in_child=_idle.clear)
