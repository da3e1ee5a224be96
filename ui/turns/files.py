"""Files of turns: copies of what came with a request, and the files of results."""

import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.plan.plan import PlanJson
from agents.session.results import write_value
from common.kinds import input_of
from tools.core.errors import MediaError, SuperlinkError
from tools.storage import atomic
from tools.storage.store import Ref, Refs, Store, as_list
from tools.values.convert import open_file
from ui.turns.catalogue import FileJson, ResultJson, TurnRow
from ui.turns.view import FileView, ResultView

GIVEN = "given"
"""Folder of the files that came with a request, in the folder of its turn."""
STEPS = "steps"
"""Folder of the results of steps that are no outputs, in the folder of the turn."""

_log = logging.getLogger("superlink.ui")
_UNSAFE = re.compile(r"[^\w.,()+ -]+")


def turn_folder(results: Path, thread: str, number: int) -> Path:
    """Return the folder of a turn's files."""
    return results / thread / f"turn_{number}"


def keep_files(folder: Path, files: Sequence[Path | str], own: Path) -> list[FileJson]:
    """Copy the files of a request into the folder of its turn; those that lie in `own` are linked instead.

    Args:
        folder: Of the turn.
        files: Paths.
        own: Folder of the page, whose files nobody changes.

    Raises:
        MediaError: when a file is not there or cannot be read.
    """
    kept: list[FileJson] = []
    for number, file in enumerate(dict.fromkeys(map(Path, files)), 1):
        stored = f"{number}_{_UNSAFE.sub('_', file.name)[-100:]}"
        place = folder / GIVEN / stored
        try:
            size = file.stat().st_size
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            if own in file.absolute().parents:
                link_or_copy(file, place)
            else:
                shutil.copyfile(file, place)
        except OSError as error:
            raise MediaError(f"{file.name} cannot be read: {error.strerror or error}", "Attach it again") from error
        kept.append({"name": file.name, "stored": stored, "kind": input_of(file.name) or "", "size": size})
    return kept


def link_or_copy(file: Path, place: Path) -> None:
    """Link a file that nobody changes to a new place, or copy it where links are not possible.

    Raises:
        OSError: when it cannot be copied.
    """
    try:
        os.link(file, place)
    except OSError:  # another disk, or one without links
        shutil.copyfile(file, place)


def open_given(row: TurnRow, folder: Path, store: Store) -> dict[str, Refs]:
    """Open the files of a turn and store their values; the references are noted in its row.

    Returns:
        The media of the request: "image" for one picture, "images" for a list of several.

    Raises:
        MediaError: when a file cannot be read; names it as the person did.
    """
    by_kind: dict[str, list[Ref]] = {}
    for file in row.files:
        place = folder / GIVEN / file["stored"]
        try:
            value = open_file(place)
        except SuperlinkError as error:
            message = error.message.replace(str(place), file["name"]).replace(file["stored"], file["name"])
            raise MediaError(message, error.hint) from error
        file["ref"] = store.put(value)
        by_kind.setdefault(value.kind.lower(), []).append(file["ref"])
    return {
        kind if len(refs) == 1 else f"{kind}s": refs[0] if len(refs) == 1 else refs for kind, refs in by_kind.items()
    }


def file_views(row: TurnRow, folder: Path, store: Store) -> list[FileView]:
    """Return the files of a request; a copy that is gone is written again from the store."""
    views = []
    for file in row.files:
        place = folder / GIVEN / file["stored"]
        ref = file.get("ref")
        if ref is not None and not place.exists():
            _restore(place, ref, store)
        kind = file["kind"] or ("" if ref is None else ref["kind"].lower())
        views.append(FileView(place, file["name"], kind, file["size"], "" if ref is None else measures(ref["summary"])))
    return views


def _restore(place: Path, ref: Ref, store: Store) -> None:
    try:
        atomic.write(place, store.get(ref).to_bytes())
    except SuperlinkError as error:
        _log.warning("%s could not be written again: %s", place, error)


def measures(facts: Mapping[str, Any]) -> str:
    """Return the pixels and seconds in the summary of a value, such as "640 × 480, 12.3 s"; "" where it has none."""
    size = f"{facts['width']} × {facts['height']}" if "width" in facts else ""
    length = f"{facts['seconds']:.1f} s" if "seconds" in facts else ""
    return ", ".join(part for part in (size, length) if part)


def result_view(
    folder: Path,
    name: str,
    tool: str,
    refs: Refs,
    final: bool,
    known: Sequence[ResultJson],
    plan: PlanJson | None,
    at_hand: Mapping[str, Refs],
    store: Store,
) -> ResultView:
    """Return a result with its files, which are written unless they are there.

    Args:
        folder: Of the turn.
        name: Of the value.
        tool: That made it.
        refs: Of the value or the list of values.
        final: Whether the plan names it as an output.
        known: Files that were written before.
        plan: Of the turn.
        at_hand: References of the values at hand, by name.
        store: Of the values.

    Raises:
        WriteError: when a file cannot be written.
        StoreError: when a value is no longer in the store, or damaged.
    """
    before = next((one for one in known if one["name"] == name and one["final"] == final), None)
    files = [] if before is None else [folder / file for file in before["files"]]
    if before is None or not all(file.exists() for file in files):
        place = folder if final else folder / STEPS
        files = list(dict.fromkeys(write_value(place, name, tool, refs, plan, at_hand, store)))
    kinds = [ref["kind"] for ref in as_list(refs)]
    return ResultView(name, tool, kinds[0] if kinds else "", refs, tuple(files), final)


def to_json(results: Sequence[ResultView], folder: Path) -> list[ResultJson]:
    """Return what is kept of results in the catalogue."""
    return [
        {"name": one.name, "final": one.final, "files": [str(file.relative_to(folder)) for file in one.files]}
        for one in results
        if one.files
    ]
