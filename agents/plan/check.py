"""Checks of a plan against the declarations of the tools. Only plans without problems run."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from pydantic import JsonValue, ValidationError

from agents.plan.interpreter import mapped_inputs, result_type, uses
from agents.plan.plan import ABOVE, Plan, Step, leaves, reference, references, unescape
from agents.plan.problems import Problem, nearest
from agents.plan.types import AnyTool, ValueType, argument_type, cards_of, kind_names, value_types
from agents.plan.wiring import wire
from common.card import Card, CardInput
from common.kinds import MEDIA_KINDS

MAX_STEPS = 64
"""Most steps of a plan. No request needs more, and a planner that goes astray may never stop."""


def check(
    plan: Plan,
    tools: Mapping[str, AnyTool],
    values: Mapping[str, str | ValueType],
    used_names: Collection[str] = (),
) -> list[Problem]:
    """Check a plan against the tools' declarations.

    Run `wire` first: inputs that are left out count as missing here.

    Args:
        plan: the plan.
        tools: name to tool.
        values: what is at hand: name to kind ("Image", "list[Image]") or to `ValueType`.
        used_names: further names that steps may not have.

    Returns:
        All problems; without any, the plan may run.
    """
    cards, at_hand = cards_of(tools), value_types(values)
    turn = max((what.turn for what in at_hand.values()), default=0)
    problems = list(_shape_problems(plan, {*at_hand, *used_names}))
    circle = _circle(plan)
    later = {step.id for step in plan.steps}
    unknown: set[str] = set()
    for step in plan.steps:
        if step.tool in cards:
            step_check = _StepCheck(step, tools[step.tool], cards, at_hand, later, circle, unknown)
            problems += step_check.problems()
            at_hand[step.id] = result_type(step.id, step.args, cards[step.tool], at_hand, turn)
        else:
            message = f"there is no tool {step.tool!r}"
            problems.append(Problem(step.id, "", message, nearest(step.tool, cards)))
            unknown.add(step.id)
    for output in plan.outputs:
        if reference(output) not in {*at_hand, *later}:
            message = f"{output!r} is not a value"
            problems.append(Problem("", "outputs", message, _nearest_value(output, at_hand)))
    return problems


def wire_and_check(
    plan: Plan,
    tools: Mapping[str, AnyTool],
    values: Mapping[str, str | ValueType],
    used_names: Collection[str] = (),
) -> tuple[Plan, list[Problem]]:
    """`wire` a plan and `check` it; its arguments are those of `check`.

    Returns:
        The wired plan, and the problems of both.
    """
    plan, problems = wire(plan, tools, values)
    ambiguous = {(problem.step, problem.argument) for problem in problems}
    further = check(plan, tools, values, used_names)
    return plan, problems + [p for p in further if (p.step, p.argument) not in ambiguous]


def _shape_problems(plan: Plan, used_names: Collection[str]) -> Iterator[Problem]:
    if len(plan.steps) > MAX_STEPS:
        yield Problem(
            "",
            "",
            f"the plan has {len(plan.steps)} steps, and {MAX_STEPS} is the most",
            "Ask for less at a time",
        )
    seen: set[str] = set()
    for step in plan.steps:
        if not step.id.isidentifier():
            yield Problem(step.id, "", f"{step.id!r} cannot be the id of a step", 'Use ids like "s1"')
        elif step.id in seen:
            yield Problem(step.id, "", "two steps have this id", "Number the steps s1, s2, …")
        elif step.id in used_names:
            yield Problem(step.id, "", "an earlier value has this name", "Give the step another id")
        seen.add(step.id)


def _circle(plan: Plan) -> list[str]:
    try:
        TopologicalSorter({step.id: uses(step) for step in plan.steps}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


class _StepCheck:
    """The checks of one step."""

    def __init__(
        self,
        step: Step,
        tool: AnyTool,
        cards: Mapping[str, Card],
        at_hand: Mapping[str, ValueType],
        later: Collection[str],
        circle: Collection[str],
        unknown: Collection[str],
    ) -> None:
        self.step, self.tool, self.card, self.cards = step, tool, cards[step.tool], cards
        self.at_hand, self.later, self.circle, self.unknown = at_hand, later, circle, unknown

    def problems(self) -> Iterator[Problem]:
        inputs, params, args = self.card["inputs"], self.card["params"], self.step.args
        for name, value in args.items():
            if name in inputs:
                yield from self._input(name, value)
            elif name not in params:
                hint = nearest(name, [*inputs, *params])
                yield self._problem(name, f"{self.step.tool} has no argument {name!r}", hint)
        for name, given in inputs.items():
            if name not in args and not given["optional"]:
                message = f"{self.step.tool} needs {kind_names(given['kinds'])}"
                yield self._problem(name, message, self._where_from(given))
        yield from self._plain({name: value for name, value in args.items() if name in params})
        one_of = self.card["one_of"]
        if one_of and all(args.get(name) is None for name in one_of):
            message = f"{self.step.tool} takes at least one of {', '.join(one_of)}"
            yield self._problem("", message, "Add one of them")
        yield from self._lists()

    def _plain(self, args: Mapping[str, JsonValue]) -> Iterator[Problem]:
        refer: set[str] = set()
        for name, value in args.items():
            texts = (leaf for leaf in leaves(value) if isinstance(leaf, str))
            text = next((text for text in texts if reference(text) is not None), None)
            if text is not None:
                refer.add(name)
                yield self._problem(
                    name,
                    f"{name} is written out, it cannot take the value {text}",
                    f'Write the text itself; one that begins with $ is written "${text}"',
                )
        try:
            self.tool.params.model_validate(
                {name: unescape(value) for name, value in args.items() if name not in refer}
            )
        except ValidationError as error:
            for fault in error.errors():
                name, *item = map(str, fault["loc"])
                if name in refer:
                    continue
                if fault["type"] == "missing":
                    yield self._problem(name, f"{self.step.tool} needs {name}", f"Add {name}")
                    continue
                where = f"in item {'.'.join(item)}, " if item else ""
                said = f"{fault['msg'][:1].lower()}{fault['msg'][1:]}, not {_short(fault['input'])}"
                yield replace(self._problem(name, where + said), tool=self.step.tool)

    def _input(self, name: str, value: JsonValue) -> Iterator[Problem]:
        given = self.card["inputs"][name]
        refers = list(references(value))
        if given.get("literal") and isinstance(value, str) and not refers:
            return
        items = value if isinstance(value, list) else [value]
        if value == ABOVE:
            yield self._problem(
                name,
                f"{name} should be {kind_names(given['kinds'])} from above, but there is none",
                self._where_from(given),
            )
        elif not items or len(refers) != len(items):
            yield self._problem(
                name,
                f"{name} takes {kind_names(given['kinds'])}, not {_short(value)}",
                self._reference_hint(value, given),
            )
        else:
            yield from self._references(name, value, refers, given)

    def _references(self, name: str, value: JsonValue, refers: list[str], given: CardInput) -> Iterator[Problem]:
        absent = [n for n in refers if n not in self.at_hand]
        for n in absent:
            if n not in self.unknown:
                yield self._problem(name, *self._absent(n))
        if absent:
            return
        what = argument_type(value, self.at_hand)
        if what is None:
            yield self._problem(
                name,
                "a list must hold single values of one kind, but here are "
                + ", ".join(f"${n} ({self.at_hand[n]})" for n in refers),
                "Take one of them",
            )
        elif what.kind not in given["kinds"]:
            yield self._problem(
                name,
                f"{name} takes {kind_names(given['kinds'])}, but {_short(value)} is {kind_names([what.kind])}",
                self._where_from(given),
            )

    def _absent(self, name: str) -> tuple[str, str]:
        if name == self.step.id:
            return "it uses its own result", "Take an earlier value"
        if name in self.circle and self.step.id in self.circle:
            return f"{' and '.join(dict.fromkeys(self.circle))} wait for each other", "Break the circle"
        if name in self.later:
            return f"${name} comes later in the plan", f"Put {name} before {self.step.id}"
        return f"there is no value ${name}", _nearest_value(name, self.at_hand)

    def _where_from(self, given: CardInput) -> str:
        """A hint where an input can come from: words, a value at hand, a new file, or a tool that makes it."""
        kinds = given["kinds"]
        ways = ["write it out"] if given.get("literal") else []
        here = [f"${name}" for name, what in self.at_hand.items() if what.kind in kinds]
        if here:
            ways.append(f"take {' or '.join(here[-3:])}")
        elif not MEDIA_KINDS.isdisjoint(kinds):
            ways.append("attach one")
        makers = [
            name for name, card in self.cards.items() if card["returns"]["kind"] in kinds and name != self.step.tool
        ]
        if makers and not here:
            ways.append(f"put a step before it that gives it ({', '.join(makers[:4])})")
        hint = ", or ".join(ways)
        return hint[:1].upper() + hint[1:]

    def _reference_hint(self, value: JsonValue, given: CardInput) -> str:
        if isinstance(value, str) and value in self.at_hand:
            return f"Did you mean ${value}?"
        return self._where_from(given)

    def _lists(self) -> Iterator[Problem]:
        by_source: dict[str, list[str]] = {}
        for name, what in mapped_inputs(self.step.args, self.card, self.at_hand).items():
            by_source.setdefault(what.source, []).append(name)
        if len(by_source) > 1:
            first, second, *_ = (names[0] for names in by_source.values())
            yield self._problem(
                second,
                f"{first} and {second} are lists that do not go together item by item",
                "Give one list, or two that were made from the same list",
            )

    def _problem(self, argument: str, message: str, hint: str = "") -> Problem:
        return Problem(self.step.id, argument, message, hint)


def _nearest_value(name: str, at_hand: Collection[str]) -> str:
    return nearest(f"${name.lstrip('$')}", [f"${n}" for n in at_hand])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
