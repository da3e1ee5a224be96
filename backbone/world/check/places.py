"""Recognises the background and the light of a picture from its pixels."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from backbone.world.paint.backgrounds import ALL_BACKGROUNDS
from backbone.world.scene.camera import LIGHT, Pixels
from backbone.world.scene.scene import Scene
from backbone.world.truth.render import render
from common.masks import Mask

_CELLS = 32  # cells along the height of the picture
_EXAMPLES = 12
_FIRST = 9_000_000  # the first seed of the examples; no data set uses such seeds
_DOUBT = 60.0  # added variance in squared grey levels: shadows, camera noise, what the examples do not show
_FAR = 12.0  # larger normalised squared distances are clipped to this: the cell shows something else


@cache
def _examples(wide: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of each background by day, both (backgrounds, cells, 3)."""
    means, variances = [], []
    for name in ALL_BACKGROUNDS:
        scenes = (
            Scene(_FIRST + k, "train", name, "day", True, 0.0, 0.0, 0.0, (), wide * 2, _CELLS * 2)
            for k in range(_EXAMPLES)
        )
        small = np.array(
            [cv2.resize(render(scene).pixels, (wide, _CELLS), interpolation=cv2.INTER_AREA) for scene in scenes], float
        )
        means.append(small.mean(0).reshape(-1, 3))
        variances.append(small.var(0).reshape(-1, 3))
    return np.array(means), np.array(variances)


def place_of(pixels: Pixels, things: Mask) -> tuple[str, str]:
    """Return the most likely background and light.

    Empty backgrounds are rendered and compared with the picture cell by cell, where no thing hides the background.

    Args:
        pixels: (H, W, 3), RGB, uint8.
        things: (H, W), True where things hide the background.

    Returns:
        The names of the background and of the light.
    """
    height, width = things.shape
    wide = max(1, round(_CELLS * width / height))
    means, variances = _examples(wide)
    bare = (~things).astype(np.float32)
    weights = cv2.resize(bare, (wide, _CELLS), interpolation=cv2.INTER_AREA)
    colours = cv2.resize(pixels.astype(np.float32) * bare[:, :, None], (wide, _CELLS), interpolation=cv2.INTER_AREA)
    colours = (colours / np.maximum(weights, 1e-3)[:, :, None]).reshape(-1, 3)
    share = np.where(weights < 0.2, 0, weights).ravel()[:, None] / 3
    best = (-np.inf, "", "")
    for light, parts in LIGHT.items():
        gain = np.array(parts) / 256
        spread = variances * gain**2 + _DOUBT
        off = (colours - np.minimum(means * gain, 255)) ** 2 / spread
        likely = -((np.minimum(off, _FAR) + np.log(variances + _DOUBT)) * share).sum((1, 2))
        best = max(best, (float(likely.max()), list(ALL_BACKGROUNDS)[int(likely.argmax())], light))
    return best[1], best[2]
