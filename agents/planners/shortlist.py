"""The shortlist: which tools' cards a planner reads, where there are more than it can tell apart.

The small planner overlooks tools among many cards. So it is given the `LIMIT` that fit the request best, and what
these need: the best maker of each kind of value that nothing else makes.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from typing_extensions import TypedDict

from common.card import Card
from common.reach import needs

LIMIT = 8
"""Most cards that are read. With no more tools than that, all are."""


_WORD = re.compile(r"\w+")


class ConsideredJson(TypedDict):
    """A `Considered` as plain JSON."""

    tool: str
    score: float
    read: bool
    reason: str


class ShortlistJson(TypedDict):
    """A `Shortlist` as plain JSON."""

    offered: list[str]
    considered: list[ConsideredJson]


@dataclass(frozen=True)
class Considered:
    """One tool that was considered for a request.

    Attributes:
        tool: its name.
        score: how well it fits, comparable within one request only.
        read: whether the planner reads its card; a tool whose card is not read cannot be in the plan.
        reason: why, in words.
    """

    tool: str
    score: float
    read: bool
    reason: str

    def to_json(self) -> ConsideredJson:
        """As plain JSON; the score has four decimals."""
        return {"tool": self.tool, "score": round(self.score, 4), "read": self.read, "reason": self.reason}


@dataclass(frozen=True)
class Shortlist:
    """Which tools a planner may call for a request.

    Attributes:
        considered: the tools with a card, the best first.
        offered: names of the tools that are offered in any case.
    """

    considered: tuple[Considered, ...]
    offered: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """Names of all tools that may be called."""
        return frozenset(self.offered) | {one.tool for one in self.considered if one.read}

    def lines(self) -> list[str]:
        """As lines of text for people."""
        lines = [f"Always offered: {', '.join(self.offered) or 'none'}"]
        if self.considered:
            read = sum(one.read for one in self.considered)
            lines.append(f"Considered by score: {len(self.considered)}, of which the planner read {read}")
        width = max((len(one.tool) for one in self.considered), default=0)
        for one in self.considered:
            verdict = "read" if one.read else "left out"
            lines.append(f"  {one.score:6.2f}  {one.tool:<{width}}  {verdict}: {one.reason}")
        return lines

    def to_json(self) -> ShortlistJson:
        """As plain JSON."""
        return {"offered": list(self.offered), "considered": [one.to_json() for one in self.considered]}


def shortlist(
    request: str,
    cards: Sequence[Card],
    scores: Sequence[float],
    have: Iterable[str],
    offered: Sequence[Card] = (),
    demonstrated: Collection[str] = (),
    limit: int = LIMIT,
) -> Shortlist:
    """Choose the cards that are read.

    Args:
        request: in words; a tool one of whose examples is in it is always read.
        cards: of the tools to choose from.
        scores: how well each fits the request.
        have: kinds of value at hand.
        offered: cards of tools that are offered in any case.
        demonstrated: names of tools that examples for the planner call; their cards are always read.
        limit: most cards that are read.
    """
    ranked = [cards[row] for row in sorted(range(len(cards)), key=lambda row: -scores[row])]
    score_of = {card["name"]: float(score) for card, score in zip(cards, scores, strict=True)}
    reasons: dict[str, str] = {}
    made = {*have, *(card["returns"]["kind"] for card in offered)}

    def choose(card: Card, reason: str) -> None:
        """Add a card, and makers of what it needs."""
        if card["name"] in reasons or len(reasons) >= limit:
            return
        reasons[card["name"]] = reason
        choose_makers(card)

    def choose_makers(card: Card) -> None:
        """Add makers of what a chosen card needs."""
        lacking = [kinds for kinds in needs(card) if made.isdisjoint(kinds)]
        made.add(card["returns"]["kind"])
        for kinds in lacking:
            maker = next((one for one in ranked if one is not card and one["returns"]["kind"] in kinds), None)
            if maker is not None:
                choose(maker, f"makes {maker['returns']['kind']} for {card['name']}")

    called = [card for card in ranked if card["name"] in demonstrated]
    # All of them before the makers: the planner cannot read an example whose tool it does not know.
    reasons |= {card["name"]: "an example calls it" for card in called}
    for card in called:
        choose_makers(card)
    for card in ranked:
        if any(_says(request, example) for example in card["examples"]):
            choose(card, "the request is its example")
    for card in ranked:
        choose(card, "fits best" if len(cards) > limit else "all fit in")
    return Shortlist(
        tuple(
            Considered(name, score_of[name], name in reasons, reasons.get(name, "others fit better"))
            for name in (card["name"] for card in ranked)
        ),
        tuple(card["name"] for card in offered),
    )


def _says(request: str, example: str) -> bool:
    """Return whether a request is an example, or holds one of three or more words."""
    asked, shown = (f" {' '.join(_WORD.findall(text.lower()))} " for text in (request, example))
    return bool(shown.strip()) and (asked == shown or (shown.count(" ") > 3 and shown in asked))


def by_reading(cards: Sequence[Card], built_in: Collection[str]) -> tuple[list[Card], list[Card]]:
    """Divide cards into those that a planner has to read, and those of built-in tools that it knows by heart."""
    return [c for c in cards if c["name"] not in built_in], [c for c in cards if c["name"] in built_in]


def kept(cards: Sequence[Card], chosen: Shortlist) -> list[Card]:
    """Return the cards of a shortlist in the order of the tools, so that like shortlists begin alike."""
    return [card for card in cards if card["name"] in chosen.names]
