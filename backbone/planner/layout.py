"""How a request, its tool cards and its plan are written as tokens.

One sequence is

    [CARD] card text … [CARD] card text [REQ] values at hand: request [PLAN] call call … [END]

where the last card is that of the likeliest tool, read once more. A call is a routing token (a built-in tool, learnt in
the weights) or ``[CALL] name [SEP]`` (a tool read from its card), followed by its arguments as ``name= value [SEP]``. Items
of a list are parted by ``[ITEM]``. Every value begins with a space, so that a word is copied from the request with the
very token it has there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backbone.planner.cards import card_text, parameters
from backbone.planner.core import Tokenizer
from common.card import Card

ROUTES = (
    "detect",
    "segment",
    "pose",
    "track",
    "count",
    "pick",
    "crop",
    "redact",
    "remove",
    "edit",
    "generate",
    "read_text",
    "caption",
    "ask",
    "transcribe",
    "speak",
)
"""The built-in tools that have a routing token, in the order of their rows in the weights."""

CONTROL = ("card", "req", "plan", "call", "sep", "item", "end")
"""The other tokens that the planner adds to the core's vocabulary."""

ABOVE = "above"
"""What stands for an optional input that takes the newest value of its type."""

Call = Mapping[str, Any]
"""One call of a plan: ``{"tool": name, "args": {name: value}}``."""


class Layout:
    """Token ids of the added tokens, and the two directions between plans and ids.

    Args:
        tokenizer: the core's tokenizer; added tokens follow its last id.
        size: rows of the core's embedding, the first id that is free.
    """

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        self.tokenizer = tokenizer
        self.first = size
        names = [f"route:{name}" for name in ROUTES] + list(CONTROL)
        self.ids = {name: size + row for row, name in enumerate(names)}
        self.route = {name: self.ids[f"route:{name}"] for name in ROUTES}
        self.card, self.req, self.plan = self.ids["card"], self.ids["req"], self.ids["plan"]
        self.call, self.sep, self.item, self.end = (self.ids[k] for k in ("call", "sep", "item", "end"))
        self._cache: dict[str, list[int]] = {}

    @property
    def added(self) -> int:
        """How many rows are added to the core's embedding."""
        return len(self.ids)

    def text(self, text: str) -> list[int]:
        """Token ids of plain text, without any added token."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def piece(self, text: str) -> list[int]:
        """Token ids of a short text that recurs (argument names, tool names, choices)."""
        if text not in self._cache:
            self._cache[text] = self.text(text)
        return self._cache[text]

    def prefix(
        self,
        cards: Iterable[Card],
        demonstrations: Iterable[tuple[Sequence[str], str, Sequence[Call]]] = (),
        known: Mapping[str, Card] | None = None,
    ) -> list[int]:
        """The part that many requests share: cards of the tools that have no routing token, then demonstrations."""
        cards = list(cards)
        ids: list[int] = []
        for card in cards:
            if card["name"] not in self.route:
                ids += [self.card, *self.text(card_text(card))]
        by_name = {**(known or {}), **{card["name"]: card for card in cards}}
        for have, request, calls in demonstrations:
            ids += self.request(have, request) + self.calls(calls, by_name)
        return ids

    def request(self, have: Sequence[str], request: str) -> list[int]:
        """The request with the kinds of value at hand, up to the token after which the plan begins."""
        kinds = ", ".join(kind.lower() for kind in have) or "none"
        return [self.req, *self.text(f" {kinds}: {' '.join(request.split())}"), self.plan]

    def calls(self, calls: Sequence[Call], cards: Mapping[str, Card]) -> list[int]:
        """The plan itself, closed by its end token. Arguments stand in the order of the card."""
        ids: list[int] = []
        for call in calls:
            name, args = call["tool"], call["args"]
            ids += self.head(name)
            for parameter in parameters(cards[name]):
                if parameter.name in args:
                    ids += self.argument(parameter.name, args[parameter.name])
        return [*ids, self.end]

    def head(self, name: str) -> list[int]:
        """The ids that name a tool: its routing token, or its name spelt out."""
        return [self.route[name]] if name in self.route else [self.call, *self.piece(f" {name}"), self.sep]

    def argument(self, name: str, value: Any) -> list[int]:
        """The ids of one argument with its name and its closing token."""
        items = value if isinstance(value, list) else [value]
        ids = list(self.piece(f" {name}="))
        for position, item in enumerate(items):
            ids += [self.item] * (position > 0) + self.text(f" {spell(item)}")
        return [*ids, self.sep]


def spell(value: Any) -> str:
    """A plain value as the planner writes it: booleans as in JSON, whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
