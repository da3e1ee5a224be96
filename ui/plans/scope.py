"""What a plan is edited among: tools and values at hand; and its problems, placed at steps and arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agents.plan import check as checks
from agents.plan.interpreter import result_type
from agents.plan.plan import Plan, reference, references
from agents.plan.preflight import missing_weights
from agents.plan.problems import Problem
from agents.plan.types import AnyTool, ValueType, cards_of
from tools.weights.requirements import in_words
from ui.plans.words import places, words
from ui.turns.words import sentences

OUTPUTS = "outputs"
"""The argument of problems with the outputs of a plan, as `agents.plan.check` calls it."""


_MOST_KNOWN = 8
"""Plans whose types of values a scope keeps."""


@dataclass(frozen=True)
class Scope:
    """Tools and values that the steps of a plan can use.

    Attributes:
        tools: Tools by name.
        types: Types of the values at hand before the plan runs, ordered from old to new.
        used_names: Further names that steps may not have, such as ids of steps that failed.
        captions: What a person calls a value, such as the name of its file, or the step of an earlier request.
    """

    tools: Mapping[str, AnyTool]
    types: Mapping[str, ValueType]
    used_names: frozenset[str] = frozenset()
    captions: Mapping[str, str] = field(default_factory=dict)
    _known: dict[int, tuple[Plan, list[dict[str, ValueType]]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def lost(self) -> str:
        """Name that stands in references to what was deleted; no value has it."""
        name = "deleted"
        while name in self.types or name in self.used_names:
            name += "_"
        return name

    def before(self, plan: Plan, number: int) -> dict[str, ValueType]:
        """Return the types of the values that the step at a place (from 0) can use; they must not be changed."""
        if id(plan) not in self._known:  # every step of a form asks
            if len(self._known) == _MOST_KNOWN:
                self._known.clear()
            self._known[id(plan)] = plan, self._along(plan)
        return self._known[id(plan)][1][number]

    def _along(self, plan: Plan) -> list[dict[str, ValueType]]:
        """Return the types of the values at hand before each step, and after the last."""
        found, cards = [dict(self.types)], cards_of(self.tools)
        turn = max((what.turn for what in self.types.values()), default=0)
        for step in plan.steps:
            at_hand = found[-1]
            if step.tool in cards:
                made = result_type(step.id, step.args, cards[step.tool], at_hand, turn)
                at_hand = {**at_hand, step.id: made}
            found.append(at_hand)
        return found

    def value_words(self, plan: Plan, name: str) -> str:
        """Return what a value is called in words.

        "Step 1: Find: face" for a step of the plan, "s1 (request 1: Find: face)" for an earlier one, "image (a.png)"
        for files.
        """
        for number, step in enumerate(plan.steps):
            if step.id == name:
                return f"Step {number + 1}: {words(step, self.tools, self.before(plan, number))}"
        caption = self.captions.get(name, "")
        return f"{name} ({caption})" if caption else name


@dataclass(frozen=True)
class Placed:
    """Problems of a plan in sentences, at the places where a person can mend them.

    Attributes:
        fields: Place of a step (from 0) and name of an argument to the sentences.
        steps: Place of a step to the sentences about the step as a whole.
        outputs: About the outputs.
        plan: About the plan as a whole.
        missing: Place of a step to the weights that it takes and this computer lacks, in words.
    """

    fields: Mapping[tuple[int, str], Sequence[str]]
    steps: Mapping[int, Sequence[str]]
    outputs: Sequence[str]
    plan: Sequence[str]
    missing: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @property
    def can_run(self) -> bool:
        """Whether there is no problem and nothing is missing."""
        return not (self.fields or self.steps or self.outputs or self.plan or self.missing)

    def count(self, number: int) -> int:
        """Return the number of problems of the step at a place."""
        at_fields = sum(len(said) for (place, _), said in self.fields.items() if place == number)
        return at_fields + len(self.steps.get(number, ()))


def examine(plan: Plan, scope: Scope) -> Placed:
    """Check a plan, and look for the weights that it takes; everything stands where a person can mend it."""
    lacks: dict[str, list[str]] = {}
    for lack in missing_weights(plan, scope.tools):
        said = missing_words(lack["weights"], lack["licence"], lack["size"], lack["what"])
        lacks.setdefault(lack["step"], []).append(said)
    missing = {number: lacks[step.id] for number, step in enumerate(plan.steps) if step.id in lacks}
    return replace(placed(check(plan, scope), plan, scope), missing=missing)


def missing_words(weights: str, licence: str, size: int, what: str = "") -> str:
    """Return weights with licence, size and what they are for, such as "yolo26n, AGPL-3.0-only, 5.6 MB, for “dog”"."""
    parts = [weights, licence, in_words(size) if size else "", f"for “{what}”" if what else ""]
    return ", ".join(part for part in parts if part)


def check(plan: Plan, scope: Scope) -> list[Problem]:
    """Return all problems of a plan; without any, it may run."""
    problems = checks.check(plan, scope.tools, scope.types, scope.used_names)
    if not plan.steps:
        problems.append(Problem("", "", "the plan has no steps", "Add one"))
    lost = scope.lost
    return [_lost(problem) if _is_lost(plan, problem, lost) else problem for problem in problems]


def placed(problems: Sequence[Problem], plan: Plan, scope: Scope) -> Placed:
    """Place the problems of a plan.

    A problem of a step stands at the argument that it names, if the tool has it or the step gives it.
    """
    fields: dict[tuple[int, str], list[str]] = {}
    steps: dict[int, list[str]] = {}
    outputs: list[str] = []
    whole: list[str] = []
    for problem in problems:
        said = sentences(places(problem.message, plan), places(problem.hint, plan))
        numbers = [number for number, step in enumerate(plan.steps) if step.id == problem.step]
        for number in numbers:
            step = plan.steps[number]
            tool = scope.tools.get(step.tool)
            known = tool is not None and (
                problem.argument in tool.inputs or problem.argument in tool.params.model_fields
            )
            if problem.argument and (known or problem.argument in step.args):
                fields.setdefault((number, problem.argument), []).append(said)
            else:
                steps.setdefault(number, []).append(said)
        if not numbers:
            (outputs if problem.argument == OUTPUTS else whole).append(said)
    return Placed(fields, steps, outputs, whole)


def _is_lost(plan: Plan, problem: Problem, lost: str) -> bool:
    if problem.argument == OUTPUTS and not problem.step:
        return lost in map(reference, plan.outputs) and f"'${lost}'" in problem.message
    values = [step.args.get(problem.argument) for step in plan.steps if step.id == problem.step]
    return f"${lost}" in problem.message and any(lost in references(value) for value in values)


def _lost(problem: Problem) -> Problem:
    return replace(problem, message="the step that made it was deleted", hint="Choose another value")
