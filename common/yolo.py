"""The text of ultralytics' data sets: lines of label files, and `data.yaml`."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.masks import Points
from common.skeleton import FLIP

_DIGITS = 7
_STEPS = 5_000_000


def box(corners: ArrayLike, size: tuple[int, int]) -> list[float]:
    """Return centre x, centre y, width and height of a box, each relative to the picture.

    The corners are rounded to multiples of 2e-7 from 0 to 1, so that a reader that computes them from centre and sides,
    also in single precision, stays within the picture.

    Args:
        corners: x0, y0, x1, y1 in pixels.
        size: (height, width) of the picture in pixels.
    """
    scaled = np.asarray(corners, np.float64).reshape(2, 2) / _scale(size)
    steps = np.round(scaled * _STEPS).clip(0, _STEPS)
    steps[1] = np.maximum(steps[1], steps[0] + 1).clip(0, _STEPS)
    steps[0] = np.minimum(steps[0], steps[1] - 1)
    return _rounded([*steps.sum(0) / 2 / _STEPS, *(steps[1] - steps[0]) / _STEPS])


def polygon(points: Points, size: tuple[int, int]) -> list[float]:
    """Return x and y of each point in turn, relative to the picture.

    Args:
        points: (N, 2) in pixels.
        size: (height, width) of the picture in pixels.
    """
    return _rounded((points / _scale(size)).clip(0, 1).reshape(-1))


def keypoints(points: Iterable[tuple[float, float, int]], size: tuple[int, int]) -> list[float]:
    """Return x, y and visibility of each keypoint in turn, x and y relative to the picture.

    Args:
        points: x, y in pixels, and 2 for seen, 1 for hidden, 0 for not labelled; the last and those outside the picture
            become zeros.
        size: (height, width) of the picture in pixels.
    """
    height, width = size
    values: list[float] = []
    for x, y, visibility in points:
        labelled = visibility and 0 <= x <= width and 0 <= y <= height
        values += [*_rounded((x / width, y / height)), visibility] if labelled else [0, 0, 0]
    return values


def line(number: int, values: Iterable[float]) -> str:
    """Return a line of a label file, without its end: the number of the class, and the values."""
    return " ".join([str(number), *(f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".") or "0" for value in values)])


def data_yaml(labels: Sequence[str], pose: bool = False, train: str = "images/train") -> str:
    """Return the content of `data.yaml`.

    Args:
        labels: names of the classes; their order numbers them.
        pose: whether the labels hold COCO's seventeen keypoints.
        train: folder of the pictures for training; those for validation are in "images/val".
    """
    import yaml

    facts: dict[str, object] = {
        "train": train,
        "val": "images/val",
        "nc": len(labels),
        "names": dict(enumerate(labels)),
    }
    if pose:
        facts |= {"kpt_shape": [len(FLIP), 3], "flip_idx": list(FLIP)}
    readable = all(label.isprintable() for label in labels)  # else what YAML forbids is written as escapes
    text: str = yaml.safe_dump(facts, sort_keys=False, allow_unicode=readable, width=1000)
    return text


def _scale(size: tuple[int, int]) -> NDArray[np.float64]:
    height, width = size
    return np.array([width, height], np.float64)


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
