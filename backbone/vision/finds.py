"""What a decoder found in one picture: the best cells, without those that find the same thing again."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from backbone.vision.dense_head import Dense, masks_of

SAME = 0.65
"""IoU from which on two boxes are the same thing."""
MOST = 100
"""Finds of a picture, of all link vectors together."""
CANDIDATES = 200
"""Cells of the best scores that are looked at, for each link vector."""


class Find(NamedTuple):
    """Things that one link vector means, in one picture of S x S pixels, from the best score on.

    Attributes:
        scores: (N,), from 0 to 1.
        boxes: (N, 4), x0, y0, x1, y1 in pixels.
        masks: (N, S, S); None where the decoder gives no masks.
        joints: (N, J, 3), x and y in pixels and the probability of being in the picture; None where it gives none.
    """

    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    masks: NDArray[np.bool_] | None
    joints: NDArray[np.float32] | None


@torch.no_grad()
def finds(dense: Dense, picture: int, least: float, size: int) -> Iterator[Find]:
    """Yield the finds of each link vector in one picture.

    Args:
        dense: What the decoder gave.
        picture: Index of the picture.
        least: Scores below this are left out.
        size: Sides of the picture in pixels, to which boxes are clipped.
    """
    boxes = dense.boxes[picture].clamp(0, size)
    every = dense.scores[picture].sigmoid()
    found = [_suppressed(scores, boxes, least) for scores in every]
    together = torch.cat([scores[kept] for scores, kept in zip(every, found, strict=True)])
    cut = together.topk(min(MOST, len(together))).values.min() if len(together) else least
    for scores, best in zip(every, found, strict=True):
        kept = best[scores[best] >= cut]
        masks, joints = None, None
        if dense.prototypes is not None and dense.coefficients is not None:
            masks = _masks(dense.prototypes[picture], dense.coefficients[picture, kept], boxes[kept], size)
        if dense.joints is not None:
            marks = dense.joints[picture, kept]
            joints = torch.cat([marks[..., :2], marks[..., 2:].sigmoid()], -1).cpu().numpy()
        yield Find(scores[kept].cpu().numpy(), boxes[kept].cpu().numpy(), masks, joints)


def _suppressed(scores: Tensor, boxes: Tensor, least: float) -> Tensor:
    """Return the indices of the cells that are kept, from the best score on."""
    best = scores.topk(min(int((scores >= least).sum()), CANDIDATES)).indices
    corners = boxes[best].cpu().numpy()
    rows = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    kept = cv2.dnn.NMSBoxes(rows.tolist(), scores[best].cpu().tolist(), least, SAME)
    return best[torch.as_tensor(np.array(kept, np.int64).reshape(-1), device=best.device)]


def _masks(prototypes: Tensor, coefficients: Tensor, boxes: Tensor, size: int) -> NDArray[np.bool_]:
    """Return masks (N, S, S), each within its box."""
    logits = masks_of(prototypes, coefficients)[:, None]
    masks = functional.interpolate(logits, (size, size), mode="bilinear", align_corners=False)[:, 0] > 0
    places = torch.arange(size, device=boxes.device) + 0.5
    x0, y0, x1, y1 = boxes[:, :, None].unbind(1)
    columns, rows = (places >= x0) & (places < x1), (places >= y0) & (places < y1)
    inside = rows[:, :, None] & columns[:, None]
    kept: NDArray[np.bool_] = (masks & inside).cpu().numpy()
    return kept
