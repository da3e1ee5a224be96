"""Data for Lever-LM: sequences of examples for an anchor, grown greedily by their InfoScore.

An anchor is a request whose plan is known. A beam of sequences grows by the candidate that raises ``I(S, anchor)``
most. What is added later stands further from the request in the prompt, as in the released code of Lever-LM: `prompted`
turns a sequence round. Two deviations from that code: sequences are compared by I itself, not by their last gain over
different beginnings, and one that no candidate improves is kept as it is instead of being dropped, so that the
end is learnt, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backbone.lever.score import Example, Prompt

BEAM, CANDIDATES, SIZE = 3, 16, 2
"""Sequences kept, candidates drawn for each anchor, and examples in a sequence."""

Score = Callable[[Sequence[Prompt]], Sequence[float]]
"""Gives I for each prompt; see `Scorer.scores`."""


@dataclass(frozen=True)
class Grown:
    """A sequence of examples for an anchor.

    Attributes:
        chosen: places of the examples among the candidates, in the order of choosing.
        scores: I after each of them.
    """

    chosen: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()


def prompted(chosen: Sequence[Example]) -> list[Example]:
    """Return examples in the order in which the planner reads them: the one that was chosen first comes last."""
    return list(reversed(chosen))


def grow(
    score: Score, anchor: Example, candidates: Sequence[Example], beam: int = BEAM, size: int = SIZE
) -> tuple[float, list[Grown]]:
    """Grow sequences for an anchor.

    Args:
        score: the InfoScore.
        anchor: a request with its right plan.
        candidates: examples, the anchor not among them.
        beam: sequences that are kept.
        size: examples in a sequence, at most.

    Returns:
        I without examples, and the sequences, the best first. No two hold the same examples.
    """
    (without,) = score([((), anchor)])
    kept, growing = list[Grown](), [Grown()]
    for _ in range(size):
        tried = [(grown, place) for grown in growing for place in range(len(candidates)) if place not in grown.chosen]
        prompts: list[Prompt] = [
            (prompted([candidates[at] for at in (*grown.chosen, place)]), anchor) for grown, place in tried
        ]
        longer: list[Grown] = []
        improved: set[Grown] = set()
        for (grown, place), value in zip(tried, score(prompts), strict=True):
            if value > (grown.scores[-1] if grown.scores else without):
                longer.append(Grown((*grown.chosen, place), (*grown.scores, value)))
                improved.add(grown)
        kept += [grown for grown in growing if grown.chosen and grown not in improved]
        growing = _best(longer, beam)
    return without, _best([*kept, *growing], beam)


def _best(sequences: Sequence[Grown], most: int) -> list[Grown]:
    """The best sequences, of each set of examples the best order. Ties go to the earlier candidates."""
    found: dict[frozenset[int], Grown] = {}
    for grown in sorted(sequences, key=lambda grown: (-grown.scores[-1], grown.chosen)):
        found.setdefault(frozenset(grown.chosen), grown)
    return list(found.values())[:most]
