"""Files of Lever-LM: banks of examples, and the sequences that were grown for their anchors.

A bank is JSONL, one example a line: ``id``, ``have``, ``request``, ``calls``; and, where a file holds more than one
bank, ``group``. ``part`` says what it is for: "pool" (to be chosen), "anchor" (a request to choose for) or "test"
(neither); without it the parts are told by a hash of the id. ``tools`` names the tools with cards that the group has.
"""

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from backbone.lever.features import Asked, ask, know
from backbone.lever.growth import BEAM, CANDIDATES, SIZE, Score, grow
from backbone.lever.score import Example
from backbone.planner.tensors import Array
from backbone.retrieval.retriever import Words

Part = Literal["pool", "anchor", "test"]

SHARES: Sequence[tuple[Part, float]] = (("test", 0.2), ("anchor", 0.6), ("pool", 1.0))
"""Upper ends of the hashes of each part, where a bank does not tell them."""

DIGITS = 6
"""Of a score in a file."""


class BankInvalid(ValueError):
    """A line of a bank is no example; says which."""


@dataclass(frozen=True)
class Group:
    """A bank: examples that can be chosen for its requests.

    Attributes:
        name: of the group.
        tools: names of the tools with cards.
        parts: id to example, of each part.
    """

    name: str
    tools: set[str] = field(default_factory=set)
    parts: Mapping[Part, dict[str, Example]] = field(
        default_factory=lambda: {"pool": {}, "anchor": {}, "test": {}},
    )


@dataclass(frozen=True)
class Lesson:
    """What was grown for an anchor.

    Attributes:
        asked: the anchor's request, compared with its candidates.
        candidates: (C, F) features of its candidates.
        rows: (C,) their rows in a closed vocabulary.
        sequences: places of the candidates that were chosen, in order.
        gains: of the sequences: what each step added to I.
    """

    asked: Asked
    candidates: Array
    rows: NDArray[np.intp]
    sequences: Sequence[tuple[int, ...]]
    gains: Sequence[tuple[float, ...]]


class SequenceJson(TypedDict):
    """A sequence: ids of the examples in the order of choosing, and I after each."""

    examples: list[str]
    scores: list[float]


class GrownJson(TypedDict):
    """What was grown for an anchor.

    Attributes:
        group: of the anchor.
        anchor: its id.
        candidates: ids of the examples that were tried.
        without: I without examples.
        sequences: the best first.
    """

    group: str
    anchor: str
    candidates: list[str]
    without: float
    sequences: list[SequenceJson]


def read_bank(file: Path) -> dict[str, Group]:
    """Read a bank.

    Raises:
        BankInvalid: a line is no example, or an id comes twice in a group.
    """
    groups: dict[str, Group] = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        try:
            given = json.loads(line)
            example = Example([*given["have"]], str(given["request"]), [*given["calls"]])
            one, part = str(given["id"]), given.get("part") or part_of(str(given["id"]))
            group = groups.setdefault(given.get("group", ""), Group(given.get("group", "")))
            group.tools.update(given.get("tools", ()))
            known = {name for examples in group.parts.values() for name in examples}
            group.parts[part][one] = example
        except (ValueError, KeyError, TypeError) as error:
            raise BankInvalid(f"{file}, line {number}: no example ({error!r})") from error
        if one in known:
            raise BankInvalid(f"{file}, line {number}: the id {one} comes twice")
    return groups


def part_of(one: str) -> Part:
    """Return the part of an example by its id: new examples move no others."""
    share = int(hashlib.sha256(one.encode()).hexdigest()[:8], 16) / 2**32
    return next(part for part, end in SHARES if share < end)


def grown_for(anchor: str, group: Group, score: Score, seed: int) -> GrownJson:
    """Grow sequences for an anchor, from candidates that are drawn by the seed and the anchor's id.

    Args:
        anchor: its id.
        group: its group.
        score: the InfoScore, with the group's tools.
        seed: of the draw.
    """
    pool = sorted(group.parts["pool"])
    candidates = random.Random(f"{seed}:{anchor}").sample(pool, min(CANDIDATES, len(pool)))
    shown = [group.parts["pool"][one] for one in candidates]
    without, grown = grow(score, group.parts["anchor"][anchor], shown, BEAM, SIZE)
    return {
        "group": group.name,
        "anchor": anchor,
        "candidates": candidates,
        "without": round(without, DIGITS),
        "sequences": [
            {"examples": [candidates[at] for at in one.chosen], "scores": [round(s, DIGITS) for s in one.scores]}
            for one in grown
        ],
    }


def read_grown(file: Path) -> list[GrownJson]:
    """Read what was grown; the first line tells only what it depends on."""
    return [json.loads(line) for line in file.read_text().splitlines()[1:]]


def rows_of(groups: Mapping[str, Group]) -> dict[tuple[str, str], int]:
    """Return the rows of all examples that can be chosen in a closed vocabulary, by group and id."""
    names = [(group.name, one) for group in groups.values() for one in group.parts["pool"]]
    return {name: row for row, name in enumerate(names)}


def lessons(groups: Mapping[str, Group], grown: Iterable[GrownJson], words: Words) -> list[Lesson]:
    """Return what was grown as it is trained on; a choice is a row of ``rows_of`` in a closed vocabulary.

    Args:
        groups: the bank.
        grown: what was grown for its anchors.
        words: the retriever's.
    """
    rows, found = rows_of(groups), []
    for one in grown:
        group = groups[one["group"]]
        anchor = group.parts["anchor"][one["anchor"]]
        known = know([group.parts["pool"][candidate] for candidate in one["candidates"]], words)
        places = {candidate: at for at, candidate in enumerate(one["candidates"])}
        found.append(
            Lesson(
                ask(anchor.have, anchor.request, known, words),
                known.features,
                np.array([rows[group.name, candidate] for candidate in one["candidates"]], np.intp),
                [tuple(places[example] for example in s["examples"]) for s in one["sequences"]],
                [tuple(np.diff([one["without"], *s["scores"]])) for s in one["sequences"]],
            )
        )
    return found
