"""Alignment of visual tokens and regions with words: each is brought near the words for what it shows.

The core reads words already. A visual token that lies near the embeddings of *red* and *car* where a red car is can be
read from the first step of the instruction, where a projector that learns from answers alone needs thousands of them:
an answer in words says nothing about where the picture shows it.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from backbone.training.seeing_data import drawn_region
from backbone.training.vision_data import DenseTargets
from backbone.vision.eyes import STRIDES
from backbone.vision.tokens import SeeingLayout
from backbone.world import Instance, Rendered
from backbone.world.truth.relations import noticeable
from backbone.world.words.wording import noun

LEAST = 0.05
"""Share of a patch that things have to cover for it to have a name."""


def spellings(layout: SeeingLayout, things: Sequence[Instance], embeddings: Tensor) -> Tensor:
    """Return the mean embedding of the words for each thing: its colour and category, (I, D).

    Args:
        layout: The token layout.
        things: I things.
        embeddings: (V, D), those of the core's tokens.
    """
    means = [embeddings[layout.text(f" {noun(one.thing)}")].float().mean(0) for one in things]
    return torch.stack(means) if means else embeddings.new_zeros(0, embeddings.shape[1], dtype=torch.float32)


def named_patches(
    layout: SeeingLayout, drawn: Sequence[Rendered], batch: DenseTargets, embeddings: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what the words for each patch are, and how much of the patch shows things.

    Args:
        layout: The token layout.
        drawn: B pictures.
        batch: Their targets.
        embeddings: (V, D), those of the core's tokens.

    Returns:
        The mean of the words for the things in each patch, weighed by what they cover, (B, P, D), and the share that
        they cover, (B, P).
    """
    wanted, covered = [], []
    for row, picture in enumerate(drawn):
        words = spellings(layout, picture.instances, embeddings)
        shown = functional.one_hot(batch.owners[row].long(), len(words) + 1)[..., 1:].float()
        cells = shown.shape[0] // STRIDES[-1]
        patches = shown.reshape(cells, STRIDES[-1], cells, STRIDES[-1], len(words)).mean((1, 3))
        shares = patches.flatten(0, 1)
        whole = shares.sum(1)
        wanted.append(shares @ words / whole.clamp_min(1e-6)[:, None])
        covered.append(whole)
    return torch.stack(wanted), torch.stack(covered)


def named_regions(
    layout: SeeingLayout, drawn: Sequence[Rendered], rng: random.Random, embeddings: Tensor
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Draw a region for each noticeable thing.

    Args:
        layout: The token layout.
        drawn: B pictures of S x S pixels.
        rng: The source of chance.
        embeddings: (V, D), those of the core's tokens.

    Returns:
        The regions (R, S, S), the index of the picture of each (R,), and the mean of the words for each (R, D); None if
        there are none.
    """
    things = [(row, one) for row, picture in enumerate(drawn) for one in noticeable(picture)]
    if not things:
        return None
    masks = torch.stack([torch.from_numpy(drawn_region(one, rng)) for _, one in things])
    owners = torch.tensor([row for row, _ in things])
    return masks, owners, spellings(layout, [one for _, one in things], embeddings)


def distance(found: Tensor, wanted: Tensor, spread: Tensor) -> Tensor:
    """Return the mean squared distance of embeddings (N, D), in units of a variance."""
    if not len(found):
        return found.sum()
    return ((found.float() - wanted) ** 2).mean() / spread
