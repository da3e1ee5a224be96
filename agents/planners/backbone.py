"""The default planner: the backbone, a small model on this computer."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from agents.eight_bits import written_once
from agents.plan.plan import ABOVE, Plan, Step, escape
from agents.plan.problems import Problem
from agents.plan.types import value_types
from agents.planners.base import Confidence, Demonstration, first_free
from agents.planners.references import with_references
from agents.planners.shortlist import LIMIT, Shortlist, by_reading, kept, shortlist
from common.card import Card, ParameterSchema
from tools.core.errors import SettingsInvalid, WeightsMissing
from tools.core.hashing import sha256_of
from tools.core.settings import settings
from tools.runtime.model_cache import resident
from tools.weights import weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backbone.lever.index import ExampleIndex
    from backbone.planner.choices import Choice
    from backbone.planner.confidence import Calibration
    from backbone.planner.model import PlannerModel
    from backbone.retrieval.retriever import Retriever

MAX_HAVE = 3
"""Values at hand in the training data, at most. Of more, each kind is given once, at the place of its newest value."""


class BackbonePlanner:
    """The default planner: a small model on this computer, without a network.

    Args:
        adapter: folder of the trained adapter; the one that comes with superlink by default.
    """

    def __init__(self, adapter: Path | None = None) -> None:
        """Store the adapter's folder; the model is loaded at the first plan."""
        self.adapter = adapter

    def load(self, tools: Sequence[Card]) -> None:
        """Load the model and read these cards, so that the first request need not wait for it.

        Args:
            tools: cards of the tools that requests will be planned with.

        Raises:
            WeightsMissing: the language core is not on this computer; names the command that fetches it.
        """
        request, have = "find the dog", ["Image"]
        with _model.lease(self.adapter) as model:
            model.decode(request, have, self._cards(request, have, tools), needed=_needed(request, have, tools))

    def plan(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
        problems: Sequence[Problem] = (),
    ) -> Plan:
        """Plan a request; after problems, the model may only call tools whose inputs are available.

        Of more than `LIMIT` tools that are no built-in ones, it reads the cards of the `shortlist`. What the retriever
        says about which of them are needed counts as much as what the model says.

        Where a file is left out, the first step has to take one of its kind; where a verb is, a step of a tool for it
        comes at the end unless the model writes one before.

        Raises:
            WeightsMissing: the language core is not on this computer; names the command that fetches it.
        """
        return self.plan_with_confidence(request, values, tools, demonstrations, problems)[0]

    def plan_with_confidence(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
        problems: Sequence[Problem] = (),
    ) -> tuple[Plan, Confidence | None]:
        """Plan a request as `plan` does, and say how sure the model is; None for an adapter without calibration."""
        have = _have(values)
        demonstrations = [shown._replace(have=usual(shown.have)) for shown in demonstrations]
        offered = self._cards(request, have, tools, demonstrations)
        with _model.lease(self.adapter) as model:
            first = {name for problem in problems if problem.first for name in problem.tools}
            missing = [problem.tools for problem in problems if problem.tools and not problem.first]
            refused = {(problem.tool, problem.argument) for problem in problems if problem.tool}
            needed = _needed(request, have, tools, demonstrations)
            calls, choices = model.decode(
                request, have, offered, demonstrations, bool(problems), first, missing, refused, needed
            )
        cards = {card["name"]: card for card in tools}
        steps = tuple(
            Step(id=f"s{n}", tool=call["tool"], args=_arguments(call["args"], cards[call["tool"]]))
            for n, call in enumerate(with_references(request, calls), first_free(values))
        )
        return Plan(request=request, steps=steps), _confidence(self.adapter, choices, len(steps), tools, not problems)

    def shortlist(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
    ) -> Shortlist:
        """Return which tools the planner may call for a request, with scores; the arguments are those of `plan`."""
        return _shortlist(request, _have(values), tools, demonstrations)

    def _cards(
        self, request: str, have: Sequence[str], tools: Sequence[Card], demonstrations: Sequence[Demonstration] = ()
    ) -> Sequence[Card]:
        """The cards that the model gets, in the order of the tools."""
        from backbone.planner.layout import BUILTIN_TOOLS

        if len(by_reading(tools, BUILTIN_TOOLS)[0]) <= LIMIT:
            return tools
        return kept(tools, _shortlist(request, have, tools, demonstrations))

    def count_tokens(self, text: str) -> int:
        """The number of tokens of a text in the model's vocabulary.

        Raises:
            WeightsMissing: the language core is not on this computer.
        """
        with _model.lease(self.adapter) as model:
            return len(model.layout.text(text))


def _confidence(
    adapter: Path | None, choices: Sequence["Choice"], steps: int, tools: Sequence[Card], first: bool
) -> Confidence | None:
    from backbone.planner.confidence import plan_features, step_features
    from backbone.planner.layout import BUILTIN_TOOLS

    calibration = _calibration(adapter)
    if calibration is None:
        return None
    known = all(card["name"] in BUILTIN_TOOLS for card in tools)
    each = tuple(calibration.of_step(step_features(choices, step, known, first)) for step in range(steps))
    return Confidence(calibration.of_plan(plan_features(choices, known, first)), each, calibration.least)


