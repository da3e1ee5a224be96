"""Plans for runs: from words, from a file, or from a session; checked for the items of a source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agents.plan.plan import Plan
from agents.plan.preflight import missing_weights
from agents.plan.types import AnyTool
from agents.plan.warnings import warnings
from agents.planners.base import DemonstrationJson, DemonstrationSource, Planner
from agents.session.policy import doubt
from common.kinds import MEDIA
from flows.batch.prepare import check_for_items, plan_for_items
from flows.batch.shard import PlanUnfit, media_kind
from tools.runtime.registry import file_of
from ui.plans.scope import missing_words


@dataclass(frozen=True)
class PlanDraft:
    """A plan for a run.

    Attributes:
        plan: The plan, wired; None where there is none.
        problems: Why it cannot run, in words.
        missing: Weights that it needs and this computer lacks, in words.
        lacking: Their ids.
        warnings: What a person should know, in words.
        demonstrations: Examples that its planner saw.
        chooser: Name of what chose them.
    """

    plan: Plan | None
    problems: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    demonstrations: tuple[DemonstrationJson, ...] = ()
    chooser: str = ""

    @property
    def works(self) -> bool:
        """Whether the plan can run."""
        return self.plan is not None and not self.problems and not self.missing


def from_words(
    request: str,
    kinds: Sequence[str],
    tools: Mapping[str, AnyTool],
    planner: Planner,
    examples: DemonstrationSource | None = None,
) -> PlanDraft:
    """Have a request planned.

    Args:
        request: In words.
        kinds: Media of the items of the source.
        tools: Tools by name.
        planner: The planner.
        examples: Chooses the examples that the planner sees; None for none.

    Raises:
        SuperlinkError: when the planner cannot work.
    """
    if not request.strip():
        return PlanDraft(None, ("Say what should happen to each file.",))
    attempt = plan_for_items(request.strip(), _media(kinds), tools, planner, examples)
    if attempt.plan is None or not attempt.plan.steps:
        said = tuple(str(problem) for problem in attempt.problems)
        return PlanDraft(None, said or ("Nothing that the tools can do fits this request. Say it in other words.",))
    draft = _draft(attempt.plan, tuple(str(problem) for problem in attempt.problems), tools)
    why = "" if draft.problems else doubt(attempt.confidence)
    doubts = (f"Look at the plan: {why}.",) if why else ()
    seen = tuple(shown.to_json() for shown in attempt.demonstrations)
    return replace(draft, warnings=(*draft.warnings, *doubts), demonstrations=seen, chooser=attempt.chooser)


def from_plan(
    given: Plan | str | Path | Mapping[str, object], kinds: Sequence[str], tools: Mapping[str, AnyTool]
) -> PlanDraft:
    """Check a plan of a file, of its text, or of a session.

    Args:
        given: The plan.
        kinds: Media of the items of the source.
        tools: Tools by name.

    Raises:
        PlanInvalid: when it is no plan.
    """
    plan = given if isinstance(given, Plan) else Plan.load(given)
    if not plan.steps:
        return PlanDraft(None, ("The plan has no steps.",))
    plan, problems = check_for_items(plan, _media(kinds), tools)
    return _draft(plan, tuple(str(problem) for problem in problems), tools)


def tool_files(plan: Plan, tools: Mapping[str, AnyTool]) -> tuple[str, ...]:
    """Return the Python files of the plan's tools that are neither built in nor of an installed package."""
    used = [tools[step.tool] for step in plan.steps if step.tool in tools]
    return tuple(dict.fromkeys(filter(None, map(file_of, used))))


def _draft(plan: Plan, problems: tuple[str, ...], tools: Mapping[str, AnyTool]) -> PlanDraft:
    if not problems:
        try:
            media_kind(plan)
        except PlanUnfit as error:
            problems = (str(error),)
    said = () if problems else tuple(str(warning) for warning in warnings(plan, tools, ()))
    lacking = {} if problems else {lack["weights"]: lack for lack in missing_weights(plan, tools)}
    places = {step.id: number for number, step in enumerate(plan.steps, 1)}
    missing = tuple(
        f"Step {places[lack['step']]} needs "
        f"{missing_words(lack['weights'], lack['licence'], lack['size'], lack['what'])}."
        for lack in lacking.values()
    )
    return PlanDraft(plan, problems, missing, tuple(lacking), said)


def _media(kinds: Sequence[str]) -> list[str]:
    return sorted(kind for kind in kinds if kind in MEDIA)
