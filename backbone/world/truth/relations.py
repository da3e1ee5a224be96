"""Spatial relations between things, only where they are unambiguous."""

from backbone.world.scene.scene import Scene
from backbone.world.truth.render import Instance, Rendered

RELATIONS = ("left of", "right of", "above", "below", "on")
CLEAR = 0.04
"""Gaps below this share of the picture give no relation."""


def noticeable(picture: Rendered, least: float = 0.35, smallest: int = 40) -> list[Instance]:
    """Return the instances that a person would notice.

    Args:
        picture: The rendered picture.
        least: Share of the instance that has to be visible.
        smallest: Least visible area, in pixels of a picture 256 pixels high.
    """
    scale = (picture.pixels.shape[0] / 256) ** 2
    return [one for one in picture.instances if one.visible >= least and one.area >= smallest * scale]


def all_noticeable(picture: Rendered) -> bool:
    """Return whether all visible instances are noticeable, so that they can be counted."""
    return len(noticeable(picture)) == len(picture.instances)


def relation(scene: Scene, one: Instance, other: Instance) -> str | None:
    """Return the relation of ``one`` to ``other``, one of ``RELATIONS``; None where it is ambiguous."""
    if one.thing.on == other.thing.id:
        return "on"
    height, width = one.mask.shape
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = one.box, other.box
    if ax1 + CLEAR * width < bx0:
        return "left of"
    if bx1 + CLEAR * width < ax0:
        return "right of"
    if ay1 + CLEAR * height < by0:
        return "above"
    if by1 + CLEAR * height < ay0:
        return "below"
    return None
