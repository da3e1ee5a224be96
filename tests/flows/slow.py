"""A tool that takes its time and leaves traces, for tests of what happens meanwhile."""

import os
import time

from tests.flows.finding import note
from tools import Image, tool
from tools.runtime.model_cache import resident


@resident(bytes=1, device="cpu")
def model() -> float:
    note(f"load:{os.getpid()}")
    return float(os.environ.get("SLOW_SECONDS", "0.1"))


@tool
def fade(image: Image, steps: int = 1) -> Image:
    """Make an image darker, slowly."""
    seconds = model()
    note(f"fade:{os.getpid()}")
    time.sleep(seconds)
    return Image.from_numpy(image.pixels // (steps + 1))
