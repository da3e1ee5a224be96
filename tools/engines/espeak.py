"""Speech synthesis by espeak-ng, a shared library from the package `espeakng-loader`.

Its licence is the GPL, so it is never loaded into superlink's own process. This file has both sides of the call:
`say` starts a process that runs this file as a program,

    python -m tools.engines.espeak FOLDER < TEXT > SPEECH

which speaks UTF-8 text with the library in FOLDER, and writes the sample rate as a line of digits, then 16-bit samples.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.values import Audio

_ROOT = Path(__file__).resolve().parents[2]
_VOICE = b"en-us"
_PACE = 160  # words a minute; Whisper mishears fewer words than at the usual 175
_LIBRARIES = {"linux": "libespeak-ng.so", "darwin": "libespeak-ng.dylib", "win32": "espeak-ng.dll"}

# From espeak-ng's speak_lib.h.
_RETRIEVAL = 1  # samples go to the callback, not to a loudspeaker
_DONT_EXIT = 0x8000
_UTF8 = 1
_RATE = 1  # the parameter that sets the pace
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def say(text: str, weights_id: str) -> "Audio":
    """Speak a text, in a process of its own.

    Raises:
        WeightsMissing: when the library is not on this computer.
        ToolError: when it cannot be used, or when nothing in the text can be spoken.
    """
    import numpy as np

    from tools.core.errors import ToolError
    from tools.values import Audio
    from tools.weights import weights

    folder = weights.use(weights_id).resolve()
    # The working directory is the project's folder, so that Python imports this package `tools` and no other.
    done = subprocess.run(
        [sys.executable, "-m", "tools.engines.espeak", str(folder)],
        input=_plain(text).encode(),
        capture_output=True,
        cwd=_ROOT,
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ToolError(
            f"espeak-ng failed ({done.returncode}): {reason or 'it gave no reason'}",
            f"Install it again: superlink models pull {weights_id}",
        )
    rate, _, data = done.stdout.partition(b"\n")
    samples = np.frombuffer(data, dtype="<i2")
    if not samples.any():
        raise ToolError("Nothing in the text can be spoken", "Give words in letters or digits")
    return Audio(samples, int(rate))


def _plain(text: str) -> str:
    """Return the text with spaces for control characters, some of which are commands to espeak-ng."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def main() -> None:
    """Read text from standard input and write speech to standard output."""
    folder, text = Path(sys.argv[1]), sys.stdin.buffer.read()
    out = sys.stdout.buffer
    library = _library(folder)
    rate = library.espeak_Initialize(_RETRIEVAL, 0, b".", _DONT_EXIT)
    if rate <= 0:
        sys.exit(f"there are no voices in {folder}")
    out.write(b"%d\n" % rate)

    def write(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int | None) -> int:
        if samples and count > 0:
            out.write(ctypes.string_at(samples, 2 * count))
        return 0

    callback = _CALLBACK(write)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(_VOICE):
        sys.exit(f"there is no voice {_VOICE.decode()} in {folder}")
    library.espeak_SetParameter(_RATE, _PACE, 0)
    if library.espeak_Synth(text, len(text) + 1, 0, 0, 0, _UTF8, None, None):
        sys.exit("the text could not be spoken")
    library.espeak_Synchronize()
    out.flush()


def _library(folder: Path) -> ctypes.CDLL:
    """Load the library, with its folder as the working directory."""
    os.chdir(folder)  # espeak-ng cuts long paths short, so it gets "."
    try:
        library = ctypes.CDLL(str(folder / _LIBRARIES.get(sys.platform, _LIBRARIES["linux"])))
    except OSError as error:
        sys.exit(f"the library cannot be loaded: {error}")
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    return library


if __name__ == "__main__":
    main()
