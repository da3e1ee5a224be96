"""The specialists on rendered pictures that they have not seen: COCO's figures, and one request from words to results.

    python benchmarks/specialists.py [--n 500] [--splits test compositions shifted] [--size 256] [--scenes 20]

Finds come from the tools' own engine with the weights of ``SUPERLINK_WEIGHTS=world``, down to a score of 0.001 as
COCO does it, and are compared with the renderer's truth by pycocotools: boxes of detect and of segment, masks, joints
(OKS), and boxes by colour. ``--scenes N`` runs one request on N pictures of the test split, from its words, and tells
on how many everything is right: each person and each dog that can be noticed has a box (IoU 0.5 or more) and each
such person a pose (OKS 0.5 or more), nothing else is called a person or a dog, and the number is that of the red
things. What hardly shows may be found or not.
"""

import argparse
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backbone.world import Rendered
from backbone.world.io.coco import annotation, categories
from backbone.world.io.loader import pictures
from backbone.world.io.yolo import has_own_colour
from backbone.world.paint.categories import IDS
from backbone.world.paint.palette import COLOURS

os.environ["SUPERLINK_WEIGHTS"] = "world"

REQUEST = "find the people and the dogs, pose the people, count everything red"
AT_ONCE = 32
Found = list[dict[str, Any]]

Finder = Callable[[Sequence[Rendered]], list[Found]]
"""Returns the finds in each picture as COCO results, without their image."""

COLOUR_IDS = {f"{colour} thing": number for number, colour in enumerate(COLOURS, 1)}
"""COCO category ids of what has a colour."""


def boxes(role: str, names: dict[str, int], masks: bool = False) -> Finder:
    """Finds of a role."""
    from pycocotools import mask as rle

    from tools.engines import yolo

    known = yolo.class_names(role)

    def find(shown: Sequence[Rendered]) -> list[Found]:
        results: list[Found] = []
        for found in yolo.find([picture.pixels for picture in shown], role, known, 0.001, masks):
            rows: Found = []
            for n in range(len(found)):
                x0, y0, x1, y1 = map(float, found.xyxy[n])
                row: dict[str, Any] = {
                    "category_id": names[found.labels[n]],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "score": float(found.scores[n]),
                }
                if masks:
                    row["segmentation"] = rle.encode(np.asfortranarray(found.mask_array(n).astype(np.uint8)))
                rows.append(row)
            results.append(rows)
        return results

    return find


def joints(shown: Sequence[Rendered]) -> list[Found]:
    from tools.engines import yolo

    return [
        [
            {"category_id": 1, "keypoints": points.ravel().tolist(), "score": float(score)}
            for points, score in zip(found.keypoints, found.scores, strict=True)
        ]
        for found in yolo.poses([picture.pixels for picture in shown], "pose", 0.001)
    ]


def precision(truth: Any, found: Found, kind: str) -> tuple[float, float]:
    """COCO's average precision at IoU (or OKS) 0.5, and its mean over 0.5 to 0.95."""
    from pycocotools.cocoeval import COCOeval

    if not found:
        return 0.0, 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        judged = COCOeval(truth, truth.loadRes(found), kind)
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return float(judged.stats[1]), float(judged.stats[0])


def specialists() -> dict[str, Finder]:
    """Return the finders of the specialists, for `measure`."""
    return {
        "detect": boxes("detect", IDS),
        "segment": boxes("segment", IDS, True),
        "colours": boxes("detect_open", COLOUR_IDS),
        "pose": joints,
    }


def measure(split: str, count: int, size: int, finders: Mapping[str, Finder]) -> dict[str, tuple[float, float]]:
    """Return COCO's figures, as of `precision`, of boxes, masks, joints, and boxes by colour.

    Args:
        split: One of the world's splits.
        count: Pictures, from the first seed on.
        size: Height of a picture in pixels.
        finders: Of boxes by category (``detect``), of boxes with masks (``segment``), of boxes by colour
            (``colours``), of joints (``pose``).
    """
    from pycocotools.coco import COCO

    found: dict[str, Found] = {name: [] for name in finders}
    images: Found = []
    things: Found = []
    hues: Found = []
    waiting: list[tuple[int, Rendered]] = []

    def work() -> None:
        for name, finder in finders.items():
            for (number, _), rows in zip(waiting, finder([picture for _, picture in waiting]), strict=True):
                found[name] += [{**row, "image_id": number} for row in rows]
        waiting.clear()

    for number, picture in enumerate(pictures(range(count), split, size), 1):
        height, width = picture.pixels.shape[:2]
        images.append({"id": number, "width": width, "height": height})
        for one in picture.instances:
            row = annotation(one, len(things) + 1, number)
            things.append(row)
            if has_own_colour(one):
                hues.append({**row, "id": len(hues) + 1, "category_id": COLOUR_IDS[f"{one.thing.colour} thing"]})
        waiting.append((number, picture))
        if len(waiting) == AT_ONCE:
            work()
    work()

    def truth(rows: Found, names: Any) -> Any:
        known = COCO()
        known.dataset = {"info": {}, "images": images, "annotations": rows, "categories": names}
        with contextlib.redirect_stdout(io.StringIO()):
            known.createIndex()
        return known

    every, by_colour = (
        truth(things, categories()),
        truth(hues, [{"id": n, "name": name} for name, n in COLOUR_IDS.items()]),
    )
    people = truth([row for row in things if "keypoints" in row], categories()[:1])
    plain = [{name: value for name, value in row.items() if name != "segmentation"} for row in found["segment"]]
    return {
        "detect: boxes": precision(every, found["detect"], "bbox"),
        "segment: boxes": precision(every, plain, "bbox"),
        "segment: masks": precision(
            every, [{n: v for n, v in row.items() if n != "bbox"} for row in found["segment"]], "segm"
        ),
        "pose: joints": precision(people, found["pose"], "keypoints"),
        "colours: boxes": precision(by_colour, found["colours"], "bbox"),
    }


