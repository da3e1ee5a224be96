"""The grammar of plans for a set of tool cards: which tools can be planned, with which parameters."""

from collections.abc import Iterable

from backbone.planner.cards import Parameter, UnplannableTool, parameters
from backbone.planner.layout import Layout
from backbone.planner.vocabulary import Vocabulary
from common.card import Card


class Grammar:
    """The grammar of plans over a set of tools.

    Args:
        layout: the added tokens.
        vocabulary: the core's tokens.
        cards: the tools that may be called.

    Attributes:
        cards: the tools in the grammar, by name.
        parameters: what may be written for each tool.
        left_out: reason for each tool that cannot be planned.
    """

    def __init__(self, layout: Layout, vocabulary: Vocabulary, cards: Iterable[Card]) -> None:
        self.layout, self.vocabulary = layout, vocabulary
        self.cards: dict[str, Card] = {}
        self.parameters: dict[str, list[Parameter]] = {}
        self.left_out: dict[str, str] = {}
        for card in cards:
            try:
                self.parameters[card["name"]] = parameters(card)
                self.cards[card["name"]] = card
            except UnplannableTool as error:
                self.left_out[card["name"]] = str(error)
