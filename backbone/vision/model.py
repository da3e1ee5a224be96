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

from backbone.planner.layout import BUILTIN_TOOLS, CONTROL
from backbone.vision.config import BackboneConfig
from backbone.vision.dense_head import Dense, DenseHead
from backbone.vision.eyes import Eyes, Features
from backbone.vision.link import Link
from backbone.vision.projector import Projector
from backbone.vision.regions import RegionEncoder
from backbone.vision.tokens import MARKS, PLACES, query_ids

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


class BackboneModel(PreTrainedModel):  # type: ignore[misc]  # transformers has no types
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
        self.rows = nn.Parameter(torch.zeros(len(BUILTIN_TOOLS) + len(CONTROL) + len(MARKS), core.hidden_size))
        self.eyes = Eyes(config)
        self.projector = Projector(config, self.eyes.last_channels)
        self.regions = RegionEncoder(config)
        self.links = nn.ModuleDict({decoder: Link(config, decoder) for decoder in config.queries})
        self.decoders = nn.ModuleDict(
            {"perception": DenseHead(config, masks=True), "pose": DenseHead(config, joints=True)}
        )
        first = core.vocab_size + len(self.rows)
        self.first_place = first
        self.picture_mark = first - len(MARKS)
        self.patch, self.region = (first + number for number in range(len(PLACES)))
        self.queries = query_ids(first, config.queries)
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
            link = self._link(decoder)
            vectors = link(states[row[:, None], at].to(link.table.dtype))
            links[decoder] = Links(vectors, seen[row, start])
        return links

    def _link(self, decoder: str) -> Link:
        link = self.links[decoder]
        assert isinstance(link, Link)
        return link

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

    def plain(self, ids: Tensor) -> Tensor:
        """Return the ids of the core's own tokens, 0 for all others."""
        return ids.masked_fill(ids >= self.config.core.vocab_size, 0)

    def encode_regions(self, pixels: Tensor, masks: Tensor, features: Features, pictures: Tensor) -> Tensor:
        """Return the embeddings of R regions, (R, D).

        Args:
            pixels: (P, 3, S, S), from -1 to 1.
            masks: (R, S, S).
            features: Of the P pictures.
            pictures: (R,), index of the picture of each region.
        """
        fine, middle, coarse = (level[pictures] for level in features.levels)
        embeddings: Tensor = self.regions(
            pixels[pictures], masks, Features((fine, middle, coarse), features.last[pictures])
        )
        return embeddings

    def embed(self, ids: Tensor, plain: Tensor, patches: Tensor | None = None, regions: Tensor | None = None) -> Tensor:
        """Return the embeddings of tokens and places, (B, T, D).

        Args:
            ids: (B, T).
            plain: (B, T, D), the core's embeddings; those of added tokens are replaced.
            patches: (N, D), embeddings of the patches in the order of their places.
            regions: (R, D), embeddings of the regions in the order of their places.

        Raises:
            ValueError: Patches or regions are more or fewer than their places.
        """
        first = self.config.core.vocab_size
        added = (ids >= first) & (ids < self.first_place)
        embedded = torch.where(added[..., None], self.rows.to(plain.dtype)[(ids - first) * added], plain)
        for decoder, queries in self.queries.items():
            own = (ids >= queries[0]) & (ids <= queries[-1])
            if own.any():  # so that the tables of other decoders are no part of the graph
                table = self._link(decoder).table.to(plain.dtype)
                embedded = torch.where(own[..., None], table[(ids - queries[0]) * own], embedded)
        embedded = _placed(embedded, ids == self.patch, patches, "patches of pictures")
        return _placed(embedded, ids == self.region, regions, "regions")


ADAPTED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""The linear layers of the core that have LoRA matrices: all."""


def _placed(embedded: Tensor, places: Tensor, values: Tensor | None, what: str) -> Tensor:
    """Return the embeddings with values (N, D) at places (B, T), in order."""
    count = 0 if values is None else len(values)
    if int(places.sum()) != count:
        raise ValueError(f"there are {count} {what}, but {int(places.sum())} places for them")
    if values is None:
        return embedded
    return embedded.masked_scatter(places[..., None], values.to(embedded.dtype))


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
