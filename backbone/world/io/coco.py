"""Rendered pictures and their annotations as a COCO data set."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from backbone.world.paint.categories import CATEGORIES, IDS
from backbone.world.truth.render import Instance, Rendered
from backbone.world.words.captions import short_caption
from common.masks import encode
from common.skeleton import coco_category


def categories() -> list[dict[str, object]]:
    """Return COCO's list of categories."""
    rows: list[dict[str, object]] = [
        {"id": IDS[name], "name": name, "supercategory": kind.place} for name, kind in CATEGORIES.items()
    ]
    rows[0] |= coco_category()
    return rows


def annotation(instance: Instance, number: int, image: int) -> dict[str, object]:
    """Return a COCO annotation: box x, y, width, height, mask as RLE, keypoints of people."""
    x0, y0, x1, y1 = instance.box
    row: dict[str, object] = {
        "id": number,
        "image_id": image,
        "category_id": IDS[instance.thing.category],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": instance.area,
        "iscrowd": 0,
        "segmentation": encode(instance.mask),
        "attributes": {
            "colour": instance.thing.colour,
            "visible": round(instance.visible, 3),
            "truncated": instance.truncated,
        },
    }
    if instance.keypoints:
        row["keypoints"] = [round(float(value), 2) for mark in instance.keypoints for value in mark]
        row["num_keypoints"] = sum(v > 0 for _, _, v in instance.keypoints)
    return row


def export(pictures: Iterable[Rendered], folder: Path) -> Path:
    """Write ``images/*.png``, then ``annotations.json``; each file is renamed into place when it is complete.

    Returns:
        Path of the annotations.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, picture in enumerate(pictures, 1):
        scene = picture.scene
        name = f"{scene.split}_{scene.seed:08d}.png"
        with _replacing(folder / "images" / name) as file:
            Image.fromarray(picture.pixels).save(file, "PNG")
        height, width = picture.pixels.shape[:2]
        images.append(
            {
                "id": number,
                "file_name": name,
                "width": width,
                "height": height,
                "license": 1,
                "caption": short_caption(picture),
            }
        )
        annotations += [annotation(one, len(annotations) + k, number) for k, one in enumerate(picture.instances, 1)]
    path = folder / "annotations.json"
    info = {"description": "rendered scenes of the superlink world", "version": "1", "contributor": "superlink"}
    licences = [{"id": 1, "name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}]
    with _replacing(path) as file:
        file.write_text(
            json.dumps(
                {
                    "info": info,
                    "licenses": licences,
                    "images": images,
                    "annotations": annotations,
                    "categories": categories(),
                }
            )
        )
    return path


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside another, to which it is renamed at the end."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
