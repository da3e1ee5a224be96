"""All of the model but its language core: rows, eyes, projector, region encoder, links, decoders."""

import torch
from torch import Tensor, nn

from backbone.planner.layout import BUILTIN_TOOLS, CONTROL
from backbone.vision.dense_head import DenseHead
from backbone.vision.eyes import Eyes, Features
from backbone.vision.link import Link
from backbone.vision.projector import Projector
from backbone.vision.regions import RegionEncoder
from backbone.vision.sizes import Sizes
from backbone.vision.tokens import MARKS, PLACES, query_ids


class Senses:
    """What the model with its core and `SensesAlone` have in common.

    Attributes:
        rows: (rows, D), embeddings of the added tokens that have one.
        vocabulary: Rows of the core's embedding.
        first_place: The first id that has no embedding row.
        queries: Ids of the queries of each decoder.
    """

    rows: nn.Parameter
    eyes: Eyes
    projector: Projector
    regions: RegionEncoder
    links: nn.ModuleDict
    decoders: nn.ModuleDict

    def add_senses(self, config: Sizes) -> None:
        """Add all parts, with random weights."""
        self.vocabulary = config.core.vocab_size
        self.rows = nn.Parameter(torch.zeros(len(BUILTIN_TOOLS) + len(CONTROL) + len(MARKS), config.core.hidden_size))
        self.eyes = Eyes(config)
        self.projector = Projector(config, self.eyes.last_channels)
        self.regions = RegionEncoder(config)
        self.links = nn.ModuleDict({decoder: Link(config, decoder) for decoder in config.queries})
        self.decoders = nn.ModuleDict(
            {"perception": DenseHead(config, masks=True), "pose": DenseHead(config, joints=True)}
        )
        first = self.vocabulary + len(self.rows)
        self.first_place = first
        self.picture_mark = first - len(MARKS)
        self.patch, self.region = (first + number for number in range(len(PLACES)))
        self.queries = query_ids(first, config.queries)

    def link_of(self, decoder: str) -> Link:
        """Return query table and projection of a decoder."""
        link = self.links[decoder]
        assert isinstance(link, Link)
        return link

    def plain(self, ids: Tensor) -> Tensor:
        """Return the ids of the core's own tokens, 0 for all others."""
        return ids.masked_fill(ids >= self.vocabulary, 0)

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
        first = self.vocabulary
        added = (ids >= first) & (ids < self.first_place)
        embedded = torch.where(added[..., None], self.rows.to(plain.dtype)[(ids - first) * added], plain)
        for decoder, queries in self.queries.items():
            own = (ids >= queries[0]) & (ids <= queries[-1])
            if own.any():  # so that the tables of other decoders are no part of the graph
                table = self.link_of(decoder).table.to(plain.dtype)
                embedded = torch.where(own[..., None], table[(ids - queries[0]) * own], embedded)
        embedded = _placed(embedded, ids == self.patch, patches, "patches of pictures")
        return _placed(embedded, ids == self.region, regions, "regions")


class SensesAlone(Senses, nn.Module):
    """The parts without a core, as a `Reader` that runs the core elsewhere needs them.

    Args:
        config: The configuration.
    """

    def __init__(self, config: Sizes) -> None:
        super().__init__()
        self.add_senses(config)


def _placed(embedded: Tensor, places: Tensor, values: Tensor | None, what: str) -> Tensor:
    """Return the embeddings with values (N, D) at places (B, T), in order."""
    count = 0 if values is None else len(values)
    if int(places.sum()) != count:
        raise ValueError(f"there are {count} {what}, but {int(places.sum())} places for them")
    if values is None:
        return embedded
    return embedded.masked_scatter(places[..., None], values.to(embedded.dtype))
