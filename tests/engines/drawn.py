"""Drawn pictures whose contents are known exactly: people as stick figures, cars as boxes on wheels."""

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

NAMES = ("person", "car")
SIZE = 96

# COCO's 17 keypoints of a standing figure, as shares of its width and height.
_FIGURE = (
    (0.5, 0.1),
    (0.42, 0.07),
    (0.58, 0.07),
    (0.36, 0.1),
    (0.64, 0.1),
    (0.3, 0.28),
    (0.7, 0.28),
    (0.14, 0.45),
    (0.86, 0.45),
    (0.06, 0.6),
    (0.94, 0.6),
    (0.38, 0.58),
    (0.62, 0.58),
    (0.34, 0.78),
    (0.66, 0.78),
    (0.3, 0.97),
    (0.7, 0.97),
)
_LIMBS = ((5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16))


@dataclass(frozen=True)
class Thing:
    """One drawn thing: its name, its box x0, y0, x1, y1, its mask (H, W) and, of people, its keypoints (17, 2)."""

    name: str
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    keypoints: NDArray[np.float32]


def scene(
    rng: random.Random, size: tuple[int, int] = (SIZE, SIZE), names: tuple[str, ...] = NAMES, smallest: float = 0.3
) -> tuple[NDArray[np.uint8], list[Thing]]:
    """Draw one to three things that do not touch, on a pale ground of (height, width).

    Their sides are between the share `smallest` and half of the shorter side.
    """
    spots: list[tuple[str, int, int, int]] = []
    short = min(size)
    for _ in range(rng.randint(1, 3)):
        for _ in range(20):
            side = rng.randint(int(short * smallest), short // 2)
            x, y = rng.randint(0, size[1] - side), rng.randint(0, size[0] - side)
            if all(x + side < a or a + s < x or y + side < b or b + s < y for _, a, b, s in spots):
                spots.append((rng.choice(names), x, y, side))
                break
    return draw(spots, size, tuple(rng.randint(170, 255) for _ in range(3)))


def draw(
    spots: list[tuple[str, int, int, int]],
    size: tuple[int, int] = (SIZE, SIZE),
    ground: tuple[int, ...] = (230, 230, 220),
) -> tuple[NDArray[np.uint8], list[Thing]]:
    """Draw things at name, x, y, side on a ground of (height, width)."""
    picture = Image.new("RGB", size[::-1], ground)
    things = []
    for name, x, y, side in spots:
        mask = Image.new("1", size[::-1])
        points = np.array(_FIGURE, np.float32) * (side * 0.6, side) + (x + side * 0.2, y)
        pen = ImageDraw.Draw(mask)
        if name == "person":
            width = max(2, side // 9)
            for a, b in _LIMBS:
                pen.line([*map(tuple, points[[a, b]])], 1, width)
            pen.polygon([tuple(points[i]) for i in (5, 6, 12, 11)], 1)
            pen.ellipse((x + side * 0.39, y, x + side * 0.61, y + side * 0.22), 1)
            colour = (190, 40, 40)
        else:
            pen.rectangle((x, y + side * 0.25, x + side - 1, y + side * 0.7), 1)
            pen.rectangle((x + side * 0.25, y + side * 0.1, x + side * 0.75, y + side * 0.3), 1)
            for wheel in (0.12, 0.62):
                pen.ellipse((x + side * wheel, y + side * 0.6, x + side * (wheel + 0.26), y + side * 0.86), 1)
            colour = (30, 60, 190)
        picture.paste(colour, mask=mask)
        covered = np.array(mask)
        rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
        box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        things.append(Thing(name, box, covered, points))
    return np.array(picture), things


def iou(a: object, b: object) -> float:
    """Return how much two boxes overlap, from 0 to 1."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = (map(float, box) for box in (a, b))  # type: ignore[call-overload]
    shared = max(0.0, min(ax1, bx1) - max(ax0, bx0)) * max(0.0, min(ay1, by1) - max(ay0, by0))
    return shared / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - shared)
