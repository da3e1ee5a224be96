"""The training mixture: rows of tokens, packed from requests for built-in tools and from catalogues of made-up ones.

Everything is drawn from ``random.Random(f"{seed}:{row}")``: the same seed and row give the same tokens on every machine.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.layout import Layout
from backbone.training.phrasings import MadeUpTool, argument_groups, made_up_tools, requests
from backbone.training.samples import Sample, fill, held_out, join
from backbone.training.synthetic_tools import Guise, ask, disguise


@dataclass(frozen=True)
class Row:
    """A packed row.

    Attributes:
        ids: (T,) tokens: a shared prefix of cards, then requests with their plans, side by side.
        block: (T,) 0 for the prefix, 1, 2, … for the requests, -1 for padding: a token sees the prefix and its own block.
        position: (T,) each block counts on from the prefix.
        target: (T,) whether the token is to be predicted (it belongs to a plan).
    """

    ids: list[int]
    block: list[int]
    position: list[int]
    target: list[bool]


def pack(layout: Layout, prefix: Sequence[int], pairs: Sequence[tuple[list[int], list[int]]], length: int) -> Row:
    """Pack a prefix and (request ids, plan ids) pairs into one row of ``length`` tokens."""
    ids, block, position, target = list(prefix), [0] * len(prefix), list(range(len(prefix))), [False] * len(prefix)
    for number, (asked, planned) in enumerate(pairs, 1):
        size = len(asked) + len(planned)
        if len(ids) + size > length:
            continue
        ids += [*asked, *planned]
        block += [number] * size
        position += range(len(prefix), len(prefix) + size)
        target += [False] * len(asked) + [True] * len(planned)
    rest = length - len(ids)
    return Row(ids + [layout.end] * rest, block + [-1] * rest, position + [0] * rest, target + [False] * rest)


class TrainingDataset:
    """The training mixture.

    Args:
        layout: the tokens.
        seed: of everything drawn.
        validation: draw from the held-out phrasings and tools instead of the others.
    """

    def __init__(self, layout: Layout, seed: int, validation: bool = False) -> None:
        self.layout, self.seed = layout, seed
        self.phrasings = [p for p in requests() if held_out(p) == validation]
        self.tools = [t for t in made_up_tools() if held_out(t.names[0]) == validation]
        self.groups = [g for g in argument_groups() if held_out(g.arguments[0].names[0]) == validation]
        self.nothing = [p for p in self.phrasings if not p.calls]
        self.asking = [p for p in self.phrasings if p.calls]

    def built_in(self, rng: random.Random) -> Sample:
        """A request for built-in tools: one phrasing, or two joined; or one that asks for nothing."""
        roll = rng.random()
        if roll < 0.1:
            return fill(rng.choice(self.nothing), rng)
        if roll < 0.14:
            return self.absent(rng, ())
        first = fill(rng.choice(self.asking), rng)
        if roll < 0.24 and "Detections" not in first.have:
            second = fill(rng.choice(self.asking), rng)
            if second.have == first.have:
                return join(first, second, rng)
        return first

    def absent(self, rng: random.Random, present: Sequence[Guise]) -> Sample:
        """A request for a tool that is not there: nothing can be run."""
        tool = rng.choice(self.tools)
        while any(tool is guise.tool for guise in present):
            tool = rng.choice(self.tools)
        sample = ask(disguise(tool, rng, self.groups), rng)
        return Sample(sample.have, sample.request, ())

    def row(self, index: int, length: int) -> Row:
        """Row ``index`` of the mixture: without cards, or behind a catalogue of made-up tools."""
        rng = random.Random(f"{self.seed}:{index}")
        if rng.random() < 0.2:
            samples = [self.built_in(rng) for _ in range(length // 20)]
            return self._packed([], samples, length, ())
        room = length * rng.uniform(0.25, 0.62)
        guises = [disguise(tool, rng, self.groups) for tool in self.catalogue(rng)]
        guises = list({guise.card["name"]: guise for guise in guises}.values())
        while len(guises) > 1 and len(self.layout.prefix([guise.card for guise in guises])) > room:
            guises.pop()
        samples = [self.carded(rng, guises) for _ in range(length // 20)]
        demonstrations = [self.carded(rng, guises) for _ in range(rng.choice((0, 0, 0, 0, 0, 1)))]
        return self._packed(guises, samples, length, demonstrations)

    def catalogue(self, rng: random.Random) -> list[MadeUpTool]:
        """Two to fourteen tools: some that stand side by side in the files and so are of one field, and others."""
        count = min(rng.randint(2, 14), len(self.tools))
        start = rng.randrange(len(self.tools))
        near = self.tools[start : start + rng.randint(1, count)] if rng.random() < 0.6 else []
        others = [tool for tool in rng.sample(self.tools, count) if not any(tool is other for other in near)]
        chosen = [*near, *others][:count]
        if not any(tool.takes == ("Text",) for tool in chosen):
            chosen[-1] = rng.choice([tool for tool in self.tools if tool.takes == ("Text",)] or chosen)
        rng.shuffle(chosen)
        return chosen

    def carded(self, rng: random.Random, guises: Sequence[Guise]) -> Sample:
        """A request made before a catalogue of made-up tools."""
        roll = rng.random()
        if roll < 0.15:
            return self.built_in(rng)
        if roll < 0.21:
            return self.absent(rng, guises)
        # What is made from pictures, sound and texts has the built-in tools beside it, and is what people have here.
        (guise,) = rng.choices(guises, [2 if guise.tool.takes else 1 for guise in guises])
        sample = ask(guise, rng)
        if roll < 0.33:
            other = ask(rng.choice(guises), rng) if rng.random() < 0.5 else fill(rng.choice(self.asking), rng)
            if other.calls[0]["tool"] != sample.calls[0]["tool"] and "Detections" not in other.have:
                return join(sample, other, rng) if rng.random() < 0.5 else join(other, sample, rng)
        return sample

    def _packed(
        self, guises: Sequence[Guise], samples: Sequence[Sample], length: int, demonstrations: Sequence[Sample]
    ) -> Row:
        cards = {**BUILTIN_CARDS, **{guise.card["name"]: guise.card for guise in guises}}
        prefix = self.layout.prefix(
            [guise.card for guise in guises], [(d.have, d.request, d.calls) for d in demonstrations], cards
        )
        different = {sample.request.lower(): sample for sample in samples}.values()
        pairs = [(self.layout.request(s.have, s.request), self.layout.calls(s.calls, cards)) for s in different]
        return pack(self.layout, prefix, pairs, length)
