"""A tool that writes down which process runs it, and that kills it where a test asks for that."""

import os
import signal
from pathlib import Path

import numpy as np

from tools import Image, tool

calls = 0


@tool
def invert(image: Image) -> Image:
    """Invert the colours of an image."""
    global calls
    calls += 1
    folder = Path(os.environ["MORTAL"])
    with (folder / "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if calls == 2 and (folder / "kill").exists():
        (folder / "kill").rename(folder / f"killed {os.getpid()}")  # only one process can, and it dies of it
        os.kill(os.getpid(), signal.SIGKILL)
    if (folder / "kill all").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return Image.from_numpy(255 - np.asarray(image.pixels))
