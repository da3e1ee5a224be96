"""YOLO: pictures, one text file of labels for each, and `data.yaml`; boxes, outlines or poses by what there is."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from flows.exports.coco import SEEN
from flows.exports.files import Names, line, outline, save
from flows.exports.reading import Reading, Row
from tools.values import Detections, Poses
from tools.values.poses import COCO17

KINDS = ("Detections", "Poses")
# Left and right change sides in a mirrored picture.
_FLIPPED = [COCO17.index(name.replace("left", "@").replace("right", "left").replace("@", "right")) for name in COCO17]


def write(reading: Reading, folder: Path, name: str) -> dict[str, Any]:
    """Write the data set; about a tenth of the pictures, chosen by their content, is for validation.

    So the same picture under two names is on one side. A data set holds one task: poses where the plan gives any, else
    outlines where it gives masks, else boxes. YOLO's lines have no room for scores: `scores.jsonl` has them in their order.
    """
    task = _task(reading)
    labels = ["person"] if task == "pose" else reading.labels()
    numbers = {label: number for number, label in enumerate(labels)}
    names = Names()
    least = min((row.ref["sha256"] for row in reading.rows()), default="")
    counts = {"train": 0, "val": 0, "things": 0}
    with (folder / "scores.jsonl").open("w", encoding="utf-8", newline="\n") as scores:
        for row in reading.rows():
            if row.ref["kind"] != "Image":
                continue
            part = "val" if row.ref["sha256"] == least or int(row.ref["sha256"][:8], 16) % 10 == 0 else "train"
            # The library finds labels by putting "labels" for the last "images" of a path.
            own = PurePosixPath(*("images_" if name == "images" else name for name in PurePosixPath(row.name).parts))
            place = names.place(str(own), own.suffix or ".jpg")
            rows = list(_lines(reading, row, task, numbers))
            text = folder / "labels" / part / place.with_suffix(".txt")
            save(folder / "images" / part / place, reading.source(row))
            save(text, "".join(f"{one}\n" for one, _ in rows))
            scores.write(line({"item": row.name, "labels": text.relative_to(folder).as_posix(),
                               "scores": [round(score, 6) for _, score in rows]}) + "\n")  # fmt: skip
            counts[part] += 1
            counts["things"] += len(rows)
    train = "images/train" if counts["train"] else "images/val"
    yaml = [f"train: {train}", "val: images/val", f"nc: {len(labels)}", "names:"]
    yaml += [f"  {number}: {line(label)}" for label, number in numbers.items()]
    if task == "pose":
        yaml += ["kpt_shape: [17, 3]", f"flip_idx: {_FLIPPED}"]
    save(folder / "data.yaml", "\n".join(yaml) + "\n")
    return {**counts, "task": task, "classes": len(labels)}


def _task(reading: Reading) -> str:
    task = "detect"
    for row in reading.rows():
        for _, _, ref in reading.refs(row):
            if ref["kind"] == "Poses":
                return "pose"
            if ref["summary"].get("masks"):
                task = "segment"
    return task


def _lines(reading: Reading, row: Row, task: str, numbers: dict[str, int]) -> Iterator[tuple[str, float]]:
    height, width = row.size
    scale = np.array([width, height], np.float64)
    for _, found in reading.marks(row):
        if isinstance(found, Poses) != (task == "pose"):
            continue
        for place, box in enumerate(found.xyxy.astype(np.float64)):
            middle, sides = (box[:2] + box[2:]) / 2 / scale, (box[2:] - box[:2]) / scale
            values = [*middle, *sides]
            if isinstance(found, Poses):
                for x, y, sure in found.keypoints[place]:
                    inside = sure >= SEEN and 0 <= x <= width and 0 <= y <= height
                    values += [x / width, y / height, 2] if inside else [0, 0, 0]
                number = 0
            else:
                number = numbers[found.labels[place]]
                if task == "segment":
                    values = _polygon(found, place, box, scale)
            yield f"{number} {' '.join(f'{value:.6g}' for value in values)}", float(found.scores[place])


def _polygon(found: Detections, place: int, box: Any, scale: Any) -> list[float]:
    points = outline(found.mask_array(place)) if found.masks is not None else np.zeros((0, 2))
    if len(points) < 3:  # no mask, or one too thin for an outline: the box says where it is
        x0, y0, x1, y1 = box
        points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return [float(value) for value in (points / scale).clip(0, 1).reshape(-1)]
