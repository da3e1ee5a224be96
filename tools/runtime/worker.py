"""The process in which an isolated tool runs; `tools.runtime.isolation` starts it and asks it."""

import faulthandler
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tools.core import errors
from tools.core.errors import ArgumentsInvalid, SuperlinkError
from tools.core.faults import Fault
from tools.runtime.execute import with_room
from tools.runtime.model_cache import in_use
from tools.runtime.packing import pack_result, unpack
from tools.runtime.registry import file_tools
from tools.runtime.tool import Tool
from tools.weights.weights import recording


def serve(connection: str, crash: str, way: str, place: str, name: str) -> None:
    """Answer calls until the other side has gone.

    Args:
        connection: number of the open file over which calls come.
        crash: number of the open file that gets the traceback of a crash.
        way: how to find the tool, "file" or "module".
        place: the file, or the name of the module.
        name: of the tool.
    """
    faulthandler.enable(int(crash), all_threads=False)
    asker = Connection(int(connection))
    calls: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(asker, calls, busy), daemon=True).start()
    try:
        tool = _found(way, place, name)
    except BaseException as error:
        asker.send(_failed(error, place))
        return
    asker.send({})  # a call's time begins when there is a tool to run
    while (arguments := calls.get()) is not None:
        try:
            answer = _answer(tool, arguments)
        except BaseException as error:
            answer = _failed(error, tool.fn.__code__.co_filename)
        busy.clear()
        asker.send(answer)


def _listen(asker: Connection, calls: "SimpleQueue[Mapping[str, Any] | None]", busy: threading.Event) -> None:
    """Take calls in; when the other side has gone, end, whatever is being done."""
    try:
        while True:
            calls.put(asker.recv())
            busy.set()
    except (EOFError, OSError):
        if busy.is_set():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        calls.put(None)


def _found(way: str, place: str, name: str) -> Tool[..., Any]:
    if way == "file":
        return next(tool for tool in file_tools(Path(place)) if tool.name == name)
    tool: Tool[..., Any] = getattr(import_module(place), name)
    return tool


def _answer(tool: Tool[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    with in_use(), recording() as used:
        given = {name: unpack(value) for name, value in arguments.items()}
        made = with_room(lambda: tool.fn(**given))
        return {"made": pack_result(made), "weights": list(used)}


def _failed(error: BaseException, file: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"fault": asdict(Fault.of(error, file)), "kind": None}
    if isinstance(error, SuperlinkError):
        kind = type(error).__name__
        ours = getattr(errors, kind, None) is type(error) and not isinstance(error, ArgumentsInvalid)
        answer |= {"kind": kind if ours else "SuperlinkError", "message": error.message, "hint": error.hint}
    return answer
