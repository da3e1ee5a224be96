"""Making things in a picture unrecognisable."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tools.imaging.held import changed_frames
from tools.imaging.regions import Picture, check_regions, region_pixels
from tools.runtime.tool import tool
from tools.values import Detections, Image, Video

# What is left of a region: its average colour in this number of cells along its longer side. A digit can still be
# read from 3x5 cells, a face be guessed from 8x8.
_CELLS = 4
# Cells are not smaller than this, or small writing would survive in small regions.
_CELL_PIXELS = 8
_SMOOTHED_AT = 256


@tool(examples=["blur every face", "hide the license plates"], version="3", words="{how:fill=black out} {regions}")
def redact(image: Picture, regions: Detections, how: Literal["blur", "pixelate", "fill"] = "blur") -> Picture:
    """Make regions of an image unrecognisable.

    A region is its mask where it has one, otherwise every pixel that its box touches. Only those pixels
    change. Whatever the size of a region, blur and pixelate keep no more of it than its average colours in
    4 cells along its longer side; fill makes it black and keeps nothing, which is the choice where someone
    may try hard to guess what was there.

    In a video, regions are held while a thing is out of a detector's sight for a moment (`tools.imaging.held`).
    Number and time stamps of the frames and the sound stay as they are; subtitles, other data and metadata are left
    out.

    Args:
        image: The picture or video.
        regions: What to hide.
        how: blur (smooth), pixelate (squares) or fill (black).

    Returns:
        A picture without the file's metadata, which may hold a preview, or a new video; when there are no regions,
        the pixels are those of the file, and a video is the same one.

    Raises:
        ValueInvalid: when the regions belong to another picture or video.
    """
    check_regions(image, regions)
    if isinstance(image, Video):
        return changed_frames(image, regions, lambda pixels, found: _hidden(pixels, found, how))  # type: ignore[return-value]
    pixels = _hidden(image.pixels, regions, how)
    return image.without_metadata() if pixels is None else Image.from_numpy(pixels)


def _hidden(pixels: NDArray[np.uint8], regions: Detections, how: str) -> NDArray[np.uint8] | None:
    """Return pixels (H, W, 3) without the regions; None when they have no pixel."""
    hidden: NDArray[np.uint8] | None = None
    # Each region starts from what the ones before it left, so that overlaps never show more than one of them.
    for rows, columns, mask in region_pixels(regions):
        hidden = np.array(pixels) if hidden is None else hidden
        area = hidden[rows, columns]
        area[mask] = 0 if how == "fill" else _coarse(area, smooth=how == "blur")[mask]
    return hidden


def _coarse(area: NDArray[np.uint8], smooth: bool) -> NDArray[np.uint8]:
    """Return pixels (H, W, 3) of the same shape that depend on nothing but the average colours of a few cells."""
    import cv2

    height, width = area.shape[:2]
    cell = max(max(height, width) / _CELLS, _CELL_PIXELS)
    cells = max(1, round(width / cell)), max(1, round(height / cell))
    small = cv2.resize(area, cells, interpolation=cv2.INTER_AREA)
    if not smooth:
        squares: NDArray[np.uint8] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
        return squares
    # Smoothed at a size that is always quick: boxes of thousands of pixels would also overflow OpenCV's sums.
    shrink = min(1, _SMOOTHED_AT / max(height, width))
    middle = cv2.resize(
        small, (max(1, round(width * shrink)), max(1, round(height * shrink))), interpolation=cv2.INTER_LINEAR
    )
    reach = round(cell * shrink / 2) * 2 + 1
    for _ in range(2):  # hides the creases of linear interpolation
        middle = cv2.blur(middle, (reach, reach), borderType=cv2.BORDER_REPLICATE)
    coarse: NDArray[np.uint8] = cv2.resize(middle, (width, height), interpolation=cv2.INTER_LINEAR)
    return coarse
