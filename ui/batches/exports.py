"""Exports of a run as one archive to download; nothing is run."""

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from flows.exports import export
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError
from tools.core.settings import settings
from tools.storage import atomic
from tools.storage.store import Store
from tools.storage.swap import files_in
from ui.batches.process import is_running
from ui.batches.runs import RunRecord

FORMATS = {
    "COCO": "coco",
    "YOLO": "yolo",
    "VOC": "voc",
    "Label Studio": "label-studio",
    "JSONL": "jsonl",
    "Parquet": "parquet",
}
"""Name on the page to that of the format."""


class ExportRefused(SuperlinkError):
    """Nothing can be exported now."""


def archive(record: RunRecord, formats: Sequence[str], folder: Path) -> tuple[Path, list[str]]:
    """Write exports of a run into a zip file, a folder for each format.

    Args:
        record: Of the run.
        formats: Names of formats, as in `flows.exports.FORMATS`.
        folder: Where the file goes.

    Returns:
        The file, and what to say: counts, and formats that could not be written, with the reason.

    Raises:
        ExportRefused: when no format was chosen, the run is at work, or nothing could be written.
    """
    if not formats:
        raise ExportRefused("No format is chosen", "Choose one or more")
    if is_running(record):
        raise ExportRefused("The run is at work", "Pause it, or wait until it is done")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{record.folder.name}.zip"
    said: list[str] = []
    written = 0
    ledger = Ledger.open_existing(record.folder)
    draft = Path(tempfile.mkdtemp(dir=folder, prefix=".export-"))
    try:
        store = Store(ledger.text("store") or settings().store_url)
        for name in formats:
            try:
                counts = export(ledger, store, name, draft / name)
            except SuperlinkError as error:
                said.append(f"{name}: {error}")
                continue
            written += 1
            said.append(f"{name}: {', '.join(f'{count} {what}' for what, count in counts.items())}")
        if not written:
            raise ExportRefused("Nothing could be exported: " + "; ".join(said))
        with atomic.replace_file(file) as new, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(files_in(draft)):
                packed.write(draft / path, path)
    except OSError as error:
        raise atomic.write_error(error, file) from error
    finally:
        ledger.close()
        shutil.rmtree(draft, ignore_errors=True)
    return file, said
