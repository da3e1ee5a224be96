"""Checks whether a picture follows a specification, from its pixels and the specification alone."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from backbone.world.check.colours import colour_of
from backbone.world.check.places import place_of
from backbone.world.paint.backgrounds import ALL_BACKGROUNDS
from backbone.world.scene.camera import Pixels
from backbone.world.truth.render import Rendered
from backbone.world.words.specs import Spec
from backbone.world.words.wording import quantity
from common.masks import Mask, bounding_box

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class FoundThing:
    """A thing that a finder found in a picture.

    Attributes:
        category: One of ``categories.CATEGORIES``.
        mask: (H, W), True on its visible pixels; not empty.
        score: The finder's confidence, from 0 to 1.
    """

    category: str
    mask: Mask
    score: float = 1.0

    @property
    def box(self) -> Box:
        """The box x0, y0, x1, y1 of the mask in pixels, x1 and y1 exclusive."""
        return bounding_box(self.mask)


Finder = Callable[[Pixels], Sequence[FoundThing]]
"""Returns the things in a picture (H, W, 3), RGB, uint8."""


@dataclass(frozen=True)
class Verdict:
    """The result of a check.

    Attributes:
        breaches: A sentence for each part of the specification that the picture does not follow.
        counts: Number of things by category and colour.
        place: Name of the recognised background.
        light: Name of the recognised light.
    """

    breaches: tuple[str, ...]
    counts: dict[tuple[str, str], int]
    place: str
    light: str

    @property
    def fulfilled(self) -> bool:
        """Whether the picture follows the whole specification."""
        return not self.breaches


def check(pixels: Pixels, specification: Spec, find: Finder) -> Verdict:
    """Compare a picture with a specification.

    Args:
        pixels: (H, W, 3), RGB, uint8.
        specification: Things with their colours, relations between them, and the background. Further things are
            breaches.
        find: Returns the things in the picture. Its errors count as breaches of the picture.
    """
    found = find(pixels)
    hidden = np.zeros(pixels.shape[:2], bool)
    for one in found:
        hidden |= one.mask
    place, light = place_of(pixels, hidden)
    counts = Counter((one.category, colour_of(pixels, one.mask, one.category, light)) for one in found)
    breaches = list(_count_breaches(specification, counts))
    for first, how, second in specification.relations:
        pair = [[one for one in found if one.category == name] for name in (first, second)]
        if all(len(some) == 1 for some in pair) and not relation_holds(how, pair[0][0], pair[1][0]):
            breaches.append(f"the {first} is not {how} the {second}")
    if place != specification.background:
        breaches.append(
            f"it looks as if it were {ALL_BACKGROUNDS[place].name}, "
            f"not {ALL_BACKGROUNDS[specification.background].name}"
        )
    return Verdict(tuple(breaches), dict(counts), place, light)


def _count_breaches(specification: Spec, counts: Counter[tuple[str, str]]) -> Iterable[str]:
    expected_counts = Counter({(category, colour): count for category, colour, count in specification.counts})
    for name in dict.fromkeys(category for category, _ in [*expected_counts, *counts]):
        expected = {colour: n for (category, colour), n in expected_counts.items() if category == name}
        found = {colour: n for (category, colour), n in counts.items() if category == name}
        if sum(expected.values()) != sum(found.values()):
            yield f"{quantity(sum(found.values()), name)} instead of {quantity(sum(expected.values()), name)}"
        elif expected != found:
            yield f"the {name}: {_colours(found)} instead of {_colours(expected)}"


def _colours(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {colour}" for colour, n in sorted(counts.items()))


def relation_holds(how: str, one: FoundThing, other: FoundThing) -> bool:
    """Return whether a relation relation_holds between two things.

    Args:
        how: "left of", "right of", "above", "below", for which the boxes may not overlap in that direction, or "on".
        one: The first thing.
        other: The second thing.
    """
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = one.box, other.box
    if how == "on":
        return _on(one, other)
    return {"left of": ax1 <= bx0, "right of": bx1 <= ax0, "above": ay1 <= by0, "below": by1 <= ay0}[how]


def _on(one: FoundThing, other: FoundThing) -> bool:
    """Return whether one thing stands on the other: it touches the upper part; the feet of a person are at the base."""
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


def ground_truth(picture: Rendered) -> Finder:
    """Return a finder that gives the renderer's masks; it tests the checker without the errors of a detector."""
    return lambda pixels: [FoundThing(one.thing.category, one.mask) for one in picture.instances]
