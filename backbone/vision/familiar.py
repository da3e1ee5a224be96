"""Whether a picture is of the kind that the model was trained on: how far its features are from those of such pictures.

The distance is Mahalanobis' (Lee et al. 2018), with the covariance as a few principal axes and one variance for the
rest.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from backbone.vision.eyes import Features

AXES = 20


class Familiar(NamedTuple):
    """The distribution of the pooled features of familiar pictures, (F,) for each.

    Attributes:
        mean: (F,).
        spread: (F,), by which features are divided.
        axes: (K, F), principal axes.
        variances: (K,), along the axes.
        rest: (), the sum of all other variances.
        limit: (), the distance from which on a picture is strange.
    """

    mean: Tensor
    spread: Tensor
    axes: Tensor
    variances: Tensor
    rest: Tensor
    limit: Tensor

    def distances(self, pooled: Tensor) -> Tensor:
        """Return the distances (N,) of pooled features (N, F)."""
        away = (pooled - self.mean) / self.spread
        along = away @ self.axes.T
        beside = away - along @ self.axes
        return ((along**2 / self.variances).mean(1) + (beside**2).sum(1) / self.rest).sqrt()

    def strange(self, features: Features) -> list[bool]:
        """Return for each picture whether it is of another kind."""
        return [bool(far) for far in self.distances(pooled(features)) > self.limit]


def pooled(features: Features) -> Tensor:
    """Return mean and standard deviation over each picture of the encoder's last features, (P, 2 C)."""
    return torch.cat([features.last.mean((2, 3)), features.last.std((2, 3))], 1)


def fitted(vectors: Tensor, held_out: Tensor, share: float = 0.995) -> Familiar:
    """Return the distribution of pooled features.

    Args:
        vectors: (N, F), of familiar pictures; more than `AXES`.
        held_out: (M, F), of other familiar pictures, for the limit.
        share: Of the held-out pictures, those that are not to be strange.
    """
    mean, spread = vectors.mean(0), vectors.std(0) + 1e-6
    away = (vectors - mean) / spread
    _, sizes, axes = torch.linalg.svd(away, full_matrices=False)
    variances = sizes**2 / len(vectors)
    found = Familiar(mean, spread, axes[:AXES], variances[:AXES], variances[AXES:].sum(), torch.zeros(()))
    return found._replace(limit=found.distances(held_out).quantile(share))
