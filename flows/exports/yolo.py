"""YOLO: pictures, one text file of labels for each, and `data.yaml`; boxes, outlines or poses by what there is."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from flows.batch.reading import DoneItem, Reading
from flows.exports.coco import SEEN
from flows.exports.files import Names, line, rounded, save
from flows.exports.outline import outline
from tools.values import Detections, Image, Poses
from tools.values.poses import COCO17

KINDS = ("Detections", "Poses")
ITEMS = ("Image",)
SOURCES = True  # the pictures are part of the data set
_DIGITS = 7
_STEPS = 5_000_000
_READ = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp"}
"""What ultralytics reads, by content, and the endings it goes by; anything else becomes PNG."""
# Left and right change sides in a mirrored picture.
_FLIPPED = [COCO17.index(name.replace("left", "@").replace("right", "left").replace("@", "right")) for name in COCO17]


def write(reading: Reading, folder: Path, name: str) -> dict[str, Any]:
    """Write the data set; about a tenth of the pictures, chosen by their content, is for validation.

    So the same picture under two names is on one side. A data set holds one task: poses where the plan gives any, else
    outlines where it gives masks, else boxes. YOLO's lines have no room for scores: `scores.jsonl` has them in their order.
    """
    task = _task(reading)
    # The library refuses a data set without classes; where nothing was asked for or found, one stands for it.
    labels = ["person"] if task == "pose" else reading.labels() or ["object"]
    numbers = {label: number for number, label in enumerate(labels)}
    names = Names()
    least = min((row.ref["sha256"] for row in reading.rows()), default="")
    counts = {"train": 0, "val": 0, "things": 0}
    with (folder / "scores.jsonl").open("w", encoding="utf-8", newline="\n") as scores:
        for row in reading.rows():
            part = "val" if row.ref["sha256"] == least or int(row.ref["sha256"][:8], 16) % 10 == 0 else "train"
            # The library finds labels by putting "labels" for the last "images" of a path.
            own = PurePosixPath(*("images_" if name == "images" else name for name in PurePosixPath(row.name).parts))
            suffix, picture = _picture(reading, row)
            place = names.place(str(own), suffix)
            rows = list(_lines(reading, row, task, numbers))
            text = folder / "labels" / part / place.with_suffix(".txt")
            save(folder / "images" / part / place, picture)
            save(text, "".join(f"{one}\n" for one, _ in rows))
            scores.write(
                line(
                    {
                        "item": row.name,
                        "labels": text.relative_to(folder).as_posix(),
                        "scores": [round(score, 6) for _, score in rows],
                    }
                )
                + "\n"
            )
            counts[part] += 1
            counts["things"] += len(rows)
    train = "images/train" if counts["train"] else "images/val"
    yaml = [f"train: {train}", "val: images/val", f"nc: {len(labels)}", "names:"]
    yaml += [f"  {number}: {line(label)}" for label, number in numbers.items()]
    if task == "pose":
        yaml += ["kpt_shape: [17, 3]", f"flip_idx: {_FLIPPED}"]
    save(folder / "data.yaml", "\n".join(yaml) + "\n")
    return {**counts, "task": task, "classes": len(labels)}


def _picture(reading: Reading, row: DoneItem) -> tuple[str, bytes | BinaryIO]:
    """The item's file with the ending of what it is; as PNG where the library would not read it, or not upright."""
    from PIL import Image as Pil

    with reading.source(row) as file, Pil.open(file) as seen:
        suffix = _READ.get(str(seen.format))
        turned = seen.format not in ("JPEG", "MPO") and seen.getexif().get(0x0112, 1) != 1
        moving = seen.format != "MPO" and getattr(seen, "n_frames", 1) > 1
    file = reading.source(row)
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


def _lines(reading: Reading, row: DoneItem, task: str, numbers: dict[str, int]) -> Iterator[tuple[str, float]]:
    height, width = row.size
    scale = np.array([width, height], np.float64)
    for _, found in reading.marks(row):
        if isinstance(found, Poses) != (task == "pose"):
            continue
        for place, box in enumerate(found.xyxy.astype(np.float64)):
            values = _box(box, scale)
            if isinstance(found, Poses):
                for x, y, sure in found.keypoints[place]:
                    inside = sure >= SEEN and 0 <= x <= width and 0 <= y <= height
                    values += [*rounded((x / width, y / height), _DIGITS), 2] if inside else [0, 0, 0]
                number = 0
            else:
                number = numbers[found.labels[place]]
                if task == "segment":
                    values = _polygon(found, place, box, scale)
            yield f"{number} {' '.join(_written(value) for value in values)}", float(found.scores[place])


def _box(box: NDArray[np.float64], scale: NDArray[np.float64]) -> list[float]:
    """Middle and sides of a box, relative to the picture.

    The corners are whole numbers of 2e-7 from 0 to 1, so that a reader that calculates them from middle and sides, in single
    precision, too, stays within the picture.
    """
    corners = np.round(box.reshape(2, 2) / scale * _STEPS).clip(0, _STEPS)
    corners[1] = np.maximum(corners[1], corners[0] + 1).clip(0, _STEPS)
    corners[0] = np.minimum(corners[0], corners[1] - 1)
    return rounded([*corners.sum(0) / 2 / _STEPS, *(corners[1] - corners[0]) / _STEPS], _DIGITS)


def _polygon(found: Detections, place: int, box: NDArray[np.float64], scale: NDArray[np.float64]) -> list[float]:
    points = outline(found.mask_array(place)) if found.masks is not None else np.zeros((0, 2))
    if not len(points):  # no mask: the box says where it is
        x0, y0, x1, y1 = box
        points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return rounded((points / scale).clip(0, 1).reshape(-1), _DIGITS)


def _written(value: float) -> str:
    return f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".") or "0"
