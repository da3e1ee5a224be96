"""Files of callers as values, and the files of a run."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from agents.session.results import RECORD
from tools.core.errors import MediaError, SuperlinkError
from tools.values import VALUE_TYPES, Value
from tools.values.convert import open_file

Given = dict[str, Value | list[Value]]
"""Values that come with a request, by name."""


def named(values: Iterable[Value]) -> Given:
    """Values under the names that plans use: "image" for one picture, "images" for a list of several."""
    by_kind: dict[str, list[Value]] = {}
    for value in values:
        by_kind.setdefault(value.kind.lower(), []).append(value)
    return {
        name if len(found) == 1 else f"{name}s": found[0] if len(found) == 1 else found
        for name, found in by_kind.items()
    }


def kind_of(value: Value | list[Value]) -> str:
    """The kind of a value as plans write it: "Image", "list[Image]"."""
    return f"list[{value[0].kind}]" if isinstance(value, list) else value.kind


def open_as(file: Path, kinds: Sequence[str]) -> Value:
    """Open a file as one of some kinds; a ``.json`` file that a run wrote is read as the value that it holds.

    Raises:
        MediaError: it cannot be read, or is of another kind.
    """
    if file.suffix.lower() == ".json":
        for kind in kinds:
            if not hasattr(VALUE_TYPES[kind], "open") and kind != "Text":
                try:
                    return open_file(file, kind)
                except SuperlinkError:
                    continue
        raise MediaError(f"{file} holds no {' or '.join(kinds)}", "Give a file that an earlier call wrote")
    value = open_file(file)
    if value.kind not in kinds:
        raise MediaError(f"{file} is {value.kind}, not {' or '.join(kinds)}", "Give another file")
    return value


def files_of(folder: Path) -> list[Path]:
    """The files of a run, the record last."""
    if not folder.is_dir():
        return []
    found = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    return sorted(found, key=lambda file: (file.name == RECORD, file.name))
