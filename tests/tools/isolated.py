"""Tools that run in a process of their own, for tests."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tools import Batch, Image, MediaError, Number, Text, tool
from tools.weights.usage import record


@tool(isolated=True)
def act(text: Text, times: int = 1) -> Text:
    """Do what the text says."""
    match text.text.split():
        case ["who"]:
            return Text(str(os.getpid()))
        case ["crash"]:
            ctypes.string_at(0)
        case ["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["leave"]:
            os._exit(3)
        case ["exit"]:
            sys.exit(0)
        case ["stop"]:
            raise KeyboardInterrupt
        case ["raise"]:
            raise ValueError("odd " * 500_000)
        case ["refuse"]:
            raise MediaError("a.jpg is damaged", "Copy it again")
        case ["memory"]:
            raise MemoryError
        case ["deep"]:
            return act.fn(text)
        case ["wrong"]:
            return 3  # type: ignore[return-value]
        case ["note"]:
            record([{"id": "m", "sha256": "0" * 64, "licence": "MIT"}])
        case ["print"]:
            print("words of a tool")
    return Text(text.text * times)


@tool(isolated=True)
def invert(images: Batch[Image]) -> Batch[Image]:
    """Invert pictures."""
    if any(image.pixels[0, 0, 0] == 99 for image in images):
        os.abort()
    return [Image.from_numpy(255 - image.pixels.astype(np.uint8)) for image in images]


@tool(isolated=True, timeout=1.0)
def sleep(text: Text) -> Number:
    """Take too long."""
    return linger.fn(text)


@tool(isolated=True)
def linger(text: Text) -> Number:
    """Stay, with a program that it starts, for as long as nobody ends it."""
    if text.text:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(text.text).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    return Number(0)
