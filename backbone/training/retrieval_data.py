"""Requests and catalogues of synthetic tools for the retriever, drawn by seed.

Of the templates, `HELD_OUT` are kept for validation: enough for catalogues of a hundred unseen tools. They include
those that are held out from the planner's training.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.retrieval.retriever import stem_table, windows_of
from backbone.retrieval.words import fields, split, stem, texts
from backbone.training.compound import Composer
from backbone.training.phrasings import requests
from backbone.training.samples import Sample, fill, held_out, join
from backbone.training.synthetic_tools import SyntheticTool, draw_request, draw_tool
from backbone.training.tool_templates import argument_groups, tool_templates
from common.card import Card
from common.reach import fits, needs, reachable_kinds

HELD_OUT = 0.16
"""Share of the templates, argument groups and phrasings that is kept for validation."""


@dataclass(frozen=True)
class Example:
    """A catalogue with requests for its tools.

    Attributes:
        cards: C cards.
        samples: B requests with their plans.
        right: (B, C) whether the plan of a request calls the tool of a card.
    """

    cards: list[Card]
    samples: list[Sample]
    right: NDArray[np.bool_]


class RetrievalDataset:
    """The training dataset, or its held-out part.

    Args:
        seed: Seed of everything that is drawn.
        validation: Whether to draw from the held-out templates instead of the others.
    """

    def __init__(self, seed: int, validation: bool = False) -> None:
        self.seed = seed
        self.templates = [t for t in tool_templates() if held_out(t.names[0], HELD_OUT) == validation]
        self.groups = [g for g in argument_groups() if held_out(g.arguments[0].names[0], HELD_OUT) == validation]
        self.asking = [
            p for p in requests() if p.calls and "Detections" not in p.have and held_out(p, HELD_OUT) == validation
        ]
        self.composer = Composer(self.asking)

    def example(self, index: int, size: int, count: int) -> Example:
        """Return example ``index``: a catalogue of so many tools, and so many requests."""
        rng = random.Random(f"{self.seed}:{index}")
        tools = self._tools(rng, size)
        samples = [self._request(rng, tools) for _ in range(count)]
        rows = {tool.card["name"]: row for row, tool in enumerate(tools)}
        right = np.zeros((count, len(tools)), bool)
        for asked, sample in zip(right, samples, strict=True):
            asked[[rows[call["tool"]] for call in sample.calls if call["tool"] in rows]] = True
        return Example([tool.card for tool in tools], samples, right)

    def _tools(self, rng: random.Random, size: int) -> list[SyntheticTool]:
        """Draw tools: runs of neighbours in the files, which belong to one field. No two have one name."""
        tools: dict[str, SyntheticTool] = {}
        used: set[int] = set()
        size = min(size, len(self.templates) * 4 // 5)
        while len(tools) < size:
            start = rng.randrange(len(self.templates))
            for row in range(start, min(start + rng.randint(1, 8), len(self.templates))):
                if row not in used and len(tools) < size:
                    used.add(row)
                    groups = self.groups if rng.random() < 0.7 else ()
                    tool = draw_tool(self.templates[row], rng, groups)
                    tools.setdefault(tool.card["name"], tool)
        return list(tools.values())

    def _request(self, rng: random.Random, tools: Sequence[SyntheticTool]) -> Sample:
        """Draw a request that at least one of the tools is needed for."""
        roll = rng.random()
        if roll < 0.4:
            names = {tool.card["name"] for tool in tools}
            for _ in range(8):
                composed = self.composer.compose(rng, tools)
                if composed is not None and any(call["tool"] in names for call in composed.calls):
                    return composed
        tool = rng.choice(tools)
        if roll < 0.44 and tool.example is not None:
            return tool.example
        sample = draw_request(tool, rng)
        if roll < 0.6:
            other = draw_request(rng.choice(tools), rng) if rng.random() < 0.7 else fill(rng.choice(self.asking), rng)
            return join(sample, other, rng) if rng.random() < 0.5 else join(other, sample, rng)
        return sample

    def texts(self) -> list[str]:
        """Return all texts that requests and cards are drawn from, with their marks."""
        found = [phrasing.request for phrasing in self.asking]
        for template in self.templates:
            found += [*template.names, *template.docs, *(w.words for w in (*template.asks, *template.clauses))]
            found += [text for argument in template.arguments for text in (*argument.names, *argument.choices)]
        for group in self.groups:
            found += [*group.docs, *group.says, *(name for argument in group.arguments for name in argument.names)]
        return [re.sub(r"\[[\w.]+=", " ", text) for text in found]


@dataclass(frozen=True)
class Packed:
    """An example as arrays: B requests of L words, C cards of M words, W windows. Word ids; -1 is padding.

    Attributes:
        asked: (B, L) words of the requests.
        windows: (B, W, L) ones for the words of each window.
        said: (C, M) words of the cards.
        field: (C, M) the field of each.
        known: (B, C, 2) the features that nothing is learnt for: common stems, and whether the inputs can be had.
        right: (B, C).
    """

    asked: NDArray[np.int64]
    windows: NDArray[np.float32]
    said: NDArray[np.int64]
    field: NDArray[np.int64]
    known: NDArray[np.float32]
    right: NDArray[np.bool_]


class WordIds:
    """Numbers words in the order in which they are first seen."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}

    def of(self, words: Sequence[str]) -> list[int]:
        """Return the numbers of words."""
        return [self.words.setdefault(word, len(self.words)) for word in words]


def pack(example: Example, ids: WordIds) -> Packed:
    """Return an example as arrays."""
    asked = [split(sample.request) for sample in example.samples]
    cards = [fields(texts(card)) for card in example.cards]
    said = _padded([ids.of([word for field in card for word in field]) for card in cards])
    field = _padded([[number for number, words in enumerate(card) for _ in words] for card in cards])
    windows = [windows_of(len(words)) for words in asked]
    longest, most = max(map(len, asked)), max(map(len, windows))
    wide = [np.pad(one, ((0, 0), (0, longest - one.shape[1]))) for one in windows]
    # The last window is repeated: the best one stays the best.
    padded = [np.pad(one, ((0, most - len(one)), (0, 0)), "edge") for one in wide]
    stems = stem_table(cards)
    known = np.zeros((len(asked), len(cards), 2), np.float32)
    for row, words, sample in zip(known, asked, example.samples, strict=True):
        for common in {stem(word) for word in words} & stems.keys():
            holders, counts = stems[common]
            row[holders, 0] += counts
        kinds = reachable_kinds(sample.have, [*BUILTIN_CARDS.values(), *example.cards])
        row[:, 1] = [fits(needs(card), kinds) for card in example.cards]
    return Packed(_padded([ids.of(words) for words in asked]), np.stack(padded), said, field, known, example.right)


def _padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    padded = np.full((len(rows), max(map(len, rows))), -1, np.int64)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded
