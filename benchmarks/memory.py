"""The most memory that a run takes, by how many items it has.

    python benchmarks/memory.py [--items N N] [--photos FOLDER]

Runs ``superlink annotate`` over small pictures with the same plan (tools without models, so that what grows with
the items would show) in a process of its own for each number of items, with all the exports that fit and a
malformed file in 50.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pictures import DARKEN, PHOTOS, TOOLS, make, spoil

ROOT = Path(__file__).resolve().parents[1]


def peak(photos: Path, folder: Path, count: int) -> tuple[float, float]:
    """Megabytes that the process had in memory at most, and its seconds."""
    make(photos, folder / "in", count, (64, 96))
    spoil(folder / "in", count // 50)
    (folder / "plan.json").write_text(json.dumps(DARKEN))
    command = [
        sys.executable,
        "-m",
        "superlink",
        "annotate",
        "",
        str(folder / "in"),
        "--out",
        str(folder / "out"),
        "--plan",
        str(folder / "plan.json"),
        "--tools",
        str(TOOLS),
        "--yes",
    ]
    environment = {**os.environ, "SUPERLINK_STORE": str(folder / "store"), "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    output = child.stdout.read() if child.stdout else ""
    _, _, usage = os.wait4(child.pid, 0)
    assert f"{count - count // 50} of {count} done" in output, output
    return usage.ru_maxrss / 1000, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    given = parser.parse_args()
    peaks = []
    print(f"{'items':>7}{'MB at most':>12}{'seconds':>9}")
    for count in given.items:
        folder = Path(tempfile.mkdtemp(prefix="superlink-memory-"))
        try:
            megabytes, seconds = peak(given.photos, folder, count)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        peaks.append(megabytes)
        print(f"{count:>7}{megabytes:>12.1f}{seconds:>9.1f}", flush=True)
    print(f"last to first: {peaks[-1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
