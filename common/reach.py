"""Which kinds of value can be had from what is at hand, by a chain of tools."""

from collections.abc import Iterable

from common.card import Card, CardInput


def needs(card: Card) -> list[list[str]]:
    """Return the kinds of each input that has to be given as a value; one of each list is enough."""
    return [given["kinds"] for given in card["inputs"].values() if _is_needed(given)]


def _is_needed(given: CardInput) -> bool:
    return not given["optional"] and not given.get("literal")


def reachable_kinds(have: Iterable[str], cards: Iterable[Card]) -> set[str]:
    """Return the kinds at hand, and those that tools can make from them in any number of steps.

    Tools that need no value are left out: a picture can always be generated, but that one is seldom meant.

    Args:
        have: kinds of value at hand.
        cards: the tools that may be called.
    """
    kinds = set(have)
    waiting = [(wanted, card["returns"]["kind"]) for card in cards if (wanted := needs(card))]
    while ready := [kind for wanted, kind in waiting if kind not in kinds and fits(wanted, kinds)]:
        kinds.update(ready)
    return kinds


def fits(wanted: Iterable[Iterable[str]], kinds: set[str]) -> bool:
    """Return whether each of some inputs, given by its kinds, can be filled with a value of the kinds."""
    return all(not kinds.isdisjoint(one) for one in wanted)
