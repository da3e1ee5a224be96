"""NanoDet: boxes of COCO's 80 classes in photographs, by a small network (15 MB) on the CPU.

The network sees 416 x 416 pixels; on one core it takes about 25 ms for a picture. Pictures are looked at one by one:
the graph is made for one, and on a CPU a batch gains nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.coco import CLASSES as COCO
from tools.core.errors import SettingsInvalid
from tools.core.progress import track
from tools.core.settings import settings
from tools.engines.onnx_session import Network, outputs_of
from tools.runtime.model_cache import resident
from tools.values import Detections
from tools.weights import weights

USUAL_SCORE = 0.35
"""The lowest score that is kept, if neither the request nor the catalogue gives one."""

CLASSES = COCO
"""COCO's names, in the order of their class numbers."""

_SIDE = 416
_MEAN = np.array([103.53, 116.28, 123.675], np.float32)  # blue, green, red
_SPREAD = np.array([57.375, 57.12, 58.395], np.float32)
_BINS = np.arange(11, dtype=np.float32)  # the distance to each side of a box is a distribution over these, in strides
_SAME = 0.6  # of two boxes of one class that overlap by this IoU, the better one is kept
_CANDIDATES = 1000


def class_names(role: str, masks: bool = False) -> dict[int, str]:
    """Return COCO's names by class number.

    Raises:
        WeightsMissing: when the role's weights are not on this computer.
        SettingsInvalid: when masks are wanted, which NanoDet does not make.
    """
    weights_id = settings().role(role)
    if masks:
        raise SettingsInvalid(
            f"The weights {weights_id} find boxes, but the role {role} needs masks",
            f"Choose other weights for {role} in settings.toml",
        )
    weights.use(weights_id)
    return dict(enumerate(CLASSES))


def find(
    pictures: Sequence[NDArray[np.uint8]], role: str, labels: Mapping[int, str], min_score: float, masks: bool = False
) -> list[Detections]:
    """Find things of COCO's classes, without masks; see `dispatch.NamedThings.find`.

    Raises:
        WeightsMissing: when the role's weights are not on this computer.
        ToolError: when they are for something else.
    """
    weights_id = settings().role(role)
    with _load.lease(weights.use(weights_id)) as network, outputs_of("NanoDet", weights_id, role):
        return [_find(network, picture, labels, min_score) for picture in track(pictures)]


@resident(bytes=60_000_000, device="cpu")
def _load(path: Path) -> Network:
    return Network(path)


def _find(network: Network, picture: NDArray[np.uint8], labels: Mapping[int, str], min_score: float) -> Detections:
    pixels, scale = _letterbox(picture)
    outputs = network.run(pixels)
    found = [_decode(scores[0], sides[0], labels, min_score) for scores, sides in _pairs(outputs)]
    boxes, scores, classes = (np.concatenate(column) for column in zip(*found, strict=True))
    keep = _best(boxes, scores, classes)
    names = [labels[number] for number in classes[keep].tolist()]
    return Detections.from_model(boxes[keep] / scale, names, scores[keep], (picture.shape[0], picture.shape[1]))


def _letterbox(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the picture as the network sees it, (1, 3, 416, 416), and by how much x, y, x, y were scaled for that."""
    import cv2

    height, width = picture.shape[:2]
    factor = _SIDE / max(height, width)
    inner = max(1, round(height * factor)), max(1, round(width * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((_SIDE, _SIDE, 3), np.float32)
    canvas[: inner[0], : inner[1]] = cv2.resize(picture, inner[::-1], interpolation=method)
    blue_first = (canvas[:, :, ::-1] - _MEAN) / _SPREAD
    return np.ascontiguousarray(blue_first.transpose(2, 0, 1))[None], np.tile([inner[1] / width, inner[0] / height], 2)


def _pairs(outputs: Sequence[NDArray[np.float32]]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return for each grid of cells its scores (1, N, 80) and the distributions of its boxes' sides (1, N, 44)."""
    sides = {output.shape[1]: output for output in outputs if output.shape[2] == 4 * len(_BINS)}
    return [(scores, sides[scores.shape[1]]) for scores in outputs if scores.shape[2] == len(CLASSES)]


def _decode(
    scores: NDArray[np.float32], sides: NDArray[np.float32], labels: Mapping[int, str], min_score: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """Return boxes (M, 4) in the network's pixels, scores (M,) and class numbers (M,) of a grid of cells.

    Args:
        scores: (N, 80) of the cells.
        sides: (N, 44): for left, top, right and bottom, logits of how many strides that side is away.
        labels: The class numbers that count.
        min_score: The lowest score that counts.
    """
    wanted = np.array(sorted(labels), np.intp)
    cells, columns = np.nonzero(scores[:, wanted] >= min_score)
    grid = round(len(scores) ** 0.5)
    stride = _SIDE / grid
    logits = sides[cells].reshape(-1, 4, len(_BINS))
    shares = np.exp(logits - logits.max(axis=2, keepdims=True))
    away = (shares / shares.sum(axis=2, keepdims=True)) @ _BINS * stride
    rows, places = np.divmod(cells, grid)
    centres = (np.stack([places, rows], axis=1) + 0.5) * stride
    boxes = np.concatenate([centres - away[:, :2], centres + away[:, 2:]], axis=1).astype(np.float32)
    return boxes, scores[cells, wanted[columns]], wanted[columns]


def _best(boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numbers of the boxes that no better one of their class overlaps, best first."""
    import cv2

    first = np.argsort(-scores, kind="stable")[:_CANDIDATES]
    sides = np.concatenate([boxes[first, :2], boxes[first, 2:] - boxes[first, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(sides.tolist(), scores[first].tolist(), classes[first].tolist(), 0.0, _SAME)
    return first[np.array(kept, dtype=np.intp).reshape(-1)]
