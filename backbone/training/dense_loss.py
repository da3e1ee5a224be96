"""The loss of a linked decoder: which cells are responsible for which thing, and how wrong they are.

Cells are assigned as in TOOD (Feng et al. 2021): for each thing those in its box whose score and box agree best.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from backbone.training.vision_data import DenseTargets
from backbone.vision.dense_head import Dense

RESPONSIBLE = 10
"""Cells that are responsible for a thing, at most."""
SCORE_POWER, OVERLAP_POWER = 0.5, 6.0
LEAST_SIDE = 12.0
"""Boxes with shorter sides, in pixels, are widened to this when their cells are looked for, so that each has one."""
MASKED = 3
"""Cells of a thing whose masks are compared."""
GAINS = {"score": 1.0, "box": 7.5, "mask": 4.0, "joint": 12.0, "visible": 1.0}
SIGMAS = (26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89)
"""Tolerances of COCO's keypoints, in thousandths."""


class Assigned(NamedTuple):
    """Which thing each cell is responsible for.

    Attributes:
        owner: (B, C), index of the thing; -1 for none.
        quality: (B, C), how well the cell does, from 0 to 1; 0 without a thing.
    """

    owner: Tensor
    quality: Tensor


def losses(dense: Dense, batch: DenseTargets, matches: Tensor, centres: Tensor) -> dict[str, Tensor]:
    """Return the losses of a decoder, each multiplied by its gain. A decoder of joints is to find people alone.

    Args:
        dense: What the decoder gave.
        batch: The truth.
        matches: (B, Q, I), whether the phrase of a link vector means a thing.
        centres: (C, 2), centres of the cells in pixels.
    """
    present = batch.present if dense.joints is None else batch.people
    matches = matches & present[:, None]
    assigned = assign(dense, batch.boxes, present, matches, centres)
    owner, quality = assigned
    found: dict[str, Tensor] = {}
    at = owner.clamp_min(0)
    meant = matches.gather(2, at[:, None].expand(-1, matches.shape[1], -1))
    wanted = meant * quality[:, None]
    total = wanted.sum().clamp_min(1)
    found["score"] = functional.binary_cross_entropy_with_logits(dense.scores, wanted, reduction="sum") / total
    row, cell = (owner >= 0).nonzero(as_tuple=True)
    thing, weight = owner[row, cell], quality[row, cell]
    share = weight / weight.sum().clamp_min(1)
    truth = batch.boxes[row, thing]
    found["box"] = ((1 - complete_iou(dense.boxes[row, cell], truth)) * share).sum()
    if dense.joints is not None:
        found |= _joint_losses(dense.joints[row, cell], batch.joints[row, thing], truth, share)
    if dense.coefficients is not None:
        found["mask"] = _mask_loss(dense, batch, assigned)
    return {name: value * GAINS[name] for name, value in found.items()}


@torch.no_grad()
def assign(dense: Dense, boxes: Tensor, present: Tensor, matches: Tensor, centres: Tensor) -> Assigned:
    """Choose the cells that are responsible for each thing.

    Args:
        dense: What the decoder gave.
        boxes: (B, I, 4), the true boxes in pixels.
        present: (B, I), whether there is a thing.
        matches: (B, Q, I), whether a phrase means a thing.
        centres: (C, 2), centres of the cells in pixels.
    """
    # The best score among the phrases that mean the thing; things that no phrase means are judged by their box alone.
    scores = dense.scores.sigmoid()
    best = torch.stack([(scores * matches[:, :, i, None]).amax(1) for i in range(boxes.shape[1])], 1)
    best = torch.where(matches.any(1)[..., None], best, 1.0)
    overlap = iou(dense.boxes[:, None], boxes[:, :, None]).clamp_min(0)
    middle, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    inside = ((centres - middle[:, :, None]).abs() < half.clamp_min(LEAST_SIDE / 2)[:, :, None]).all(-1)
    inside &= present[..., None]
    metric = torch.where(inside, best**SCORE_POWER * overlap**OVERLAP_POWER, -1.0)
    chosen = metric.topk(min(RESPONSIBLE, metric.shape[-1]), -1)
    claims = torch.zeros_like(inside).scatter_(-1, chosen.indices, chosen.values >= 0)
    owner = torch.where(claims, overlap, -1.0).argmax(1)
    owner = torch.where(claims.any(1), owner, -1)
    own = functional.one_hot(owner + 1, boxes.shape[1] + 1)[..., 1:].transpose(1, 2).bool()
    metric = torch.where(own, metric, 0.0)
    top = torch.where(own, overlap, 0.0).amax(-1, keepdim=True)
    quality = (metric / metric.amax(-1, keepdim=True).clamp_min(1e-9) * top).amax(1)
    return Assigned(owner, quality)


