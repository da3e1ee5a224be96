"""Pictures of the world with their truth as ultralytics data sets."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backbone.world.paint.categories import IDS
from backbone.world.paint.figure import KEYPOINTS
from backbone.world.paint.palette import COLOURS
from backbone.world.scene.camera import Mask
from backbone.world.truth.render import Instance, Rendered

KINDS = ("things", "colours", "people")
FLIPPED = [
    KEYPOINTS.index(name.replace("left", "@").replace("right", "left").replace("@", "right")) for name in KEYPOINTS
]
"""Which joint a joint becomes in a mirrored picture."""
_NUMBERS = {colour: number for number, colour in enumerate(COLOURS)}


def export(pictures: Iterable[Rendered], folder: Path, part: str) -> None:
    """Write three data sets that share the files of the pictures.

    ``things``: outlines of every category. ``colours``: the same outlines by colour ("red thing"); people, whose clothes have the
    colour, and pizzas, whose plates have it, are not in it. ``people``: boxes and joints of people alone.

    Args:
        pictures: in any order.
        folder: of the data sets.
        part: "train" or "val".
    """
    for kind in KINDS:
        for what in ("images", "labels"):
            (folder / kind / what / part).mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        name = f"{picture.scene.split}_{picture.scene.seed:08d}"
        file = folder / KINDS[0] / "images" / part / f"{name}.jpg"
        Image.fromarray(picture.pixels).save(file, quality=95)
        for kind in KINDS[1:]:
            other = folder / kind / "images" / part / file.name
            other.unlink(missing_ok=True)
            other.hardlink_to(file)
        seen = picture.instances
        lines = {
            "things": [_outlined(one, IDS[one.thing.category] - 1) for one in seen],
            "colours": [_outlined(one, _NUMBERS[one.thing.colour]) for one in seen if coloured(one)],
            "people": [_jointed(one) for one in seen if one.keypoints],
        }
        for kind, rows in lines.items():
            (folder / kind / "labels" / part / f"{name}.txt").write_text("".join(rows))
    (folder / "things" / "data.yaml").write_text(_yaml(list(IDS)))
    (folder / "colours" / "data.yaml").write_text(_yaml([f"{colour} thing" for colour in COLOURS]))
    (folder / "people" / "data.yaml").write_text(_yaml(["person"]) + f"kpt_shape: [17, 3]\nflip_idx: {FLIPPED}\n")


def coloured(one: Instance) -> bool:
    """Whether a thing has its colour itself, not by what it wears or lies on."""
    return one.thing.category not in ("person", "pizza")


def _yaml(names: list[str]) -> str:
    return "train: images/train\nval: images/val\nnames:\n" + "".join(
        f"  {n}: {name}\n" for n, name in enumerate(names)
    )


def _outlined(one: Instance, number: int) -> str:
    height, width = one.mask.shape
    points = (outline(one.mask) + 0.5) / (width, height)
    return f"{number} {' '.join(f'{value:.5f}' for value in points.ravel())}\n"


def _jointed(one: Instance) -> str:
    height, width = one.mask.shape
    x0, y0, x1, y1 = one.box
    values = [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height]
    joints = " ".join(f"{x / width:.5f} {y / height:.5f} {v}" for x, y, v in one.keypoints)
    return f"0 {' '.join(f'{value:.5f}' for value in values)} {joints}\n"


def outline(mask: Mask) -> NDArray[np.int32]:
    """One closed line around a mask, as (x, y) of its outermost pixels.

    ultralytics' format has neither pieces nor holes: pieces are joined by lines of no width, holes are filled.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    pieces = sorted((piece[:, 0].astype(np.int32) for piece in found), key=len, reverse=True)
    line: NDArray[np.int32] = pieces[0]
    for piece in pieces[1:]:
        gaps = ((line[:, None].astype(np.int64) - piece[None]) ** 2).sum(-1)
        here, there = np.unravel_index(gaps.argmin(), gaps.shape)
        around = np.roll(piece, -there, axis=0)
        line = np.concatenate([line[: here + 1], around, around[:1], line[here:]])
    if len(line) < 3:  # ultralytics takes no fewer points for an outline
        line = np.concatenate([line, line[:1].repeat(3 - len(line), axis=0)])
    return line
