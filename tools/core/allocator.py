"""The C library's allocator in processes that serve for long. Only glibc has these functions."""

import ctypes
import sys

ARENAS = 2
"""Pools that the threads of a server allocate from."""

_C = ctypes.CDLL(None) if sys.platform == "linux" else None
_malloc_trim = getattr(_C, "malloc_trim", None)
_mallopt = getattr(_C, "mallopt", None)
_M_ARENA_MAX = -8


def trim() -> None:
    """Return freed memory to the system: hundreds of MB after pictures and activations."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def limit_arenas() -> None:
    """Let all threads share ``ARENAS`` pools; to be called before other threads begin.

    By default each new thread gets a pool of its own, up to eight for each core, and each keeps what its threads freed.
    A page with eight sessions takes 190 MB more by it.
    """
    if _mallopt is not None:
        _mallopt(_M_ARENA_MAX, ARENAS)
