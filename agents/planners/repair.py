"""Asks a planner for a plan that passes every check; nothing is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.plan.check import examined
from agents.plan.plan import Plan, PlanInvalid
from agents.plan.problems import Problem
from agents.plan.types import AnyTool, cards_of
from agents.plan.warnings import warnings
from agents.planners.base import ATTEMPTS, Demonstration, Planner


@dataclass(frozen=True)
class Proposal:
    """What came of asking.

    Attributes:
        plan: wired; without steps when there is nothing to run.
        problems: why it cannot run; empty when it can.
        warnings: what a person should know before it runs.
    """

    plan: Plan
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def works(self) -> bool:
        """Whether there is something to run, and it can."""
        return bool(self.plan.steps) and not self.problems


def propose(
    request: str,
    values: Mapping[str, str],
    tools: Mapping[str, AnyTool],
    planner: Planner,
    demonstrations: Sequence[Demonstration] = (),
) -> Proposal:
    """Plan a request, sending a faulty plan back with its problems.

    Args:
        request: in words.
        values: what is at hand: name to kind, ordered from old to new.
        tools: name to tool.
        planner: who plans.
        demonstrations: shown to the planner.

    Raises:
        SuperlinkError: the planner cannot work (weights missing, endpoint away).
    """
    cards = list(cards_of(tools).values())
    proposal = Proposal(Plan(request=request))
    for _ in range(ATTEMPTS):
        try:
            draft = planner.plan(request, values, cards, demonstrations, proposal.problems)
        except PlanInvalid as error:
            proposal = Proposal(Plan(request=request), (Problem("", "", error.message, error.hint),))
            continue
        plan, problems = examined(draft, tools, values)
        # A planner that gives up says less than what was wrong with its first plan ("attach a picture").
        if proposal.problems and not plan.steps:
            return proposal
        if plan == proposal.plan or not problems:
            warned = () if problems else tuple(warnings(plan, tools, values))
            return Proposal(plan, tuple(problems), warned)
        proposal = Proposal(plan, tuple(problems))
    return proposal
