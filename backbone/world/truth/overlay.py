"""Draws the annotations of a rendered picture over it."""

import cv2
import numpy as np

from backbone.world.paint.categories import IDS
from backbone.world.scene.camera import Pixels
from backbone.world.truth.render import Instance, Rendered
from common.skeleton import EDGES

_COLOURS = (
    (230, 57, 70),
    (0, 150, 136),
    (255, 160, 0),
    (63, 81, 200),
    (156, 39, 176),
    (0, 140, 210),
    (255, 110, 64),
    (216, 27, 96),
    (104, 159, 56),
    (121, 85, 72),
)
_LIMB, _SEEN, _HIDDEN = (20, 20, 30), (255, 255, 255), (255, 214, 0)


def draw_annotations(picture: Rendered) -> Pixels:
    """Return the picture with tinted masks, boxes, and keypoints: white where visible, yellow where hidden.

    Returns:
        (H, W, 3), RGB, a new array.
    """
    out = picture.pixels.copy()
    line = max(1, out.shape[0] // 256)
    for one in picture.instances:
        colour = np.array(_COLOURS[IDS[one.thing.category] % len(_COLOURS)])
        out[one.mask] = (out[one.mask] * 0.6 + colour * 0.4).astype(np.uint8)
        edges, _ = cv2.findContours(one.mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, edges, -1, colour.tolist(), line)
        x0, y0, x1, y1 = one.box
        cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), colour.tolist(), 1)
    for one in picture.instances:
        if one.keypoints:
            _joints(out, one, line)
    return out


def _joints(out: Pixels, person: Instance, line: int) -> None:
    at = [(round(x), round(y)) for x, y, _ in person.keypoints]
    there = [v > 0 for _, _, v in person.keypoints]
    for a, b in EDGES:
        if there[a] and there[b]:
            cv2.line(out, at[a], at[b], _LIMB, line, cv2.LINE_AA)
    for point, (_, _, v) in zip(at, person.keypoints, strict=True):
        if v:
            cv2.circle(out, point, line + 1, _LIMB, -1, cv2.LINE_AA)
            cv2.circle(out, point, line, _SEEN if v == 2 else _HIDDEN, -1, cv2.LINE_AA)
