"""Items of ``superlink run``: the files of the command line, grouped, with names for their results."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.values import Value

_HASHED = re.compile(r".*-[0-9a-f]{10}", re.DOTALL)
_LONGEST = 100


@dataclass(frozen=True)
class RunItem:
    """The files that one run of the plan works on.

    Attributes:
        name: Name of its results: a folder within ``--out`` where there are several items.
        files: One file of each kind.
    """

    name: str
    files: tuple[Path, ...]


def open_files(files: Sequence[Path]) -> "tuple[dict[Path, Value], list[tuple[Path, Exception]]]":
    """Open files; a file given twice under different spellings of its path is opened once.

    Returns:
        The files as values, and the files that cannot be opened with their errors.
    """
    from tools.core.errors import SuperlinkError
    from tools.values.convert import open_file

    opened: dict[Path, Value] = {}
    failures: list[tuple[Path, Exception]] = []
    seen: set[str] = set()
    for path in files:
        place = os.path.abspath(path)
        if place in seen:
            continue
        seen.add(place)
        try:
            opened[path] = open_file(path)
        except SuperlinkError as error:
            failures.append((path, error))
    return opened, failures


def kind_name(value: "Value") -> str:
    """Return the name of an input in plans: "image", "audio", "video" or "text"."""
    return value.kind.lower()


def items_of(opened: "Mapping[Path, Value]") -> list[RunItem]:
    """Group files into items: one for each of several files of one kind, each with the single files of other kinds.

    Raises:
        ArgumentsInvalid: when there are several files of two kinds, so that it is not clear which go together.
    """
    from tools.core.errors import ArgumentsInvalid

    by_kind: dict[str, list[Path]] = {}
    for path, value in opened.items():
        by_kind.setdefault(kind_name(value), []).append(path)
    several = [kind for kind, paths in by_kind.items() if len(paths) > 1]
    if len(several) > 1:
        counts = " and ".join(f"{len(by_kind[kind])} {kind} files" for kind in several)
        raise ArgumentsInvalid("run", [f"it is not clear which of {counts} go together; run them in turn"])
    shared = tuple(paths[0] for kind, paths in by_kind.items() if kind not in several)
    many = by_kind[several[0]] if several else []
    if not many:
        return [RunItem("results", shared)]
    return [RunItem(name, (path, *shared)) for path, name in names_of(many).items()]


def names_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a unique name for each file: its stem, or its stem with a hash of its path.

    A hash is added when another stem is equal on a case-insensitive disk, when the stem has unprintable characters, and
    when it looks as if it ended in a hash. A name with a hash depends on the path of its own file alone.

    Args:
        paths: Paths of different files.
    """
    alike = Counter(_folded(path.stem) for path in paths)
    return {
        path: path.stem if alike[_folded(path.stem)] == 1 and _plain(path.stem) else _hashed(path) for path in paths
    }


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _plain(name: str) -> bool:
    return name.isprintable() and not any(0xD800 <= ord(c) <= 0xDFFF for c in name) and not _HASHED.fullmatch(name)


def _hashed(path: Path) -> str:
    shown = "".join(c if _plain(c) else "_" for c in path.stem)[:_LONGEST]
    return f"{shown}-{hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:10]}"
