"""The houses of ``house_requests.jsonl`` with their demonstrations, and what the frozen planner makes of these.

`claims.py` prints the tables.
"""

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from houses import HouseRow

from agents.examples.choose import explaining
from agents.plan.types import AnyTool, planner_cards
from agents.planners.backbone import model_file
from backbone.lever.data import Group, GrownJson
from backbone.lever.features import Asked, Known, ask, know
from backbone.lever.growth import grow, prompted
from backbone.lever.score import Example, Scorer
from backbone.planner.layout import BUILTIN_TOOLS
from backbone.planner.model import PlannerModel
from backbone.retrieval.retriever import Words
from backbone.training.scoring import right
from common.card import Card
from common.kinds import KIND_OF_INPUT

Made = TypeVar("Made")

DRAWS = 5


def example_of(row: HouseRow) -> Example:
    """Return a request as a demonstration shows it."""
    have = [KIND_OF_INPUT[kind] for kind in row["media"]]
    return Example(have, row["request"], [{"tool": tool, "args": args} for tool, args in row["plans"][0]])


class House:
    """A house: its demonstrations and test requests, and the tools that it has."""

    def __init__(self, rows: Sequence[HouseRow], tools: Mapping[str, AnyTool], words: Words) -> None:
        self.name = rows[0]["house"]
        own = {name for row in rows for name in row["tools"]}
        self.cards: list[Card] = planner_cards({n: t for n, t in tools.items() if n in BUILTIN_TOOLS or n in own})
        pool = sorted((row for row in rows if row["part"] == "pool"), key=lambda row: row["id"])
        self.ids, self.pool = [row["id"] for row in pool], [example_of(row) for row in pool]
        self.tests = [row for row in rows if row["part"] == "test"]
        anchors = {row["id"]: example_of(row) for row in rows if row["part"] == "anchor"}
        pool_by_id = dict(zip(self.ids, self.pool, strict=True))
        self.group = Group(self.name, own, {"pool": pool_by_id, "anchor": anchors, "test": {}})
        self.words = words

    @cached_property
    def known(self) -> Known:
        """The pool, ready to be compared with requests."""
        return know(self.pool, self.words)

    def asked(self, row: HouseRow) -> Asked:
        """Return a test request, compared with the pool."""
        one = example_of(row)
        return ask(one.have, one.request, self.known, self.words)

    def shown(self, chosen: Sequence[int]) -> list[Example]:
        """Return demonstrations as the planner reads them, from places in the order of choosing."""
        return prompted([self.pool[at] for at in chosen])


class Bench:
    """Plans and scores of the frozen planner, kept in a file."""

    def __init__(self, out: Path) -> None:
        file = model_file()
        self.model, self.name = PlannerModel.from_quantized(file), file.stem
        self.out = out
        out.mkdir(parents=True, exist_ok=True)
        self._file = out / "answers.jsonl"
        lines = self._file.read_text().split("\n")[:-1] if self._file.exists() else []
        self._known: dict[str, Any] = dict(json.loads(line) for line in lines)
        self._file.write_text("".join(line + "\n" for line in lines))
        self._scorer: tuple[str, Scorer] | None = None

    def right(self, house: House, row: HouseRow, chosen: Sequence[int]) -> float:
        """Return 1 if the plan with these demonstrations is fully right, else 0."""

        def plan() -> float:
            asked = example_of(row)
            calls = self.model.plan(asked.request, asked.have, house.cards, house.shown(chosen))
            return float(any(right(expected, calls)[1] for expected in row["plans"]))

        return self._once(("right", row["id"], [house.ids[at] for at in chosen]), plan)

    def score(self, house: House, row: HouseRow, chosen: Sequence[int]) -> float:
        """Return the InfoScore of demonstrations for a test request."""
        prompt = (house.shown(chosen), example_of(row))
        return self._once(
            ("score", row["id"], [house.ids[at] for at in chosen]), lambda: self.scorer(house).scores([prompt])[0]
        )

    def oracle(self, house: House, row: HouseRow, size: int) -> list[int]:
        """Return the best of all 32 for a test request, its plan known, in the order of choosing."""

        def find() -> list[int]:
            _, found = grow(self.scorer(house).scores, example_of(row), house.pool, size=size)
            return list(found[0].chosen) if found else []

        return self._once(("oracle", row["id"], [str(size)]), find)

    def scorer(self, house: House) -> Scorer:
        """Return the scorer of a house; the last one is kept."""
        if self._scorer is None or self._scorer[0] != house.name:
            self._scorer = house.name, Scorer(self.model, house.cards)
        return self._scorer[1]

    def _once(self, key: tuple[str, str, list[str]], work: Callable[[], Made]) -> Made:
        name = hashlib.sha256(json.dumps([self.name, *key]).encode()).hexdigest()[:24]
        if name not in self._known:
            self._known[name] = work()
            with self._file.open("a") as file:
                file.write(json.dumps([name, self._known[name]]) + "\n")
        found: Made = self._known[name]
        return found


def bank_lines(house: House) -> list[dict[str, object]]:
    """Return the lines of a house in a bank."""
    return [
        {"id": name, "group": house.name, "part": part, "tools": sorted(house.group.tools), **shown._asdict()}
        for part, examples in house.group.parts.items()
        for name, shown in examples.items()
    ]


# Ways to choose: places of a house's pool, in the order of choosing.


def at_random(house: House, row: HouseRow, k: int, draw: int) -> list[int]:
    return random.Random(f"{draw}:{row['id']}").sample(range(len(house.pool)), k)


def similar(house: House, row: HouseRow, k: int) -> list[int]:
    """The cosine of the requests."""
    asked, size = house.asked(row).features, (house.known.features.shape[1] - 5) // 3
    return [int(at) for at in np.argsort(-house.known.features[:, :size] @ asked[:size], kind="stable")[:k]]


def by_words(house: House, row: HouseRow, k: int) -> list[int]:
    """The example that explains most words of the request that those before do not explain."""
    return explaining(house.asked(row).found[1], k)


def majority(house: House, grown: Sequence[GrownJson], k: int) -> list[int]:
    """The examples that raised I most, summed over the anchors of the house."""
    total = dict.fromkeys(house.ids, 0.0)
    for one in grown:
        if one["group"] == house.name:
            for sequence in one["sequences"]:
                gains = np.diff([one["without"], *sequence["scores"]])
                for name, gain in zip(sequence["examples"], gains, strict=True):
                    total[name] += float(gain)
    return sorted(range(len(house.ids)), key=lambda at: -total[house.ids[at]])[:k]


def shuffled(chosen: Sequence[int], key: str) -> list[int]:
    """The same in another order."""
    mixed = list(chosen)
    rng = random.Random(key)
    while len(mixed) > 1 and mixed == list(chosen):
        rng.shuffle(mixed)
    return mixed
