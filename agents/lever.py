"""Data for Lever-LM, which chooses the examples that the planner sees: the use of the backbone by `flows.lever`."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from agents.plan.types import AnyTool, planner_cards
from agents.planners.backbone import model_file
from common.card import Card
from tools.core.errors import ArgumentsInvalid
from tools.core.hashing import sha256_of

if TYPE_CHECKING:
    from backbone.lever.data import Group
    from backbone.planner.model import PlannerModel


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
