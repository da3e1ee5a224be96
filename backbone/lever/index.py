"""Examples, ready to be compared with requests: which of them have something to tell about a request.

An example teaches the words of its request that nothing else explains: its plan does not repeat them, and the cards of
its tools do not use them. "Find out how many of the gallery there are" teaches what the gallery is; "how many
are there" is in the card of ``count``. So an example matters to a request as far as the words that it teaches are what
the request says. Requests that are alike in all other words are worded alike, and no more.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from backbone.lever.features import Asked, Known, ask, know, plan_text
from backbone.lever.score import Example
from backbone.planner.tensors import Array
from backbone.retrieval.retriever import Words
from backbone.retrieval.words import split, stem, texts
from common.card import Card

COMMON = 0.1
"""What is taken from the retriever's weight of each word: function words weigh less."""

TAUGHT = 0.4
"""Least weight of the words that an example teaches. One with less repeats its request, and all its words count."""

TINY = 1e-6

SHARPNESS = 4
"""Power of the likeness of two words: another form of a word is the same word, another word of its kind is not."""


class ExampleIndex:
    """Compares requests with N examples. Safe to call from several threads.

    Args:
        examples: the examples.
        cards: of the tools at hand.
        words: the retriever's.
    """

    def __init__(self, examples: Sequence[Example], cards: Sequence[Card], words: Words) -> None:
        said = {card["name"]: {stem(word) for text in texts(card) for word in split(text)} for card in cards}
        self._examples, self._words = examples, words
        vectors, weights, taught, starts = list[Array](), list[float](), list[bool](), list[int]()
        for example in examples:
            own, plain = split(example.request), _explained(example, said)
            of, weight = words.vectors(own)
            starts.append(len(weights))
            vectors += [np.zeros((1, words.size), np.float32), of]  # none is without a word
            weights += [0.0, *np.maximum(weight[:, 0] - COMMON, 0).tolist()]
            taught += [False, *(stem(word) not in plain for word in own)]
        self._vectors = np.concatenate([np.zeros((0, words.size), np.float32), *vectors])
        self._starts = np.array(starts, np.intp)
        every = np.array(weights, np.float32)
        some = every * np.array(taught, bool)
        lengths = np.diff(np.append(self._starts, len(every)))
        enough = np.repeat(self._sums(some) >= TAUGHT, lengths)
        self._weights = np.where(enough, some, every)

    @cached_property
    def known(self) -> Known:
        """The examples as Lever-LM knows them."""
        return know(self._examples, self._words)

    def relevance(self, request: str) -> Array:
        """Return how far each example and a request are about the same words, (N,), 0 to 1.

        It is the F1 of the weighted share of the words that the example teaches that are in the request, and of the
        share of the request that these words explain. With the first alone, any example that teaches one usual word
        would matter to any long request.
        """
        vectors, weights = self._words.vectors(split(request))
        asked: Array = np.maximum(weights[:, 0] - COMMON, 0)
        if not asked.any() or not len(self._starts):
            return np.zeros(len(self._starts), np.float32)
        alike: Array = np.clip(self._vectors @ vectors.T, 0, 1) ** SHARPNESS
        found = self._sums(alike.max(1) * self._weights) / (self._sums(self._weights) + TINY)
        explained = np.maximum.reduceat(alike * (self._weights > 0)[:, None], self._starts) @ asked / asked.sum()
        return np.asarray(2 * found * explained / (found + explained + TINY), np.float32)

    def ask(self, have: Sequence[str], request: str) -> Asked:
        """Compare a request with the examples as Lever-LM does."""
        return ask(have, request, self.known, self._words)

    def found(self, request: str) -> Array:
        """Return how well each of T words of a request is found in what each example does not repeat, (N, T)."""
        found: Array = self.ask((), request).found[1]
        return found

    def _sums(self, values: Array) -> Array:
        """Sums over the words of each example, (N,)."""
        return np.asarray(np.add.reduceat(values, self._starts) if len(self._starts) else np.zeros(0), np.float32)


def _explained(example: Example, said: Mapping[str, set[str]]) -> set[str]:
    """Stems of the words that the plan of an example repeats, or the cards of its tools use."""
    stems = {stem(word) for word in split(plan_text(example.calls))}
    return stems.union(*(said.get(call["tool"], ()) for call in example.calls))
