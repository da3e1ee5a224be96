"""Ends a command on SIGINT and SIGTERM, whatever its tools are doing."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from superlink import watcher
from superlink.terminal import say
from superlink.watcher import ENDED, HANDLED

if TYPE_CHECKING:
    from agents.session.session import Session

Handler = Callable[[int, FrameType | None], object] | int | None

KEPT = "What is finished is kept; give the same command again to go on"


class Stopping:
    """Context in which a signal stops the watched session; a second signal ends the process at once.

    Where no session is running, a signal raises KeyboardInterrupt. In a thread other than the main one, which gets no
    signals, the context changes nothing.

    Attributes:
        signal: Number of the signal that was caught; 0 for none.
    """

    def __init__(self) -> None:
        """Make the context; signals are caught from `__enter__` on."""
        self.signal = 0
        self._session: Session | None = None
        self._before: dict[int, Handler] = {}
        self._watcher: subprocess.Popen[bytes] | None = None
        self._wakeup = -1

    def __enter__(self) -> Self:
        """Catch the signals."""
        if threading.current_thread() is threading.main_thread():
            self._start_watcher()
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the handlers of before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._watcher is not None and self._watcher.stdin is not None:
            signal.set_wakeup_fd(self._wakeup)
            self._watcher.stdin.close()
            self._watcher.wait()

    @property
    def status(self) -> int:
        """Exit status of a command that a signal ended."""
        return 128 + (self.signal or signal.SIGINT)

    @contextlib.contextmanager
    def watching(self, session: "Session") -> Iterator[None]:
        """Stop this session on a signal inside the block."""
        self._session = session
        try:
            yield
        finally:
            self._session = None
            if self.signal:
                self._notify_watcher(ENDED)

    def check(self) -> None:
        """Raise KeyboardInterrupt when a signal was caught, which the session of then has handled."""
        if self.signal:
            raise KeyboardInterrupt

    def _start_watcher(self) -> None:
        if os.name != "posix" or not sys.executable:
            return
        words = f"superlink: stopped inside a tool that cannot be interrupted. {KEPT}\n"
        command = [sys.executable, "-I", "-S", watcher.__file__, str(os.getpid()), words]
        # A session of its own, so that Ctrl-C on the terminal does not end it.
        self._watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        assert self._watcher.stdin is not None
        pipe = self._watcher.stdin.fileno()
        os.set_blocking(pipe, False)
        self._wakeup = signal.set_wakeup_fd(pipe, warn_on_full_buffer=False)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            os.write(2, f"superlink: stopped at once. {KEPT}\n".encode())
            os._exit(128 + number)
        self.signal = number
        running = self._session is not None and self._session.stop()
        self._notify_watcher(HANDLED if running else ENDED)
        if not running:
            raise KeyboardInterrupt

    def _notify_watcher(self, answer: bytes) -> None:
        if self._watcher is not None and self._watcher.stdin is not None:
            with contextlib.suppress(OSError):
                os.write(self._watcher.stdin.fileno(), answer)


def leave(status: int) -> None:
    """End the process while abandoned work is running in it; Python's own exit could wait for that work, or crash."""
    abandon = sys.modules.get("tools.core.abandon")
    if abandon is None or not abandon.count_abandoned():
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    os._exit(status)


def say_stopped(kept: str) -> None:
    """Print that the command was stopped, and a sentence about what is kept."""
    say(f"superlink: stopped. {kept}", error=True)
