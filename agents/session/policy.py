"""The policy of approval: which plans run without a person's approval, and which never do.

All doors ask here: a session by `Policy.allows`, those without one by `doubtful`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agents.plan.plan import Plan
from agents.plan.types import AnyTool
from agents.planners.base import Confidence
from tools.core.errors import SuperlinkError
from tools.core.settings import settings

SURE = 0.65
"""Confidence in a plan or a step below which it is pointed out."""

BEFOREHAND = "every plan was accepted beforehand"
"""Reason of the decision that `Policy.yes` makes in the place of a person."""


@dataclass(frozen=True)
class Policy:
    """Which plans need no approval.

    Attributes:
        yes: whether no plan needs it, unless the planner doubts it; for scripts.
        approved: hashes of plans that a person has approved before.
        approved_tools: tools, in their order, of plans of which a person wants others like them to run at once. The
            arguments may differ, such as what is looked for and how it is hidden; a plan with warnings always waits.
        read_only: whether plans need none whose steps make no picture, sound or video.
    """

    yes: bool = False
    approved: Collection[str] = frozenset()
    approved_tools: Collection[tuple[str, ...]] = frozenset()
    read_only: bool = True

    def allows(
        self,
        plan: Plan,
        tools: Mapping[str, AnyTool],
        warned: bool = False,
        confidence: Confidence | None = None,
    ) -> bool:
        """Whether a plan that passed every check runs without approval.

        Args:
            plan: the plan.
            tools: name to tool.
            warned: whether there are warnings, or weights are missing; a read-only plan then needs approval, too.
            confidence: of the planner in the plan; a doubtful one needs approval whatever else is allowed.
        """
        if plan.hash in self.approved:
            return True
        if doubtful(confidence):
            return False
        looks_only = self.read_only and not warned and all(tools[step.tool].read_only for step in plan.steps)
        alike = not warned and plan.tools in self.approved_tools
        return self.yes or alike or looks_only


class PlanDoubtful(SuperlinkError):
    """A plan that its planner doubts, and nobody who could look at it."""

    def __init__(self, why: str) -> None:
        """Say what to do; ``why`` is what `doubt` returned."""
        super().__init__(
            why,
            "Run it where you can be asked, say the request in other words, or save the plan (superlink plan --json), "
            "look at it and give it with --plan; SUPERLINK_LEAST_CONFIDENCE sets the limit",
        )


def doubtful(confidence: Confidence | None) -> bool:
    """Whether a planner is too unsure of a plan to have it run before a person has looked at it.

    Args:
        confidence: of the planner; None, as for plans of people and of chat models, is no doubt.
    """
    return confidence is not None and confidence.plan < least_confidence(confidence)


def least_confidence(confidence: Confidence) -> float:
    """The confidence below which plans are doubtful: of the settings, or else of the planner itself."""
    least = settings().least_confidence
    return confidence.least if least is None else least


def doubt(confidence: Confidence | None) -> str:
    """Why a doubtful plan waits, in a sentence without its end; "" where it does not."""
    if confidence is None or not doubtful(confidence):
        return ""
    return (
        f"the planner is only {percent(confidence.plan)} sure of this plan, and plans below "
        f"{percent(least_confidence(confidence))} run only after a person has looked at them"
    )


def in_words(confidence: Confidence | None, steps: Sequence[str] = ()) -> str:
    """How sure a planner is of a plan and of its doubtful steps, in a line; "" where that is not known.

    Args:
        confidence: of the planner.
        steps: names of the steps, in order; those that are missing are not spoken of.
    """
    if confidence is None:
        return ""
    shares = zip(steps, confidence.steps, strict=False)
    parts = ", ".join(f"{name} {percent(share)}" for name, share in shares if unsure(share))
    return f"{percent(confidence.plan)} sure of this plan" + (f"; of {parts}" if parts else "")


def unsure(share: float) -> str:
    """A confidence that is pointed out, such as "72 % sure"; "" for a higher one."""
    return f"{percent(share)} sure" if share < SURE else ""


def percent(share: float) -> str:
    """A probability in words, such as "72 %"; never 0 or 100."""
    return f"{min(max(round(100 * share), 1), 99)} %"
