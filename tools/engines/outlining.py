"""Outlining what a person points at, with the weights of the role outline."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tools.core.settings import settings
from tools.engines import dispatch
from tools.weights import weights

ROLE = "outline"


def is_here() -> bool:
    """Return whether the weights are on this computer."""
    return weights.is_here(settings().role(ROLE))


def outline(picture: NDArray[np.uint8], points: Sequence[tuple[float, float, bool]]) -> NDArray[np.bool_]:
    """Find the mask of the thing at which a person points.

    Args:
        picture: RGB pixels (H, W, 3).
        points: x and y in pixels, and whether the point is in the thing or outside of it.

    Returns:
        The mask (H, W), empty where nothing is made out.

    Raises:
        WeightsMissing: when the weights are not on this computer.
        SettingsInvalid: when their engine cannot do this.
    """
    return dispatch.pointed(ROLE).outline(picture, points)
