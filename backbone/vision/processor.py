"""From pictures and words to the model's inputs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from transformers import AutoProcessor, PreTrainedTokenizerFast, ProcessorMixin

from backbone.vision.config import BackboneConfig
from backbone.vision.pictures import Picture, pixel_values, scale_of
from backbone.vision.tokens import SeeingLayout


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
        return pixel_values(images, self.sides)

    def scale(self, height: int, width: int) -> float:
        """Return the model's pixels for a pixel of a picture; divide by it to get places in the picture."""
        return scale_of(height, width, self.sides)


def register() -> None:
    """Make ``AutoProcessor`` know the processor."""
    AutoProcessor.register(BackboneConfig, BackboneProcessor, exist_ok=True)


register()
