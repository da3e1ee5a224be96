"""The super link: learned queries whose states in the core become the condition of a decoder."""

import torch
from torch import Tensor, nn

from backbone.vision.sizes import Sizes


class Link(nn.Module):
    """The query table of one decoder, and the projection of the queries' states to one link vector.

    Args:
        config: The configuration.
        decoder: Name of the decoder, one of ``config.queries``.
    """

    def __init__(self, config: Sizes, decoder: str) -> None:
        super().__init__()
        width, between = config.core.hidden_size, 2 * config.link_width
        # Drawn apart from each other: equal queries would stay equal under the mean.
        self.table = nn.Parameter(torch.randn(config.queries[decoder], width) * 0.1)
        self.project = nn.Sequential(
            nn.Linear(width, between),
            nn.GELU(),
            nn.Linear(between, between),
            nn.GELU(),
            nn.Linear(between, config.link_width),
        )

    def forward(self, states: Tensor) -> Tensor:
        """Return the link vectors (S, E) of the queries' states (S, N, D)."""
        vectors: Tensor = self.project(states).mean(1)
        return vectors
