"""MoveNet Thunder: COCO's 17 keypoints of one person at a time, by a network (25 MB) on the CPU.

People are found first, by the weights of the role detect. The network sees a square around each, brought to 256 x 256
pixels; on one core it takes about 20 ms for a person.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.core.progress import track
from tools.core.settings import settings
from tools.engines import people as people_finder
from tools.engines.onnx_session import Network, outputs_of
from tools.runtime.model_cache import resident
from tools.values import Detections, Poses
from tools.weights import weights

TAKES_PEOPLE = True
"""Whether `poses` looks at the people that it is given."""

_SIDE = 256
_MARGIN = 1.25  # of the longer side of a person's box: the side of the square around it


def poses(
    pictures: Sequence[NDArray[np.uint8]],
    role: str,
    min_score: float | None = None,
    people: Sequence[Detections] | None = None,
) -> list[Poses]:
    """Find the keypoints of people.

    Args:
        pictures: RGB pixels (H, W, 3) each.
        role: The role, as in the settings.
        min_score: People with at least this score are kept; by default as for detect.
        people: The people in each picture, as boxes; by default they are found by the weights of the role detect.

    Returns:
        The poses of the people in each picture, with the scores and boxes that they were found with.

    Raises:
        WeightsMissing: when the weights, or those that find people, are not on this computer.
        ToolError: when the weights are for something else.
    """
    found = people_finder.find(pictures, "person", min_score) if people is None else people
    weights_id = settings().role(role)
    with _load.lease(weights.use(weights_id)) as network, outputs_of("MoveNet", weights_id, role):
        pairs = track(zip(pictures, found, strict=True), len(pictures))
        return [_poses(network, picture, boxes) for picture, boxes in pairs]


@resident(bytes=80_000_000, device="cpu")
def _load(path: Path) -> Network:
    return Network(path)


def _poses(network: Network, picture: NDArray[np.uint8], people: Detections) -> Poses:
    each = [_keypoints(network, picture, box) for box in track(people.xyxy)]
    keypoints = np.array(each, np.float32).reshape(-1, 17, 3)
    keypoints[:, :, 2] = np.clip(keypoints[:, :, 2], 0, 1)
    keep = np.isfinite(keypoints).all(axis=(1, 2))
    return Poses(keypoints[keep], people.scores[keep], people.xyxy[keep], people.size, int((~keep).sum()))


def _keypoints(network: Network, picture: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return x and y in pixels and a score of each keypoint (17, 3) of the person in a box (4,)."""
    import cv2

    side = max(float((box[2:] - box[:2]).max()) * _MARGIN, 1.0)
    corner = (box[:2] + box[2:]) / 2 - side / 2
    scale = side / _SIDE
    to_picture = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    square = cv2.warpAffine(picture, to_picture, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    [answer] = network.run(square.astype(np.int32)[None])
    y, x, scores = answer.reshape(17, 3).T
    return np.stack([x * side + corner[0], y * side + corner[1], scores], axis=1).astype(np.float32)