@cache
def _calibration(adapter: Path | None) -> "Calibration | None":
    from backbone.planner.adapter import ADAPTER
    from backbone.planner.confidence import Calibration

    return Calibration.read(adapter or ADAPTER)


def _have(values: Mapping[str, str]) -> list[str]:
    """The kinds of the values at hand, as the model is told them."""
    return usual([value.kind for value in value_types(values).values()])


def usual(have: list[str]) -> list[str]:
    """Kinds at hand, as many as the model knows from its training."""
    return have if len(have) <= MAX_HAVE else list(dict.fromkeys(reversed(have)))[::-1]


def _shortlist(
    request: str, have: Sequence[str], tools: Sequence[Card], demonstrations: Iterable[Demonstration]
) -> Shortlist:
    from backbone.planner.layout import BUILTIN_TOOLS

    cards, built_in = by_reading(tools, BUILTIN_TOOLS)
    scores = _retriever().scores(request, have, cards, built_in)
    called = {call["tool"] for shown in demonstrations for call in shown.calls}
    return shortlist(request, cards, [float(score) for score in scores], have, built_in, called)


class RequestEncoder:
    """Compares requests by the word vectors of the retriever. It takes a few milliseconds and no core."""

    @property
    def name(self) -> str:
        """Changes with the vectors, so that stored ones can be told from those of other weights."""
        from backbone.retrieval.retriever import WEIGHTS

        return f"retriever-{sha256_of(WEIGHTS)[:16]}"

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Return vectors (N, D) of length 1 of N requests; 0 for one without words."""
        return _retriever().embed(texts)

    def index(self, shown: Sequence[Demonstration], cards: Sequence[Card]) -> "ExampleIndex":
        """Prepare examples of plans with some tools to be compared with requests."""
        from backbone.lever.index import ExampleIndex
        from backbone.lever.score import Example

        return ExampleIndex([Example(*one) for one in shown], cards, _retriever().words)


def _needed(
    request: str, have: Sequence[str], tools: Sequence[Card], demonstrations: Iterable[Demonstration] = ()
) -> dict[str, float]:
    """Log odds that a request needs each tool with a card, but for those of examples, whose words may be new."""
    from backbone.planner.builtin_cards import BUILTIN_CARDS

    cards, _ = by_reading(tools, BUILTIN_CARDS)
    if not cards:
        return {}
    shown = {call["tool"] for one in demonstrations for call in one.calls}
    odds = _retriever().needed(request, have, cards, list(BUILTIN_CARDS.values()))
    return {name: x for name, x in odds.items() if name not in shown}


@cache
def _retriever() -> "Retriever":
    from backbone.retrieval.retriever import Retriever

    return Retriever.read()


def _arguments(args: Mapping[str, JsonValue], card: Card) -> dict[str, JsonValue]:
    """Arguments as a plan holds them: choices in their own type, and texts with "$" escaped."""
    return {
        name: value
        if value == ABOVE and name in card["inputs"]
        else escape(_typed(value, card["params"].get(name, {})))
        for name, value in args.items()
    }


def _typed(value: JsonValue, schema: ParameterSchema) -> JsonValue:
    if isinstance(value, list):
        return [_typed(item, schema.get("items", {})) for item in value]
    return next((choice for choice in schema.get("enum", []) if str(choice) == value), value)


@resident(bytes=450_000_000, device="cpu")
def _model(adapter: Path | None) -> "PlannerModel":
    from backbone.planner.model import PlannerModel
    from backbone.planner.tensors import DamagedFile

    file = model_file(adapter=adapter)
    try:
        return PlannerModel.from_quantized(file)
    except DamagedFile as error:
        raise WeightsMissing(
            f"The planner's model is damaged: {error}", f"Delete {file}; the next plan makes it again"
        ) from error


def model_file(weights_id: str = "", adapter: Path | None = None) -> Path:
    """The planner's model in 8 bits, as one file; made here unless it is there.

    The file is named after the hashes of core and adapter, so another core or adapter gets another file.
    ``superlink models pull`` calls this, or else the first plan does.

    Args:
        weights_id: of the language core; that of the role planner by default.
        adapter: folder of the trained adapter; the shipped one by default.

    Raises:
        WeightsMissing: the core is not on this computer; names the command that fetches it.
        SettingsInvalid: the core is of an architecture that the planner cannot use, or does not fit the adapter.
        WriteError: the file cannot be written.
    """
    from backbone.planner.adapter import ADAPTER, ADAPTER_FILES
    from backbone.planner.quantized import FORMAT

    weights_id = weights_id or settings().role("planner")
    gguf, adapter = weights.use(weights_id), adapter or ADAPTER
    parts = (weights.verified_hash(weights_id), sha256_of(adapter, ADAPTER_FILES), FORMAT)

    def write(file: Path) -> None:
        from backbone.planner.core import Core
        from backbone.planner.quantize import write_quantized

        write_quantized(Core(gguf, adapter), file)

    try:
        return written_once("planner", parts, write)
    except (ValueError, KeyError) as error:
        raise SettingsInvalid(
            f"The weights {weights_id} are no language core for the planner: {error}",
            "Use smollm2-135m for the role planner",
        ) from error
