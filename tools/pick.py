"""Choosing one among the things that were found."""

from typing import Literal

import numpy as np

from tools.runtime.tool import tool
from tools.values import Detections


@tool(
    examples=["the leftmost person", "the largest dog"],
    words="Keep the {which:left=leftmost,right=rightmost,top=topmost,bottom=lowest,best=surest} of {regions}",
)
def pick(
    regions: Detections, which: Literal["left", "right", "top", "bottom", "largest", "smallest", "best"]
) -> Detections:
    """Keep one of the things found: the leftmost, the largest, the best.

    Positions are those of the boxes' centres, sizes the boxes' areas; the best has the highest score. Among
    equals the higher score decides, then the order in which they were found. Boxes without area are chosen
    only where there is nothing else. In a video, one is kept in each frame.

    Args:
        regions: What was found.
        which: Which one to keep.

    Returns:
        One region, or none when nothing was found.
    """
    x0, y0, x1, y1 = regions.xyxy.astype(np.float64).T
    area = (x1 - x0) * (y1 - y0)
    order = {
        "left": x0 + x1,
        "right": -x0 - x1,
        "top": y0 + y1,
        "bottom": -y0 - y1,
        "largest": -area,
        "smallest": area,
        "best": -regions.scores,
    }[which]
    frames = np.zeros(len(regions), np.int64) if regions.frames is None else regions.frames
    ranked = np.lexsort((-regions.scores, order, area == 0, frames))  # the last key weighs most
    _, first = np.unique(frames[ranked], return_index=True)
    return regions.select(ranked[first])
