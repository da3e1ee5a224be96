"""The model that sees, at work: it looks at pictures once, answers questions about them, and finds what is meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from backbone.planner.engine_onnx import OnnxEngine
from backbone.planner.quantized import read_quantized
from backbone.vision.eyes import Features
from backbone.vision.finds import Find, finds
from backbone.vision.pictures import Picture, pixel_values, scaled_size
from backbone.vision.reader import Reader
from backbone.vision.senses import Senses
from backbone.vision.shipped import SEEING, read_senses
from backbone.vision.tokens import DECODERS, IMAGE, SeeingLayout
from common.masks import Mask

if TYPE_CHECKING:
    from backbone.vision.model import BackboneModel
    from backbone.vision.processor import BackboneProcessor

LEAST = 0.4
"""The lowest score of a find that is kept, if the caller gives none."""

MOST = 48
"""Tokens of an answer, at most, if the caller says nothing else."""


@dataclass(frozen=True)
class Look:
    """Pictures that were looked at; questions see all of them, regions and finds are in the last one.

    Attributes:
        sizes: Height and width of each picture.
        pixels: (P, 3, S, S), the pictures as the model sees them.
        features: Of the P pictures.
        prefix: The core's keys and values of the visual tokens; see `Reader`.
    """

    sizes: tuple[tuple[int, int], ...]
    pixels: Tensor
    features: Features
    prefix: Any


class Seer:
    """Looks, answers and finds. Not safe to use from several threads at the same time.

    Args:
        model: The model, in evaluation mode, on any device.
        processor: Its processor.
    """

    def __init__(self, model: "BackboneModel", processor: "BackboneProcessor") -> None:
        from backbone.vision.reader_torch import TorchReader  # which imports transformers: that takes seconds

        self._set(model, processor.layout, processor.sides, TorchReader(model))

    def _set(self, senses: Senses, layout: SeeingLayout, sides: int, reader: Reader) -> None:
        self.senses, self.layout, self.sides, self.reader = senses, layout, sides, reader

    @classmethod
    def load(cls, core: Path, folder: Path = SEEING) -> "Seer":
        """Load shipped weights, for the CPU; `transformers` is not imported for it.

        Args:
            core: The core in 8 bits, as written by `write_core` for this folder.
            folder: As written by ``backbone.training.pack``.

        Raises:
            DamagedFile: A file is incomplete or of another format.
            ValueError: They are weights of another model.
        """
        from backbone.vision.reader_onnx import OnnxReader

        quantized = read_quantized(core)
        senses, sizes = read_senses(folder, quantized.config.vocabulary)
        tokenizer = Tokenizer.from_str(quantized.tokenizer)
        layout = SeeingLayout(tokenizer, quantized.config.vocabulary, sizes.queries, sizes.patches)
        seer = cls.__new__(cls)
        seer._set(senses, layout, sizes.image_size, OnnxReader(OnnxEngine(quantized)))
        return seer

    @torch.inference_mode()
    def look(self, images: Sequence[Picture]) -> Look:
        """Run the eyes, and read the visual tokens.

        Args:
            images: (H, W, 3) each, RGB; one at least.
        """
        if not len(images):
            raise ValueError("there is no picture to look at; give one at least")
        pixels = pixel_values(images, self.sides).to(self.senses.rows.device)
        features = self.senses.eyes(pixels)
        ids = [token for _ in images for token in self.layout.picture()]
        prefix = self.reader.prefix(self._embed(ids, self.senses.projector(features).flatten(0, 1)))
        return Look(tuple((image.shape[0], image.shape[1]) for image in images), pixels, features, prefix)

    def answer(self, look: Look, question: str, region: Mask | None = None, most: int = MOST) -> str:
        """Answer a question about what was looked at, by the likeliest token after the other.

        Args:
            look: Of `look`.
            question: In words; `CAPTION` and `LONG_CAPTION` are requests for captions, `REGION` for a region's name.
            region: (H, W), a region of the last picture that the question is about.
            most: Tokens of the answer, at most.

        Raises:
            ValueError: The region has another size than the picture, or is empty.
        """
        return self._answers(look, [(question, region)], most)[0]

    def answers(self, look: Look, questions: Sequence[str], most: int = MOST) -> list[str]:
        """Answer several questions, each as if it was the only one; see `answer`."""
        return self._answers(look, [(question, None) for question in questions], most)

    @torch.inference_mode()
    def _answers(self, look: Look, asked: Sequence[tuple[str, Mask | None]], most: int) -> list[str]:
        have = IMAGE * len(look.sizes)
        blocks = []
        for question, region in asked:
            ids = [*self.layout.question(have, question, region=region is not None), self.layout.say]
            blocks.append(self._embed(ids, regions=None if region is None else self._regions(look, [region])))
        written = self.reader.write(look.prefix, blocks, self.layout.end, most)
        return [self.layout.tokenizer.decode(ids).strip() for ids in written]

    @torch.inference_mode()
    def find(self, look: Look, tool: str, asked: Sequence[str | Mask], least: float = LEAST) -> list[Find]:
        """Find what words or regions mean, all in one pass.

        Each of them is a segment: the tool's routing token, the words or the region, and the learned queries of the
        tool's decoder, whose states in the core are the decoder's condition.

        Args:
            look: Of `look`.
            tool: "detect" or "segment" for boxes with masks, "pose" for boxes with joints.
            asked: Phrases in words, or regions (H, W) of the last picture.
            least: Finds of a lower score are left out.

        Returns:
            For each of ``asked`` what was found, in pixels of the picture.

        Raises:
            ValueError: The tool has no decoder, a phrase is empty, or a region has another size than the picture or is
                empty.
        """
        if tool not in DECODERS:
            raise ValueError(f"{tool} has no linked decoder; use one of {', '.join(DECODERS)}")
        if any(isinstance(one, str) and not one.strip() for one in asked):
            raise ValueError("a phrase is empty; say what to find")
        decoder = DECODERS[tool]
        queries = len(self.layout.queries[decoder])
        blocks = []
        for one in asked:
            words, regions = (one, None) if isinstance(one, str) else (None, self._regions(look, [one]))
            blocks.append(self._embed(self.layout.segment(tool, words), regions=regions))
        if not blocks:
            return []
        states = self.reader.states(look.prefix, blocks)
        link = self.senses.link_of(decoder)
        vectors = link(torch.stack([block[-queries:] for block in states]).to(link.table.dtype))
        dense = self.senses.decoders[decoder](_last(look.features), vectors[None])
        return list(finds(dense, 0, least, self.sides, look.sizes[-1]))

    def _embed(self, ids: Sequence[int], patches: Tensor | None = None, regions: Tensor | None = None) -> Tensor:
        """Return the embeddings (T, D) of tokens and places."""
        tokens = torch.tensor(ids, device=self.senses.rows.device)
        plain = self.reader.embed(self.senses.plain(tokens))
        return self.senses.embed(tokens[None], plain[None], patches, regions)[0]

    def _regions(self, look: Look, masks: Sequence[Mask]) -> Tensor:
        """Return the embeddings (R, D) of regions of the last picture."""
        scaled = torch.from_numpy(np.stack([self._scaled(mask, look.sizes[-1]) for mask in masks]))
        device = look.pixels.device
        last = torch.zeros(len(masks), dtype=torch.long, device=device)
        return self.senses.encode_regions(look.pixels[-1:], scaled.to(device), _last(look.features), last)

    def _scaled(self, mask: Mask, size: tuple[int, int]) -> Mask:
        """Return a region of a picture of (height, width) as the model sees it, (S, S)."""
        if mask.shape != size or not mask.any():
            what = "is empty" if mask.shape == size else f"has {mask.shape[1]} x {mask.shape[0]} pixels"
            raise ValueError(f"the region {what}; give a mask of the picture of {size[1]} x {size[0]} pixels")
        height, width = scaled_size(*size, self.sides)
        shrinks = cv2.INTER_AREA if max(size) > self.sides else cv2.INTER_LINEAR
        share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=shrinks)
        scaled = np.zeros((self.sides, self.sides), bool)
        # What is thinner than a pixel keeps the pixels that hold most of it.
        scaled[:height, :width] = share >= min(0.5, float(share.max()))
        return scaled


def _last(features: Features) -> Features:
    """Return the features of the last picture alone."""
    fine, middle, coarse = (level[-1:] for level in features.levels)
    return Features((fine, middle, coarse), features.last[-1:])
