"""Edits of a plan: pure functions that return the plan with its steps numbered and its outputs kept right.

Places of steps count from 0. Steps are numbered in their order from the first free number on. A reference follows the
step that it means. Where that step was deleted, it becomes a reference to nothing (`Scope.lost`), which the check
reports, so that it never comes to mean another step.

Outputs that are those that wiring would choose are chosen anew after an edit. Others, which a person or a planner
named, stay: those of deleted steps go, and a new step's result is added.
"""

import math
from collections.abc import Sequence

from pydantic import JsonValue

from agents.plan.plan import Plan, Step, map_texts, reference
from agents.plan.wiring import wire
from agents.planners.base import first_free
from ui.plans.scope import Scope

_NEW = "new step"
"""Id of a step before it is numbered; no step can have it, as it is no identifier."""


def add(plan: Plan, tool: str, scope: Scope, at: int | None = None) -> Plan:
    """Add a step before the one at a place, at the end by default; its inputs are filled in by their type."""
    at = len(plan.steps) if at is None else max(0, min(at, len(plan.steps)))
    above = Plan(request=plan.request, steps=(*plan.steps[:at], Step(id=_NEW, tool=tool)))
    wired, _ = wire(above, scope.tools, scope.types)
    steps = [*plan.steps[:at], wired.steps[-1], *plan.steps[at:]]
    return _finished(plan, steps, (*plan.outputs, f"${_NEW}"), scope)


def delete(plan: Plan, number: int, scope: Scope) -> Plan:
    """Delete the step at a place."""
    return _finished(plan, [step for n, step in enumerate(plan.steps) if n != number], plan.outputs, scope)


def duplicate(plan: Plan, number: int, scope: Scope) -> Plan:
    """Add a copy of the step at a place after it."""
    copy = plan.steps[number].model_copy(update={"id": _NEW})
    steps = [*plan.steps[: number + 1], copy, *plan.steps[number + 1 :]]
    shown = f"${plan.steps[number].id}" in plan.outputs
    return _finished(plan, steps, (*plan.outputs, *([f"${_NEW}"] if shown else [])), scope)


def move(plan: Plan, number: int, by: int, scope: Scope) -> Plan:
    """Move the step at a place down by a number of places, or up if it is negative, at most to the end."""
    steps = list(plan.steps)
    steps.insert(max(0, min(number + by, len(steps) - 1)), steps.pop(number))
    return _finished(plan, steps, plan.outputs, scope)


def set_argument(plan: Plan, number: int, name: str, value: JsonValue, scope: Scope) -> Plan:
    """Set an argument of the step at a place; None removes it."""
    step, value = plan.steps[number], _writable(value)
    args = {**step.args, name: value} if value is not None else {n: v for n, v in step.args.items() if n != name}
    steps = [*plan.steps[:number], step.model_copy(update={"args": args}), *plan.steps[number + 1 :]]
    return _finished(plan, steps, plan.outputs, scope)


def set_outputs(plan: Plan, names: Sequence[str], scope: Scope) -> Plan:
    """Set the values that are the plan's results; none lets wiring choose them."""
    outputs = tuple(f"${name}" for name in names) or _chosen(plan, scope)
    return plan.model_copy(update={"outputs": outputs})


def _finished(before: Plan, steps: Sequence[Step], outputs: Sequence[str], scope: Scope) -> Plan:
    """Return a plan with these steps, numbered, and with the outputs that follow from those before."""
    plan = _numbered(before, steps, outputs, scope)
    if not plan.outputs or set(before.outputs) == set(_chosen(before, scope)):
        return plan.model_copy(update={"outputs": _chosen(plan, scope)})
    return plan


def _chosen(plan: Plan, scope: Scope) -> tuple[str, ...]:
    """Return the outputs that wiring chooses."""
    return wire(plan.model_copy(update={"outputs": ()}), scope.tools, scope.types)[0].outputs


def _numbered(before: Plan, steps: Sequence[Step], outputs: Sequence[str], scope: Scope) -> Plan:
    first = first_free({*scope.types, *scope.used_names})
    ids = [f"s{number}" for number in range(first, first + len(steps))]
    old = {step.id for step in before.steps}

    def meant(name: str, number: int) -> str:
        """Return the name of the value that a reference in the step at a place means from now on."""
        above = next((ids[n] for n in reversed(range(number)) if steps[n].id == name), None)
        if above is not None or name in scope.types:
            return above or name
        below = next((ids[n] for n in range(number, len(steps)) if steps[n].id == name), None)
        return below or (scope.lost if name in old or name in ids else name)

    def renamed(text: str, number: int) -> str:
        name = reference(text)
        return text if name is None else f"${meant(name, number)}"

    numbered = tuple(
        Step(
            id=ids[number],
            tool=step.tool,
            args={
                name: map_texts(value, lambda text, number=number: renamed(text, number))  # type: ignore[misc]
                for name, value in step.args.items()
            },
        )
        for number, step in enumerate(steps)
    )
    # What a deleted step gave is no result; other outputs that mean nothing stay, to be reported.
    kept = [output for output in outputs if reference(output) not in old - {step.id for step in steps}]
    return Plan(
        request=before.request,
        steps=numbered,
        outputs=tuple(dict.fromkeys(renamed(output, len(steps)) for output in kept)),
    )


def _writable(value: JsonValue) -> JsonValue:
    """Return a value that a plan can hold: JSON has no infinity, and threads hold whole numbers of 64 bits."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and abs(value) >= 2**63:
        return float(value) if abs(value) < 2**1000 else None
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, dict):
        return {_text(name): _writable(item) for name, item in value.items()}
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """Return a text in which halves of characters that stand alone are replaced."""
    return text.encode("utf-8", "replace").decode()
