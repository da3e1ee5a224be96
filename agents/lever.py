"""Lever-LM, which chooses the examples that the planner sees: as a chooser, its measure, and its data."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from agents.examples.bank import Pool
from agents.examples.choose import relevant
from agents.plan.types import AnyTool, planner_cards
from agents.planners.backbone import model_file, usual
from agents.planners.base import Demonstration
from common.card import Card
from tools.core.errors import ArgumentsInvalid, WeightsMissing
from tools.core.hashing import sha256_of

if TYPE_CHECKING:
    from backbone.lever.data import Group
    from backbone.lever.index import ExampleIndex
    from backbone.lever.model import Bank
    from backbone.lever.score import Example
    from backbone.planner.model import PlannerModel


class LeverLM:
    """Lever-LM as a chooser: it chooses among the relevant examples, and may choose fewer than it is asked for.

    What it knows of the examples is kept until they change. Safe to call from several threads.

    Args:
        file: its weights.

    Raises:
        WeightsMissing: they are damaged.
    """

    name = "lever"

    def __init__(self, file: Path) -> None:
        from backbone.lever.model import LeverModel
        from backbone.planner.tensors import DamagedFile

        try:
            self._model = LeverModel.read(file)
        except DamagedFile as error:
            raise WeightsMissing(
                f"The weights of Lever-LM are damaged: {error}",
                "Install superlink again, or have examples chosen otherwise: superlink examples on --chooser similar",
            ) from error
        self._kept: tuple[ExampleIndex, Bank] | None = None

    def choose(self, request: str, have: Sequence[str], bank: Pool, k: int) -> list[Demonstration]:
        """As of `agents.examples.choose.Chooser`."""
        from backbone.lever.index import ExampleIndex

        if not bank.examples:
            return []
        every, index = (bank.whole or bank).examples, bank.index
        assert isinstance(index, ExampleIndex), "Lever-LM knows examples by the words of the retriever"
        allowed = np.zeros(len(every), bool)
        allowed[np.arange(len(every)) if bank.rows is None else bank.rows] = relevant(request, bank)
        if not allowed.any():
            return []
        kept = self._kept
        if kept is None or kept[0] is not index:
            self._kept = kept = index, self._model.bank(index.known.features)
        chosen = self._model.choose(index.ask(have, request), kept[1], k, allowed, may_end=True)
        return [every[row].demonstration for row in reversed(chosen)]


def lever_file() -> Path | None:
    """The shipped weights of Lever-LM; None where this installation has none."""
    from backbone.lever.model import WEIGHTS

    return WEIGHTS if WEIGHTS.is_file() else None


def lever_models(file: Path) -> str:
    """Hash of what a verdict on Lever-LM depends on: its weights, and those of the planner that they are for."""
    from backbone.planner.adapter import ADAPTER, ADAPTER_FILES

    return f"{sha256_of(file)[:16]}-{sha256_of(ADAPTER, ADAPTER_FILES)[:16]}"


def open_lever(file: Path) -> LeverLM:
    """Lever-LM of a file of weights, read once.

    Raises:
        WeightsMissing: they are damaged.
    """
    return _opened(file, sha256_of(file))


@cache
def _opened(file: Path, sha256: str) -> LeverLM:
    return LeverLM(file)


class Likelihood:
    """How likely the planner on this computer finds the right plan of a request, once it has seen some examples.

    Args:
        cards: of the tools at hand. Built-in tools may be called, and those that are named: the cards of all others
            would not fit into a prompt.
        called: names of tools.

    Raises:
        WeightsMissing: the language core is not on this computer.
    """

    def __init__(self, cards: Sequence[Card], called: Collection[str]) -> None:
        from backbone.lever.score import Scorer
        from backbone.planner.layout import BUILTIN_TOOLS
        from backbone.planner.model import PlannerModel

        offered = [card for card in cards if card["name"] in BUILTIN_TOOLS or card["name"] in called]
        self._scorer = Scorer(PlannerModel.from_quantized(model_file()), offered)

    def __call__(self, seen: Sequence[Sequence[Demonstration]], asked: Demonstration) -> list[float] | None:
        """Return the likelihood, 0 to 1, after each of these lists of examples; None where no planner writes the plan.

        Args:
            seen: lists of examples, in the order in which the planner reads them.
            asked: the request with its right plan.
        """
        try:
            return self._scorer.scores([([_example(shown) for shown in one], _example(asked)) for one in seen])
        except (ValueError, KeyError):  # the grammar of these tools does not allow it
            return None


def _example(shown: Demonstration) -> "Example":
    from backbone.lever.score import Example

    return Example(usual(shown.have), shown.request, shown.calls)


class Anchors:
    """The anchors of a bank, for which sequences of examples are grown by the planner on this computer.

    Args:
        bank: JSONL; see `backbone.lever.data`.
        tools: name to tool, of all that the examples call.
        seed: of the candidates.

    Raises:
        ArgumentsInvalid: the file is no bank, or calls tools that are not there.
    """

    def __init__(self, bank: Path, tools: Mapping[str, AnyTool], seed: int) -> None:
        from backbone.lever.data import BankInvalid, read_bank

        try:
            self._groups = read_bank(bank)
        except BankInvalid as error:
            raise ArgumentsInvalid("lever", [str(error)]) from error
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "no text"
            raise ArgumentsInvalid("lever", [f"{bank} cannot be read: {problem}"]) from error
        called = {
            call["tool"]
            for g in self._groups.values()
            for p in g.parts.values()
            for e in p.values()
            for call in e.calls
        }
        missing = sorted(called.union(*(group.tools for group in self._groups.values())) - tools.keys())
        if missing:
            raise ArgumentsInvalid("lever", [f"{bank} calls {', '.join(missing)}: name their file with --tools"])
        self._bank, self._tools, self._seed = bank, tools, seed

    def settings(self) -> dict[str, JsonValue]:
        """What sequences depend on: hashes of bank and planner, seed and sizes.

        Raises:
            WeightsMissing: the language core is not on this computer.
        """
        from backbone.lever.growth import BEAM, CANDIDATES, SIZE

        sizes: dict[str, JsonValue] = {"beam": BEAM, "candidates": CANDIDATES, "size": SIZE, "seed": self._seed}
        return {"bank": sha256_of(self._bank), "planner": model_file().stem, **sizes}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Group and id of each anchor, in the order of the bank."""
        return ((group.name, one) for group in self._groups.values() for one in group.parts["anchor"])

    def grown(self, wanted: Sequence[tuple[str, str]]) -> Iterator[dict[str, JsonValue]]:
        """Yield what is grown for each of these anchors, as plain JSON.

        Raises:
            ArgumentsInvalid: the plan of an anchor cannot be written with its group's tools.
            WeightsMissing: the language core is not on this computer.
        """
        from backbone.lever.data import grown_for
        from backbone.lever.score import Scorer

        scorers: dict[str, Scorer] = {}
        for name, anchor in wanted:
            group = self._groups[name]
            if name not in scorers:
                scorers = {name: Scorer(self._model, self._cards(group))}
            try:
                line = grown_for(anchor, group, scorers[name].scores, self._seed)
            except (ValueError, KeyError) as error:
                raise ArgumentsInvalid("lever", [f"the plan of {anchor} cannot be written: {error}"]) from error
            yield {**line}  # type: ignore[dict-item]  # lists of plain values are JSON

    def _cards(self, group: "Group") -> list[Card]:
        from backbone.planner.layout import BUILTIN_TOOLS

        return planner_cards({n: t for n, t in self._tools.items() if n in BUILTIN_TOOLS or n in group.tools})

    @cached_property
    def _model(self) -> "PlannerModel":
        from backbone.planner.model import PlannerModel

        return PlannerModel.from_quantized(model_file())
