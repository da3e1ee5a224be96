"""The models of the claims: `BackboneModel` with a core of four random layers, and what it is compared with."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbone.training.freezing import part_of
from backbone.vision.config import BackboneConfig
from backbone.vision.link import Link
from backbone.vision.model import BackboneModel, Links, Read
from backbone.vision.tokens import PLACES
from seeing.scenes import SIZE

CORE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
}
EYES = ((3, 1, 1, 16, 1), (3, 2, 4, 24, 1), (5, 2, 4, 40, 2), (5, 2, 4, 80, 2), (5, 2, 4, 128, 1))
SPREAD = 0.02
"""Standard deviation of the initial weights of the core, as in Llama."""


def configuration(vocabulary: int, queries: int) -> BackboneConfig:
    """Return the configuration of a small model; the whole core is trained, so there are no adapters.

    Args:
        vocabulary: Tokens of the tokenizer.
        queries: Number of queries of each decoder.
    """
    return BackboneConfig(
        core={**CORE, "vocab_size": vocabulary},
        adapter_rank=0,
        image_size=SIZE,
        eyes_stem=16,
        eyes_stages=EYES,
        neck_width=48,
        link_width=64,
        prototypes=16,
        queries={"perception": queries, "pose": queries},
    )


class PredictingModel(BackboneModel):
    """A model whose query tokens are words of its vocabulary: it has to predict each of them before it reads it.

    Attributes:
        spelling: Cross-entropy of the query tokens that were read last.
        spelled: For each decoder, (S,), whether all tokens of a segment were predicted.
    """

    spelling: Tensor
    spelled: dict[str, Tensor]

    def link(self, input_ids: Tensor, states: Tensor) -> dict[str, Links]:
        """Return the link vectors as `BackboneModel`, and judge the predictions of the tokens."""
        found = super().link(input_ids, states)
        losses, self.spelled = [], {}
        for decoder in found:
            ids = self.queries[decoder]
            row, at = ((input_ids >= ids[0]) & (input_ids <= ids[-1])).nonzero(as_tuple=True)
            scores = self.scores(states[row, at - 1])
            wanted = input_ids[row, at] - len(PLACES)  # patches and regions are no words
            losses.append(functional.cross_entropy(scores, wanted))
            self.spelled[decoder] = (scores.argmax(1) == wanted).view(-1, len(ids)).all(1)
        self.spelling = sum(losses, states.new_zeros(()))
        return found

    def scores(self, states: Tensor) -> Tensor:
        """Return the logits of all tokens, the queries among them, (…, V + rows + queries)."""
        return torch.cat([self.logits(states), *(states @ _link(self, name).table.T for name in self.queries)], -1)

    def spell(self, decoder: str, read: Read) -> Tensor:
        """Predict and read the tokens of a segment one by one, as it is done without knowing them.

        Args:
            decoder: Name of the decoder.
            read: What was read before, with its cache.

        Returns:
            The link vector (1, E), whatever was predicted: this is for measuring the time that it takes.
        """
        link, last, states = _link(self, decoder), read.states[:, -1:], []
        for row in link.table:
            self.scores(last[:, 0]).argmax(1)
            last = self.core(
                inputs_embeds=row[None, None], attention_mask=None, position_ids=None, cache=read.cache, use_cache=True
            ).last_hidden_state
            states.append(last)
        vectors: Tensor = link(torch.cat(states, 1))
        return vectors


def build(config: BackboneConfig, seed: int, predicting: bool = False) -> BackboneModel:
    """Return a model with random weights."""
    torch.manual_seed(seed)
    model = (PredictingModel if predicting else BackboneModel)(config)
    for module in model.core.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=SPREAD)
    nn.init.normal_(model.rows, std=SPREAD)
    return model


def take(model: BackboneModel, state: Mapping[str, Tensor], parts: Collection[str]) -> None:
    """Take over parts of another model.

    Args:
        model: The model.
        state: Weights of the other one.
        parts: Some of ``freezing.PARTS``.

    Raises:
        ValueError: The other model has other weights in these parts.
    """
    own = {name for name in model.state_dict() if part_of(name) in parts}
    given = {name: value for name, value in state.items() if part_of(name) in parts}
    if own != given.keys():
        raise ValueError(f"the weights are of another model: {sorted(own ^ given.keys())[:3]} differ")
    model.load_state_dict(given, strict=False)


def share_queries(model: BackboneModel) -> None:
    """Give both decoders one table of queries; each keeps its projection."""
    _link(model, "pose").table = _link(model, "perception").table


def _link(model: BackboneModel, decoder: str) -> Link:
    link = model.links[decoder]
    assert isinstance(link, Link)
    return link
