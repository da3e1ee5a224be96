"""The policy of approval: which plans run without a person's approval."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agents.plan.plan import Plan
from agents.plan.types import AnyTool

BEFOREHAND = "every plan was accepted beforehand"
"""Reason of the decision that `Policy.yes` makes in the place of a person."""


@dataclass(frozen=True)
class Policy:
    """Which plans need no approval.

    Attributes:
        yes: whether no plan needs it; for scripts.
        approved: hashes of plans that a person has approved before.
        approved_tools: tools, in their order, of plans of which a person wants others like them to run at once. The
            arguments may differ, such as what is looked for and how it is hidden; a plan with warnings always waits.
        read_only: whether plans need none whose steps make no picture, sound or video.
    """

    yes: bool = False
    approved: Collection[str] = frozenset()
    approved_tools: Collection[tuple[str, ...]] = frozenset()
    read_only: bool = True

    def allows(self, plan: Plan, tools: Mapping[str, AnyTool], warned: bool = False) -> bool:
        """Whether a plan that passed every check runs without approval.

        Args:
            plan: the plan.
            tools: name to tool.
            warned: whether there are warnings, or weights are missing; a read-only plan then needs approval, too.
        """
        looks_only = self.read_only and not warned and all(tools[step.tool].read_only for step in plan.steps)
        alike = not warned and plan.tools in self.approved_tools
        return self.yes or plan.hash in self.approved or alike or looks_only
