"""Calls that run out of main or accelerator memory: recognised, and repeated once idle models are evicted."""

from collections.abc import Callable
from typing import TypeVar

from tools.core.errors import OutOfMemory
from tools.runtime.model_cache import evict_idle

R = TypeVar("R")


def retry_with_memory(run: Callable[[], R]) -> R:
    """Call a function; when memory runs out, evict all idle models and call it again.

    Raises:
        OutOfMemory: when memory runs out the second time.
    """
    try:
        return run()
    except Exception as error:
        if not out_of_memory(error):
            raise
    evict_idle()
    try:
        return run()
    except Exception as error:
        if not out_of_memory(error) or isinstance(error, OutOfMemory):
            raise
        raise OutOfMemory(
            f"memory ran out: {error}" if str(error) else "memory ran out",
            "Use a smaller picture or recording, a smaller model, or close other programs",
        ) from error


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that main or accelerator memory ran out."""
    if isinstance(error, MemoryError | OutOfMemory) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
