"""Which examples a planner sees for a request."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from agents.examples.bank import Pool
from agents.planners.base import Demonstration

MOST_COMPARED = 1000
"""The newest examples that are compared with one another for the majority list."""


LEAST = 0.5
"""The least cosine of an example that is shown; one that has nothing to do with a request can only mislead. Half of the
requests that training holds out have none as near as that among a hundred examples of other meaning."""


class Chooser(Protocol):
    """Chooses examples out of a pool."""

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
    """The examples whose requests are most similar to the request, by the cosine of their vectors, at least `LEAST`.

    Of equally similar ones, those for the same kinds go first, then those of the person's own, then the newest.
    """

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
        return [bank.examples[row].demonstration for row in order[max(len(order) - k, 0) :] if cosines[row] >= LEAST]


class Majority:
    """A fixed list, whatever the request: the examples that together are most similar to all others.

    Each is the one that adds most to the similarity of every example with its likest on the list (facility location,
    grown greedily). The first chosen one is read last.
    """

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


CHOOSERS: Mapping[str, Callable[[], Chooser]] = {"similar": Similar, "majority": Majority}
"""The choosers by their name in the settings; "off" is none."""
