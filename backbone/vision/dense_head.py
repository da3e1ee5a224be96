"""A linked decoder: boxes, masks and joints of all things that a link vector means."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbone.vision.eyes import STRIDES, Features
from backbone.vision.layers import Convolution, Separable
from backbone.vision.sizes import Sizes

RARE = -6.0
"""Initial bias of the scores: few cells of a picture belong to what is asked for."""


class Dense(NamedTuple):
    """What a decoder finds at each of the C cells of all levels, for Q link vectors.

    Attributes:
        scores: (B, Q, C) logits: whether the thing in the cell is one that is meant.
        boxes: (B, C, 4), x0, y0, x1, y1 in pixels.
        coefficients: (B, C, K), weights of the prototypes, whose sum is the logit of the thing's mask; None without
            masks.
        prototypes: (B, K, S / 4, S / 4); None without masks.
        joints: (B, C, J, 3), x and y in pixels and the logit of being in the picture; None without joints.
    """

    scores: Tensor
    boxes: Tensor
    coefficients: Tensor | None
    prototypes: Tensor | None
    joints: Tensor | None


def embeddings(config: Sizes) -> nn.ModuleList:
    """Return a branch for each feature level that embeds its cells: (B, neck width, H, W) to (B, E, H, W)."""
    width = config.neck_width
    return nn.ModuleList(
        nn.Sequential(
            Separable(width, width),
            Separable(width, width),
            nn.Conv2d(width, config.link_width, 1, bias=False),
            nn.BatchNorm2d(config.link_width),
        )
        for _ in STRIDES
    )


class DenseHead(nn.Module):
    """Scores, boxes, and masks or joints at each cell, in one pass.

    The score is the product of the cell's embedding with a link vector (Cheng et al. 2024, YOLO-World), so the decoder
    is open to anything that a vector means. All else depends on the picture alone.

    Args:
        config: The configuration.
        masks: Whether to give masks.
        joints: Whether to give joints.
    """

    def __init__(self, config: Sizes, masks: bool = False, joints: bool = False) -> None:
        super().__init__()
        width, self.masks = config.neck_width, config.prototypes if masks else 0
        self.points = config.joints if joints else 0
        outputs = 4 + self.masks + 3 * self.points
        self.embed = embeddings(config)
        self.shape = nn.ModuleList(
            nn.Sequential(Separable(width, width), Separable(width, width), nn.Conv2d(width, outputs, 1))
            for _ in STRIDES
        )
        self.scale, self.bias = nn.Parameter(torch.zeros(())), nn.Parameter(torch.tensor(RARE))
        if masks:
            self.prototypes = nn.Sequential(
                Separable(width, width),
                nn.Upsample(scale_factor=2.0),
                Separable(width, width // 2),
                Convolution(width // 2, config.prototypes, linear=True),
            )

    def forward(self, features: Features, vectors: Tensor) -> Dense:
        """Return what is found.

        Args:
            features: Of B pictures.
            vectors: (B, Q, E) link vectors; Q is 0 where only the picture matters.
        """
        levels = features.levels
        embedded = torch.cat(
            [embed(level).flatten(2) for embed, level in zip(self.embed, levels, strict=True)], 2
        ).float()
        found = torch.cat([shape(level).flatten(2) for shape, level in zip(self.shape, levels, strict=True)], 2)
        found = found.transpose(1, 2).float()
        centres, strides = cells(levels)
        scores = functional.normalize(vectors.float(), dim=-1) @ embedded * self.scale.exp() + self.bias
        sides = functional.softplus(found[..., :4]) * strides
        boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)
        at, coefficients, prototypes, joints = 4, None, None, None
        if self.masks:
            coefficients, at = found[..., at : at + self.masks], at + self.masks
            prototypes = self.prototypes(levels[0]).float()
        if self.points:
            raw = found[..., at:].reshape(*found.shape[:2], self.points, 3)
            places = centres[:, None] + raw[..., :2] * 2 * strides[:, None]
            joints = torch.cat([places, raw[..., 2:]], -1)
        return Dense(scores, boxes, coefficients, prototypes, joints)


def cells(levels: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return the centres of the cells of all levels, (C, 2) x and y in pixels, and their strides, (C, 1)."""
    centres, strides = [], []
    for level, stride in zip(levels, STRIDES, strict=True):
        height, width = level.shape[2:]
        y, x = torch.meshgrid(
            *(torch.arange(size, device=level.device, dtype=torch.float32) for size in (height, width)), indexing="ij"
        )
        centres.append((torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(torch.full((height * width, 1), float(stride), device=level.device))
    return torch.cat(centres), torch.cat(strides)


def masks_of(prototypes: Tensor, coefficients: Tensor) -> Tensor:
    """Return mask logits (N, H, W) of N things of one picture: prototypes (K, H, W), coefficients (N, K)."""
    return torch.einsum("nk,khw->nhw", coefficients, prototypes)
