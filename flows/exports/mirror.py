"""A mirrored tree: edited pictures, sound and video under the names of what they were made from."""

from pathlib import Path
from typing import Any

from agents.session.state import listed
from flows.batch.reading import Reading
from flows.exports.files import FileNames, write_file

VALUE_KINDS = ("Image", "Audio", "Video")


def write(reading: Reading, folder: Path, name: str) -> dict[str, Any]:
    """Write the files; with several steps each has a folder, and what came as a list is numbered."""
    names = {step: FileNames() for step in reading.steps}
    files = 0
    for row in reading.rows():
        for step in reading.steps:
            refs = row.refs.get(step, [])
            several = isinstance(refs, list)
            for number, ref in enumerate(listed(refs), 1):
                if ref["kind"] not in VALUE_KINDS:
                    continue
                # A picture without anything to hide is the source's own, and not in the store.
                own = ref["sha256"] == row.ref["sha256"]
                value = None if own else reading.store.get(ref)
                suffix = Path(row.name).suffix if value is None else value.suffix
                wanted = Path(row.name)
                stem = str(wanted.with_name(f"{wanted.stem}_{number}{wanted.suffix}")) if several else row.name
                place = names[step].place(stem, suffix)
                top = folder / step if len(reading.steps) > 1 else folder
                write_file(top / place, reading.open_source(row) if value is None else value.stream())
                files += 1
    return {"files": files}
