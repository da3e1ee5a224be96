"""A `superlink ui` process on a free port, with a home of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
START = 180
"""Seconds after which a server that does not answer is given up."""


class Server:
    """The process. `kill` and `start` again keep port and home.

    Args:
        home: SUPERLINK_HOME.
        folder: Folder of the log; the page may read the pictures below it.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self.home, self.log = home, folder / "server.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "SUPERLINK_"))}
        self._environment = {
            **kept,
            "SUPERLINK_HOME": str(home),
            "HOME": str(folder),
            "SUPERLINK_UI_ROOTS": str(folder),
            "PYTHONPATH": str(ROOT),
        }
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start; returns the seconds until the first page was sent.

        Raises:
            RuntimeError: when it ends, or does not answer in `START` seconds.
        """
        began = time.perf_counter()
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "superlink", "ui", "--port", str(self.port)],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        while time.perf_counter() - began < START:
            if self._child.poll() is not None:
                break
            try:
                with urllib.request.urlopen(self.address, timeout=START) as page:
                    page.read()
                return time.perf_counter() - began
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise RuntimeError(f"superlink ui does not answer:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """End it as kill -9 does, with what it started."""
        assert self._child is not None
        started = psutil.Process(self._child.pid).children(recursive=True)
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()
        for one in started:
            if one.is_running():
                one.kill()

    def stop(self) -> None:
        """End it as Ctrl+C does."""
        if self._child is None or self._child.poll() is not None:
            return
        self._child.terminate()
        try:
            self._child.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def memory(self) -> float:
        """Return the resident memory of the process, in MB."""
        assert self._child is not None
        return float(psutil.Process(self._child.pid).memory_info().rss) / 1e6

    def processor(self) -> float:
        """Return the seconds of processor time of the process, without that of its children."""
        assert self._child is not None
        used = psutil.Process(self._child.pid).cpu_times()
        return float(used.user + used.system)

    def faults(self) -> list[str]:
        """Return the lines of the log that speak of an error."""
        log = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in log if "Traceback" in line or "ERROR" in line]


def busy(seconds: float = 3) -> float:
    """Return the share of the processor that is in use, from 0 to 1."""
    return float(psutil.cpu_percent(seconds)) / 100
