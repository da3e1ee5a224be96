"""The default planner: the backbone, a small model on this computer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from agents.plan.plan import ABOVE, Plan, Step, escaped
from agents.plan.problems import Problem
from agents.plan.types import value_types
from agents.planners.base import Demonstration, first_free
from common.card import Card, ParameterSchema
from tools.runtime.model_cache import resident

if TYPE_CHECKING:
    from backbone.planner.model import PlannerModel

LONGEST_HAVE = 3
"""The backbone was trained on so many values at hand; of more it is told each kind once, where it was last made."""


class BackbonePlanner:
    """The default planner: a small model on this computer, without a network.

    Args:
        adapter: folder of the trained adapter; the one that comes with superlink by default.
    """

    def __init__(self, adapter: Path | None = None) -> None:
        """Remember where the adapter is; nothing is loaded before the first plan."""
        self.adapter = adapter

    def plan(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
        problems: Sequence[Problem] = (),
    ) -> Plan:
        """Plan a request; after problems, only tools whose inputs can be had are offered to the model.

        Raises:
            WeightsMissing: the language core is not on this computer; names the command that fetches it.
        """
        have = [what.kind for what in value_types(values).values()]
        if len(have) > LONGEST_HAVE:
            have = list(dict.fromkeys(reversed(have)))[::-1]
        with _model.lease(self.adapter) as model:
            calls = model.plan(
                request,
                have,
                tools,
                demonstrations,
                typed=bool(problems),
            )
        cards = {card["name"]: card for card in tools}
        steps = tuple(
            Step(id=f"s{n}", tool=call["tool"], args=_arguments(call["args"], cards[call["tool"]]))
            for n, call in enumerate(calls, first_free(values))
        )
        return Plan(request=request, steps=steps)


def _arguments(args: Mapping[str, JsonValue], card: Card) -> dict[str, JsonValue]:
    """Arguments as a plan holds them: the model writes every choice as text, and knows no references."""
    return {
        name: value
        if value == ABOVE and name in card["inputs"]
        else escaped(_typed(value, card["params"].get(name, {})))
        for name, value in args.items()
    }


def _typed(value: JsonValue, schema: ParameterSchema) -> JsonValue:
    if isinstance(value, list):
        return [_typed(item, schema.get("items", {})) for item in value]
    return next((choice for choice in schema.get("enum", []) if str(choice) == value), value)


@resident(bytes=600_000_000, device="cpu")
def _model(adapter: Path | None) -> "PlannerModel":
    from backbone.planner.model import PlannerModel

    return PlannerModel(core_folder(), adapter)


def core_folder(weights_id: str = "") -> Path:
    """Where the language core lies, unpacked; ``superlink models pull`` unpacks it, or else the first plan does.

    Args:
        weights_id: of the core; that of the role planner by default.

    Raises:
        WeightsMissing: it is not on this computer; names the command that fetches it.
    """
    from filelock import FileLock

    from backbone.planner.core import unpack
    from tools.core.settings import settings
    from tools.weights import weights

    gguf = weights.use(weights_id or settings().role("planner"))
    core = settings().home / "core" / gguf.stem
    core.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(core.with_name(core.name + ".lock")):
        if not core.exists():
            unpack(gguf, core)
    return core
