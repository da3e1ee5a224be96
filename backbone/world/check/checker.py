"""Does a picture show what was asked for? Decided by program, from its pixels and the specification alone."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from backbone.world.check.colours import measure
from backbone.world.check.places import place_of
from backbone.world.paint.backgrounds import EVERY
from backbone.world.scene.camera import Pixels
from backbone.world.truth.render import Rendered
from backbone.world.words.specs import Spec
from backbone.world.words.wording import many
from common.masks import Mask

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Found:
    """One thing that a finder sees.

    Attributes:
        category: one of ``categories.CATEGORIES``.
        mask: height × width, True where it shows; not empty.
        score: how sure the finder is, 0 to 1.
    """

    category: str
    mask: Mask
    score: float = 1.0

    @property
    def box(self) -> Box:
        """x0, y0, x1, y1, right and lower edges exclusive."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


Finder = Callable[[Pixels], Sequence[Found]]
"""Finds the things on a picture: height × width × 3, RGB, uint8."""


@dataclass(frozen=True)
class Verdict:
    """What a picture was found to hold, and how it differs from what was asked for.

    Attributes:
        breaches: in words, one for each part of the specification that is not met.
        counts: how many things, by category and colour.
        place: the background.
        light: of the picture.
    """

    breaches: tuple[str, ...]
    counts: dict[tuple[str, str], int]
    place: str
    light: str

    @property
    def fulfilled(self) -> bool:
        """Whether all of the specification is met."""
        return not self.breaches


def check(pixels: Pixels, wanted: Spec, find: Finder) -> Verdict:
    """Compare a picture with a specification.

    Args:
        pixels: height × width × 3, RGB, uint8.
        wanted: what it is to show: these things in these colours and no others, how they lie, and the place.
        find: finds its things; what it misses or makes up is counted as the picture's.
    """
    found = find(pixels)
    hidden = np.zeros(pixels.shape[:2], bool)
    for one in found:
        hidden |= one.mask
    place, light = place_of(pixels, hidden)
    counts = Counter((one.category, measure(pixels, one.mask, one.category, light)) for one in found)
    breaches = list(_miscounted(wanted, counts))
    for first, how, second in wanted.relations:
        pair = [[one for one in found if one.category == name] for name in (first, second)]
        if all(len(some) == 1 for some in pair) and not holds(how, pair[0][0], pair[1][0]):
            breaches.append(f"the {first} is not {how} the {second}")
    if place != wanted.background:
        breaches.append(f"it looks as if it were {EVERY[place].name}, not {EVERY[wanted.background].name}")
    return Verdict(tuple(breaches), dict(counts), place, light)


def _miscounted(wanted: Spec, counts: Counter[tuple[str, str]]) -> Iterable[str]:
    asked = Counter({(category, colour): count for category, colour, count in wanted.counts})
    for name in dict.fromkeys(category for category, _ in [*asked, *counts]):
        mine = {colour: n for (category, colour), n in asked.items() if category == name}
        seen = {colour: n for (category, colour), n in counts.items() if category == name}
        if sum(mine.values()) != sum(seen.values()):
            yield f"{many(sum(seen.values()), name)} instead of {many(sum(mine.values()), name)}"
        elif mine != seen:
            yield f"the {name}: {_colours(seen)} instead of {_colours(mine)}"


def _colours(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {colour}" for colour, n in sorted(counts.items()))


def holds(how: str, one: Found, other: Found) -> bool:
    """Whether ``one`` lies so to ``other``: ``left of``, ``right of``, ``above``, ``below`` (nothing of one beside the other) or ``on``."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = one.box, other.box
    if how == "on":
        return _on(one, other)
    return {"left of": ax1 <= bx0, "right of": bx1 <= ax0, "above": ay1 <= by0, "below": by1 <= ay0}[how]


def _on(one: Found, other: Found) -> bool:
    """Whether it touches what is under it and stands at the upper side of it; people sit, their feet on the same floor."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = one.box, other.box
    across = min(ax1, bx1) - max(ax0, bx0)
    if across < 0.4 * min(ax1 - ax0, bx1 - bx0):
        return False
    reach = max(3, one.mask.shape[0] // 50)
    near = cv2.dilate(one.mask.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    if not (near & other.mask).any():
        return False
    tall = by1 - by0
    if one.category == "person":
        return ay0 < by0 + 0.1 * tall and by0 < ay1 and abs(ay1 - by1) < 0.4 * tall
    return ay0 < by0 and by0 - 0.2 * tall < ay1 < by0 + 0.5 * tall


def truth(picture: Rendered) -> Finder:
    """A finder that knows: the masks of the renderer. With it the logic and the measuring are tested without any detector."""
    return lambda pixels: [Found(one.thing.category, one.mask) for one in picture.instances]
