"""Tools for `--tools` that note that they ran, fail and wait as the folder OWN_TOOLS says."""

import ctypes
import os
from pathlib import Path
from typing import Literal

from superlink import progress
from tests.waiting import until
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
def rounds(text: Text, count: int) -> Text:
    """Work in rounds."""
    for _ in progress(range(count)):
        pass
    return text


@tool
def awake(text: Text, how: Literal["python", "native", "locked"]) -> Text:
    """Wait until the file "awake" is there, or, if not in "python", for ten minutes; "locked" keeps Python's lock."""
    file = folder() / "awake"
    if not file.exists():
        (folder() / "asleep").touch()
        if how == "python":
            until(file.exists, "somebody who wakes it")
        else:
            {"native": ctypes.CDLL, "locked": ctypes.PyDLL}[how](None).sleep(600)
    return Text(f"{text.text} awake")


@tool
def flip(image: Image) -> Image:
    """Turn a picture upside down."""
    return Image.from_numpy(image.pixels[::-1])


@tool
def read_nothing(image: Image) -> Text:
    """Read an image that has no words."""
    return Text("")
