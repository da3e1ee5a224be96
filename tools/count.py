"""Counting."""

import numpy as np

from tools.core.errors import ValueInvalid
from tools.runtime.tool import tool
from tools.values import Detections, Number


@tool(examples=["how many cars are there?", "count the apples"], words="Count {regions}")
def count(regions: Detections) -> Number:
    """Count the things that were found.

    In a video, a thing that was followed through many frames counts once.

    Args:
        regions: What was found.

    Returns:
        A whole number, 0 when nothing was found.

    Raises:
        ValueInvalid: when they were found in the frames of a video, but not followed from one to the next.
    """
    if regions.ids is not None:
        return Number(len(np.unique(regions.ids)))
    if regions.frames is not None:
        raise ValueInvalid(
            "These things were found in each frame by itself, so nobody knows which are the same",
            "Use track instead of detect",
        )
    return Number(len(regions))
