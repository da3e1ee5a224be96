"""The place and the light of a picture, told from its pixels."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from backbone.world.paint.backgrounds import EVERY
from backbone.world.scene.camera import LIGHT, Pixels
from backbone.world.scene.scene import Scene
from backbone.world.truth.render import render
from common.masks import Mask

_CELLS = 32  # of the picture's height
_EXAMPLES = 12
_FIRST = 9_000_000  # seeds that no data set reaches
_DOUBT = 60.0  # squared grey levels: shadows, noise of the camera, what the examples did not show
_FAR = 12.0  # what lies farther off is something else, and how far does not matter


@cache
def _examples(wide: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of every place by day: places × cells × 3."""
    means, variances = [], []
    for name in EVERY:
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
    """The likeliest place and light: empty places are drawn and compared, cell by cell, where nothing stands before them.

    Args:
        pixels: the picture, height × width × 3.
        things: height × width, True where things hide the place.

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
        best = max(best, (float(likely.max()), list(EVERY)[int(likely.argmax())], light))
    return best[1], best[2]
