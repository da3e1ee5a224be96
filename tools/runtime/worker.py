"""The process of an isolated tool, which `tools.runtime.isolation` starts and sends calls to."""

import faulthandler
import os
import signal
import threading
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from tools.core import errors
from tools.core.errors import ArgumentsInvalid, SuperlinkError
from tools.core.faults import Fault
from tools.runtime.memory import retry_with_memory
from tools.runtime.model_cache import in_use
from tools.runtime.packing import Answer, Call, pack_result, unpack
from tools.runtime.registry import file_tools
from tools.runtime.tool import AnyTool
from tools.weights.usage import recording


def serve(connection: str, crash: str, way: str, place: str, name: str) -> None:
    """Answer calls until the other end of the connection is closed.

    Args:
        connection: Number of the open file over which calls arrive.
        crash: Number of the open file that gets the traceback of a crash.
        way: How to find the tool, "file" or "module".
        place: The file, or the name of the module.
        name: Name of the tool.
    """
    faulthandler.enable(int(crash), all_threads=False)
    asker = Connection(int(connection))
    calls: SimpleQueue[Call | None] = SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(asker, calls, busy), daemon=True).start()
    try:
        tool = _find_tool(way, place, name)
    except BaseException as error:
        asker.send(_fault_answer(error, place))
        return
    asker.send({})  # a call's time begins when there is a tool to run
    while (arguments := calls.get()) is not None:
        try:
            answer = _run_call(tool, arguments)
        except BaseException as error:
            answer = _fault_answer(error, tool.fn.__code__.co_filename)
        busy.clear()
        asker.send(answer)


def _listen(asker: Connection, calls: "SimpleQueue[Call | None]", busy: threading.Event) -> None:
    """Queue the calls that arrive; when the connection is closed during a call, kill the process."""
    try:
        while True:
            calls.put(asker.recv())
            busy.set()
    except (EOFError, OSError):
        if busy.is_set():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        calls.put(None)


def _find_tool(way: str, place: str, name: str) -> AnyTool:
    if way == "file":
        return next(tool for tool in file_tools(Path(place)) if tool.name == name)
    tool: AnyTool = getattr(import_module(place), name)
    return tool


def _run_call(tool: AnyTool, arguments: Call) -> Answer:
    with in_use(), recording() as used:
        given = {name: unpack(value) for name, value in arguments.items()}
        result = retry_with_memory(lambda: tool.fn(**given))
        return {"result": pack_result(result), "weights": list(used)}


def _fault_answer(error: BaseException, file: str) -> Answer:
    answer: Answer = {"fault": Fault.of(error, file), "kind": None}
    if isinstance(error, SuperlinkError):
        kind = type(error).__name__
        ours = getattr(errors, kind, None) is type(error) and not isinstance(error, ArgumentsInvalid)
        answer |= {"kind": kind if ours else "SuperlinkError", "message": error.message, "hint": error.hint}
    return answer
