"""The training dataset: rows of tokens, packed from requests for built-in tools and for synthetic ones.

Everything is drawn from ``random.Random(f"{seed}:{row}")``, so the same seed and row give the same tokens on every
machine.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.layout import Layout
from backbone.training.compound import Composer
from backbone.training.houses import MOST_EXAMPLES, Convention, Houses
from backbone.training.phrasings import Phrasing, requests
from backbone.training.samples import Sample, fill, held_out, join
from backbone.training.synthetic_tools import SyntheticTool, draw_request, draw_tool
from backbone.training.tool_templates import ToolTemplate, argument_groups, tool_templates


@dataclass(frozen=True)
class Row:
    """A packed row of T tokens.

    Attributes:
        ids: (T,) tokens: a shared prefix of cards, then requests with their plans.
        block: (T,) 0 for the prefix, 1, 2, … for the requests, -1 for padding. A token attends to the prefix and its
            block.
        position: (T,) position ids; those of each block continue from the prefix.
        target: (T,) whether the token is to be predicted, as it belongs to a plan.
    """

    ids: list[int]
    block: list[int]
    position: list[int]
    target: list[bool]


def pack(layout: Layout, prefix: Sequence[int], pairs: Sequence[tuple[list[int], list[int]]], length: int) -> Row:
    """Pack a prefix and pairs of request ids and plan ids into one row; pairs that do not fit are left out."""
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
    """The training dataset, or its held-out part.

    Args:
        layout: The token layout.
        seed: Seed of everything that is drawn.
        validation: Whether to draw from the held-out phrasings and tools instead of the others.
    """

    def __init__(self, layout: Layout, seed: int, validation: bool = False) -> None:
        self.layout, self.seed = layout, seed
        self.phrasings = [p for p in requests() if held_out(p) == validation]
        self.templates = [t for t in tool_templates() if held_out(t.names[0]) == validation]
        self.groups = [g for g in argument_groups() if held_out(g.arguments[0].names[0]) == validation]
        self.nothing = [p for p in self.phrasings if not p.calls]
        self.asking = [p for p in self.phrasings if p.calls]
        long = [p for p in self.asking if p.family.startswith(("wordy", "chained", "flowing", "everything"))]
        self.long = long or self.asking
        self.chained = [t for t in self.templates if t.clauses] or self.templates
        self.composer = Composer(self.asking)
        self.described = {t: frozenset(re.findall(r"[a-z]{3,}", " ".join(t.docs).lower())) for t in self.templates}
        self.houses = Houses(self.phrasings, validation)

    def asked(self, rng: random.Random) -> Phrasing:
        """Draw a phrasing that asks for something: the long ones as often as all others together."""
        return rng.choice(self.long if rng.random() < 0.5 else self.asking)

    def builtin_request(self, rng: random.Random) -> Sample:
        """Draw a request for built-in tools, from one phrasing or two joined ones, or a request that no tool fits."""
        roll = rng.random()
        if roll < 0.1:
            return fill(rng.choice(self.nothing), rng)
        if roll < 0.14:
            return self.missing_tool_request(rng, ())
        if roll < 0.24:
            composed = self.composer.compose(rng, ())
            if composed is not None:
                return composed
        first = fill(self.asked(rng), rng)
        if roll < 0.3 and "Detections" not in first.have:
            second = fill(self.asked(rng), rng)
            if second.have == first.have:
                return join(first, second, rng)
        return first

    def missing_tool_request(self, rng: random.Random, present: Sequence[SyntheticTool]) -> Sample:
        """Draw a request for a tool that is not among those present; its plan has no calls."""
        template = rng.choice(self.templates)
        while any(template is synthetic.template for synthetic in present):
            template = rng.choice(self.templates)
        sample = draw_request(draw_tool(template, rng, self.groups), rng)
        return Sample(sample.have, sample.request, ())

    def row(self, index: int, length: int) -> Row:
        """Return row ``index``: the cards of synthetic tools, if any, examples, if any, and requests."""
        rng = random.Random(f"{self.seed}:{index}")
        row = self._draw(rng, length)
        while len(row.ids) > length:  # the cards and examples alone are longer
            row = self._draw(rng, length)
        return row

    def _draw(self, rng: random.Random, length: int) -> Row:
        roll = rng.random()
        if roll < 0.18:
            return self.house_row(rng, length)
        if roll < 0.34:
            samples = [self.builtin_request(rng) for _ in range(length // 20)]
            return self._packed([], samples, length, ())
        room = length * rng.uniform(0.25, 0.62)
        tools = self.tools(rng, self.catalogue(rng), room)
        samples = [self.request_with_cards(rng, tools) for _ in range(length // 20)]
        # Examples that have nothing to do with a request must not change its plan.
        shown = [self.request_with_cards(rng, tools) for _ in range(rng.choice((0,) * 9 + (1, 2, 4)))]
        return self._packed(tools, samples, length, shown)

    def house_row(self, rng: random.Random, length: int) -> Row:
        """Draw a row of one house: examples of its conventions and others, and requests by them and ordinary ones."""
        tools = self.tools(rng, self.catalogue(rng)[: rng.choice((0, 0, 2, 3, 4, 6))], length * 0.3)

        def compose(rng: random.Random) -> Sample:
            return self.composer.compose(rng, tools) or self.builtin_request(rng)

        conventions: list[Convention] = []
        for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
            conventions.append(self.houses.convention(rng, tools, compose, conventions))
        fixed = {convention.tool for convention in conventions}

        def ordinary() -> Sample:
            while True:
                sample = self.request_with_cards(rng, tools) if tools else self.builtin_request(rng)
                if fixed.isdisjoint(call["tool"] for call in sample.calls):
                    return sample

        # Of every convention one example at least: without it, its requests mean nothing.
        shown = [one.draw(rng) for one in conventions]
        further = [one.draw(rng) for one in conventions for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
        further += [ordinary() for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))]
        rng.shuffle(further)
        shown += further[: MOST_EXAMPLES - len(shown)]
        rng.shuffle(shown)
        samples = [
            rng.choice(conventions).draw(rng) if rng.random() < 0.65 else ordinary() for _ in range(length // 20)
        ]
        return self._packed(tools, samples, length, shown)

    def tools(self, rng: random.Random, templates: Sequence[ToolTemplate], room: float) -> list[SyntheticTool]:
        """Draw a tool of each template, as many as fit into ``room`` tokens, with different names."""
        drawn = [draw_tool(template, rng, self.groups) for template in templates]
        tools = list({synthetic.card["name"]: synthetic for synthetic in drawn}.values())
        while len(tools) > 1 and len(self.layout.prefix([synthetic.card for synthetic in tools])) > room:
            tools.pop()
        return tools

    def catalogue(self, rng: random.Random) -> list[ToolTemplate]:
        """Draw two to fourteen tools: neighbours in the files or tools that are described alike, and others."""
        count = min(rng.randint(2, 14), len(self.templates))
        start, most, roll = rng.randrange(len(self.templates)), rng.randint(1, count), rng.random()
        if roll < 0.3:
            near = self.templates[start : start + most]
        else:
            near = self.alike(self.templates[start], most) if roll < 0.6 else []
        drawn = [rng.choice(self.chained if rng.random() < 0.5 else self.templates) for _ in range(count)]
        others = [
            tool for tool in {tool.names: tool for tool in drawn}.values() if not any(tool is other for other in near)
        ]
        chosen = [*near, *others][:count]
        if not any(tool.takes == ("Text",) for tool in chosen):
            chosen[-1] = rng.choice([tool for tool in self.templates if tool.takes == ("Text",)] or chosen)
        rng.shuffle(chosen)
        return chosen

    def alike(self, template: ToolTemplate, count: int) -> list[ToolTemplate]:
        """Return a tool and those that are described the most like it, of all that take the same kinds of value.

        Args:
            template: One of the dataset's templates.
            count: Number of tools to return, itself included.
        """
        own = self.described[template]
        same = [other for other in self.templates if set(other.takes) == set(template.takes) and other is not template]
        same.sort(key=lambda other: -len(own & self.described[other]) / len(own | self.described[other]))
        return [template, *same[: count - 1]]

    def request_with_cards(self, rng: random.Random, tools: Sequence[SyntheticTool]) -> Sample:
        """Draw a request after the cards of synthetic tools."""
        roll = rng.random()
        if roll < 0.12:
            return self.builtin_request(rng)
        if roll < 0.17:
            return self.missing_tool_request(rng, tools)
        if roll < 0.47:
            composed = self.composer.compose(rng, tools)
            if composed is not None:
                return composed
        # Tools that take media or text are drawn twice as often: the built-in tools compete with them, and users have
        # media.
        (synthetic,) = rng.choices(tools, [2 if synthetic.template.takes else 1 for synthetic in tools])
        if roll < 0.52 and synthetic.example is not None:
            return synthetic.example
        sample = draw_request(synthetic, rng)
        if roll < 0.62:
            other = draw_request(rng.choice(tools), rng) if rng.random() < 0.5 else fill(self.asked(rng), rng)
            if other.calls[0]["tool"] != sample.calls[0]["tool"] and "Detections" not in other.have:
                return join(sample, other, rng) if rng.random() < 0.5 else join(other, sample, rng)
        return sample

    def _packed(
        self, tools: Sequence[SyntheticTool], samples: Sequence[Sample], length: int, demonstrations: Sequence[Sample]
    ) -> Row:
        cards = {**BUILTIN_CARDS, **{synthetic.card["name"]: synthetic.card for synthetic in tools}}
        prefix = self.layout.prefix(
            [synthetic.card for synthetic in tools], [(d.have, d.request, d.calls) for d in demonstrations], cards
        )
        different = {sample.request.lower(): sample for sample in samples}.values()
        pairs = [(self.layout.request(s.have, s.request), self.layout.calls(s.calls, cards)) for s in different]
        return pack(self.layout, prefix, pairs, length)
