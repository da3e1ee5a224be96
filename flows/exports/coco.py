"""COCO: one `annotations.json` with boxes, run-length masks and keypoints."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from common.skeleton import coco_category
from flows.batch.reading import Reading
from flows.exports.files import HUMAN, Counts, json_line, round_all, write_array
from tools.values import Detections, Poses

VALUE_KINDS = ("Detections", "Poses")
ITEM_KINDS = ("Image",)
MIN_KEYPOINT_SCORE = 0.3
"""Keypoints with a lower score count as not labelled."""


def write(reading: Reading, folder: Path, name: str) -> Counts:
    """Write `annotations.json`. Image ids number the items from 1 in order of name; "file_name" is the item's name.

    Annotations that a person changed or added have "source": "human".
    """
    numbers = {label: number for number, label in enumerate(reading.labels(), 1)}
    categories: list[dict[str, object]] = [{"id": number, "name": label} for label, number in numbers.items()]
    for category in categories:
        if category["name"] == "person":
            category |= coco_category()
    info = {"description": reading.plan.request, "contributor": "superlink", "version": "1"}
    with (folder / "annotations.json").open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"info":{json_line(info)},"licenses":[],"categories":{json_line(categories)},\n"images":')
        images = write_array(file, _images(reading))
        file.write(',\n"annotations":')
        annotations = write_array(file, _annotations(reading, numbers))
        file.write("}\n")
    return {"images": images, "annotations": annotations, "categories": len(categories)}


def _images(reading: Reading) -> Iterator[dict[str, object]]:
    for number, row in enumerate(reading.rows(), 1):
        height, width = row.size
        yield {"id": number, "file_name": row.name, "width": width, "height": height, "sha256": row.ref["sha256"]}


def _annotations(reading: Reading, numbers: dict[str, int]) -> Iterator[dict[str, object]]:
    count = 0
    for image, row in enumerate(reading.rows(), 1):
        for _, found, human in reading.locations(row):
            rows = _detections(found, numbers) if isinstance(found, Detections) else _poses(found, numbers)
            for one, by_person in zip(rows, human, strict=True):
                count += 1
                source = {"source": HUMAN} if by_person else {}
                yield {"id": count, "image_id": image, "iscrowd": 0, **one, **source}


def _bbox(corners: Iterable[float]) -> list[float]:
    """COCO's [x, y, width, height] from rounded corners, so that no box leaves its picture."""
    x0, y0, x1, y1 = round_all(corners)
    return round_all((x0, y0, x1 - x0, y1 - y0))


def _detections(found: Detections, numbers: dict[str, int]) -> Iterator[dict[str, object]]:
    import pycocotools.mask

    for place, one in enumerate(found):
        box = _bbox(one.box)
        annotation: dict[str, object] = {
            "category_id": numbers[one.label],
            "bbox": box,
            "area": round(box[2] * box[3], 2),
            "score": round(one.score, 6),
        }
        if found.masks is not None:
            mask = found.masks[place]
            annotation |= {"segmentation": mask, "area": float(pycocotools.mask.area(mask))}
        yield annotation


def _poses(found: Poses, numbers: dict[str, int]) -> Iterator[dict[str, object]]:
    for points, corners, score in zip(found.keypoints, found.xyxy, found.scores, strict=True):
        box = _bbox(corners)
        flat: list[float] = []
        for x, y, sure in points:
            flat += [*round_all((x, y)), 2] if sure >= MIN_KEYPOINT_SCORE else [0, 0, 0]
        yield {
            "category_id": numbers["person"],
            "bbox": box,
            "area": round(box[2] * box[3], 2),
            "keypoints": flat,
            "num_keypoints": int((points[:, 2] >= MIN_KEYPOINT_SCORE).sum()),
            "score": round(float(score), 6),
        }
