"""Segmentation of given boxes, and of what a person points at, by Segment Anything, through ultralytics."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import SuperlinkError, ToolError, WeightsUnsafe
from tools.core.progress import track
from tools.core.settings import settings
from tools.engines import yolo
from tools.runtime.model_cache import device, resident
from tools.values import Detections
from tools.weights import weights

# The network works at 1024 pixels. Longer pictures are scaled down to this, and their masks enlarged.
_LONGEST = 2048
_AT_ONCE = 16  # boxes; each mask has the size of the picture


def outline(picture: NDArray[np.uint8], points: Sequence[tuple[float, float, bool]]) -> NDArray[np.bool_]:
    """Find the mask of the thing at which a person points.

    What was computed of the picture is kept until another picture comes, so that only its first points take long.

    Args:
        picture: RGB pixels (H, W, 3).
        points: x and y in pixels of the picture, and whether the point is in the thing; others are outside of it.

    Returns:
        The mask (H, W), empty where nothing is made out.

    Raises:
        WeightsMissing: when the weights of the role outline are not on this computer.
        SettingsInvalid: when they are run by another engine.
    """
    import cv2

    height, width = picture.shape[:2]
    small, scale = _small(height, width)
    spots = [[x * small[1] / width, y * small[0] / height] for x, y, _ in points]
    name = hashlib.sha256(picture.shape.__repr__().encode() + picture.tobytes()).hexdigest()
    with _pointer.lease(weights.use(settings().role("outline"))) as pointer, yolo.restore_threads():
        if pointer.name != name:
            pointer.name = ""
            pointer.look(_resized(picture, small) if scale < 1 else picture)
            pointer.name = name
        mask = pointer.mask(spots, [int(inside) for *_, inside in points])
    if mask is None:
        return np.zeros((height, width), bool)
    return (mask if scale == 1 else cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)).astype(bool)


def _small(height: int, width: int) -> tuple[tuple[int, int], float]:
    """Return height and width at which a picture is looked at, and its scale."""
    scale = min(1.0, _LONGEST / max(height, width))
    return (max(1, round(height * scale)), max(1, round(width * scale))), scale


def _resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    import cv2

    resized: NDArray[np.uint8] = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8)
    return resized


class _Pointer:
    """A model with the picture that was looked at last.

    Args:
        model: Segment Anything.

    Attributes:
        name: Of the picture, as the caller calls it.
    """

    def __init__(self, model: Any) -> None:
        # A predictor of its own: that of the model would go on with the picture that it looked at before.
        predictor = model.task_map["segment"]["predictor"]
        options = {"conf": 0.0, "task": "segment", "mode": "predict", "imgsz": 1024, "save": False, "verbose": False}
        self._predictor: Any = predictor(overrides={**options, "device": device()})
        self._predictor.setup_model(model=model.model, verbose=False)
        self.name = ""

    def look(self, picture: NDArray[np.uint8]) -> None:
        self._predictor.reset_image()
        self._predictor.set_image(np.ascontiguousarray(picture[:, :, ::-1]))

    def mask(self, points: list[list[float]], labels: list[int]) -> NDArray[np.uint8] | None:
        """Return the mask (H, W) of 0 and 1 of the one thing that these points tell, or None."""
        [result] = self._predictor(points=[points], labels=[labels])
        found = [] if result.masks is None else result.masks.data  # none of a score of 0
        return found[0].cpu().numpy().astype(np.uint8) if len(found) else None


@resident(bytes=900_000_000)
def _pointer(path: Path) -> _Pointer:
    return _Pointer(_read(path))


def masks_in(picture: NDArray[np.uint8], regions: Detections) -> Detections:
    """Find the mask of the thing in each region.

    Args:
        picture: RGB pixels (H, W, 3).
        regions: Boxes in this picture; their masks are not used.

    Returns:
        The regions with masks, and with the smallest boxes around these. Regions with an empty mask and boxes without
        area are left out.

    Raises:
        WeightsMissing: when the weights of the role segment_boxes are not on this computer.
    """
    import cv2

    area = (regions.xyxy[:, 2] > regions.xyxy[:, 0]) & (regions.xyxy[:, 3] > regions.xyxy[:, 1])
    regions = regions.select(area)
    found: list[Detections] = []
    if len(regions):
        height, width = regions.size
        small, scale = _small(height, width)
        if scale < 1:
            picture = _resized(picture, small)
        boxes = regions.xyxy * np.tile([small[1] / width, small[0] / height], 2)
        with _load.lease(weights.use(settings().role("segment_boxes"))) as model:
            for number, mask in enumerate(_masks(model, picture, boxes)):
                full = mask if scale == 1 else cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
                found.append(
                    Detections.from_masks(full[None].astype(bool), [regions.labels[number]], [regions.scores[number]])
                )
    found = [one for one in found if len(one)]
    return Detections.concat(found) if found else replace(Detections.empty(regions.size), masks=())


def _masks(model: yolo.Model, picture: NDArray[np.uint8], boxes: NDArray[np.floating]) -> list[NDArray[np.uint8]]:
    """Return a mask (H, W) of 0 and 1 for each box."""
    masks = [np.zeros(picture.shape[:2], np.uint8)] * len(boxes)
    for start in track(range(0, len(boxes), _AT_ONCE)):
        with yolo.restore_threads():
            [result] = model.predict(
                np.ascontiguousarray(picture[:, :, ::-1]),
                conf=0.0,
                verbose=False,
                save=False,
                bboxes=boxes[start : start + _AT_ONCE].tolist(),
                device=device(),
            )
        if result.masks is not None and result.boxes is not None:
            for mask, number in zip(result.masks.data, result.boxes.cls.int().tolist(), strict=True):
                masks[start + number] = mask.cpu().numpy().astype(np.uint8)
    return masks


@resident(bytes=900_000_000)
def _load(path: Path) -> yolo.Model:
    return _read(path)


def _read(path: Path) -> yolo.Model:
    ultralytics = yolo.library()
    import torch

    try:
        # The library reads these files without its own protection against pickles that run code.
        if unsafe := torch.serialization.get_unsafe_globals_in_checkpoint(path):
            raise WeightsUnsafe(
                f"{path} holds more than numbers: {', '.join(unsafe)}", "Use the file that ultralytics publishes"
            )
        model: yolo.Model = ultralytics.SAM(path).to(device())
        return model
    except SuperlinkError:
        raise
    except Exception as error:  # the library has no error of its own for files that it cannot read
        raise ToolError(
            f"{path} cannot be loaded as Segment Anything: {error}",
            "Use a file that ultralytics publishes, under its name, such as sam2.1_b.pt",
        ) from error
