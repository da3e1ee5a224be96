"""Names the colour of a thing from its pixels, with a small network over shares of paint colours."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from backbone.world.paint.categories import CATEGORIES, IDS
from backbone.world.paint.palette import COLOURS, HAIRS, SKINS, Colour, dark, pale
from backbone.world.scene.camera import LIGHT, Pixels
from common.masks import Mask

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "world" / "colours.safetensors"
WORDS = tuple(COLOURS)
ROWS, COLUMNS = 10, 3
_STEP = 8  # levels of a channel per cell of the colour grid


def _paints() -> list[Colour]:
    """Return the paint colours: each shade of each colour word lit, plain and shaded, then skin and hair."""
    shades = [shade for word in WORDS for shade in COLOURS[word]]
    return [paint for s in shades for paint in (pale(s, 0.2), s, dark(s, 0.22))] + [*SKINS, *HAIRS]


@cache
def _codes() -> NDArray[np.uint8]:
    """Return the code of the nearest paint for each cell of a 32 × 32 × 32 grid of colours.

    Each word has three codes (lit, plain, shaded); those of skin and hair follow.
    """
    paints = np.array(_paints(), np.float32)
    numbers = [word * 3 + way for word in range(len(WORDS)) for _ in range(3) for way in range(3)]
    numbers += range(3 * len(WORDS), 3 * len(WORDS) + len(SKINS) + len(HAIRS))
    axis = np.arange(_STEP // 2, 256, _STEP, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    nearest = np.concatenate([((part[:, None] - paints) ** 2).sum(2).argmin(1) for part in np.split(grid, 32)])
    codes: NDArray[np.uint8] = np.array(numbers, np.uint8)[nearest]
    return codes


CODES = 3 * len(WORDS) + len(SKINS) + len(HAIRS)
FEATURES = CODES + ROWS * COLUMNS * (len(WORDS) + 1) + 5 + len(CATEGORIES)


def features(pixels: Pixels, mask: Mask, category: str, light: str) -> NDArray[np.float32]:
    """Return the network's input for one thing.

    Args:
        pixels: The picture (H, W, 3), RGB, uint8.
        mask: (H, W), True on the thing's visible pixels; not empty.
        category: Its category.
        light: One of ``camera.LIGHT``.

    Returns:
        ``FEATURES`` numbers from 0 to 1: shares of the paints on the thing; shares of the colour words in each cell
        of a grid over its box; how much of each cell the thing covers; which edges of the picture it touches; height
        over height plus width; its category, one-hot.
    """
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    y0, y1, x0, x1 = int(ys.min()), int(ys.max()) + 1, int(xs.min()), int(xs.max()) + 1
    seen = pixels[ys, xs].astype(np.int32) * 256 // np.array(LIGHT[light], np.int32)
    seen = np.minimum(seen, 255) // _STEP
    codes = _codes()[(seen[:, 0] * 32 + seen[:, 1]) * 32 + seen[:, 2]]
    whole = np.bincount(codes, minlength=CODES) / len(codes)
    cell = (ys - y0) * ROWS // (y1 - y0) * COLUMNS + (xs - x0) * COLUMNS // (x1 - x0)
    filled = np.bincount(cell, minlength=ROWS * COLUMNS)
    worded = codes < 3 * len(WORDS)
    words = np.bincount(cell[worded] * len(WORDS) + codes[worded] // 3, minlength=ROWS * COLUMNS * len(WORDS))
    shares = words.reshape(-1, len(WORDS)) / np.maximum(filled, 1)[:, None]
    cover = filled * ROWS * COLUMNS / ((y1 - y0) * (x1 - x0))
    meets = [float(y0 == 0), float(x0 == 0), float(y1 == height), float(x1 == width), (y1 - y0) / (y1 - y0 + x1 - x0)]
    kind = np.zeros(len(CATEGORIES))
    kind[IDS[category] - 1] = 1
    return np.concatenate([whole, shares.ravel(), np.minimum(cover, 1), meets, kind]).astype(np.float32)


@cache
def _network() -> dict[str, NDArray[np.float32]]:
    return {name: part.astype(np.float32) for name, part in load_file(WEIGHTS).items()}


def colour_of(pixels: Pixels, mask: Mask, category: str, light: str) -> str:
    """Return the colour word of a thing, among the colours of its category; arguments as for ``features``."""
    net = _network()
    hidden = np.maximum(features(pixels, mask, category, light) @ net["first"] + net["first_bias"], 0)
    scores = hidden @ net["second"] + net["second_bias"]
    return max(CATEGORIES[category].colours, key=lambda word: float(scores[WORDS.index(word)]))
