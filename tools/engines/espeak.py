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
    from collections.abc import Sequence

    from tools.values import Audio

_ROOT = Path(__file__).resolve().parents[2]
_VOICE = b"en-us"
_PACE = 160  # words a minute; Whisper mishears fewer words than at the usual 175
_LIBRARIES = {"linux": "libespeak-ng.so", "darwin": "libespeak-ng.dylib", "win32": "espeak-ng.dll"}

# From espeak-ng's speak_lib.h.
_RETRIEVAL = 1  # samples go to the callback, not to a loudspeaker
_DONT_EXIT = 0x8000
_UTF8 = 1
_IPA_TIED = 0x82  # phonemes in the international alphabet, with ties between the letters of one phoneme
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

    rate, _, data = _run(_plain(text), weights_id).partition(b"\n")
    samples = np.frombuffer(data, dtype="<i2")
    if not samples.any():
        raise ToolError("Nothing in the text can be spoken", "Give words in letters or digits")
    return Audio(samples, int(rate))


def phonemes(clauses: "Sequence[str]", weights_id: str, accent: str) -> list[str]:
    """Return the phonemes of each clause in the international alphabet, by a process of its own.

    Args:
        clauses: Texts of one line each; punctuation in them is lost.
        weights_id: Of the library.
        accent: The name of a voice, such as "en-us".

    Raises:
        WeightsMissing: when the library is not on this computer.
        ToolError: when it cannot be used.
    """
    from tools.core.errors import ToolError

    lines = [_plain(clause).replace("\n", " ") for clause in clauses]
    answer = _run("\n".join(lines), weights_id, "phonemes", accent).decode(errors="replace").split("\n")
    if len(answer) != len(lines):
        raise ToolError(
            f"espeak-ng gave the phonemes of {len(answer)} clauses, not of {len(lines)}",
            f"Install it again: superlink models pull {weights_id}",
        )
    return answer


def _run(text: str, weights_id: str, *options: str) -> bytes:
    """Run this file as a program on a text; return what it writes."""
    from tools.core.errors import ToolError
    from tools.weights import weights

    folder = weights.use(weights_id).resolve()
    # The working directory is the project's folder, so that Python imports this package `tools` and no other.
    done = subprocess.run(
        [sys.executable, "-m", "tools.engines.espeak", str(folder), *options],
        input=text.encode(),
        capture_output=True,
        cwd=_ROOT,
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ToolError(
            f"espeak-ng failed ({done.returncode}): {reason or 'it gave no reason'}",
            f"Install it again: superlink models pull {weights_id}",
        )
    return done.stdout


def _plain(text: str) -> str:
    """Return the text with spaces for control characters, some of which are commands to espeak-ng."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def main() -> None:
    """Read text from standard input; write speech, or the phonemes of each line, to standard output."""
    folder, text = Path(sys.argv[1]), sys.stdin.buffer.read()
    library = _library(folder)
    if sys.argv[2:3] == ["phonemes"]:
        _write_phonemes(library, text, sys.argv[3])
    else:
        _write_speech(library, text)
    sys.stdout.buffer.flush()


def _write_speech(library: ctypes.CDLL, text: bytes) -> None:
    out = sys.stdout.buffer
    rate = library.espeak_Initialize(_RETRIEVAL, 0, b".", _DONT_EXIT)
    if rate <= 0:
        sys.exit("there are no voices in its folder")
    out.write(b"%d\n" % rate)

    def write(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int | None) -> int:
        if samples and count > 0:
            out.write(ctypes.string_at(samples, 2 * count))
        return 0

    callback = _CALLBACK(write)
    library.espeak_SetSynthCallback(callback)
    _choose(library, _VOICE)
    library.espeak_SetParameter(_RATE, _PACE, 0)
    if library.espeak_Synth(text, len(text) + 1, 0, 0, 0, _UTF8, None, None):
        sys.exit("the text could not be spoken")
    library.espeak_Synchronize()


def _write_phonemes(library: ctypes.CDLL, text: bytes, accent: str) -> None:
    if library.espeak_Initialize(_RETRIEVAL, 0, b".", _DONT_EXIT) <= 0:
        sys.exit("there are no voices in its folder")
    _choose(library, accent.encode())
    answer = []
    for line in text.split(b"\n"):
        rest, parts = ctypes.c_char_p(line), []
        while rest.value:  # the library reads a clause at a time, and sets the pointer to the rest or to nothing
            parts.append(library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA_TIED) or b"")
        answer.append(b" ".join(part.replace(b"\n", b" ") for part in parts if part))
    sys.stdout.buffer.write(b"\n".join(answer))


def _choose(library: ctypes.CDLL, voice: bytes) -> None:
    if library.espeak_SetVoiceByName(voice):
        sys.exit(f"there is no voice {voice.decode()} in its folder")


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
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    return library


if __name__ == "__main__":
    main()
