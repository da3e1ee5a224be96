"""The rendered world: accuracy of its checker, and pictures a second.

    python benchmarks/world.py [--checker N] [--split SPLIT] [--size PIXELS] [--weights FILE] [--speed N] [--workers N]

``--checker N`` takes N pictures that have a specification, checks each against it, and draws each again with one
thing wrong (seven kinds of wrong) to be checked against the same specification. Which pictures are right is known from
their scenes. Things are found by the renderer's own masks, which tests the logic and the recognition of colours and
places; by the same masks at a quarter of their resolution, which is what segmentation networks give; and with
``--weights`` by an ultralytics segmentation model of the world's categories. Intervals are Wilson's, 95 %.

``--speed N`` renders N pictures with ``--workers`` processes, then again from the shards kept on disk.
"""

import argparse
import itertools
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from backbone.world import Rendered, compose, render
from backbone.world.check.checker import Finder, FoundThing, check, ground_truth
from backbone.world.check.falsify import FAULTS, falsify
from backbone.world.io.loader import pictures
from backbone.world.scene.splits import SPLITS
from backbone.world.words.specs import Spec, spec
from flows.batch.review import wilson


def share(right: int, of: int) -> str:
    """A share and its 95 % interval."""
    if not of:
        return "-"
    low, high = wilson(right, of)
    return f"{right}/{of} = {right / of:.2%} [{low:.2%}, {high:.2%}]"


def specified(split: str, size: int) -> Iterator[tuple[Rendered, Spec]]:
    for seed in itertools.count():
        picture = render(compose(seed, split), size)
        wanted = spec(picture)
        if wanted:
            yield picture, wanted


def rough(picture: Rendered) -> Finder:
    """Finds with the renderer's masks at a quarter of their resolution, smoothly enlarged."""
    height, width = picture.pixels.shape[:2]

    def blurred(mask: np.ndarray) -> np.ndarray:
        small = cv2.resize(mask.astype(np.float32), (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        enlarged = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(enlarged > 0.5)

    masks = [(one.thing.category, blurred(one.mask)) for one in picture.instances]
    return lambda pixels: [FoundThing(category, mask) for category, mask in masks if mask.any()]


def by_model(weights: Path) -> Callable[[Rendered], Finder]:
    """Finds with an ultralytics segmentation model whose classes are named as the world's categories."""
    from ultralytics import YOLO

    model = YOLO(weights)

    def find(pixels: np.ndarray) -> list[FoundThing]:
        (result,) = model.predict(pixels[:, :, ::-1].copy(), conf=0.4, iou=0.6, retina_masks=True, verbose=False)
        if result.masks is None:
            return []
        masks = result.masks.data.cpu().numpy() > 0.5
        rows = zip(masks, result.boxes.cls.tolist(), result.boxes.conf.tolist(), strict=True)
        return [FoundThing(result.names[int(number)], mask, score) for mask, number, score in rows if mask.any()]

    return lambda _: find


def agreement(finders: dict[str, Callable[[Rendered], Finder]], count: int, split: str, size: int) -> None:
    """Print how often the verdict is correct: for right pictures, for each kind of wrong ones, and for all."""
    right: dict[str, Counter[str]] = {name: Counter() for name in finders}
    of: Counter[str] = Counter()
    for picture, wanted in itertools.islice(specified(split, size), count):
        drawn = [("as asked", picture), *((kind, falsify(picture, wanted, kind)) for kind in FAULTS)]
        for kind, shown in drawn:
            if shown is None:
                continue
            of[kind] += 1
            for name, finder in finders.items():
                verdict = check(shown.pixels, wanted, finder(shown))
                agreed = verdict.fulfilled == (kind == "as asked")
                right[name][kind] += agreed
                if not agreed:
                    print(
                        f"  {name}, {kind}, seed {picture.scene.seed}: "
                        f"{'; '.join(verdict.breaches) or 'nothing noticed'}",
                        flush=True,
                    )
    for name, ok in right.items():
        print(f"things found by {name}, split {split}, {size} px")
        for kind in ("as asked", *FAULTS):
            print(f"  {kind:<10} {share(ok[kind], of[kind])}")
        print(f"  {'all wrong':<10} {share(ok.total() - ok['as asked'], of.total() - of['as asked'])}")
        print(f"  {'all':<10} {share(ok.total(), of.total())}", flush=True)


def speed(count: int, size: int, workers: int) -> None:
    """Print pictures a second: rendered, and read from shards on disk; starting the workers is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        for what in ("rendered", "read from shards on disk"):
            run = pictures(range(count + 64), "train", size, workers=workers, cache=Path(folder))
            for _ in range(64):
                next(run)
            began = time.perf_counter()
            drawn = sum(1 for _ in run)
            print(
                f"{what}: {drawn / (time.perf_counter() - began):.1f} pictures a second at {size} px, "
                f"{workers} workers, {os.cpu_count()} cores"
            )
    began, drawn = time.process_time(), 20
    for seed in range(drawn):
        render(compose(seed), size)
    print(f"{(time.process_time() - began) / drawn * 1000:.1f} ms of one core for each picture")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checker", type=int, default=0, metavar="N")
    parser.add_argument("--split", default="test", choices=SPLITS)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--speed", type=int, default=0, metavar="N")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.checker:
        finders: dict[str, Callable[[Rendered], Finder]] = {
            "the renderer": ground_truth,
            "the renderer, roughly": rough,
        }
        if given.weights:
            finders[given.weights.name] = by_model(given.weights)
        agreement(finders, given.checker, given.split, given.size)
    if given.speed:
        speed(given.speed, given.size, given.workers)


if __name__ == "__main__":
    main()
