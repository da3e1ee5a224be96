"""A thousand pictures with malformed files among them: each of these fails by name, all others are done.

    python benchmarks/faults.py [--items N] [--malformed N] [--photos FOLDER]

Runs ``superlink annotate "blur every face" FOLDER --out OUT --yes`` as it is and shows what it prints; then a table
of the kinds of malformed file with the reason that the run gave for each. Ends with 1 when any of it is not as it
should be.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from pictures import MALFORMED, PHOTOS, make, spoil


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--malformed", type=int, default=30)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="superlink-faults-"))
    try:
        make(given.photos, folder / "in", given.items, (120, 200, 300))
        kinds = spoil(folder / "in", given.malformed)
        command = [
            sys.executable,
            "-m",
            "superlink",
            "annotate",
            "blur every face",
            str(folder / "in"),
            "--out",
            str(folder / "out"),
            "--yes",
        ]
        environment = {**os.environ, "SUPERLINK_STORE": str(folder / "store")}
        run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        lines = []
        for line in run.stdout or ():
            print(f"  {line}", end="", flush=True)
            lines.append(line)
        code = run.wait()
        reported = dict(line.split("\t", 1) for line in (folder / "out" / "failures.txt").read_text().splitlines())
        reported = {name: reason.replace(f"{folder}/in/", "") for name, reason in reported.items()}
        edited = sum(1 for file in (folder / "out" / "mirror").rglob("*.*") if file.name != "provenance.json")
        timed = sum(" left" in line and " failed, " in line for line in lines)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'malformed file':<20}{'files':>6}  reason given for the first")
    counts = Counter(kinds.values())
    for kind in counts:
        name = next(name for name in kinds if kinds[name] == kind)
        print(f"{kind:<20}{counts[kind]:>6}  {reported.get(name, 'none!')}")
    wrong = [
        name
        for name in kinds.keys() | reported.keys()
        if name not in kinds or name not in reported or MALFORMED[kinds[name]][0] not in reported[name]
    ]
    right = not wrong and edited == given.items - given.malformed and timed > 1 and code == 1
    print(
        f"{given.items} files: {edited} done, {len(reported)} failed, "
        f"{len(reported) - len(wrong)} of these with the right reason, "
        f"{timed} lines of progress with the time left; {'as it should be' if right else 'NOT as it should be'}"
    )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
