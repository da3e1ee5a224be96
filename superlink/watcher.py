"""Ends a process that does not answer a signal; run as a program by `superlink.stopping`.

Python handles a signal only between two instructions of its main thread. A tool in native code that never lets go of
Python's lock prevents that. This process is not held up by it: it reads the number of each signal from its standard input,
and then waits for the answers.

Usage: watcher.py PID WORDS, where the words are said before the process is killed.
"""

import os
import select
import signal
import sys

HANDLED = b"h"
"""The handler of the signal has run."""
ENDED = b"e"
"""The work has been stopped; what comes now takes its time."""

_SECONDS = {b"": 1, HANDLED: 2}


def main(process: int, words: str) -> None:
    """Watch until the other end of the standard input is closed."""
    while os.read(0, 1):
        answer = b""
        while answer != ENDED:
            ready, _, _ = select.select([0], [], [], _SECONDS[answer])
            if not ready and os.getppid() == process:
                os.write(2, words.encode())
                os.kill(process, signal.SIGKILL)
            said = os.read(0, 1)
            if not said:
                return
            answer = said if said in (HANDLED, ENDED) else answer


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
