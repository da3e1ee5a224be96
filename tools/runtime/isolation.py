"""Tools that run in a process of their own, so that a crash there is a failed step here.

Each isolated tool has one worker process for every call that runs at the same time. The first call starts it, the next
ones use it again, and it ends when this process ends, in whatever way. Values are sent as their stored bytes, or as the
path of a file on this computer.
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
from typing import IO, TYPE_CHECKING

from tools.core import errors
from tools.core.abandon import on_abandon
from tools.core.errors import SuperlinkError, ToolCrashed, ToolTimedOut
from tools.core.faults import Fault
from tools.runtime.packing import Answer, Call, pack, unpack
from tools.runtime.registry import FILE_MODULE
from tools.weights.usage import record

if TYPE_CHECKING:
    from tools.runtime.tool import AnyTool

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from tools.runtime.worker import serve; serve(*sys.argv[2:])"
)


class ToolFault(Exception):
    """An exception of the tool's own code, raised in the tool's process.

    Attributes:
        fault: The exception as text.
    """

    def __init__(self, fault: Fault) -> None:
        """Keep the exception as text."""
        super().__init__(fault.what)
        self.fault = fault


def run(tool: "AnyTool", arguments: Mapping[str, object]) -> object:
    """Run a tool's function in the tool's process, and return what it returns.

    Raises:
        ToolCrashed: when the process ended before the function did.
        ToolTimedOut: when the function took longer than the tool's `timeout`; its process was killed.
        ToolFault: when the function raised an exception.
        SuperlinkError: when the function raised one of these.
    """
    worker = _acquire(tool)
    try:
        with on_abandon(worker.kill):
            worker.wait_ready()
            answer = worker.call({name: pack(value) for name, value in arguments.items()}, tool.timeout)
    except BaseException:  # also Ctrl-C: the caller no longer waits
        worker.end()
        raise
    with _lock:
        _idle.setdefault(worker.key, []).append(worker)
    if "fault" in answer:
        raise _error_of(answer)
    record(answer["weights"])
    return unpack(answer["result"])


class _Worker:
    """A process that runs one tool.

    Attributes:
        key: Identifies tool and environment; workers of one key can stand in for each other.
        file: Source file of the tool.
        ready: Whether it has loaded the tool.
        killed: Whether this side killed it.
    """

    def __init__(self, key: str, tool: "AnyTool", place: list[str]) -> None:
        self.key, self.file = key, tool.fn.__code__.co_filename
        self.ready = self.killed = False
        # faulthandler writes the traceback of a crash here.
        self.crash: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by `end`
        self.connection, theirs = Pipe()
        with theirs:
            numbers = [str(theirs.fileno()), str(self.crash.fileno())]
            # A group of its own: Ctrl-C does not reach it, and killing the group kills what the tool has started.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, json.dumps(sys.path), *numbers, *place],
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=[int(n) for n in numbers],
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until it has loaded the tool.

        Raises:
            ToolCrashed: when the process ended.
            ToolFault, SuperlinkError: when it cannot load the tool.
        """
        if self.ready:
            return
        try:
            answer: Answer = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._crash_error() from error
        if answer:
            raise _error_of(answer)
        self.ready = True

    def call(self, arguments: Call, timeout: float | None) -> Answer:
        """Run the function and return the answer.

        Raises:
            ToolCrashed: when the process ended.
            ToolTimedOut: when it did not answer within `timeout` seconds.
        """
        try:
            self.connection.send(arguments)
            if not self.connection.poll(timeout):
                raise ToolTimedOut(
                    f"it did not end within {timeout:g} s, and its process was ended",
                    "Give it more time with @tool(isolated=True, timeout=…), or less to do",
                )
            answer: Answer = self.connection.recv()
            return answer
        except (EOFError, OSError) as error:
            raise self._crash_error() from error

    def kill(self) -> None:
        """Kill the process and all that it has started; a call that waits for its answer raises ToolCrashed."""
        self.killed = True
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the process, wait for its end, and close the connection."""
        self.kill()
        self.process.wait()
        self.connection.close()
        self.crash.close()

    def alive(self) -> bool:
        """Return whether it can take a call."""
        return self.process.poll() is None and not self.connection.poll()  # between calls only its end arrives

    def _crash_error(self) -> ToolCrashed:
        try:
            status = self.process.wait(5)
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with the status {status}"
        except subprocess.TimeoutExpired:
            status, how = 0, "closed its connection"
        self.crash.seek(0)
        dump = self.crash.read(20_000).decode(errors="replace")
        line = next((line for line in dump.splitlines() if self.file in line), "")
        where = line.strip().replace('File "', "").replace('", line', ", line").replace(" in ", ", in ")
        hint = "The call was given up" if self.killed else ""
        hint = hint or "Perhaps memory ran out" if status == -signal.SIGKILL else f"It was in {where}" if where else ""
        error = ToolCrashed(f"its process {how} before the tool did", hint)
        error.fault = Fault(error.message, where, dump)
        return error


_lock = threading.Lock()
_idle: dict[str, list[_Worker]] = {}


def _acquire(tool: "AnyTool") -> _Worker:
    """Return an idle worker of the tool, or a new one."""
    place = _place_of(tool)
    # The module name of a tools file contains a hash of its content. A worker has the settings of the environment that
    # it was started with.
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


def _place_of(tool: "AnyTool") -> list[str]:
    """Return the arguments `way`, `place` and `name` of `worker.serve`, with which another process imports the tool."""
    name = tool.fn.__module__
    module = sys.modules.get(name)
    if name == "__main__" or name.startswith(FILE_MODULE):
        return [
            "file",
            str(Path(getattr(module, "__file__", None) or tool.fn.__code__.co_filename).absolute()),
            tool.name,
        ]
    return ["module", name, tool.fn.__qualname__]


def _error_of(answer: Answer) -> Exception:
    """Return the exception that an answer with a fault stands for."""
    if answer["kind"] is None:
        return ToolFault(answer["fault"])
    kind: type[SuperlinkError] = getattr(errors, answer["kind"], SuperlinkError)
    try:
        return kind(answer["message"], answer["hint"])
    except TypeError:
        return SuperlinkError(answer["message"], answer["hint"])


def close() -> None:
    """End all idle workers."""
    with _lock:
        workers = [worker for waiting in _idle.values() for worker in waiting]
        _idle.clear()
    for worker in workers:
        worker.end()


atexit.register(close)
if hasattr(os, "register_at_fork"):  # a copy of a connection in a forked process would keep its worker alive
    os.register_at_fork(after_in_child=_idle.clear)
