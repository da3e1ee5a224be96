"""The region encoder: a picture and a mask in it become one embedding."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbone.vision.eyes import STRIDES, Features
from backbone.vision.sizes import Sizes


class RegionEncoder(nn.Module):
    """Convolutions over picture and mask, joined with the features of the eyes and averaged under the mask.

    Args:
        config: The configuration.
    """

    def __init__(self, config: Sizes) -> None:
        super().__init__()
        width, between = config.core.hidden_size, 2 * config.neck_width
        self.patches = nn.Conv2d(4, config.neck_width, STRIDES[0], STRIDES[0])
        self.joined = nn.Sequential(
            nn.Conv2d((1 + len(STRIDES)) * config.neck_width, between, 1), nn.GELU(), nn.Conv2d(between, between, 1)
        )
        self.project = nn.Sequential(nn.LayerNorm(between), nn.Linear(between, width))

    def forward(self, pixels: Tensor, masks: Tensor, features: Features) -> Tensor:
        """Return the embeddings of R regions, (R, D).

        Args:
            pixels: (R, 3, S, S), the picture of each region, from -1 to 1.
            masks: (R, S, S), 1 within the region; not empty.
            features: Of the picture of each region.
        """
        masks = masks[:, None].to(pixels.dtype)
        height, width = features.levels[0].shape[-2:]
        own = self.patches(torch.cat([pixels, masks], 1))
        seen = [functional.interpolate(level, (height, width), mode="nearest") for level in features.levels]
        cells = self.joined(torch.cat([functional.gelu(own), *seen], 1))
        share = functional.adaptive_avg_pool2d(masks, (height, width))
        mean = (cells * share).sum((2, 3)) / share.sum((2, 3)).clamp_min(1e-6)
        embedding: Tensor = self.project(mean)
        return embedding
