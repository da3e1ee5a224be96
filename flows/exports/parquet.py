"""Parquet: a table with one row for each detection, pose, segment of text, text or number."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import SupportsFloat

from flows.batch.reading import DoneItem, Reading
from flows.exports.files import Counts, json_line
from tools.core.errors import SuperlinkError
from tools.values import Detections, Number, Poses, Text, Transcript, Value

VALUE_KINDS = ("Detections", "Poses", "Transcript", "Text", "Number")
_AT_ONCE = 10_000


def write(reading: Reading, folder: Path, name: str) -> Counts:
    """Write `found.parquet`. An item without results has one row with its name and sha256 alone.

    Raises:
        SuperlinkError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SuperlinkError("Parquet needs the package pyarrow", "pip install 'superlink[parquet]'") from error
    text, number = pa.string(), pa.float32()
    schema = pa.schema(
        [
            ("item", text),
            ("sha256", text),
            ("step", text),
            ("kind", text),
            ("label", text),
            ("score", number),
            ("x0", number),
            ("y0", number),
            ("x1", number),
            ("y1", number),
            ("mask", text),
            ("track", pa.int64()),
            ("frame", pa.int64()),
            ("keypoints", pa.list_(number)),
            ("text", text),
            ("start", pa.float64()),
            ("end", pa.float64()),
            ("value", pa.float64()),
            ("unit", text),
            ("human", pa.bool_()),  # whether a person changed or added it
        ]
    )
    count, waiting = 0, []
    with pq.ParquetWriter(folder / "found.parquet", schema, compression="zstd") as table:
        for row in reading.rows():
            waiting += list(_rows(reading, row))
            if len(waiting) >= _AT_ONCE:
                table.write_table(pa.Table.from_pylist(waiting, schema))
                count += len(waiting)
                waiting = []
        table.write_table(pa.Table.from_pylist(waiting, schema))
    return {"rows": count + len(waiting)}


def _rows(reading: Reading, row: DoneItem) -> Iterator[dict[str, object]]:
    names: dict[str, object] = {"item": row.name, "sha256": row.ref["sha256"]}
    empty = True
    for step, _, ref in reading.refs(row):
        value, human, _ = reading.corrected(row, step, ref)
        for number, thing in enumerate(_things(value)):
            empty = False
            by_person = number < len(human) and human[number]
            yield {**names, "step": step, "kind": ref["kind"], **thing, "human": by_person}
    if empty:
        yield names


def _things(value: Value) -> Iterator[dict[str, object]]:
    if isinstance(value, Detections):
        for place, one in enumerate(value):
            mask = None if value.masks is None else json_line(value.masks[place])
            yield {
                "label": one.label,
                "score": one.score,
                **_corners(one.box),
                "mask": mask,
                "track": one.id,
                "frame": one.frame,
            }
    elif isinstance(value, Poses):
        for points, box, score in zip(value.keypoints, value.xyxy, value.scores, strict=True):
            yield {"label": "person", "score": float(score), **_corners(box), "keypoints": points.reshape(-1).tolist()}
    elif isinstance(value, Transcript):
        for segment in value.segments:
            yield {
                "text": segment.text,
                "start": segment.start,
                "end": segment.end,
                "score": segment.score,
                **(_corners(segment.box) if segment.box else {}),
            }
    elif isinstance(value, Text):
        yield {"text": value.text}
    elif isinstance(value, Number):
        yield {"value": float(value.value), "unit": value.unit}


def _corners(box: Iterable[SupportsFloat]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(("x0", "y0", "x1", "y1"), box, strict=True)}
