"""Keeping the certain among the things that were found."""

from typing import Annotated

import numpy as np
from pydantic import Field

from tools.core.errors import ValueInvalid
from tools.runtime.tool import tool
from tools.values import Detections

Score = Annotated[float, Field(ge=0, le=1)]


@tool(
    examples=["keep dogs above 0.5", "drop the uncertain ones"],
    words="Keep {labels} with a score of at least {min_scores}, of {regions}",
    planned=False,
)
def keep(regions: Detections, labels: list[str], min_scores: list[Score]) -> Detections:
    """Keep the things found whose score is high enough, label by label.

    Things with another label are kept.

    Args:
        regions: What was found.
        labels: Labels with a least score, as they stand in what was found.
        min_scores: The least score of each of these labels, in their order.

    Returns:
        The things that are left, in their order.

    Raises:
        ValueInvalid: when there is not one score for each label.
    """
    if len(labels) != len(min_scores):
        raise ValueInvalid(f"{len(labels)} labels have {len(min_scores)} scores", "Give one score for each label")
    least = dict(zip(labels, min_scores, strict=True))
    bars = np.array([least.get(label, 0.0) for label in regions.labels], np.float32)
    return regions.select(np.flatnonzero(regions.scores >= bars))
