"""COCO's average precision of the linked decoders on pictures of the world."""

import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from backbone.vision.finds import Find
from backbone.world import Rendered
from backbone.world.io.coco import annotation
from common.masks import encode

LEAST = 0.001
"""Finds of lower scores are left out, as COCO's figures are usually made."""

Rows = list[dict[str, Any]]


def average_precisions(
    shown: Iterable[Sequence[Rendered]],
    find: Callable[[Sequence[Rendered]], Sequence[tuple[Sequence[Find], Sequence[Find]]]],
    meant: Callable[[Rendered], Sequence[Sequence[int]]],
) -> dict[str, float]:
    """Return AP at an IoU (or similarity of keypoints) of 0.5 for boxes, masks and joints.

    Args:
        shown: Batches of pictures.
        find: Returns for each picture of a batch the finds of each phrase by the decoder of boxes and masks, and those
            of people by that of joints.
        meant: The instances that each phrase means; phrases are COCO's categories here.
    """
    images: Rows = []
    truth: dict[str, Rows] = {"perception": [], "pose": []}
    found: dict[str, Rows] = {"box": [], "mask": [], "joint": []}
    for batch in shown:
        for picture, (things, people) in zip(batch, find(batch), strict=True):
            image = len(images) + 1
            height, width = picture.pixels.shape[:2]
            images.append({"id": image, "height": height, "width": width})
            rows = [annotation(one, 0, image) for one in picture.instances]
            for phrase, indices in enumerate(meant(picture), 1):
                truth["perception"] += [{**rows[index], "category_id": phrase} for index in indices]
            truth["pose"] += [{**row, "category_id": 1} for row in rows if "keypoints" in row]
            for phrase, one in enumerate(things, 1):
                found["box"] += _boxes(one, image, phrase)
                found["mask"] += _masks(one, image, phrase)
            for one in people:
                found["joint"] += _joints(one, image)
    judged = {"box": ("perception", "bbox"), "mask": ("perception", "segm"), "joint": ("pose", "keypoints")}
    return {
        name: _precision(images, truth[of], found[name], kind) for name, (of, kind) in judged.items() if found[name]
    }


def _boxes(one: Find, image: int, phrase: int) -> Rows:
    return [
        {"image_id": image, "category_id": phrase, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": float(score)}
        for (x0, y0, x1, y1), score in zip(one.boxes.tolist(), one.scores, strict=True)
    ]


def _masks(one: Find, image: int, phrase: int) -> Rows:
    if one.masks is None:
        return []
    return [
        {"image_id": image, "category_id": phrase, "segmentation": encode(mask), "score": float(score)}
        for mask, score in zip(one.masks, one.scores, strict=True)
    ]


def _joints(one: Find, image: int) -> Rows:
    if one.joints is None:
        return []
    return [
        {"image_id": image, "category_id": 1, "keypoints": points.ravel().tolist(), "score": float(score)}
        for points, score in zip(one.joints, one.scores, strict=True)
    ]


def _precision(images: Rows, truth: Rows, found: Rows, kind: str) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    known = COCO()
    categories = sorted({row["category_id"] for row in (*truth, *found)})
    known.dataset = {
        "info": {},
        "images": images,
        "annotations": [{**row, "id": number} for number, row in enumerate(truth, 1)],
        "categories": [{"id": number} for number in categories],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        known.createIndex()
        judge = COCOeval(known, known.loadRes(found), kind)
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][0, :, :, 0, -1]  # IoU 0.5, all areas, most finds
    return float(np.mean(precision[precision > -1])) if (precision > -1).any() else 0.0
