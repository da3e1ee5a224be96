"""Whatever the tools, a well-typed plan passes, and one fault anywhere is found."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import Field

from agents.plan.check import check
from agents.plan.interpreter import result_type
from agents.plan.plan import Plan, Step, escape
from agents.plan.types import AnyTool, ValueType, value_types
from agents.plan.wiring import wire
from common.card import Card
from tools import VALUE_TYPES, Image, tool

NAMES = sorted(VALUE_TYPES)
PLAIN: dict[str, tuple[str, Any, Any]] = {
    # type as it is written, valid values, a value that is not
    "text": ("str", st.text(alphabet="ab$ é", max_size=6), {}),
    "score": ("Annotated[float, Field(ge=0, le=1)]", st.floats(0, 1), 1.5),
    "size": ("Annotated[int, Field(ge=-5, le=5)]", st.integers(-5, 5), 6),
    "flag": ("bool", st.booleans(), "perhaps"),
    "way": ('Literal["left", "right"]', st.sampled_from(["left", "right"]), "up"),
    "words": ("list[str]", st.lists(st.text(alphabet="ab$", max_size=4), max_size=3), "word"),
}


@dataclass
class Made:
    """A made-up tool; `inputs`: name to (kinds, many, optional), `params`: name to (kind of `PLAIN`, optional)."""

    tool: AnyTool
    inputs: dict[str, tuple[list[str], bool, bool]]
    params: dict[str, tuple[str, bool]]
    one_of: tuple[str, ...]

    @cached_property
    def card(self) -> Card:
        return self.tool.card()


@st.composite
def made_tools(draw: st.DrawFn, name: str) -> Made:
    inputs, params = {}, {}
    for n in range(draw(st.integers(0, 3))):
        kinds = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True))
        inputs[f"in{n}"] = (kinds, draw(st.booleans()), draw(st.booleans()))
    for n in range(draw(st.integers(0, 3))):
        params[f"par{n}"] = (draw(st.sampled_from(sorted(PLAIN))), draw(st.booleans()))
    optional = [n for n, (*_, left_out) in {**inputs, **params}.items() if left_out]
    one_of = tuple(optional[:2]) if len(optional) > 1 and draw(st.booleans()) else ()
    written = []
    for n, (kinds, many, left_out) in inputs.items():
        kind = f"list[{' | '.join(kinds)}]" if many else " | ".join(kinds)
        written.append(f"{n}: {kind} | None = None" if left_out else f"{n}: {kind}")
    for n, (kind, left_out) in params.items():
        written.append(f"{n}: {PLAIN[kind][0]} | None = None" if left_out else f"{n}: {PLAIN[kind][0]}")
    gives = draw(st.sampled_from(NAMES))
    gives = f"list[{gives}]" if draw(st.booleans()) else gives
    source = f'def {name}(*, {", ".join(written)}) -> {gives}:\n    """Do something."""' if written else ""
    source = source or f'def {name}() -> {gives}:\n    """Do something."""'
    space: dict[str, Any] = {**VALUE_TYPES, "Annotated": Annotated, "Field": Field, "Literal": Literal}
    exec(source, space)
    return Made(tool(one_of=one_of)(space[name]), inputs, params, one_of)


@dataclass
class World:
    """Tools, values at hand, and a plan that is right."""

    made: dict[str, Made]
    values: dict[str, str]
    steps: list[Step] = field(default_factory=list)

    @property
    def tools(self) -> dict[str, AnyTool]:
        return {name: one.tool for name, one in self.made.items()}

    @property
    def plan(self) -> Plan:
        return Plan(steps=tuple(self.steps), outputs=tuple(f"${step.id}" for step in self.steps))

    def at_hand(self, before: int | None = None) -> dict[str, ValueType]:
        found = value_types(self.values)
        for step in self.steps[:before]:
            found[step.id] = result_type(step.id, step.args, self.made[step.tool].card, found, 0)
        return found

    def problems(self, plan: Plan) -> list[str]:
        return [str(problem) for problem in check(plan, self.tools, self.values)]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    made = {name: draw(made_tools(name)) for name in ("one", "two")}
    kinds = st.builds(lambda kind, many: f"list[{kind}]" if many else kind, st.sampled_from(NAMES), st.booleans())
    values = draw(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), kinds, max_size=4))
    world = World(made, values)
    for number in range(draw(st.integers(0, 4))):
        step = draw(well_typed(world, f"s{number + 1}"))
        if step is not None:
            world.steps.append(step)
    return world


@st.composite
def well_typed(draw: st.DrawFn, world: World, name: str) -> Step | None:
    one = world.made[draw(st.sampled_from(sorted(world.made)))]
    card, at_hand = one.card, world.at_hand()
    chosen = draw(st.sampled_from(one.one_of)) if one.one_of else None
    args: dict[str, Any] = {}
    source = None
    for n, (_, many, optional) in one.inputs.items():
        if optional and n != chosen and draw(st.booleans()):
            continue
        fitting = [
            v
            for v, what in at_hand.items()
            if what.kind in card["inputs"][n]["kinds"] and (many or not what.many or source in (None, what.source))
        ]
        if card["inputs"][n]["literal"] and (not fitting or draw(st.booleans())):
            args[n] = escape(draw(st.text(alphabet="ab$", max_size=4)))
        elif fitting:
            value = draw(st.sampled_from(fitting))
            args[n] = [f"${value}"] if many and not at_hand[value].many and draw(st.booleans()) else f"${value}"
            source = at_hand[value].source if at_hand[value].many and not many else source
        elif not optional or n == chosen:
            return None
    for n, (kind, optional) in one.params.items():
        if optional and n != chosen and draw(st.booleans()):
            continue
        args[n] = escape(draw(PLAIN[kind][1]))
    return Step(id=name, tool=one.tool.name, args=args)


quick = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(worlds())
def test_a_well_typed_plan_passes_and_wiring_leaves_it_alone(world: World) -> None:
    assert world.problems(world.plan) == []
    wired, problems = wire(world.plan, world.tools, world.values)
    assert problems == []
    assert wired == world.plan
    assert Plan.load(world.plan.dumps()) == world.plan


@quick
@given(worlds())
def test_what_wiring_fills_in_is_never_of_a_wrong_type(world: World) -> None:
    steps = tuple(
        Step(
            id=s.id,
            tool=s.tool,
            args={
                n: v for n, v in s.args.items() if n not in world.made[s.tool].inputs or world.made[s.tool].inputs[n][2]
            },
        )
        for s in world.steps
    )
    wired, ambiguous = wire(Plan(steps=steps), world.tools, world.values)
    reported = {(problem.step, problem.argument) for problem in ambiguous}
    for problem in check(wired, world.tools, world.values):
        missing = problem.argument not in next((s.args for s in wired.steps if s.id == problem.step), {})
        # What a step that could not be wired gives has another source, which a later optional input may miss.
        assert missing or (problem.step, problem.argument) in reported or "item by item" in problem.message
    assert wire(wired, world.tools, world.values)[0] == wired


def _changed(plan: Plan, number: int, **change: Any) -> Plan:
    steps = list(plan.steps)
    steps[number] = steps[number].model_copy(update=change)
    return plan.model_copy(update={"steps": tuple(steps)})


def _spoil(draw: Any, world: World, how: str) -> Plan | None:
    """The world's plan with one fault, or None where this fault is not possible."""
    plan, number = world.plan, draw(st.integers(0, len(world.steps) - 1))
    step, one = plan.steps[number], world.made[plan.steps[number].tool]
    card, before = one.card, world.at_hand(number)
    given_inputs = [n for n in one.inputs if n in step.args]
    given_params = [n for n in one.params if n in step.args]
    required = [n for n, (*_, left_out) in {**one.inputs, **one.params}.items() if not left_out]

    def with_args(change: dict[str, Any]) -> Plan:
        return _changed(plan, number, args={**step.args, **change})

    match how:
        case "tool":
            return _changed(plan, number, tool="nothing")
        case "argument":
            return with_args({"zzz": 1})
        case "left out" if required:
            name = draw(st.sampled_from(required))
            return _changed(plan, number, args={n: v for n, v in step.args.items() if n != name})
        case "plain" if given_params:
            name = draw(st.sampled_from(given_params))
            return with_args({name: PLAIN[one.params[name][0]][2]})
        case "plain reference" if given_params and before:
            return with_args({draw(st.sampled_from(given_params)): f"${draw(st.sampled_from(sorted(before)))}"})
        case "dangling" if given_inputs:
            return with_args({draw(st.sampled_from(given_inputs)): "$nowhere"})
        case "later" if given_inputs:
            later = [s.id for s in plan.steps[number:]]
            return with_args({draw(st.sampled_from(given_inputs)): f"${draw(st.sampled_from(later))}"})
        case "literal" if given_inputs:
            name = draw(st.sampled_from(given_inputs))
            value = draw(st.sampled_from([3, None, {}, [], ["photo.jpg"]]))
            return with_args({name: value})
        case "kind" if given_inputs:
            name = draw(st.sampled_from(given_inputs))
            wrong = [n for n, what in before.items() if what.kind not in card["inputs"][name]["kinds"]]
            return with_args({name: f"${draw(st.sampled_from(sorted(wrong)))}"}) if wrong else None
        case "same id" if len(plan.steps) > 1:
            return plan.rename_steps({step.id: plan.steps[number - 1].id})
        case "taken id" if world.values:
            return plan.rename_steps({step.id: draw(st.sampled_from(sorted(world.values)))})
        case "odd id":
            return plan.rename_steps({step.id: "s 1"})
        case "output":
            return plan.model_copy(update={"outputs": (*plan.outputs, draw(st.sampled_from(["$nowhere", "s1", ""])))})
        case "none of" if one.one_of:
            return _changed(plan, number, args={n: v for n, v in step.args.items() if n not in one.one_of})
    return None


