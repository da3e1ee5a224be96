"""Hyperparameters of all that is around the language core, without ``transformers``, which takes seconds to import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class CoreSizes(Protocol):
    """What is asked of the core's configuration."""

    @property
    def hidden_size(self) -> int:
        """Length of a state and of an embedding, D."""

    @property
    def vocab_size(self) -> int:
        """Rows of the core's embedding, V."""


class Sizes(Protocol):
    """What is asked of a configuration; `BackboneConfig` explains the names."""

    core: CoreSizes
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


@dataclass(frozen=True)
class OwnCore:
    """Sizes of a core."""

    hidden_size: int
    vocab_size: int


@dataclass
class OwnSizes:
    """Sizes as the shipped weights name them."""

    core: CoreSizes
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
