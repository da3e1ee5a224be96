"""Ends a command when a person (SIGINT) or the system (SIGTERM) asks for it, whatever its tools are doing."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from superlink import watcher
from superlink.terminal import say
from superlink.watcher import ENDED, HANDLED

if TYPE_CHECKING:
    from agents.session.session import Session

KEPT = "What is finished is kept; give the same command again to go on"


class Stopping:
    """Within its block, signals stop the session that is watched; a second one ends the process at once.

    Where no session is running, a signal raises KeyboardInterrupt. In another thread than the main one, which gets no
    signals, the block changes nothing.

    Attributes:
        signal: that asked to stop; 0 while none did.
    """

    def __init__(self) -> None:
        """Nothing is caught yet."""
        self.signal = 0
        self._session: Session | None = None
        self._before: dict[int, Any] = {}
        self._watcher: subprocess.Popen[bytes] | None = None
        self._wakeup = -1

    def __enter__(self) -> Self:
        """Catch the signals."""
        if threading.current_thread() is threading.main_thread():
            self._watch()
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the signals as they were."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._watcher is not None and self._watcher.stdin is not None:
            signal.set_wakeup_fd(self._wakeup)
            self._watcher.stdin.close()
            self._watcher.wait()

    @property
    def status(self) -> int:
        """The exit status of a command that a signal ended."""
        return 128 + (self.signal or signal.SIGINT)

    @contextlib.contextmanager
    def watching(self, session: "Session") -> Iterator[None]:
        """Stop this session when a signal comes."""
        self._session = session
        try:
            yield
        finally:
            self._session = None
            if self.signal:
                self._answer(ENDED)

    def check(self) -> None:
        """Raise KeyboardInterrupt when a signal came that a session could still work off."""
        if self.signal:
            raise KeyboardInterrupt

    def _watch(self) -> None:
        if os.name != "posix" or not sys.executable:
            return
        words = f"superlink: stopped inside a tool that cannot be interrupted. {KEPT}\n"
        command = [sys.executable, "-I", "-S", watcher.__file__, str(os.getpid()), words]
        # In a session of its own, so that Ctrl-C on a terminal does not end it, too.
        self._watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        assert self._watcher.stdin is not None
        pipe = self._watcher.stdin.fileno()
        os.set_blocking(pipe, False)
        self._wakeup = signal.set_wakeup_fd(pipe, warn_on_full_buffer=False)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            os.write(2, f"superlink: stopped at once. {KEPT}\n".encode())
            os._exit(128 + number)
        self.signal = number
        running = self._session is not None and self._session.stop()
        self._answer(HANDLED if running else ENDED)
        if not running:
            raise KeyboardInterrupt

    def _answer(self, answer: bytes) -> None:
        if self._watcher is not None and self._watcher.stdin is not None:
            with contextlib.suppress(OSError):
                os.write(self._watcher.stdin.fileno(), answer)


def leave(status: int) -> None:
    """End the process if work that was left still goes on in it: Python's own end could wait for it, or crash in it."""
    abandon = sys.modules.get("tools.core.abandon")
    if abandon is None or not abandon.left():
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    os._exit(status)


def stopped(told: str) -> None:
    """Say that the command was stopped, and what stays."""
    say(f"superlink: stopped. {told}", error=True)
