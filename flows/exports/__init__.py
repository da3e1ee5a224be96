"""Data sets in the formats of the field, written from the ledger without running anything."""

import json
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from flows.batch.reading import Reading, SourceChanged
from flows.exports.files import write_file
from flows.items.run_files import NESTED_PROVENANCE, PROVENANCE
from flows.ledger.ledger import Ledger
from tools.core.errors import StoreError, StoreUnusable, SuperlinkError
from tools.storage.atomic import write_error
from tools.storage.store import Store
from tools.storage.swap import files_in, replaced_folder

FORMATS = {
    "coco": "flows.exports.coco",
    "yolo": "flows.exports.yolo",
    "voc": "flows.exports.voc",
    "label-studio": "flows.exports.label_studio",
    "jsonl": "flows.exports.jsonl",
    "parquet": "flows.exports.parquet",
    "srt": "flows.exports.subtitles",
    "vtt": "flows.exports.subtitles",
    "mirror": "flows.exports.mirror",
    "report": "flows.report.page",
}
# Their readers (ultralytics' convert_coco, Label Studio's storage) take every .json of the folder for annotations.
_TAKES_ALL_JSON = ("coco", "label-studio")
_ANYTHING = "label-studio, jsonl or parquet"


class ExportError(SuperlinkError):
    """A data set cannot be written in a format."""


def export(
    ledger: Ledger,
    store: Store,
    name: str,
    folder: Path,
    steps: Iterable[str] = (),
    aside: Callable[[Path], None] | None = None,
) -> dict[str, Any]:
    """Write the items that are done as a data set, and `provenance.json` with it.

    The same ledger gives the same bytes. The folder is exchanged as a whole once everything is written and on the disk,
    so that a process that is killed leaves the old export or the new one. Files in it that no export wrote are kept.

    Args:
        ledger: of the run.
        store: where its values are.
        name: of the format, one of `FORMATS`.
        folder: where it goes.
        steps: whose results to write; by default the plan's outputs that the format can hold, or else the last steps of
            a kind that it can.
        aside: told of each file that no export wrote and that went to `FOLDER.kept`, as the export has one of its name.

    Returns:
        What `provenance.json` has under "counts".

    Raises:
        ExportError: when there is no such format, or it cannot be written.
        StoreError: when the store itself is not there, or no item is left.
    """
    if name not in FORMATS:
        raise ExportError(f"There is no export format {name!r}", f"Formats are {', '.join(FORMATS)}")
    writer = import_module(FORMATS[name])
    kinds = ledger.media_kinds()
    if kinds and kinds.isdisjoint(getattr(writer, "ITEM_KINDS", kinds)):
        held, given = " and ".join(writer.ITEM_KINDS), " and ".join(sorted(kinds))
        raise ExportError(f"{name} holds items of kind {held}, and those of this run are {given}", f"Use {_ANYTHING}")
    while True:
        reading = Reading(ledger, store, writer.VALUE_KINDS, tuple(steps))
        try:
            return _written(reading, writer, name, folder, aside)
        except StoreUnusable:
            raise
        except (StoreError, SourceChanged) as error:
            if not store.exists():
                raise StoreUnusable(
                    f"The store {store.url} is not there",
                    "Put it back, or mount its disk; the same superlink annotate command makes every value again",
                ) from error
            # Once more without them, as a format may have written half of an item.
            damaged = reading.find_damaged(getattr(writer, "READS_SOURCES", False), getattr(writer, "EXTRA_KINDS", ()))
            if not damaged:
                raise
            ledger.reopen(damaged)
            if next(reading.rows(), None) is None:
                raise StoreError(
                    f"Something is damaged or lost of each of the {len(damaged)} items: {error.message}",
                    "Give the same superlink annotate command: it makes it again",
                ) from error


def _written(
    reading: Reading, writer: Any, name: str, folder: Path, aside: Callable[[Path], None] | None
) -> dict[str, Any]:
    place = provenance_of(name)
    try:
        with replaced_folder(folder, _ours, aside) as draft:
            counts: dict[str, Any] = writer.write(reading, draft, name)
            provenance = {**reading.provenance(), "format": name, "counts": counts, "files": [*files_in(draft), place]}
            text = json.dumps(provenance, indent=2, sort_keys=True, ensure_ascii=False)
            write_file(draft / place, text + "\n")
    except OSError as error:
        told = write_error(error, folder, f"The export {name} in {folder}")
        raise ExportError(told.message, told.hint) from error
    return counts


def provenance_of(name: str) -> str:
    """Where an export of a format has its provenance, relative to its folder."""
    return NESTED_PROVENANCE if name in _TAKES_ALL_JSON else PROVENANCE


def _ours(folder: Path) -> Collection[str]:
    """The files that an export before wrote into its folder, by its own word."""
    files: set[str] = set()
    for place in (PROVENANCE, NESTED_PROVENANCE):
        # One that is missing or damaged: a person's own folder, or what is left of an export.
        with suppress(OSError, ValueError, KeyError, TypeError):
            files |= set(json.loads((folder / place).read_text(encoding="utf-8"))["files"])
    return files


def default_formats(ledger: Ledger) -> list[str]:
    """The formats that hold what this ledger's plan gives, for when none is named; a report always is one."""
    kinds = Reading(ledger, Store("memory://none"), ()).output_kinds()
    found = ["jsonl"]
    if kinds & {"Detections", "Poses"} and "Image" in ledger.media_kinds():
        found.append("coco")
    if kinds & {"Image", "Audio", "Video"}:
        found.append("mirror")
    return [*found, "report"]
