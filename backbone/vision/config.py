"""Hyperparameters of the model that sees, as ``transformers`` stores them."""

from dataclasses import field
from typing import Any

from transformers import LlamaConfig, PreTrainedConfig

from common.skeleton import KEYPOINTS

EFFICIENTNET_LITE0 = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
"""Stages of EfficientNet-Lite0 after its stem of 32 channels: kernel, stride, expansion, channels, blocks."""


class BackboneConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers has no types
    """Hyperparameters of the core, the eyes, the link and the decoders.

    Attributes:
        core: Those of the language core, a Llama with tied embeddings.
        adapter_rank: Rank of the LoRA matrices on every linear layer of the core; 0 for none.
        image_size: Sides of a picture in pixels, a multiple of 32.
        eyes_stem: Channels after the first convolution.
        eyes_stages: Stages of the encoder: kernel, stride, expansion, channels, blocks.
        neck_width: Channels of each feature level.
        link_width: Length of a link vector, and of the embedding of a pixel.
        queries: Number of learned queries of each decoder.
        prototypes: Number of prototype masks.
        joints: Number of keypoints of a person.
    """

    model_type = "superlink_backbone"
    sub_configs = {"core": LlamaConfig}

    core: Any = None
    adapter_rank: int = 16
    image_size: int = 256
    eyes_stem: int = 32
    eyes_stages: list[list[int]] | tuple[tuple[int, ...], ...] = EFFICIENTNET_LITE0
    neck_width: int = 96
    link_width: int = 128
    queries: dict[str, int] = field(default_factory=lambda: {"perception": 4, "pose": 4})
    prototypes: int = 24
    joints: int = len(KEYPOINTS)

    def __post_init__(self, **kwargs: Any) -> None:
        """Make the core's configuration of plain data, and check the size of pictures."""
        if not isinstance(self.core, PreTrainedConfig):
            self.core = LlamaConfig(**(self.core or {}))
        if self.image_size % 32:
            raise ValueError(f"image_size is {self.image_size}; it has to be a multiple of 32")
        super().__post_init__(**kwargs)

    @property
    def patches(self) -> int:
        """Visual tokens of a picture."""
        return int(self.image_size // 32) ** 2
