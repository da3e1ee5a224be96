"""Splits of the scenes: seeds, and compositions and styles that are held out from training."""

import hashlib
import random

from backbone.world.paint.categories import CATEGORIES

SPLITS = ("train", "val", "test", "compositions", "shifted")

HELD_OUT_COUNTS = ("ball", "dog", "car", "bird", "apple", "chair")
"""Categories of which no training scene has exactly four."""

HELD_OUT_RELATIONS = (
    ("cat", "dining table"),
    ("ball", "dining table"),
    ("suitcase", "dining table"),
    ("bird", "dining table"),
)
"""Pairs of categories of which the first never stands on the second in training."""


def rng_for(split: str, seed: int, what: str = "scene") -> random.Random:
    """Return a random generator that depends on its arguments alone, the same on every machine."""
    return random.Random(
        int.from_bytes(hashlib.sha256(f"superlink world 1/{split}/{seed}/{what}".encode()).digest()[:8], "big")
    )


def is_held_out_colour(category: str, colour: str) -> bool:
    """Return whether a colour of a category is held out from training: at most one, of categories with four or more."""
    colours = CATEGORIES[category].colours
    if len(colours) < 4:
        return False
    start = int.from_bytes(hashlib.sha256(category.encode()).digest()[:4], "big")
    return colour == colours[start % len(colours)]
