"""File names, numbers and JSON, as several formats write them."""

import itertools
import json
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, SupportsFloat, TextIO

Counts = dict[str, int | str]
"""What an export counted, by name."""

HUMAN = "human"
"""Marks what a person changed or added."""

DIGITS = 2
"""Decimal places of pixel coordinates."""


class FileNames:
    """Unique file names for results; of items that differ only in their ending, the later get it into their name."""

    def __init__(self) -> None:
        """No name is used yet."""
        self._used: set[str] = set()

    def unique_path(self, name: str, suffix: str) -> PurePosixPath:
        """An unused relative path: the item's name with the ending `suffix`, such as ".png"."""
        path = PurePosixPath(name)
        numbered = (path.with_name(f"{path.stem}_{number}") for number in itertools.count(2))
        for stem in itertools.chain([path.with_suffix(""), path.with_name(f"{path.stem}_{path.suffix[1:]}")], numbered):
            if str(stem).lower() not in self._used:
                self._used.add(str(stem).lower())
                break
        return stem.with_name(stem.name + suffix)


def write_file(file: Path, data: bytes | str | BinaryIO) -> None:
    """Write a file, and make its folder; an open stream is copied piece by piece, and closed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, bytes | str):
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return
    with data, file.open("wb") as target:
        shutil.copyfileobj(data, target, 1 << 20)


def json_line(data: object) -> str:
    """JSON on one line with sorted keys: equal data have equal text."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def xml_text(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return "".join(
        c for c in text if (c >= " " and c not in "\ufffe\uffff" and not "\ud800" <= c <= "\udfff") or c in "\t\n"
    )


def write_array(file: TextIO, rows: Iterable[object]) -> int:
    """Write a JSON array row by row, so that it never is in memory as a whole; return the number of rows."""
    count = 0
    file.write("[")
    for row in rows:
        file.write(("," if count else "") + "\n" + json_line(row))
        count += 1
    file.write("\n]")
    return count


def round_all(values: Iterable[SupportsFloat], digits: int = DIGITS) -> list[float]:
    """Python floats, rounded to `digits` decimal places."""
    return [round(float(value), digits) for value in values]
