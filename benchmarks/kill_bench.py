"""Commands as processes of their own, forked from one that has the program loaded, and killed."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
from pictures import DARKEN, TOOLS
from PIL import Image as Pil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from superlink.cli import main as command  # noqa: E402
from tools.core.settings import settings  # noqa: E402
from tools.storage import swap  # noqa: E402

FORMATS = ["jsonl", "coco", "mirror", "yolo"]
PICTURES = 4
"""Of `superlink run`."""


def wait(child: int) -> bool:
    """Wait for the end of a process; return False, as it was not killed."""
    os.waitpid(child, 0)
    return False


class Bench:
    """A folder with pictures, and the commands in it as processes to be killed.

    Args:
        folder: for all files.
        rng: chooses the moments.
        count: number of pictures.
    """

    def __init__(self, folder: Path, rng: random.Random, count: int) -> None:
        """Draw the pictures."""
        self.folder, self.rng, self.count = folder, rng, count
        self.log = folder / "calls.txt"
        (folder / "in").mkdir()
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
            Pil.fromarray(noise).resize((160, 120), Pil.Resampling.BICUBIC).save(folder / "in" / f"p{number:03}.jpg")
        (folder / "plan.json").write_text(json.dumps(DARKEN))

    def annotate(self, out: Path, *more: str) -> list[str]:
        """Arguments of `superlink annotate` over all pictures."""
        formats = [part for name in FORMATS for part in ("--format", name)]
        return [
            "annotate",
            "",
            str(self.folder / "in"),
            "--out",
            str(out),
            "--plan",
            str(self.folder / "plan.json"),
            "--tools",
            str(TOOLS),
            "--yes",
            "--pilot",
            "0",
            "--shard",
            "16",
            *formats,
            *more,
        ]

    def run(self, out: Path) -> list[str]:
        """Arguments of `superlink run` over four pictures, one by one."""
        pictures = [str(self.folder / "in" / f"p{number:03}.jpg") for number in range(PICTURES)]
        return [
            "run",
            "darken the bright parts",
            *pictures,
            "--plan",
            str(self.folder / "plan.json"),
            "--tools",
            str(TOOLS),
            "--yes",
            "--out",
            str(out),
        ]

    def start(self, home: Path, arguments: list[str], notify_fd: int | None = None) -> int:
        """Start a command in a process of its own; return its id."""
        child = os.fork()
        if child:
            return child
        try:
            os.setsid()
            with (self.folder / "output.txt").open("ab") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            os.environ |= {"SUPERLINK_HOME": str(home), "FINDING_LOG": str(self.log)}
            settings.cache_clear()
            if notify_fd is not None:
                flush = swap.flush_tree

                def notify(folder: Path) -> None:  # what comes next is the exchange
                    flush(folder)
                    os.write(notify_fd, b"s")

                swap.flush_tree = notify
            status = command(arguments)
            sys.stdout.flush()
        except BaseException:
            status = 70
        os._exit(status)

    def complete(self, home: Path, arguments: list[str]) -> float:
        """Run a command to its end; return its seconds."""
        began = time.perf_counter()
        _, status = os.waitpid(self.start(home, arguments), 0)
        if status:
            raise SystemExit(
                f"superlink {arguments[0]} ended with {status}:\n{(self.folder / 'output.txt').read_text()[-3000:]}"
            )
        return time.perf_counter() - began

    def kill(self, child: int, after: float) -> bool:
        """Kill a process after this many seconds; return False if it has ended before."""
        time.sleep(after)
        os.kill(child, signal.SIGKILL)  # until it is waited for its id is its own
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise SystemExit(f"A command ended with {status}:\n{(self.folder / 'output.txt').read_text()[-3000:]}")
        return os.WIFSIGNALED(status)

    def strike(self, child: int, seconds: float) -> bool:
        """Kill three of four processes, within this many seconds; return False if the process ended by itself."""
        return self.kill(child, self.rng.random() * seconds) if self.rng.random() < 0.75 else wait(child)

    def calls(self) -> list[tuple[str, str]]:
        """Tool and picture of every call that ended."""
        if not self.log.exists():
            return []
        return [(tool, content) for tool, content in map(str.split, self.log.read_text().splitlines())]
