"""Tools for `--tools` that note that they ran, fail and wait as the folder OWN_TOOLS says."""

import ctypes
import os
import time
from pathlib import Path
from typing import Literal

from tools import Image, Text, tool


def folder() -> Path:
    return Path(os.environ["OWN_TOOLS"])


@tool
def note(text: Text, number: int) -> Text:
    """Note that it ran."""
    with (folder() / "log").open("a") as log:
        log.write(f"{number}\n")
    return Text(f"{text.text}>{number}")


@tool
def mended(text: Text) -> Text:
    """Fail until the file "mended" is there."""
    if not (folder() / "mended").exists():
        raise RuntimeError("not mended")
    return Text(f"{text.text} mended")


@tool
def awake(text: Text, how: Literal["python", "native", "locked"]) -> Text:
    """Wait for a minute, unless the file "awake" is there; "locked" keeps Python's lock."""
    sleep = {"python": time.sleep, "native": ctypes.CDLL(None).sleep, "locked": ctypes.PyDLL(None).sleep}
    if not (folder() / "awake").exists():
        (folder() / "asleep").touch()
        sleep[how](600)
    return Text(f"{text.text} awake")


@tool
def flip(image: Image) -> Image:
    """Turn a picture upside down."""
    return Image.from_numpy(image.pixels[::-1])


@tool
def read_nothing(image: Image) -> Text:
    """Read an image that has no words."""
    return Text("")