FAULTS = [
    "tool",
    "argument",
    "left out",
    "plain",
    "plain reference",
    "dangling",
    "later",
    "literal",
    "kind",
    "same id",
    "taken id",
    "odd id",
    "output",
    "none of",
]


@pytest.mark.parametrize("how", FAULTS)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_one_fault_is_found(how: str, data: st.DataObject) -> None:
    world = data.draw(worlds())
    assume(world.steps)
    spoilt = _spoil(data.draw, world, how)
    assume(spoilt is not None and spoilt != world.plan)
    assert spoilt is not None
    problems = check(spoilt, world.tools, world.values)
    assert problems
    assert all(problem.message for problem in problems)
    # The check is for the plan as it is; wiring must not let the fault through either, unless it fills the gap.
    if how not in ("left out", "literal", "none of"):
        wired, problems = wire(spoilt, world.tools, world.values)
        assert problems or check(wired, world.tools, world.values)


@tool
def together(one: Image, two: Image, three: Image | None = None) -> Image:
    """Take up to three pictures."""
    return one


@tool
def again(picture: Image) -> Image:
    """Take one picture."""
    return picture


@quick
@given(st.lists(st.sampled_from(["list_a", "list_b", "s1", "s2", "single"]), min_size=2, max_size=3))
def test_lists_go_together_only_when_they_come_from_one(chosen: list[str]) -> None:
    values = {"list_a": "list[Image]", "list_b": "list[Image]", "single": "Image"}
    sources = {"s1": "list_a", "s2": "list_b"}
    args: dict[str, Any] = dict(zip(("one", "two", "three"), (f"${name}" for name in chosen), strict=False))
    steps = (
        Step(id="s1", tool="again", args={"picture": "$list_a"}),
        Step(id="s2", tool="again", args={"picture": "$list_b"}),
        Step(id="s3", tool="together", args=args),
    )
    problems = check(Plan(steps=steps), {"again": again, "together": together}, values)
    assert len(problems) == (len({sources.get(name, name) for name in chosen} - {"single"}) > 1)
