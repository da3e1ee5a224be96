"""A voice by espeak-ng, from the package `espeakng-loader`.

espeak-ng is under the GPL: it runs in a process of its own (`espeak_process.py`), which gets text and gives sound.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from tools import weights
from tools.errors import ToolError
from tools.values import Audio

_PROGRAM = Path(__file__).with_name("espeak_process.py")
_SECONDS = 600


def speak(text: str, voice: str) -> Audio:
    """Say a text.

    Args:
        text: at least one word.
        voice: weights id of the folder with the library and its data.

    Raises:
        WeightsMissing: when the package is not here.
        ToolError: when the process fails, with what it said.
    """
    folder = weights.use(voice)
    try:
        done = subprocess.run(
            [sys.executable, str(_PROGRAM), str(folder)], input=text.encode(), capture_output=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"espeak-ng was not done after {_SECONDS} s", "Give a shorter text") from error
    rate, _, sound = done.stdout.partition(b"\n")
    if done.returncode or not sound:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or "it gave no sound"
        raise ToolError(f"espeak-ng failed: {reason}", "Try another text, or another voice for the role speak")
    return Audio(np.frombuffer(sound, np.int16), int(rate))
