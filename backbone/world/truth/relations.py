"""What can be said about where things are, only where nobody would argue."""

from backbone.world.scene.scene import Scene
from backbone.world.truth.render import Instance, Rendered

RELATIONS = ("left of", "right of", "above", "below", "on")
CLEAR = 0.04
"""Nothing is said about distances below this share of the picture."""


def shown(picture: Rendered, least: float = 0.35, smallest: int = 40) -> list[Instance]:
    """The instances that a person would notice: enough of them shows, and it is not tiny (pixels, at 256 px high)."""
    scale = (picture.pixels.shape[0] / 256) ** 2
    return [one for one in picture.instances if one.visible >= least and one.area >= smallest * scale]


def clearly_all(picture: Rendered) -> bool:
    """Whether everything that shows at all can be noticed, so that counting is fair."""
    return len(shown(picture)) == len(picture.instances)


def relation(scene: Scene, one: Instance, other: Instance) -> str | None:
    """How ``one`` lies to ``other``; None where it is not clear."""
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
