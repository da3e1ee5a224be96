"""Counting."""

import numpy as np

from tools.base import tool
from tools.values import Detections, Number


@tool(examples=["how many cars are there?", "count the apples"])
def count(regions: Detections) -> Number:
    """Count the things that were found.

    In a video, a thing that was followed through many frames counts once.

    Args:
        regions: What was found.

    Returns:
        A whole number, 0 when nothing was found.
    """
    if regions.ids is not None:
        return Number(len(np.unique(regions.ids)))
    return Number(len(regions))
