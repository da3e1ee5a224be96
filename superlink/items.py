"""What ``superlink run`` works on: the files of the command line, which of them go together, and the names of their results."""

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
class Item:
    """What one run of the plan works on.

    Attributes:
        name: of its results: a folder within ``--out`` where there are several items.
        files: one of each kind.
    """

    name: str
    files: tuple[Path, ...]


def open_files(files: Sequence[Path]) -> "tuple[dict[Path, Value], list[tuple[Path, Exception]]]":
    """Open files, each once however it is written.

    Returns:
        The files as values, and those that cannot be opened with the reason.
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
    """The name of a value in plans: "image", "audio", "video" or "text"."""
    return value.kind.lower()


def items_of(opened: "Mapping[Path, Value]") -> list[Item]:
    """Divide files into items: several files of one kind are worked on one by one, beside the single files of other kinds.

    Raises:
        ArgumentsInvalid: there are several files of two kinds, so that it is not clear which go together.
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
        return [Item("results", shared)]
    return [Item(name, (path, *shared)) for path, name in names_of(many).items()]


def names_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Name items: each by its file's name without ending, or by that and a hash of the path.

    The hash is there when another file has the same name on a disk that does not tell capitals apart, and when the name
    cannot be written everywhere or looks as if it had a hash. So names differ by construction, and those with a hash
    depend on the file's own path alone.

    Args:
        paths: of different files.
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
