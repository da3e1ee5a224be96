"""The protocol of planners: a request in words to a plan."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from agents.plan.plan import Plan
from agents.plan.problems import Problem
from agents.plan.types import step_number
from common.card import Card

ATTEMPTS = 3
"""A planner is asked once, and asked again with the problems twice at most."""


class Demonstration(NamedTuple):
    """A request that was planned well, shown to a planner as an example.

    Attributes:
        have: kinds of value that were at hand.
        request: in words.
        calls: ``{"tool": name, "args": {…}}`` each, wired inputs left out.
    """

    have: list[str]
    request: str
    calls: list[dict[str, Any]]


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
            demonstrations: examples to go by.
            problems: what was wrong with the plan before; empty at the first attempt.

        Returns:
            A plan; inputs and outputs may be left out, `wire` fills them in. No steps mean that nothing fits.

        Raises:
            PlanInvalid: what came out is no plan; the planner is asked again with this message.
        """


def renumber(plan: Plan, names: Collection[str]) -> Plan:
    """The plan with its steps numbered from the first number n for which "sn" and all after it are free.

    Args:
        plan: one whose references to its own steps are not ambiguous.
        names: those that steps may not have.
    """
    return plan.renamed({step.id: f"s{n}" for n, step in enumerate(plan.steps, first_free(names))})


def first_free(names: Iterable[str]) -> int:
    """The first number n for which "sn" and all after it are free."""
    return 1 + max(map(step_number, names), default=0)
