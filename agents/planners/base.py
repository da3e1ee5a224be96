"""The protocol of planners, which turn a request in words into a plan."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from pydantic import JsonValue
from typing_extensions import TypedDict

from agents.plan.plan import Plan
from agents.plan.problems import Problem
from agents.plan.types import step_number
from common.card import Card
from tools.values.base import canonical_json

ATTEMPTS = 3
"""Most times that a planner is asked for one request."""


class ToolCall(TypedDict):
    """A step of a plan without its id."""

    tool: str
    args: dict[str, JsonValue]


class DemonstrationJson(TypedDict):
    """A `Demonstration` as plain JSON, with its id."""

    id: str
    have: list[str]
    request: str
    calls: list[ToolCall]


class Demonstration(NamedTuple):
    """An example for planners: a request and its plan.

    Attributes:
        have: kinds of the values at hand.
        request: in words.
        calls: of the plan, without the inputs that `wire` fills in.
    """

    have: list[str]
    request: str
    calls: list[ToolCall]

    @property
    def id(self) -> str:
        """The first 12 digits of the sha256 of its content: equal examples have equal ids on every computer."""
        return hashlib.sha256(canonical_json([self.have, self.request, self.calls])).hexdigest()[:12]

    def to_json(self) -> DemonstrationJson:
        """As plain JSON."""
        return {"id": self.id, "have": self.have, "request": self.request, "calls": self.calls}

    @classmethod
    def of_json(cls, data: DemonstrationJson) -> "Demonstration":
        """Read `to_json`."""
        return cls(data["have"], data["request"], data["calls"])


class Chosen(NamedTuple):
    """What a planner sees.

    Attributes:
        demonstrations: in the order in which it reads them.
        chooser: name of what chose them.
    """

    demonstrations: Sequence[Demonstration] = ()
    chooser: str = ""


class DemonstrationSource(Protocol):
    """Chooses the examples that a planner sees."""

    def chosen(self, request: str, have: Sequence[str], tools: Sequence[Card]) -> Chosen:
        """Choose examples for a request.

        Args:
            request: in words.
            have: kinds of the values at hand, ordered from old to new.
            tools: cards of the tools that may be called.

        Returns:
            Examples that call these tools alone.
        """


class ConfidenceJson(TypedDict):
    """A `Confidence` as plain JSON."""

    plan: float
    steps: list[float]
    least: float


@dataclass(frozen=True)
class Confidence:
    """How sure a planner is of its plan.

    Attributes:
        plan: probability that the whole plan is right.
        steps: probability that each step is right, in their order.
        least: `plan` below which a plan is doubtful where the settings say nothing else.
    """

    plan: float
    steps: tuple[float, ...] = ()
    least: float = 0.0

    def to_json(self) -> ConfidenceJson:
        """As plain JSON, to three places."""
        return {
            "plan": round(self.plan, 3),
            "steps": [round(step, 3) for step in self.steps],
            "least": round(self.least, 3),
        }

    @classmethod
    def of_json(cls, data: ConfidenceJson) -> "Confidence":
        """Read `to_json`."""
        return cls(data["plan"], tuple(data["steps"]), data["least"])


class Planner(Protocol):
    """Turns a request into a plan."""

    def plan(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
        problems: Sequence[Problem] = (),
    ) -> Plan:
        """Plan a request.

        Args:
            request: in words.
            values: what is at hand: name to kind ("Image", "list[Image]"), ordered from old to new.
            tools: cards of the tools that may be called.
            demonstrations: examples.
            problems: of the plan before; empty at the first attempt.

        Returns:
            A plan; `wire` fills in inputs and outputs that it leaves out. It has no steps where no tool fits.

        Raises:
            PlanInvalid: the model wrote no plan; the planner is asked again with this message.
        """


@runtime_checkable
class ConfidentPlanner(Planner, Protocol):
    """A planner that knows how sure it is."""

    def plan_with_confidence(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
        problems: Sequence[Problem] = (),
    ) -> tuple[Plan, Confidence | None]:
        """Plan a request as `plan` does.

        Returns:
            The plan, and how sure the planner is of it; None where that is not known.
        """


def renumber(plan: Plan, names: Collection[str]) -> Plan:
    """The plan with its steps numbered from the first number n for which "sn" and all after it are free.

    Args:
        plan: one whose references to its own steps are not ambiguous.
        names: those that steps may not have.
    """
    return plan.rename_steps({step.id: f"s{n}" for n, step in enumerate(plan.steps, first_free(names))})


def first_free(names: Iterable[str]) -> int:
    """The first number n for which "sn" and all after it are free."""
    return 1 + max(map(step_number, names), default=0)
