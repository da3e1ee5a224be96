"""Exports: data sets in common formats, written from the ledger; nothing is run."""

import json
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from flows.batch.provenance import provenance
from flows.batch.reading import Reading, SourceChanged
from flows.exports.files import Counts, write_file
from flows.items.run_files import NESTED_PROVENANCE, PROVENANCE
from flows.ledger.ledger import Ledger
from tools.core.errors import StoreError, StoreUnusable, SuperlinkError
from tools.storage.atomic import write_error
from tools.storage.store import Store
from tools.storage.swap import files_in, replace_folder

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
# Their readers (ultralytics' convert_coco, Label Studio's storage) read every .json of the folder as annotations.
_TAKES_ALL_JSON = ("coco", "label-studio")
_ANYTHING = "label-studio, jsonl or parquet"


class ExportFormat(Protocol):
    """The module of a format.

    Attributes:
        VALUE_KINDS: kinds of values that it writes.
        ITEM_KINDS: kinds of items that it can hold; missing for all.
        READS_SOURCES: whether it reads the items' own files; missing for no.
        EXTRA_KINDS: further kinds of values that it reads; missing for none.
    """

    VALUE_KINDS: tuple[str, ...]

    def write(self, reading: Reading, folder: Path, name: str) -> Counts:
        """Write the format `name` into a folder, and count what was written."""


class ExportError(SuperlinkError):
    """A data set cannot be written in a format."""


def export(
    ledger: Ledger,
    store: Store,
    name: str,
    folder: Path,
    steps: Iterable[str] = (),
    aside: Callable[[Path], None] | None = None,
) -> Counts:
    """Write the items that are done as a data set, and `provenance.json` with it.

    The same ledger gives the same bytes. The folder is exchanged as a whole once everything is written and on the disk,
    so that a process that is killed leaves the old export or the new one. Files in it that no export wrote are kept.

    Args:
        ledger: of the run.
        store: where its values are.
        name: of the format, one of `FORMATS`.
        folder: where it goes.
        steps: whose results to write; by default the plan's outputs that the format can hold, or else the last steps of
            such a kind.
        aside: called with each file that no export wrote and that was moved to `FOLDER.kept`, as the export has a file
            of its name.

    Returns:
        What `provenance.json` has under "counts".

    Raises:
        ExportError: there is no such format, or it cannot be written.
        StoreError: the store is not there, or every item is damaged.
    """
    if name not in FORMATS:
        raise ExportError(f"There is no export format {name!r}", f"Formats are {', '.join(FORMATS)}")
    writer = cast(ExportFormat, import_module(FORMATS[name]))
    kinds = ledger.media_kinds()
    possible_kinds: Collection[str] = getattr(writer, "ITEM_KINDS", kinds)
    if kinds and kinds.isdisjoint(possible_kinds):
        possible, given = " and ".join(possible_kinds), " and ".join(sorted(kinds))
        message = f"{name} holds items of kind {possible}, and those of this run are {given}"
        raise ExportError(message, f"Use {_ANYTHING}")
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
    reading: Reading, writer: ExportFormat, name: str, folder: Path, aside: Callable[[Path], None] | None
) -> Counts:
    place = provenance_of(name)
    try:
        with replace_folder(folder, _ours, aside) as draft:
            counts: Counts = writer.write(reading, draft, name)
            files = [*files_in(draft), place]
            record = {**provenance(reading), "format": name, "counts": counts, "files": files}
            text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False)
            write_file(draft / place, text + "\n")
    except OSError as error:
        fault = write_error(error, folder, f"The export {name} in {folder}")
        raise ExportError(fault.message, fault.hint) from error
    return counts


def provenance_of(name: str) -> str:
    """Path of the provenance of a format, relative to the export's folder."""
    return NESTED_PROVENANCE if name in _TAKES_ALL_JSON else PROVENANCE


def _ours(folder: Path) -> Collection[str]:
    """The files that an earlier export wrote into its folder, by its provenance."""
    files: set[str] = set()
    for place in (PROVENANCE, NESTED_PROVENANCE):
        # Missing or damaged: a person's own folder, or the rest of an export.
        with suppress(OSError, ValueError, KeyError, TypeError):
            files |= set(json.loads((folder / place).read_text(encoding="utf-8"))["files"])
    return files


def default_formats(ledger: Ledger) -> list[str]:
    """Formats that fit what a ledger's plan gives; a report is always one."""
    kinds = Reading(ledger, Store("memory://none"), ()).output_kinds()
    found = ["jsonl"]
    if kinds & {"Detections", "Poses"} and "Image" in ledger.media_kinds():
        found.append("coco")
    if kinds & {"Image", "Audio", "Video"}:
        found.append("mirror")
    return [*found, "report"]
