"""Masks of people, by MediaPipe's selfie segmentation: a network of 0.5 MB on the CPU, 5 ms for a person on one core.

People are found first, by the weights of the role detect, or given as regions. The network sees each by itself; who
stands close behind or beside a person may become part of the mask.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import SettingsInvalid, ToolError
from tools.core.progress import track
from tools.core.settings import settings
from tools.engines import nanodet, people
from tools.engines.onnx_session import Network
from tools.runtime.model_cache import resident
from tools.values import Detections
from tools.weights import weights

USUAL_SCORE = nanodet.USUAL_SCORE
"""The lowest score of a person that is kept, if the caller gives none."""

_SIDE = 256
_MARGIN = 0.1  # of a box's sides, on each side: the network knows people with something around them
_PERSON = 0.5  # pixels from this value on belong to the person


def class_names(role: str, masks: bool = False) -> dict[int, str]:
    """Return the only name that it knows.

    Raises:
        WeightsMissing: when the role's weights are not on this computer.
    """
    weights.use(settings().role(role))
    return {0: "person"}


def find(
    pictures: Sequence[NDArray[np.uint8]], role: str, labels: Mapping[int, str], min_score: float, masks: bool = False
) -> list[Detections]:
    """Find people, the only class, always with masks; see `dispatch.NamedThings.find`.

    Raises:
        WeightsMissing: when the weights, or those that find people, are not on this computer.
        ToolError: when the weights are for something else.
    """
    found = people.find(pictures, labels[0], min_score)
    pairs = track(zip(pictures, found, strict=True), len(pictures))
    return [_outlined(picture, boxes, role) for picture, boxes in pairs]


def masks_in(picture: NDArray[np.uint8], regions: Detections) -> Detections:
    """Outline the person in each region, by the weights of the role segment_boxes.

    Args:
        picture: RGB pixels (H, W, 3).
        regions: Boxes of people in this picture; masks they may have are not looked at.

    Returns:
        The regions with masks, and boxes drawn closely around these. Regions in which nobody was made out are left out.

    Raises:
        SettingsInvalid: when a region is labelled as anything else than people.
        WeightsMissing: when the weights of the role segment_boxes are not on this computer.
    """
    if not people.are_people(regions):
        other = next(label for label in regions.labels if not people.is_person(label))
        raise SettingsInvalid(
            f"{other!r} cannot be outlined: the weights {settings().role('segment_boxes')} outline people alone",
            "Segment Anything outlines whatever is in a box: superlink models pull sam2.1-b --trust, and set "
            'segment_boxes = "sam2.1-b" under [roles] in settings.toml',
        )
    return _outlined(picture, regions, "segment_boxes")


def _outlined(picture: NDArray[np.uint8], regions: Detections, role: str) -> Detections:
    found: list[Detections] = []
    with _load.lease(weights.use(settings().role(role))) as network:
        for number, box in enumerate(track(regions.xyxy)):
            mask = _mask(network, picture, box)
            one = Detections.from_masks(mask[None], [regions.labels[number]], [regions.scores[number]])
            found += [one] if len(one) else []
    return Detections.concat(found) if found else replace(Detections.empty(regions.size), masks=())


@resident(bytes=20_000_000, device="cpu")
def _load(path: Path) -> Network:
    return Network(path)


def _mask(network: Network, picture: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the mask (H, W) of the person in a box (4,)."""
    import cv2

    height, width = picture.shape[:2]
    margin = (box[2:] - box[:2]) * _MARGIN
    left, top = np.floor(np.maximum(box[:2] - margin, 0)).astype(int)
    right, bottom = np.ceil(np.minimum(box[2:] + margin, [width, height])).astype(int)
    mask = np.zeros((height, width), bool)
    if right > left and bottom > top:
        part = picture[top:bottom, left:right]
        pixels = cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        answer = network.run(pixels[None])[0]
        if answer.shape != (1, _SIDE, _SIDE, 1):
            raise ToolError(
                f"The network for people's masks answered with the shape {answer.shape}",
                "Choose other weights in settings.toml, such as selfie-segmentation",
            )
        shares = cv2.resize(answer[0, :, :, 0], (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        mask[top:bottom, left:right] = shares >= _PERSON
    return mask
