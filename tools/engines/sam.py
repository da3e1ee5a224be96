"""Segmentation of given boxes by Segment Anything, through ultralytics."""

from dataclasses import replace
from pathlib import Path

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
        scale = min(1.0, _LONGEST / max(height, width))
        small = max(1, round(height * scale)), max(1, round(width * scale))
        if scale < 1:
            picture = cv2.resize(picture, small[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8)
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
