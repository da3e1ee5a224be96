"""Word error rate of ``transcribe`` on recordings with known words.

    python benchmarks/speech.py FOLDER [--weights ID]

FOLDER holds recordings and ``transcripts.json`` (file stem to words). Prints a table: clip, words, errors (substitutions, insertions
and deletions by edit distance), rate, seconds. Both sides are put into lower case and stripped of all but letters, digits and
apostrophes, and "st." is read as "saint".
"""

import argparse
import json
import os
import re
import time
from pathlib import Path

from tools.transcribe import transcribe
from tools.values import Audio


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("st.", "saint")).split()


def word_errors(reference: list[str], said: list[str]) -> int:
    row = list(range(len(said) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(said, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != got))
    return row[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", help="weights id for the role transcribe")
    given = parser.parse_args()
    if given.weights:
        os.environ["SUPERLINK_ROLE_TRANSCRIBE"] = given.weights
    texts = json.loads((given.folder / "transcripts.json").read_text())
    total = wrong = 0
    print(f"{'clip':<20} {'words':>5} {'errors':>6} {'rate':>6} {'s':>6}  heard")
    for file in sorted(f for f in given.folder.iterdir() if f.stem in texts):
        began = time.perf_counter()
        heard = transcribe(Audio.open(file)).text
        seconds = time.perf_counter() - began
        reference = words(texts[file.stem])
        errors = word_errors(reference, words(heard))
        total, wrong = total + len(reference), wrong + errors
        print(
            f"{file.stem:<20} {len(reference):>5} {errors:>6} {errors / len(reference):>6.3f} {seconds:>6.2f}  {heard}"
        )
    print(f"word error rate {wrong / total:.3f} ({wrong} of {total} words)")


if __name__ == "__main__":
    main()
