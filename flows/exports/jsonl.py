"""JSON lines: one for each item, with all results of the chosen steps."""

import json
from pathlib import Path

from flows.batch.reading import Reading
from flows.exports.files import HUMAN, Counts, json_line
from tools.values import Image, Text
from tools.values.base import JSON_TYPE

VALUE_KINDS = ("Detections", "Poses", "Transcript", "Text", "Number", "Image", "Audio", "Video")


def write(reading: Reading, folder: Path, name: str) -> Counts:
    """Write `items.jsonl`. Pictures, sound and video are given by their sha256 alone.

    "human" has the numbers, from 0, of the rows of a value that a person changed or added.
    """
    count = 0
    with (folder / "items.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for row in reading.rows():
            found: dict[str, list[object]] = {step: [] for step in reading.steps}
            for step, _, ref in reading.refs(row):
                content: object = None
                people: list[int] = []
                if ref["media_type"] == JSON_TYPE:
                    value, human, _ = reading.corrected(row, step, ref)
                    content = json.loads(value.to_bytes())
                    people = [number for number, by_person in enumerate(human) if by_person]
                elif ref["kind"] == Text.kind:
                    content = str(reading.store.get(ref))
                source = {HUMAN: people} if people else {}
                found[step].append({"kind": ref["kind"], "sha256": ref["sha256"], "value": content, **source})
            size = dict(zip(("height", "width"), row.size, strict=True)) if row.ref["kind"] == Image.kind else {}
            facts = {"item": row.name, "sha256": row.ref["sha256"], "kind": row.ref["kind"], **size, "results": found}
            file.write(json_line(facts) + "\n")
            count += 1
    return {"items": count}
