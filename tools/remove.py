"""Taking things out of a picture."""

import numpy as np
from numpy.typing import NDArray

from tools.core.errors import ToolError
from tools.core.settings import settings
from tools.imaging.held import changed_frames
from tools.imaging.regions import Picture, check_regions, region_pixels
from tools.runtime.tool import tool
from tools.values import Detections, Image, Video
from tools.weights.needs import weights_of

_WITHOUT_WEIGHTS = "opencv-telea"
# Masks stop short of soft edges and shadows, which would grow into the filled area.
_RIM = 0.03
_LEAST_RIM = 3
_RADIUS = 3


@tool(
    examples=["remove the person in the background", "get rid of the car"],
    version="3",
    words="Take out {regions}",
    needs=weights_of("remove"),
)
def remove(image: Picture, regions: Detections) -> Picture:
    """Take things out of an image and fill in the background.

    Regions are their masks where they have them, otherwise their boxes, with a rim of 3% of their longer
    side (3 pixels at least); nothing else changes. The role `remove` in the settings chooses what fills them:
    `opencv-telea`, which continues the surroundings, or the weights id of a diffusers inpainting pipeline.
    Frames of a video are filled one by one, which may flicker.

    Args:
        image: The picture or video.
        regions: What to take out; masks (segment) give better results than boxes.

    Returns:
        A picture without the file's metadata, or a new video; when there are no regions, the pixels are those of the
        file, and a video is the same one.

    Raises:
        ValueInvalid: when the regions belong to another picture or video.
        ToolError: when they cover all of it.
        WeightsMissing: when the chosen weights are not on this computer.
    """
    check_regions(image, regions)
    if isinstance(image, Video):
        return changed_frames(image, regions, _filled)  # type: ignore[return-value]  # of either kind
    pixels = _filled(image.pixels, regions)
    return image.without_metadata() if pixels is None else Image.from_numpy(pixels)


def _filled(pixels: NDArray[np.uint8], regions: Detections) -> NDArray[np.uint8] | None:
    """Return pixels (H, W, 3) with the regions filled in; None when they have no pixel."""
    mask = _with_rims(regions)
    if not mask.any():
        return None
    if mask.all():
        raise ToolError(
            "The regions cover the whole picture, so there is no background left to fill them with",
            "Choose smaller regions, or find masks with segment",
            tool="remove",
        )
    weights = settings().role("remove")
    if weights == _WITHOUT_WEIGHTS:
        filled = _continue_surroundings(pixels, mask)
    else:
        from tools.engines.diffusion import inpaint

        filled = inpaint(Image.from_numpy(pixels), mask, weights).pixels
    return np.where(mask[:, :, None], filled, pixels)


def _with_rims(regions: Detections) -> NDArray[np.bool_]:
    """Return all regions with their rims as one mask (H, W)."""
    import cv2

    height, width = regions.size
    together = np.zeros(regions.size, bool)
    for rows, columns, mask in region_pixels(regions):
        rim = max(_LEAST_RIM, round(_RIM * max(mask.shape)))
        # Distances take the same time for every rim; a dilation with a large kernel does not.
        outside = np.pad(~mask, rim, constant_values=True).astype(np.uint8)
        wider = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= rim
        top, left = rows.start - rim, columns.start - rim
        bottom, right = rows.stop + rim, columns.stop + rim
        together[max(top, 0) : bottom, max(left, 0) : right] |= wider[
            max(-top, 0) : height - top, max(-left, 0) : width - left
        ]
    return together


def _continue_surroundings(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Fill a mask from its edge inwards (Telea 2004)."""
    import cv2

    filled: NDArray[np.uint8] = cv2.inpaint(pixels, mask.astype(np.uint8), _RADIUS, cv2.INPAINT_TELEA)
    return filled