def run_request(count: int) -> None:
    """Run the request on pictures of the test split; print the faults of each result."""
    from backbone.world import compose, render
    from backbone.world.io.coco import export
    from superlink.cli import main as superlink

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shown = [render(compose(seed, "test"), 512) for seed in range(count)]
        export(shown, folder)
        files = sorted((folder / "images").iterdir())
        with contextlib.redirect_stdout(io.StringIO()) as said:
            failed = superlink(["run", REQUEST, *map(str, files), "--yes", "--out", str(folder / "out")])
        if failed:
            raise SystemExit(said.getvalue())
        right = 0
        for file, picture in zip(files, shown, strict=True):
            place = folder / "out" / file.stem if count > 1 else folder / "out"
            faults = list(find_faults(json.loads((place / "record.json").read_text()), picture))
            right += not faults
            print(f"  {file.stem}: {'; '.join(faults) or 'right'}")
        print(f"{right} of {count} scenes right: {REQUEST}")


def find_faults(record: dict[str, Any], picture: Any) -> Iterator[str]:
    """Describe the faults in the results of the request."""
    from backbone.world.truth.relations import noticeable
    from tools.core.settings import settings
    from tools.storage.store import Store
    from tools.values import Detections, Number, Poses

    store = Store(settings().store_url)
    values = [store.get(step["refs"]) for step in record["steps"]]
    finds: dict[str, list[np.ndarray]] = {"person": [], "dog": []}
    for value in values:
        if isinstance(value, Detections):
            for label, box in zip(value.labels, value.xyxy, strict=True):
                if label in finds and not any(overlap(box, other) > 0.9 for other in finds[label]):
                    finds[label].append(box)
    clear = {id(one) for one in noticeable(picture)}
    for label, found in finds.items():
        true = [one for one in picture.instances if one.thing.category == label]
        best = [max((overlap(np.array(one.box, float), box) for box in found), default=0.0) for one in true]
        missed = sum(score < 0.5 for one, score in zip(true, best, strict=True) if id(one) in clear)
        extra = sum(max((overlap(np.array(one.box, float), box) for one in true), default=0.0) < 0.5 for box in found)
        if missed:
            yield f"{missed} {label} missed"
        if extra:
            yield f"{extra} {label} too many"
    poses = [points for value in values if isinstance(value, Poses) for points in value.keypoints]
    unposed = sum(
        max((similarity(one, points) for points in poses), default=0.0) < 0.5
        for one in picture.instances
        if one.keypoints and id(one) in clear
    )
    if unposed:
        yield f"{unposed} people without their pose"
    red = [one for one in picture.instances if one.thing.colour == "red" and has_own_colour(one)]
    numbers = [int(value.value) for value in values if isinstance(value, Number)]
    least, most = sum(id(one) in clear for one in red), len(red)
    if len(numbers) != 1 or not least <= numbers[0] <= most:
        yield f"{numbers} red things of {least}" + (f" to {most}" if most > least else "")


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(sides.clip(min=0).prod())
    return shared / (float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()) - shared)


def similarity(one: Any, points: np.ndarray) -> float:
    """Object keypoint similarity, with COCO's tolerances."""
    from pycocotools.cocoeval import Params

    true = np.array(one.keypoints)
    marked = true[:, 2] > 0
    if not marked.any():
        return 1.0
    distance = ((points[marked, :2] - true[marked, :2]) ** 2).sum(1)
    spread = (2 * Params("keypoints").kpt_oks_sigmas[marked]) ** 2 * one.area * 2
    return float(np.exp(-distance / spread).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=500, help="pictures of each split")
    parser.add_argument("--splits", nargs="*", default=["test", "compositions", "shifted"])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--scenes", type=int, default=20)
    given = parser.parse_args()
    for split in given.splits:
        print(
            f"{split}, {given.n} pictures at {given.size} px:"
            + "".join(
                f"\n  {name:<15} AP50 {half:.3f}   AP50-95 {mean:.3f}"
                for name, (half, mean) in measure(split, given.n, given.size, specialists()).items()
            ),
            flush=True,
        )
    if given.scenes:
        run_request(given.scenes)


if __name__ == "__main__":
    main()
