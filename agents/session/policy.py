"""When a plan runs without being shown for approval first."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agents.plan.plan import Plan
from agents.plan.types import AnyTool


@dataclass(frozen=True)
class Policy:
    """What needs no approval.

    Attributes:
        yes: nothing does; for batch work and scripts.
        approved: hashes of plans that a person has approved before.
        read_only: whether plans that only look (no step makes a picture, sound or video) need none.
    """

    yes: bool = False
    approved: Collection[str] = frozenset()
    read_only: bool = True

    def allows(self, plan: Plan, tools: Mapping[str, AnyTool], warned: bool = False) -> bool:
        """Whether this plan, which has passed every check, may run at once.

        Args:
            plan: the plan.
            tools: name to tool.
            warned: whether there are warnings: then a person looks at it, unless one has approved it before.
        """
        looks = self.read_only and not warned and all(tools[step.tool].read_only for step in plan.steps)
        return self.yes or plan.hash in self.approved or looks