def _joint_losses(found: Tensor, truth: Tensor, boxes: Tensor, share: Tensor) -> dict[str, Tensor]:
    """Return how wrong the joints are, and the loss of being in the picture.

    One minus COCO's similarity says nothing of joints that are far off, so the distance is added, as a share of the
    person's size.
    """
    sigmas = torch.tensor(SIGMAS[: truth.shape[1]], device=found.device) / 1000
    marked = (truth[..., 2] > 0).float()
    area = ((boxes[:, 2:] - boxes[:, :2]).prod(-1) * 0.53).clamp_min(1)[:, None]
    distance = ((found[..., :2] - truth[..., :2]) ** 2).sum(-1)
    wrong = 1 - torch.exp(-distance / (2 * area * (2 * sigmas) ** 2)) + (distance / area + 1e-6).sqrt()
    visible = functional.binary_cross_entropy_with_logits(found[..., 2], marked, reduction="none").mean(-1)
    person = (marked.sum(-1) > 0).float()
    mean = (wrong * marked).sum(-1) / marked.sum(-1).clamp_min(1)
    return {"joint": (mean * share).sum(), "visible": (visible * person * share).sum()}


def _mask_loss(dense: Dense, batch: DenseTargets, assigned: Assigned) -> Tensor:
    """Return the cross-entropy of masks within their true boxes, for the best cells of each thing."""
    assert dense.prototypes is not None and dense.coefficients is not None
    height, width = dense.prototypes.shape[-2:]
    scale = batch.owners.shape[-1] / width
    things = functional.one_hot(assigned.owner + 1, batch.present.shape[1] + 1)[..., 1:].transpose(1, 2)
    best = (things * assigned.quality[:, None]).topk(min(MASKED, things.shape[-1]), -1)
    row, thing, rank = (best.values > 0).nonzero(as_tuple=True)
    if not len(row):
        return dense.coefficients.sum() * 0
    cell = best.indices[row, thing, rank]
    logits = torch.einsum("nk,nkhw->nhw", dense.coefficients[row, cell], dense.prototypes[row])
    at = batch.present.nonzero(as_tuple=True)
    owned = (batch.owners[at[0]] == (at[1] + 1)[:, None, None]).float()
    number = torch.zeros_like(batch.present, dtype=torch.long)
    number[at] = torch.arange(len(owned), device=owned.device)
    wanted = functional.adaptive_avg_pool2d(owned, (height, width))[number[row, thing]]
    boxes = batch.boxes[row, thing] / scale
    y, x = (torch.arange(side, device=logits.device) for side in (height, width))
    x0, y0, x1, y1 = (edge[:, None] for edge in (*boxes[:, :2].floor().T, *boxes[:, 2:].ceil().T))
    inside = ((y >= y0) & (y < y1))[:, :, None] & ((x >= x0) & (x < x1))[:, None]
    wrong = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * inside
    mean = wrong.sum((1, 2)) / inside.sum((1, 2)).clamp_min(1)
    weight = assigned.quality[row, cell]
    loss: Tensor = (mean * weight).sum() / weight.sum().clamp_min(1)
    return loss


def iou(found: Tensor, truth: Tensor) -> Tensor:
    """Return the intersection over union of boxes (..., 4), x0, y0, x1, y1."""
    corner = torch.minimum(found[..., 2:], truth[..., 2:]) - torch.maximum(found[..., :2], truth[..., :2])
    shared = corner.clamp_min(0).prod(-1)
    areas = (found[..., 2:] - found[..., :2]).prod(-1) + (truth[..., 2:] - truth[..., :2]).prod(-1)
    return shared / (areas - shared).clamp_min(1e-6)


def complete_iou(found: Tensor, truth: Tensor) -> Tensor:
    """Return the IoU less the distance of the centres and the difference of the proportions (Zheng et al. 2020)."""
    overlap = iou(found, truth)
    around = torch.maximum(found[..., 2:], truth[..., 2:]) - torch.minimum(found[..., :2], truth[..., :2])
    apart = (found[..., :2] + found[..., 2:] - truth[..., :2] - truth[..., 2:]) / 2
    distance = (apart**2).sum(-1) / (around**2).sum(-1).clamp_min(1e-6)
    sides, true_sides = (found[..., 2:] - found[..., :2]).clamp_min(1e-6), (truth[..., 2:] - truth[..., :2])
    slope, true_slope = (side[..., 0] / side[..., 1].clamp_min(1e-6) for side in (sides, true_sides))
    shape = 4 / math.pi**2 * (torch.atan(true_slope) - torch.atan(slope)) ** 2
    with torch.no_grad():
        weight = shape / (1 - overlap + shape).clamp_min(1e-6)
    return overlap - distance - weight * shape
