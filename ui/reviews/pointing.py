"""What a person clicks in the picture of a find, outlined."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.masks import bounding_box, encode
from flows.batch.shard_store import ShardStore
from tools.core.errors import SuperlinkError
from tools.engines import outlining
from tools.values import Image, Video
from ui.reviews.found import Found, NotShown
from ui.shapes.contract import Outlined
from ui.shapes.from_values import outline

_POINTS = 64

Points = Sequence[tuple[float, float, bool]]
"""x and y in pixels of the picture, and whether the point is in the thing or outside of it."""


def asked(event: Mapping[str, Any]) -> tuple[Points, int]:
    """Return points and serial number of the editor's event "outline".

    Raises:
        NotShown: when it is malformed.
    """
    try:
        points = [(float(x), float(y), bool(inside)) for x, y, inside in event["points"][:_POINTS]]
        return points, int(event["serial"])
    except (KeyError, TypeError, ValueError) as error:
        raise NotShown("There is no point to outline", "Click on the thing") from error


def outlined(found: Found, store: ShardStore, points: Points, serial: int) -> Outlined:
    """Return the outline of the thing at which a person points; a fault is said in it.

    Args:
        found: What is reviewed.
        store: Of the run.
        points: Where.
        serial: Of the question.
    """
    try:
        if found.source is None:
            raise NotShown("There is no picture to point at", "Skip it")
        value = store.get(found.source)
        assert isinstance(value, Image | Video)
        pixels = value.frame(found.frame or 0) if isinstance(value, Video) else value.pixels
        mask = outlining.outline(pixels, points)
    except SuperlinkError as error:
        return {"serial": serial, "rings": [], "box": [], "said": str(error)}
    rings = outline(encode(mask)) if mask.any() else []
    return {"serial": serial, "rings": rings, "box": [float(side) for side in bounding_box(mask)], "said": ""}
