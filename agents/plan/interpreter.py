"""The meaning of a plan: which steps can run, which are skipped and why, values of arguments, and types of results.

Pure functions over plans and names. `agents.session.nodes` (one request) and `flows.batch.shard` (many files) both run
plans by them; how a tool is called with the arguments is `tools.runtime.execute`.
"""

from collections.abc import Collection, Mapping

from pydantic import JsonValue

from agents.plan.plan import Plan, Step, reference, references, unescape
from agents.plan.types import ValueType, argument_type
from common.card import Card
from common.kinds import LOCATION_KINDS, MEDIA_KINDS, PICTURE_KINDS


def uses(step: Step) -> set[str]:
    """Names of the values that a step refers to."""
    return {name for value in step.args.values() for name in references(value)}


def plan_inputs(plan: Plan) -> set[str]:
    """Names of the values that a plan takes: those that its steps or outputs refer to, and that no step makes."""
    used = {name for step in plan.steps for name in uses(step)}
    shown = {name for name in map(reference, plan.outputs) if name is not None}
    return (used | shown) - {step.id for step in plan.steps}


def labels_sought(step: Step | None, steps: Mapping[str, Step]) -> list[str]:
    """The labels that a step, or the nearest one before it, looks for; none where neither names any.

    Args:
        step: of a plan; None has none.
        steps: of the plan, by id.
    """
    if step is None:
        return []
    labels = step.args.get("labels")
    if isinstance(labels, list) and labels:
        return [str(label) for label in labels]
    return next(filter(None, (labels_sought(steps.get(name), steps) for name in sorted(uses(step)))), [])


def can_run(step: Step, available: Collection[str]) -> bool:
    """Whether every value that a step refers to is available."""
    return all(name in available for name in uses(step))


def ready_steps(plan: Plan, ended: Collection[str], available: Collection[str]) -> list[Step]:
    """Steps that can run now, side by side, in the plan's order.

    Args:
        plan: one that passed every check.
        ended: ids of the steps that have ended, however they ended.
        available: names of the values at hand.
    """
    return [step for step in plan.steps if step.id not in ended and can_run(step, available)]


def skipped_steps(plan: Plan, ended: Collection[str], without_result: Collection[str]) -> dict[str, str]:
    """Steps that will never run, as a step that they need has no result, in the plan's order.

    Args:
        plan: one that passed every check.
        ended: ids of the steps that have ended, however they ended.
        without_result: those of them that failed or were skipped.

    Returns:
        Step id to the reason, such as "it needs s2, which has no result".
    """
    lost = set(without_result)
    reasons: dict[str, str] = {}
    for step in plan.steps:
        missing = sorted(uses(step) & lost)
        if missing and step.id not in ended:
            have = "has" if len(missing) == 1 else "have"
            reasons[step.id] = f"it needs {' and '.join(missing)}, which {have} no result"
            lost.add(step.id)
    return reasons


def resolve(value: JsonValue, values: Mapping[str, object]) -> object:
    """An argument of a plan as a tool takes it: references looked up, the escape of texts removed.

    Args:
        value: of the plan.
        values: the values at hand, by name.

    Returns:
        The value that it refers to, a list of such values, or plain JSON.

    Raises:
        KeyError: it refers to a value that is not at hand.
    """
    name = reference(value)
    if name is not None:
        return values[name]
    if isinstance(value, list) and any(references(value)):
        return [values[name] for name in references(value)]
    return unescape(value)


def resolve_arguments(step: Step, values: Mapping[str, object]) -> dict[str, object]:
    """All arguments of a step; see `resolve`."""
    return {name: resolve(value, values) for name, value in step.args.items()}


def mapped_inputs(args: Mapping[str, object], card: Card, types: Mapping[str, ValueType]) -> dict[str, ValueType]:
    """Inputs for single values to which a list is given: the step runs once for each item of it.

    Args:
        args: of the step.
        card: of its tool.
        types: of the values at hand, by name.

    Returns:
        Name of the input to the type of the list; several go together item by item.
    """
    given = {name: argument_type(args.get(name), types) for name, take in card["inputs"].items() if not take["many"]}
    return {name: what for name, what in given.items() if what is not None and what.many}


def result_type(
    step_id: str, args: Mapping[str, object], card: Card, types: Mapping[str, ValueType], turn: int
) -> ValueType:
    """The static type of a step's result.

    The result of a mapped step is a list with the source of the list that it is mapped over; lists that its runs return
    are joined to one. A result may have the kind of an input (``follows``). A picture made from a picture keeps its
    frame, and detections and poses have the frame of what they were found in. Pictures that come as a list were cut
    out, and each is a frame of its own.

    Args:
        step_id: id of the step.
        args: its arguments.
        card: of its tool.
        types: of the values at hand, by name.
        turn: number of the turn.
    """
    given = {name: what for name in card["inputs"] if (what := argument_type(args.get(name), types)) is not None}
    mapped = list(mapped_inputs(args, card, types).values())
    kind, as_list = card["returns"]["kind"], card["returns"]["many"]
    follows = card["returns"].get("follows", "")
    if follows in given and given[follows].kind in card["inputs"][follows]["kinds"]:
        kind = given[follows].kind
    source = step_id if as_list else mapped[0].source if mapped else ""
    frame = step_id
    if kind in MEDIA_KINDS and not as_list:
        frame = next((what.frame for what in given.values() if what.kind == kind), step_id)
    elif kind in LOCATION_KINDS:
        frame = next((what.frame for what in given.values() if what.kind in PICTURE_KINDS | LOCATION_KINDS), step_id)
    return ValueType(kind, as_list or bool(mapped), source, frame, turn, made=True)
