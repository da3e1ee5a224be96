"""The session thread of a ``superlink run``: its name, and a lock that keeps other processes out."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.core.errors import SuperlinkError

if TYPE_CHECKING:
    from agents.plan.plan import Plan
    from tools.runtime.tool import AnyTool
    from tools.storage.store import Ref

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


def thread_of(
    request: str, media: "Mapping[str, Ref]", plan: "Plan | None", planner: str, tools: "Mapping[str, AnyTool]"
) -> str:
    """Return the name of the thread: a hash of all that decides what is planned and run, except the planner's examples.

    A plan becomes an example itself when it is approved, and the same command must find its thread again. So
    `superlink run` compares the examples that the thread's planner saw with those that it would see now.

    Args:
        request: The request.
        media: Inputs by name; their content counts, not the names of their files.
        plan: The plan to run; None where the planner makes it.
        planner: The planner, as ``--planner`` names it.
        tools: Tools by name.
    """
    from agents.plan.types import cards_of
    from tools.core.settings import settings
    from tools.values.base import canonical_json

    cards = cards_of(tools if plan is None else {s.tool: tools[s.tool] for s in plan.steps if s.tool in tools})
    what = {
        "request": request,
        "media": {name: [ref["kind"], ref["sha256"]] for name, ref in media.items()},
        "plan": [planner, settings().role("planner")] if plan is None else plan.to_json(),
        "tools": list(cards.values()),
    }
    return f"run-{hashlib.sha256(canonical_json(what)).hexdigest()[:24]}"


@contextmanager
def lock_thread(thread: str, home: Path) -> Iterator[None]:
    """Lock a thread inside the block; the system releases the lock however the process ends.

    Args:
        thread: Name of the thread.
        home: Folder of the lock file, in which each thread locks one byte.

    Raises:
        SuperlinkError: when another process has locked the thread.
        WriteError: when the lock file cannot be made.
    """
    from tools.storage.atomic import write_error

    file = home / "threads.lock"
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise write_error(error, file) from error
    try:
        if fcntl:
            try:
                place = int.from_bytes(hashlib.sha256(thread.encode()).digest()[:7])
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except OSError as error:
                raise SuperlinkError(
                    "another process is at work on the same run", "Wait until it has ended, and give the command again"
                ) from error
        yield
    finally:
        os.close(lock)
