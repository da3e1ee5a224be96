"""Names and numbers as several formats write them."""

import itertools
import json
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

DIGITS = 2
"""Places behind the point of pixels: a hundredth of a pixel."""


class FileNames:
    """File names for results, each once: two items that differ only in their ending get it into their name."""

    def __init__(self) -> None:
        """Nothing is taken yet."""
        self._taken: set[str] = set()

    def place(self, name: str, suffix: str) -> PurePosixPath:
        """A free path for an item's result, like the item's with another ending."""
        path = PurePosixPath(name)
        numbered = (path.with_name(f"{path.stem}_{number}") for number in itertools.count(2))
        for stem in itertools.chain([path.with_suffix(""), path.with_name(f"{path.stem}_{path.suffix[1:]}")], numbered):
            if str(stem).lower() not in self._taken:
                self._taken.add(str(stem).lower())
                break
        return stem.with_name(stem.name + suffix)


def write_file(file: Path, data: bytes | str | BinaryIO) -> None:
    """Write a file and the folders above it; an opened one is copied piece by piece."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, bytes | str):
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return
    with data, file.open("wb") as target:
        shutil.copyfileobj(data, target, 1 << 20)


def json_line(data: Any) -> str:
    """JSON on one line, the same for the same data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def xml_text(text: str) -> str:
    """A text without the control characters that XML cannot hold; labels are people's words."""
    return "".join(
        c for c in text if (c >= " " and c not in "\ufffe\uffff" and not "\ud800" <= c <= "\udfff") or c in "\t\n"
    )


def write_array(file: Any, rows: Iterable[Any]) -> int:
    """Write a JSON array row by row, so that it never is in memory as a whole; return how many rows."""
    count = 0
    file.write("[")
    for row in rows:
        file.write(("," if count else "") + "\n" + json_line(row))
        count += 1
    file.write("\n]")
    return count


def round_all(values: Iterable[Any], digits: int = DIGITS) -> list[float]:
    """Plain floats of so many places."""
    return [round(float(value), digits) for value in values]
