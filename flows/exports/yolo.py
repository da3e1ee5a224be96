"""YOLO: pictures, a text file of labels for each, and `data.yaml`; for detection, segmentation or pose."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from common import yolo
from common.masks import Points, outline
from flows.batch.reading import DoneItem, Reading
from flows.exports.coco import MIN_KEYPOINT_SCORE
from flows.exports.files import HUMAN, Counts, FileNames, json_line, write_file
from tools.values import Detections, Image, Poses

VALUE_KINDS = ("Detections", "Poses")
ITEM_KINDS = ("Image",)
READS_SOURCES = True  # the pictures are part of the data set
_READ = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp"}
"""Formats that ultralytics reads, and the endings that it expects; others are written as PNG."""


def write(reading: Reading, folder: Path, name: str) -> Counts:
    """Write the data set; about a tenth of the pictures, chosen by their content, is for validation.

    So the same picture under two names is in one part. A data set has one task: pose if the plan gives poses, else
    segmentation if it gives masks, else detection. YOLO's lines hold no scores: `scores.jsonl` has them, in order, and
    under "human" the numbers, from 0, of the lines that a person changed or added.
    """
    task = _task(reading)
    # The library refuses a data set without classes; where nothing was asked for or found, one stands for it.
    labels = ["person"] if task == "pose" else reading.labels() or ["object"]
    numbers = {label: number for number, label in enumerate(labels)}
    names = FileNames()
    least = min((row.ref["sha256"] for row in reading.rows()), default="")
    counts = {"train": 0, "val": 0, "things": 0}
    with (folder / "scores.jsonl").open("w", encoding="utf-8", newline="\n") as scores:
        for row in reading.rows():
            part = "val" if row.ref["sha256"] == least or int(row.ref["sha256"][:8], 16) % 10 == 0 else "train"
            # The library finds labels by putting "labels" for the last "images" of a path.
            own = PurePosixPath(*("images_" if name == "images" else name for name in PurePosixPath(row.name).parts))
            suffix, picture = _picture(reading, row)
            place = names.unique_path(str(own), suffix)
            rows = list(_lines(reading, row, task, numbers))
            people = [number for number, (_, _, by_person) in enumerate(rows) if by_person]
            text = folder / "labels" / part / place.with_suffix(".txt")
            write_file(folder / "images" / part / place, picture)
            write_file(text, "".join(f"{one}\n" for one, *_ in rows))
            scores.write(
                json_line(
                    {
                        "item": row.name,
                        "labels": text.relative_to(folder).as_posix(),
                        "scores": [round(score, 6) for _, score, _ in rows],
                        **({HUMAN: people} if people else {}),
                    }
                )
                + "\n"
            )
            counts[part] += 1
            counts["things"] += len(rows)
    train = "images/train" if counts["train"] else "images/val"
    write_file(folder / "data.yaml", yolo.data_yaml(labels, task == "pose", train))
    return {**counts, "task": task, "classes": len(labels)}


def _picture(reading: Reading, row: DoneItem) -> tuple[str, bytes | BinaryIO]:
    """Ending and content of the item's file; as PNG if the library would not read it, or not upright."""
    from PIL import Image as Pil

    with reading.open_source(row) as file, Pil.open(file) as seen:
        suffix = _READ.get(str(seen.format))
        turned = seen.format not in ("JPEG", "MPO") and seen.getexif().get(0x0112, 1) != 1
        moving = seen.format != "MPO" and getattr(seen, "n_frames", 1) > 1
    file = reading.open_source(row)
    if suffix and not turned and not moving:
        return suffix, file
    with file:
        value = Image.from_bytes(file.read(), row.ref["media_type"])
    return ".png", Image.from_numpy(value.pixels).to_bytes()


def _task(reading: Reading) -> str:
    task = "detect"
    for row in reading.rows():
        for _, _, ref in reading.refs(row):
            if ref["kind"] == "Poses":
                return "pose"
            if ref["summary"].get("masks"):
                task = "segment"
    return task


def _lines(reading: Reading, row: DoneItem, task: str, numbers: dict[str, int]) -> Iterator[tuple[str, float, bool]]:
    """Line, score, and whether a person changed it."""
    size = row.size
    for _, found, human in reading.locations(row):
        if isinstance(found, Poses) != (task == "pose"):
            continue
        for place, box in enumerate(found.xyxy):
            if isinstance(found, Poses):
                points = [
                    (float(x), float(y), 2 if sure >= MIN_KEYPOINT_SCORE else 0)
                    for x, y, sure in found.keypoints[place]
                ]
                values, number = [*yolo.box(box, size), *yolo.keypoints(points, size)], 0
            else:
                values = yolo.polygon(_outline(found, place), size) if task == "segment" else yolo.box(box, size)
                number = numbers[found.labels[place]]
            yield yolo.line(number, values), float(found.scores[place]), human[place]


def _outline(found: Detections, place: int) -> Points:
    """The outline of a mask; the corners of the box if there is no mask or it is empty."""
    points = outline(found.mask_array(place)) if found.masks is not None else np.zeros((0, 2))
    if len(points):
        return points
    x0, y0, x1, y1 = found.xyxy[place].astype(np.float64)
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
