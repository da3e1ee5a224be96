"""From features of a picture to visual tokens."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbone.vision.eyes import STRIDES, Features
from backbone.vision.sizes import Sizes


class Projector(nn.Module):
    """A visual token for each cell of the coarsest level, from the features of all levels in it.

    Args:
        config: The configuration.
        channels: Channels of the encoder's last features.
    """

    def __init__(self, config: Sizes, channels: int) -> None:
        super().__init__()
        width = config.core.hidden_size
        inputs = channels + len(STRIDES) * config.neck_width
        self.layers = nn.Sequential(
            nn.LayerNorm(inputs), nn.Linear(inputs, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.places = nn.Parameter(torch.randn(config.patches, width) * 0.02)

    def forward(self, features: Features) -> Tensor:
        """Return the visual tokens of B pictures, (B, P, D), row by row."""
        height, width = features.last.shape[-2:]
        pooled = [functional.adaptive_avg_pool2d(level, (height, width)) for level in features.levels]
        cells = torch.cat([features.last, *pooled], 1).flatten(2).transpose(1, 2)
        tokens: Tensor = self.layers(cells) + self.places
        return tokens
