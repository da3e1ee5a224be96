"""Text on standard input to sound on standard output: the sample rate in the first line, then 16-bit samples.

    python espeak_process.py FOLDER < TEXT

FOLDER holds espeak-ng's shared library and its data. Run as a process of its own, because of espeak-ng's licence.
"""

import ctypes
import sys
from pathlib import Path

SYNCHRONOUS, UTF8, VOICE = 2, 1, b"en-us"
LIBRARIES = ("libespeak-ng.so", "libespeak-ng.dylib", "espeak-ng.dll")


def main() -> None:
    """Say what comes in."""
    folder = Path(sys.argv[1])
    library = ctypes.CDLL(str(next(folder / name for name in LIBRARIES if (folder / name).exists())))
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, str(folder / "espeak-ng-data").encode(), 0)
    if rate <= 0:
        sys.exit(f"espeak-ng finds no data in {folder}")
    sound: list[bytes] = []

    def collect(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: int | None) -> int:
        if samples and count > 0:
            sound.append(ctypes.string_at(samples, count * 2))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)(collect)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(VOICE) != 0:
        sys.exit(f"espeak-ng has no voice {VOICE.decode()}")
    text = sys.stdin.buffer.read().replace(b"\0", b" ") + b"\0"
    library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, UTF8, None, None)
    library.espeak_Synchronize()
    sys.stdout.buffer.write(b"%d\n" % rate + b"".join(sound))


if __name__ == "__main__":
    main()
