"""Kills a process that does not handle a signal in time; `superlink.stopping` runs this file as a program.

Python handles signals only between instructions of its main thread, which a tool in native code can block by never
releasing the global interpreter lock. This process reads the number of each signal from its standard input and waits
for the answers HANDLED and ENDED.

Usage: watcher.py PID MESSAGE, where the message is printed before the process is killed.
"""

import os
import select
import signal
import sys

HANDLED = b"h"
"""The handler of the signal has run."""
ENDED = b"e"
"""The work has been stopped; from now on there is no time limit."""

_SECONDS = {b"": 1, HANDLED: 2}


def main(process: int, words: str) -> None:
    """Watch until standard input is closed."""
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
