"""Subtitles: SubRip or WebVTT, one file for each transcript with times."""

from pathlib import Path

from flows.batch.reading import Reading
from flows.exports.files import FileNames, write_file
from tools.values import Transcript

VALUE_KINDS = ("Transcript",)


def write(reading: Reading, folder: Path, name: str) -> dict[str, int]:
    """Write the transcripts of a run as subtitles; text that was read in pictures has no times and is left out.

    Args:
        reading: The run.
        folder: Where the files go.
        name: The format, "srt" or "vtt", which is also the files' suffix.

    Returns:
        The number of files.
    """
    names = FileNames()
    files = 0
    for row in reading.rows():
        for step, _, ref in reading.refs(row):
            value = reading.value(row, step, ref)
            if isinstance(value, Transcript) and all(segment.start is not None for segment in value.segments):
                text = value.to_srt() if name == "srt" else value.to_vtt()
                write_file(folder / names.unique_path(row.name, f".{name}"), text)
                files += 1
    return {"files": files}
