"""Waiting for what other processes and threads do, with a limit for a busy computer."""

import time
from collections.abc import Callable
from typing import Any

WAIT = 300
"""Seconds, for what comes in a few, or once a minute."""


def until(holds: Callable[[], Any], what: str) -> Any:
    """Return what `holds` returns as soon as that is true."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not after {WAIT} s")
