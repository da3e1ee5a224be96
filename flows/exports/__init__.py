"""Data sets in the formats of the field, written from the ledger without running anything."""

import json
import shutil
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from flows.exports.reading import Reading
from flows.ledger import Ledger
from tools.errors import SuperlinkError
from tools.store import Store

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
    "report": "flows.exports.report",
}
PROVENANCE = "provenance.json"


class ExportError(SuperlinkError):
    """A data set cannot be written in a format."""


def export(ledger: Ledger, store: Store, name: str, folder: Path, steps: Iterable[str] = ()) -> dict[str, Any]:
    """Write the items that are done as a data set, and `provenance.json` beside it.

    The same ledger gives the same bytes. The folder is replaced as a whole once everything is written.

    Args:
        ledger: of the run.
        store: where its values are.
        name: of the format, one of `FORMATS`.
        folder: where it goes; must be missing, empty, or an export of before.
        steps: whose results to write; by default the plan's outputs that the format can hold, or else the last steps of
            a kind that it can.

    Returns:
        What `provenance.json` has under "counts".

    Raises:
        ExportError: when there is no such format, something else is in the folder, or it cannot be written.
        StoreError: when a value is no longer in the store.
    """
    if name not in FORMATS:
        raise ExportError(f"There is no export format {name!r}", f"Formats are {', '.join(FORMATS)}")
    if folder.exists() and any(folder.iterdir()) and not (folder / PROVENANCE).is_file():
        raise ExportError(f"{folder} holds files that are no export", "Name another folder, or empty it")
    writer = import_module(FORMATS[name])
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    reading = Reading(ledger, store, writer.KINDS, tuple(steps))
    try:
        draft.mkdir(parents=True)
        counts: dict[str, Any] = writer.write(reading, draft, name)
        provenance = {**reading.provenance(), "format": name, "counts": counts}
        text = json.dumps(provenance, indent=2, sort_keys=True, ensure_ascii=False)
        (draft / PROVENANCE).write_text(text + "\n", encoding="utf-8")
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, OSError):
            raise ExportError(f"The export {name} cannot be written to {folder}: {error.strerror or error}",
                              "Check the permissions and the space left, and give the same command again") from error  # fmt: skip
        raise
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)
    return counts


def fitting(ledger: Ledger) -> list[str]:
    """The formats that hold what this ledger's plan gives, for when none is named; a report always is one."""
    kinds = Reading(ledger, Store("memory://none"), ()).output_kinds()
    found = ["jsonl"]
    if kinds & {"Detections", "Poses"}:
        found.append("coco")
    if kinds & {"Image", "Audio", "Video"}:
        found.append("mirror")
    return [*found, "report"]
