"""Token layout of a prompt (tool cards, request) and of a plan.

One sequence is

    [CARD] card text … [CARD] card text [REQ] values at hand: request [PLAN] call call … [END]

where the last card repeats that of the likeliest tool. A call begins with a routing token (a built-in tool, learnt in
the weights) or with ``[CALL] name [SEP]`` (any other tool, read from its card). Its arguments follow as
``name= value [SEP]``, the items of a list separated by ``[ITEM]``. Every value begins with a space, so that a word has
the same tokens in the plan as in the request.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypedDict

from tokenizers import Tokenizer

from backbone.planner.cards import card_text, parameters
from common.card import Card

BUILTIN_TOOLS = (
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
"""The built-in tools that have a routing token, in the order of their embedding rows."""

CONTROL = ("card", "req", "plan", "call", "sep", "item", "end")
"""The other tokens added to the core's vocabulary, in the order of their embedding rows."""

ABOVE = "above"
"""Value written for an optional input that takes the newest value of its type."""

Scalar = str | bool | int | float
"""A plain value, or an item of a list, as a plan holds it."""


Call = Mapping[str, Any]
"""One call of a plan: ``{"tool": name, "args": {name: value}}``."""


class PlannedCall(TypedDict):
    """A call that the planner wrote; its arguments are JSON values."""

    tool: str
    args: dict[str, Any]


class Layout:
    """Ids of the added tokens, and the encoding of cards, requests and plans.

    Args:
        tokenizer: the core's tokenizer.
        size: rows of the core's embedding; the added tokens take the ids from ``size`` on.
    """

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        self.tokenizer = tokenizer
        self.first = size
        names = [f"tool:{name}" for name in BUILTIN_TOOLS] + list(CONTROL)
        self.ids = {name: size + row for row, name in enumerate(names)}
        self.tool_tokens = {name: self.ids[f"tool:{name}"] for name in BUILTIN_TOOLS}
        self.card, self.req, self.plan = self.ids["card"], self.ids["req"], self.ids["plan"]
        self.call, self.sep, self.item, self.end = (self.ids[k] for k in ("call", "sep", "item", "end"))
        self._cache: dict[str, list[int]] = {}

    @property
    def added(self) -> int:
        """Number of rows added to the core's embedding."""
        return len(self.ids)

    def text(self, text: str) -> list[int]:
        """Token ids of plain text, without any added token."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def piece(self, text: str) -> list[int]:
        """Token ids of a short text that recurs (argument names, tool names, choices), cached."""
        if text not in self._cache:
            self._cache[text] = self.text(text)
        return self._cache[text]

    def prefix(
        self,
        cards: Iterable[Card],
        demonstrations: Iterable[tuple[Sequence[str], str, Sequence[Call]]] = (),
        demonstrated: Mapping[str, Card] | None = None,
    ) -> list[int]:
        """The part of a prompt that many requests share; the arguments are those of `parts`."""
        return [*chain.from_iterable(self.parts(cards, demonstrations, demonstrated))]

    def parts(
        self,
        cards: Iterable[Card],
        demonstrations: Iterable[tuple[Sequence[str], str, Sequence[Call]]] = (),
        demonstrated: Mapping[str, Card] | None = None,
    ) -> list[list[int]]:
        """The prefix in parts, a card or a demonstration each.

        Args:
            cards: the tools at hand; only those without a routing token are written out.
            demonstrations: ``(have, request, calls)`` each, written after the cards.
            demonstrated: cards of further tools that the demonstrations call.
        """
        cards = list(cards)
        by_name = {**(demonstrated or {}), **{card["name"]: card for card in cards}}
        return [
            *([self.card, *self.text(card_text(card))] for card in cards if card["name"] not in self.tool_tokens),
            *(self.request(have, request) + self.calls(calls, by_name) for have, request, calls in demonstrations),
        ]

    def request(self, have: Sequence[str], request: str) -> list[int]:
        """The request with the kinds of value at hand, up to and including the token ``plan``."""
        kinds = ", ".join(kind.lower() for kind in have) or "none"
        return [self.req, *self.text(f" {kinds}: {' '.join(request.split())}"), self.plan]

    def calls(self, calls: Sequence[Call], cards: Mapping[str, Card]) -> list[int]:
        """The ids of a plan with its end token. Arguments are written in the order of ``parameters``."""
        ids: list[int] = []
        for call in calls:
            name, args = call["tool"], call["args"]
            ids += self.head(name)
            for parameter in parameters(cards[name]):
                if parameter.name in args:
                    ids += self.argument(parameter.name, args[parameter.name])
        return [*ids, self.end]

    def head(self, name: str) -> list[int]:
        """The ids that name a tool: its routing token, or ``[CALL] name [SEP]``."""
        return [self.tool_tokens[name]] if name in self.tool_tokens else [self.call, *self.piece(f" {name}"), self.sep]

    def argument(self, name: str, value: object) -> list[int]:
        """The ids of one argument: name, value or list of values, separator."""
        items = value if isinstance(value, list) else [value]
        ids = list(self.piece(f" {name}="))
        for position, item in enumerate(items):
            ids += [self.item] * (position > 0) + self.text(f" {format_value(item)}")
        return [*ids, self.sep]


def format_value(value: object) -> str:
    """Text of a plain value in a plan: booleans as in JSON, whole numbers without a decimal point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
