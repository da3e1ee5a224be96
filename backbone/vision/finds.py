"""What a decoder found in one picture: the best cells, without those that find the same thing again."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.vision.dense_head import Dense, masks_of

SAME = 0.65
"""IoU from which on two boxes are the same thing."""
MOST = 100
"""Finds of a picture, of all link vectors together."""
CANDIDATES = 200
"""Cells of the best scores that are looked at, for each link vector."""


class Find(NamedTuple):
    """Things that one link vector means, in one picture of H x W pixels, from the best score on.

    Attributes:
        scores: (N,), from 0 to 1.
        boxes: (N, 4), x0, y0, x1, y1 in pixels.
        masks: (N, H, W); None where the decoder gives no masks.
        joints: (N, J, 3), x and y in pixels and the probability of being in the picture; None where it gives none.
    """

    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    masks: NDArray[np.bool_] | None
    joints: NDArray[np.float32] | None


@torch.no_grad()
def finds(dense: Dense, picture: int, least: float, size: int, shape: tuple[int, int] | None = None) -> Iterator[Find]:
    """Yield the finds of each link vector in one picture.

    Args:
        dense: What the decoder gave.
        picture: Index of the picture.
        least: Scores below this are left out.
        size: Sides of the picture in pixels, as the model sees it.
        shape: Height and width of the picture itself, which was scaled to fit the upper left corner of what the model
            sees; finds are in its pixels. By default it is what the model sees.
    """
    height, width = shape or (size, size)
    scale = size / max(height, width)
    boxes = dense.boxes[picture]
    boxes = torch.minimum(boxes.clamp_min(0), boxes.new_tensor([width, height, width, height]) * scale)
    within = (boxes[:, 2:] > boxes[:, :2]).all(1)
    every = dense.scores[picture].sigmoid() * within
    found = [_suppressed(scores, boxes, least) for scores in every]
    together = torch.cat([scores[kept] for scores, kept in zip(every, found, strict=True)])
    cut = together.topk(min(MOST, len(together))).values.min() if len(together) else least
    for scores, best in zip(every, found, strict=True):
        kept = best[scores[best] >= cut]
        masks, joints = None, None
        corners = boxes[kept] / scale
        if dense.prototypes is not None and dense.coefficients is not None:
            logits = masks_of(dense.prototypes[picture], dense.coefficients[picture, kept])
            masks = _masks(logits.cpu().numpy(), corners.cpu().numpy(), logits.shape[-1] / size * scale, height, width)
        if dense.joints is not None:
            marks = dense.joints[picture, kept]
            joints = torch.cat([marks[..., :2] / scale, marks[..., 2:].sigmoid()], -1).cpu().numpy()
        yield Find(scores[kept].cpu().numpy(), corners.cpu().numpy(), masks, joints)


def _suppressed(scores: Tensor, boxes: Tensor, least: float) -> Tensor:
    """Return the indices of the cells that are kept, from the best score on."""
    best = scores.topk(min(int((scores >= least).sum()), CANDIDATES)).indices
    corners = boxes[best].cpu().numpy()
    rows = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    kept = cv2.dnn.NMSBoxes(rows.tolist(), scores[best].cpu().tolist(), least, SAME)
    return best[torch.as_tensor(np.array(kept, np.int64).reshape(-1), device=best.device)]


def _masks(
    logits: NDArray[np.float32], boxes: NDArray[np.float32], step: float, height: int, width: int
) -> NDArray[np.bool_]:
    """Return masks (N, height, width), each within its box.

    Args:
        logits: (N, h, w).
        boxes: (N, 4) in pixels of the picture.
        step: Cells of the logits for a pixel.
        height: Of the picture.
        width: Of the picture.
    """
    masks = np.zeros((len(logits), height, width), bool)
    first = np.ceil(boxes[:, :2] - 0.5).astype(int).clip(0)  # a pixel belongs to a box that holds its centre
    last = np.ceil(boxes[:, 2:] - 0.5).astype(int).clip(0, (width, height))
    for mask, cells, (x0, y0), (x1, y1) in zip(masks, logits, first.tolist(), last.tolist(), strict=True):
        if x1 > x0 and y1 > y0:
            places = np.array([[step, 0, (x0 + 0.5) * step - 0.5], [0, step, (y0 + 0.5) * step - 0.5]])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            within = cv2.warpAffine(cells, places, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            mask[y0:y1, x0:x1] = within > 0
    return masks
