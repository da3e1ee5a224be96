"""Number of threads for libraries that do not find it out themselves."""

import os


def usable_threads() -> int:
    """Threads that this process may use: OMP_NUM_THREADS, or else the cores that it may run on.

    ONNX Runtime itself takes every core of the computer, and does not read OMP_NUM_THREADS.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdecimal() and int(threads):
        return int(threads)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Windows and macOS
        return os.cpu_count() or 1
