"""Which examples a planner sees for a request."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agents.examples.bank import Array, Pool
from agents.planners.base import Demonstration

MOST_COMPARED = 1000
"""The newest examples that are compared with one another for the majority list."""

LEAST = 0.33
"""The least relevance of an example that is shown for a request. One that has nothing to tell can only mislead.

Chosen on conventions and held-out requests of the planner's training. With the examples of 80 houses, 0.640 of the
ordinary requests were fully right (0.647 without examples); of those by the conventions of 24 houses, 0.783 (none).
"""


class Chooser(Protocol):
    """Chooses examples out of a pool."""

    name: str
    """In the settings."""

    def choose(self, request: str, have: Sequence[str], bank: Pool, k: int) -> list[Demonstration]:
        """Choose examples for a request.

        Args:
            request: in words.
            have: kinds of the values at hand, ordered from old to new.
            bank: the examples to choose from; it may be empty.
            k: most examples that are chosen.

        Returns:
            Each example at most once, in the order in which the planner reads them: the one that matters most last.
        """


class Similar:
    """The relevant examples whose requests are most similar to the request, by the cosine of their vectors.

    Of equally similar ones, those for the same kinds go first, then those of the person's own, then the newest.
    """

    name = "similar"

    def choose(self, request: str, have: Sequence[str], bank: Pool, k: int) -> list[Demonstration]:
        """As of `Chooser`."""
        if not bank.examples:
            return []
        # Rounded, as the last digits of the same request in another case may differ.
        cosines = np.round(bank.vectors @ bank.encoder.embed([request])[0], 4)
        kinds = set(have)
        same = np.array([set(example.demonstration.have) == kinds for example in bank.examples])
        own = np.array([example.owner != "" for example in bank.examples])
        order = np.lexsort((np.arange(len(own)), own, same, cosines))
        order = order[relevant(request, bank)[order]]
        return [bank.examples[row].demonstration for row in order[max(len(order) - k, 0) :]]


class Words:
    """Word by word: of the relevant examples, each next one for words that those before do not explain."""

    name = "words"

    def choose(self, request: str, have: Sequence[str], bank: Pool, k: int) -> list[Demonstration]:
        """As of `Chooser`."""
        if not bank.examples:
            return []
        rows = np.flatnonzero(relevant(request, bank))[::-1]  # of equal ones the newest
        chosen = explaining(bank.found(request)[rows], k)
        return [bank.examples[rows[at]].demonstration for at in reversed(chosen)]


class Majority:
    """A fixed list, whatever the request: the examples that together are most similar to all others.

    Each is the one that adds most to the similarity of every example with its likest on the list (facility location,
    grown greedily). The first chosen one is read last.
    """

    name = "majority"

    def choose(self, request: str, have: Sequence[str], bank: Pool, k: int) -> list[Demonstration]:
        """As of `Chooser`."""
        vectors = bank.vectors[-MOST_COMPARED:]
        examples = bank.examples[-MOST_COMPARED:]
        alike = np.maximum(vectors @ vectors.T, 0)
        covered = np.zeros(len(examples), np.float32)
        chosen: list[int] = []
        while len(chosen) < min(k, len(examples)):
            gains = np.maximum(alike, covered).sum(1) - covered.sum()
            gains[chosen] = -1
            # The newest of equal ones.
            best = len(gains) - 1 - int(np.round(gains[::-1], 4).argmax())
            chosen.append(best)
            covered = np.maximum(covered, alike[best])
        return [examples[row].demonstration for row in reversed(chosen)]


def relevant(request: str, bank: Pool) -> NDArray[np.bool_]:
    """Which of N examples have something to tell about a request, (N,)."""
    return bank.relevance(request) >= LEAST


def explaining(found: Array, k: int) -> list[int]:
    """Choose the examples that together explain most words of a request.

    Args:
        found: (N, T) how well each of T words is found in what each of N examples tells, 0 to 1.
        k: most examples that are chosen.

    Returns:
        Rows in the order of choosing; of equal ones the first.
    """
    chosen, before = list[int](), np.zeros(found.shape[1], np.float32)
    while len(chosen) < min(k, len(found)):
        gains = np.maximum(found - before, 0).sum(1)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        before = np.maximum(before, found[chosen[-1]])
    return chosen


CHOOSERS: Mapping[str, Callable[[], Chooser]] = {"similar": Similar, "words": Words, "majority": Majority}
"""The choosers by their name in the settings; "off" is none."""
