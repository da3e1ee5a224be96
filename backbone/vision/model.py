"""The model: a language core that sees pictures and addresses decoders; with words alone it is the planner."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    Cache,
    DynamicCache,
    LlamaModel,
    PreTrainedModel,
)

from backbone.vision.config import BackboneConfig
from backbone.vision.dense_head import Dense
from backbone.vision.eyes import Features
from backbone.vision.senses import Senses

IGNORED = -100
"""Label of a token that is not to be predicted."""


class Links(NamedTuple):
    """The link vectors of one decoder, in the order of their segments.

    Attributes:
        vectors: (S, E).
        pictures: (S,), index of the last picture before each segment in its row.
    """

    vectors: Tensor
    pictures: Tensor


class Read(NamedTuple):
    """What one pass reads.

    Attributes:
        states: (B, T, D), the core's last states.
        features: What the eyes saw; None without pictures.
        links: For each decoder that was addressed.
        cache: Keys and values of what was read; None unless it was asked for.
    """

    states: Tensor
    features: Features | None
    links: dict[str, Links]
    cache: Cache | None


class Output(NamedTuple):
    """What one pass reads, with logits.

    Attributes:
        loss: Mean cross-entropy of the labels; None without labels.
        logits: (B, T, V + rows), or those of the last tokens alone.
        states: As in `Read`, like all that follows.
    """

    loss: Tensor | None
    logits: Tensor
    states: Tensor
    features: Features | None
    links: dict[str, Links]
    cache: Cache | None


class BackboneModel(Senses, PreTrainedModel):  # type: ignore[misc]  # transformers has no types
    """Core with adapters, eyes, projector, region encoder, embeddings of the added tokens, links, decoders.

    Args:
        config: The configuration.
    """

    config_class = BackboneConfig
    base_model_prefix = "backbone"
    main_input_name = "input_ids"
    _supports_sdpa = True

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        core = config.core
        self.core = LlamaModel(core)
        self.add_senses(config)
        self.post_init()
        if config.adapter_rank:
            from peft import LoraConfig, inject_adapter_in_model

            rank = config.adapter_rank
            inject_adapter_in_model(
                LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=ADAPTED, lora_dropout=0.0), self.core
            )

    def _init_weights(self, module: nn.Module) -> None:
        """Leave the initial weights as the modules' own constructors draw them."""

    def forward(
        self, input_ids: Tensor, labels: Tensor | None = None, logits_to_keep: int = 0, **inputs: Any
    ) -> Output:
        """Read tokens, pictures and regions, and predict the next tokens.

        Args:
            input_ids: (B, T), ids of `SeeingLayout`.
            labels: (B, T), the ids to be predicted, `IGNORED` for others; places are never predicted.
            logits_to_keep: Number of last tokens whose logits are given; 0 for all.
            inputs: As for `read`.
        """
        read = self.read(input_ids, **inputs)
        logits = self.logits(read.states[:, -logits_to_keep:])
        loss = None if labels is None else self.prediction(input_ids, read.states, labels != IGNORED)[0]
        return Output(loss, logits, *read)

    def read(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        features: Features | None = None,
        region_masks: Tensor | None = None,
        region_pictures: Tensor | None = None,
        cache: Cache | None = None,
        use_cache: bool = False,
    ) -> Read:
        """Read tokens, pictures and regions.

        Args:
            input_ids: (B, T), ids of `SeeingLayout`.
            attention_mask: (B, all tokens), 0 for padding, or (B, 1, T, all tokens), whether a token sees another.
            position_ids: (B, T); by default tokens are counted.
            pixel_values: (P, 3, S, S), from -1 to 1: the pictures in the order of their places, row after row.
            features: What the eyes see in them, if it is known already.
            region_masks: (R, S, S), the regions in the order of their places.
            region_pictures: (R,), index of the picture of each region.
            cache: What was read before, to which this is appended.
            use_cache: Whether to keep keys and values.

        Raises:
            ValueError: Pictures or regions are more or fewer than their places, or queries are incomplete.
        """
        if use_cache and cache is None:
            cache = DynamicCache(config=self.config.core)
        if features is None and pixel_values is not None:
            features = self.eyes(pixel_values)
        patches = None if features is None else self.projector(features).flatten(0, 1)
        regions = None
        if region_masks is not None:
            if features is None or pixel_values is None or region_pictures is None:
                raise ValueError("regions need pixel_values and region_pictures")
            regions = self.encode_regions(pixel_values, region_masks, features, region_pictures)
        embedded = self.embed(input_ids, self.core.embed_tokens(self.plain(input_ids)), patches, regions)
        states = self.core(
            inputs_embeds=embedded,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        return Read(states, features, self.link(input_ids, states), cache)

    def prediction(self, input_ids: Tensor, states: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy of tokens, and the share of them whose prediction is right.

        Args:
            input_ids: (B, T).
            states: (B, T, D), the core's last states.
            target: (B, T), whether a token is to be predicted; places never are.
        """
        target = (target & (input_ids < self.first_place))[:, 1:]
        wanted = input_ids[:, 1:][target]
        logits = self.logits(states[:, :-1][target]).float()
        count = max(1, len(wanted))
        right = (logits.argmax(1) == wanted).float().sum() / count
        return functional.cross_entropy(logits, wanted, reduction="sum") / count, right

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits of the core's tokens and of the added ones that have a row, (…, V + rows)."""
        plain = self.core.embed_tokens.weight
        return torch.cat([states @ plain.T.to(states.dtype), states @ self.rows.T.to(states.dtype)], -1)

    def link(self, input_ids: Tensor, states: Tensor) -> dict[str, Links]:
        """Return the link vectors of all segments, for each decoder that was addressed.

        Args:
            input_ids: (B, T).
            states: (B, T, D), the core's last states.

        Raises:
            ValueError: A segment does not hold all queries of its decoder, in order.
        """
        marks = (input_ids == self.picture_mark).long()
        seen = marks.flatten().cumsum(0).view_as(marks) - 1
        links: dict[str, Links] = {}
        for decoder, ids in self.queries.items():
            row, start = (input_ids == ids[0]).nonzero(as_tuple=True)
            total = ((input_ids >= ids[0]) & (input_ids <= ids[-1])).sum()
            if not total:
                continue
            at = start[:, None] + torch.arange(len(ids), device=start.device)
            whole = len(at) and int(at.max()) < input_ids.shape[1] and total == at.numel()
            if not whole or bool((input_ids[row[:, None], at] - at + start[:, None] != ids[0]).any()):
                raise ValueError(f"a segment of {decoder} needs its {len(ids)} queries in order")
            link = self.link_of(decoder)
            vectors = link(states[row[:, None], at].to(link.table.dtype))
            links[decoder] = Links(vectors, seen[row, start])
        return links

    def decode(self, decoder: str, features: Features, links: Links) -> tuple[Dense, Tensor]:
        """Run a decoder on pictures with the link vectors that address them.

        Args:
            decoder: One of ``config.queries``.
            features: Of P pictures.
            links: Of S segments.

        Returns:
            What was found for at most Q vectors of each picture, and the number of each vector's segment, (P, Q); -1
            where a picture has fewer.
        """
        slots = segment_slots(links.pictures, features.last.shape[0])
        vectors = links.vectors[slots.clamp_min(0)] * (slots >= 0)[..., None]
        return self.decoders[decoder](features, vectors), slots


ADAPTED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""The linear layers of the core that have LoRA matrices: all."""


def segment_slots(pictures: Tensor, count: int) -> Tensor:
    """Return the segments of each of ``count`` pictures, (P, Q), -1 where there are fewer than Q.

    Args:
        pictures: (S,), index of the picture of each segment.
        count: Number of pictures, P.
    """
    numbers = [(pictures == picture).nonzero()[:, 0] for picture in range(count)]
    return nn.utils.rnn.pad_sequence(numbers, batch_first=True, padding_value=-1)


def register() -> None:
    """Make the Auto classes of ``transformers`` know configuration and model."""
    AutoConfig.register(BackboneConfig.model_type, BackboneConfig, exist_ok=True)
    AutoModel.register(BackboneConfig, BackboneModel, exist_ok=True)


register()
