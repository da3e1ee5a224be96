"""The repair loop: a planner is asked for a plan, and asked again with its problems, `ATTEMPTS` times at most.

A plan that could run, but leaves a file or a verb of the request out, counts as a problem once: the planner is asked
again, and the better of the two plans is taken.

`ask` and `examine` are one round, and `Attempt.again` says whether another one follows. `plan_request` runs the rounds
for commands that only plan. The nodes "plan" and "check" of `agents.session.nodes` run the same rounds, with
a checkpoint after each of the two.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from agents.plan.check import wire_and_check
from agents.plan.plan import Plan, PlanInvalid, Step
from agents.plan.problems import Problem
from agents.plan.types import AnyTool, ValueType, planner_cards, value_types
from agents.plan.warnings import unnamed, unnamed_labels, warnings
from agents.planners.base import (
    ATTEMPTS,
    Chosen,
    Confidence,
    ConfidentPlanner,
    Demonstration,
    DemonstrationSource,
    Planner,
    renumber,
)
from common.card import Card
from common.kinds import PICTURE_KINDS
from common.reach import needs


@dataclass(frozen=True)
class PlanningTask:
    """A request, and what can be used to fulfil it.

    Attributes:
        request: in words.
        values: types of the values at hand, by name, ordered from old to new.
        tools: name to tool.
        given: names of the values that came with the request.
        used_names: further names that steps may not have.
        demonstrations: examples for the planner.
        remarks: what a person asked to change in the plans before, in order.
    """

    request: str
    values: Mapping[str, ValueType]
    tools: Mapping[str, AnyTool]
    given: Collection[str] = ()
    used_names: Collection[str] = ()
    demonstrations: Sequence[Demonstration] = ()
    remarks: Sequence[str] = ()

    @property
    def words(self) -> str:
        """The request with its remarks, as planners get it.

        Of several wordings the built-in planner understands this one best: 14 of 20 remarks, against 11 where a full
        stop separates them and 4 of 10 where it gets the remark alone.
        """
        return " - actually, ".join([self.request, *self.remarks])


@dataclass(frozen=True)
class Attempt:
    """Where the loop stands.

    Attributes:
        plan: the last plan, wired once it was examined; without steps when no tool fits the request. None when there is
            none.
        problems: why it cannot run, or why there is none.
        warnings: what a person should know before it runs.
        asked: how often the planner was asked; `ATTEMPTS` also when asking again would not help.
        faulty: hash of the last plan with problems.
        confidence: of the planner in the plan; None where it has none, as for plans of people.
        kept: a plan that could run and leaves something out, while the planner is asked for another one.
        kept_confidence: of the planner in that plan.
        demonstrations: that the planner saw, of `plan_request`; a session keeps them in its state.
        chooser: name of what chose them; "" where examples are off.
    """

    plan: Plan | None = None
    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    asked: int = 0
    faulty: str = ""
    confidence: Confidence | None = None
    kept: Plan | None = None
    kept_confidence: Confidence | None = None
    demonstrations: Sequence[Demonstration] = ()
    chooser: str = ""

    @property
    def works(self) -> bool:
        """Whether there is something to run, and it can run."""
        return self.plan is not None and bool(self.plan.steps) and not self.problems

    @property
    def again(self) -> bool:
        """Whether the planner is asked again."""
        return bool(self.problems) and self.asked < ATTEMPTS


Asked = tuple[Plan, Confidence | None]
"""A plan as the planner gave it, and how sure it is of it."""


def ask(
    task: PlanningTask,
    before: Attempt,
    planner: Planner,
    run: Callable[[Callable[[], Asked]], Asked] = lambda work: work(),
) -> Attempt:
    """Ask the planner, with the problems of the attempt before.

    A planner that gives up after a faulty plan says less than the problems of that plan ("attach a picture"), so these
    stay, and it is not asked again. So does one that makes up the picture that is missing.

    Args:
        task: what is to be planned.
        before: the attempt before; `Attempt()` at first.
        planner: the planner.
        run: calls its argument, which asks the planner; for callers that must be able to abandon it.

    Returns:
        The attempt, not yet examined.

    Raises:
        SuperlinkError: the planner cannot work (weights missing, endpoint away).
    """
    kinds = {name: str(what) for name, what in task.values.items()}
    cards = planner_cards(task.tools)
    asked = before.asked + 1
    try:
        plan, confidence = run(lambda: _asked(planner, task, kinds, cards, before.problems))
    except PlanInvalid as error:
        if before.kept is not None:
            return Attempt(before.kept, asked=ATTEMPTS, confidence=before.kept_confidence)
        return Attempt(None, (Problem("", "", error.message, error.hint),), (), asked, before.faulty)
    if before.plan is not None and (not plan.steps or _makes_up(plan, before, cards)):
        if before.kept is None:
            return replace(before, asked=ATTEMPTS)
        return Attempt(before.kept, asked=ATTEMPTS, confidence=before.kept_confidence)
    plan = plan.with_request(task.request)
    # An id that is the name of a value is reported by the check: what "$s1" refers to is not known.
    if task.values.keys().isdisjoint(step.id for step in plan.steps):
        plan = renumber(plan, {*task.values, *task.used_names})
    return Attempt(plan, (), (), asked, before.faulty, confidence, before.kept, before.kept_confidence)


def _makes_up(plan: Plan, before: Attempt, cards: Sequence[Card]) -> bool:
    """Return whether a plan makes a picture out of nothing, of which neither the plan before nor its problems knew."""
    makers = {card["name"] for card in cards if card["returns"]["kind"] in PICTURE_KINDS and not needs(card)}
    known = {*(before.plan.tools if before.plan else ()), *(name for one in before.problems for name in one.tools)}
    return not (makers & set(plan.tools)) <= known


def _asked(
    planner: Planner, task: PlanningTask, kinds: Mapping[str, str], cards: Sequence[Card], problems: Sequence[Problem]
) -> Asked:
    if isinstance(planner, ConfidentPlanner):
        return planner.plan_with_confidence(task.words, kinds, cards, task.demonstrations, problems)
    return planner.plan(task.words, kinds, cards, task.demonstrations, problems), None


def examine(task: PlanningTask, attempt: Attempt) -> Attempt:
    """Wire the plan of an attempt and check it.

    A planner that repeats a faulty plan would go on repeating it, so it is not asked again. Where a plan is kept, the
    new one is taken if it can run and has fewer warnings.
    """
    if attempt.plan is None or (attempt.kept is not None and attempt.problems):
        return attempt
    plan, problems = wire_and_check(attempt.plan, task.tools, task.values, task.used_names)
    found = [] if problems else _warnings(task, plan, by_planner=attempt.asked > 0)
    if attempt.kept is not None:
        before = _warnings(task, attempt.kept, by_planner=True)
        if problems or len(found) >= len(before):
            return Attempt(attempt.kept, (), tuple(before), ATTEMPTS, confidence=attempt.kept_confidence)
        return Attempt(plan, (), tuple(found), ATTEMPTS, confidence=attempt.confidence)
    if not problems:
        missing = tuple(warning for warning in found if warning.tools)
        # A remark may take something back, and a person waits to see what became of it.
        if missing and 0 < attempt.asked < ATTEMPTS and not task.remarks:
            sure = attempt.confidence
            return replace(attempt, plan=plan, problems=missing, warnings=(), kept=plan, kept_confidence=sure)
        return replace(attempt, plan=plan, problems=(), warnings=tuple(found))
    asked = ATTEMPTS if attempt.faulty == plan.hash else attempt.asked
    return replace(attempt, plan=plan, problems=tuple(problems), warnings=(), asked=asked, faulty=plan.hash)


def _warnings(task: PlanningTask, plan: Plan, by_planner: bool) -> list[Problem]:
    found = warnings(plan, task.tools, task.given, task.values)
    if by_planner:  # a person may look for what the request does not name
        found += unnamed(plan.with_request(task.words), task.tools, _taught(task))
    return found


def _taught(task: PlanningTask) -> set[str]:
    """Labels that an example gives to a request which does not name them either: words of the house."""
    found: set[str] = set()
    for shown in task.demonstrations:
        steps = tuple(Step(id=f"s{n}", **call) for n, call in enumerate(shown.calls, 1))
        found |= {label for _, label in unnamed_labels(Plan(request=shown.request, steps=steps), task.tools)}
    return found


def plan_request(
    request: str,
    values: Mapping[str, str],
    tools: Mapping[str, AnyTool],
    planner: Planner,
    examples: DemonstrationSource | None = None,
) -> Attempt:
    """Plan a request; nothing is run.

    Args:
        request: in words.
        values: what comes with the request: name to kind, ordered from old to new.
        tools: name to tool.
        planner: the planner.
        examples: chooses the examples that the planner sees; None for none.

    Returns:
        The last attempt.

    Raises:
        SuperlinkError: the planner cannot work (weights missing, endpoint away).
    """
    chosen = choose_demonstrations(examples, request, value_types(values), tools)
    return plan_with_examples(request, values, tools, planner, chosen)


def plan_with_examples(
    request: str, values: Mapping[str, str], tools: Mapping[str, AnyTool], planner: Planner, chosen: Chosen
) -> Attempt:
    """Plan a request as `plan_request` does, with examples that were chosen before."""
    shown, chooser = chosen
    task = PlanningTask(request, value_types(values), tools, given=values.keys(), demonstrations=shown)
    attempt = examine(task, ask(task, Attempt(), planner))
    while attempt.again:
        attempt = examine(task, ask(task, attempt, planner))
    return replace(attempt, demonstrations=shown, chooser=chooser)


def choose_demonstrations(
    examples: DemonstrationSource | None, request: str, values: Mapping[str, ValueType], tools: Mapping[str, AnyTool]
) -> Chosen:
    """The examples that a planner sees for a request; none without a source of examples."""
    if examples is None:
        return Chosen()
    return examples.chosen(request, [value.kind for value in values.values()], planner_cards(tools))
