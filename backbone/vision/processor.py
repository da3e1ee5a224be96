"""From pictures and words to the model's inputs."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoProcessor, PreTrainedTokenizerFast, ProcessorMixin

from backbone.vision.config import BackboneConfig
from backbone.vision.tokens import SeeingLayout

Picture = NDArray[np.uint8]


class BackboneProcessor(ProcessorMixin):  # type: ignore[misc]  # transformers has no types
    """Scales pictures, and writes prompts.

    Words are never read as added tokens: the tokenizer knows none of them, `SeeingLayout` writes their ids.

    Args:
        tokenizer: The core's tokenizer.
        vocabulary: Rows of the core's embedding.
        sides: Sides of a picture in pixels, those of the model.
        queries: Number of learned queries of each decoder, those of the model.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, vocabulary: int, sides: int, queries: Mapping[str, int]
    ) -> None:
        super().__init__(tokenizer)
        self.vocabulary, self.sides, self.queries = vocabulary, sides, dict(queries)
        self.layout = SeeingLayout(tokenizer.backend_tokenizer, vocabulary, queries, (sides // 32) ** 2)

    @classmethod
    def of_config(cls, tokenizer: PreTrainedTokenizerFast, config: BackboneConfig) -> "BackboneProcessor":
        """Return the processor of a model."""
        return cls(tokenizer, config.core.vocab_size, config.image_size, config.queries)

    def __call__(
        self,
        images: Sequence[Picture] = (),
        text: str = "",
        have: Sequence[str] = (),
        segments: Sequence[tuple[str, str]] = (),
    ) -> dict[str, Tensor]:
        """Return ``input_ids`` (1, T), and ``pixel_values`` (P, 3, S, S) if there are pictures.

        Args:
            images: (H, W, 3) each, RGB.
            text: The request; left out where it is empty.
            have: Kinds of value at hand.
            segments: Tools and words to address decoders with.
        """
        ids = [token for _ in images for token in self.layout.picture()]
        if text:
            ids += self.layout.request(have, text)
        for tool, words in segments:
            ids += self.layout.segment(tool, words)
        inputs = {"input_ids": torch.tensor([ids])}
        return {**inputs, "pixel_values": self.pixel_values(images)} if len(images) else inputs

    def pixel_values(self, images: Sequence[Picture]) -> Tensor:
        """Return pictures as the eyes take them, (P, 3, S, S): scaled to fit, in the upper left corner of gray."""
        canvas = np.full((len(images), self.sides, self.sides, 3), 127.5, np.float32)
        for row, image in zip(canvas, images, strict=True):
            height, width = image.shape[:2]
            scale = self.scale(height, width)
            size = max(1, round(width * scale)), max(1, round(height * scale))
            shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            row[: size[1], : size[0]] = cv2.resize(image, size, interpolation=shrinks)
        return torch.from_numpy(canvas).permute(0, 3, 1, 2).contiguous() / 127.5 - 1

    def scale(self, height: int, width: int) -> float:
        """Return the model's pixels for a pixel of a picture; divide by it to get places in the picture."""
        return self.sides / max(height, width)


def register() -> None:
    """Make ``AutoProcessor`` know the processor."""
    AutoProcessor.register(BackboneConfig, BackboneProcessor, exist_ok=True)


register()
