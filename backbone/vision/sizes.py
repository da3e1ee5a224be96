"""Hyperparameters of all that is around the language core, without ``transformers``, which takes seconds to import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from backbone.vision.config import BackboneConfig


@dataclass(frozen=True)
class OwnCore:
    """Sizes of a core.

    Attributes:
        hidden_size: Length of a state and of an embedding, D.
        vocab_size: Rows of the core's embedding, V.
    """

    hidden_size: int
    vocab_size: int


@dataclass
class OwnSizes:
    """Sizes as the shipped weights name them; `BackboneConfig` explains the names."""

    core: OwnCore
    image_size: int
    eyes_stem: int
    eyes_stages: Sequence[Sequence[int]]
    neck_width: int
    link_width: int
    queries: Mapping[str, int]
    prototypes: int
    joints: int

    @property
    def patches(self) -> int:
        """Visual tokens of a picture."""
        return (self.image_size // 32) ** 2


Sizes: TypeAlias = "BackboneConfig | OwnSizes"
