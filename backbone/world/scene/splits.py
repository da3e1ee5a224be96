"""Which scenes are for training and which are kept from it: seeds, compositions and styles."""

import hashlib
import random

from backbone.world.paint.categories import CATEGORIES

SPLITS = ("train", "val", "test", "compositions", "shifted")

HELD_COUNT = ("ball", "dog", "car", "bird", "apple", "chair")
"""Of these, exactly four never appear together in training."""

HELD_RELATIONS = (
    ("cat", "dining table"),
    ("ball", "dining table"),
    ("suitcase", "dining table"),
    ("bird", "dining table"),
)
"""What never stands on what in training."""


def rng_for(split: str, seed: int, what: str = "scene") -> random.Random:
    """Chance that depends on nothing but its arguments, the same on every machine."""
    return random.Random(
        int.from_bytes(hashlib.sha256(f"superlink world 1/{split}/{seed}/{what}".encode()).digest()[:8], "big")
    )


def held_colour(category: str, colour: str) -> bool:
    """Whether this colour of this category is kept out of training: about one in eight, never the only ones."""
    colours = CATEGORIES[category].colours
    if len(colours) < 4:
        return False
    start = int.from_bytes(hashlib.sha256(category.encode()).digest()[:4], "big")
    return colour == colours[start % len(colours)]
