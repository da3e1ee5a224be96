"""A mirrored tree: edited pictures, sound and video under the names of their items."""

from pathlib import Path

from flows.batch.reading import Reading
from flows.exports.files import Counts, FileNames, write_file
from tools.storage.store import as_list

VALUE_KINDS = ("Image", "Audio", "Video")


def write(reading: Reading, folder: Path, name: str) -> Counts:
    """Write the files. With several steps, each has a folder; the values of a list are numbered."""
    names = {step: FileNames() for step in reading.steps}
    files = 0
    for row in reading.rows():
        for step in reading.steps:
            refs = row.refs.get(step, [])
            several = isinstance(refs, list)
            for number, ref in enumerate(as_list(refs), 1):
                if ref["kind"] not in VALUE_KINDS:
                    continue
                # An unchanged picture is the source's own, and not in the store.
                own = ref["sha256"] == row.ref["sha256"]
                value = None if own else reading.store.get(ref)
                suffix = Path(row.name).suffix if value is None else value.suffix
                path = Path(row.name)
                stem = str(path.with_name(f"{path.stem}_{number}{path.suffix}")) if several else row.name
                place = names[step].unique_path(stem, suffix)
                top = folder / step if len(reading.steps) > 1 else folder
                write_file(top / place, reading.open_source(row) if value is None else value.stream())
                files += 1
    return {"files": files}
