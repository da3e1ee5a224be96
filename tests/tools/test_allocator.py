"""The C library's allocator in a server."""

import subprocess
import sys

import pytest

THREADS = """
import sys, threading
from tools.core.allocator import limit_arenas
if sys.argv[1] == "limited":
    limit_arenas()
together = threading.Barrier(12)
def work():
    together.wait()
    kept = [bytes(2000) for _ in range(2000)]
    together.wait()
    if together.n_waiting == 0 and threading.current_thread().name == "0":
        lines = open("/proc/self/maps").read().splitlines()
        ends = [int(line.split("-")[0], 16) % (64 << 20) == 0 and "rw-p 00000000 00:00 0" in line for line in lines]
        print(sum(ends))
    together.wait()
threads = [threading.Thread(target=work, name=str(number)) for number in range(12)]
for each in threads: each.start()
for each in threads: each.join()
"""
"""Counts the mappings that begin where a thread's pool does, at a multiple of 64 MB."""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has pools for threads")
def test_the_threads_of_a_server_share_few_pools() -> None:
    many, few = (
        int(subprocess.run([sys.executable, "-c", THREADS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("free", "limited")
    )
    assert few <= 2 < many
