"""Least scores of labels, written into a plan as a step of the tool `keep`.

What the plan finds is filtered before any other step uses it: edited pictures, counts, review and exports agree.
"""

from collections.abc import Mapping

from pydantic import JsonValue

from agents.plan.interpreter import uses
from agents.plan.plan import Plan, Step, escape, map_texts, unescape
from agents.plan.types import AnyTool
from tools.core.errors import SettingsInvalid

TOOL = "keep"


def with_scores(plan: Plan, tools: Mapping[str, AnyTool], scores: Mapping[str, float]) -> Plan:
    """The plan with a step `keep` after each step whose finds are its last, and with all later steps using that one.

    Args:
        plan: that was checked.
        tools: name to tool.
        scores: label to least score. Steps of `keep` that only filter the finds of one step are replaced.

    Raises:
        SettingsInvalid: no step finds anything.
    """
    if not scores:
        return plan
    plan = without_scores(plan)
    finding = [step for step in plan.steps if tools[step.tool].returns.kind == "Detections"]
    built_on = {name for step in finding for name in uses(step)}
    chosen = [step.id for step in finding if step.id not in built_on]
    if not chosen:
        raise SettingsInvalid("the plan finds nothing that could have a least score", "Leave the scores out")
    labels = sorted(scores)
    steps: list[Step] = []
    names = {step.id for step in plan.steps}
    renamed: dict[str, str] = {}
    for step in plan.steps:
        steps.append(_with_names(step, renamed))
        if step.id in chosen:
            kept = _free(names)
            args: dict[str, JsonValue] = {
                "regions": f"${step.id}",
                "labels": [escape(label) for label in labels],
                "min_scores": [scores[label] for label in labels],
            }
            steps.append(Step(id=kept, tool=TOOL, args=args))
            renamed[f"${step.id}"] = f"${kept}"
    outputs = tuple(renamed.get(output, output) for output in plan.outputs)
    return plan.model_copy(update={"steps": tuple(steps), "outputs": outputs})


def without_scores(plan: Plan) -> Plan:
    """The plan without its steps of `keep`."""
    renamed: dict[str, str] = {}
    for step in plan.steps:
        source = step.args.get("regions") if step.tool == TOOL else None
        if isinstance(source, str):
            renamed[f"${step.id}"] = renamed.get(source, source)
    if not renamed:
        return plan
    steps = tuple(_with_names(step, renamed) for step in plan.steps if f"${step.id}" not in renamed)
    return plan.model_copy(
        update={"steps": steps, "outputs": tuple(dict.fromkeys(renamed.get(one, one) for one in plan.outputs))}
    )


def scores_of(plan: Plan) -> dict[str, float]:
    """Label to least score, of the steps of `keep` in a plan."""
    found: dict[str, float] = {}
    for step in plan.steps:
        labels, scores = step.args.get("labels"), step.args.get("min_scores")
        if step.tool == TOOL and isinstance(labels, list) and isinstance(scores, list):
            found |= {
                str(unescape(label)): float(score)
                for label, score in zip(labels, scores, strict=False)
                if isinstance(score, int | float)
            }
    return found


def _with_names(step: Step, renamed: Mapping[str, str]) -> Step:
    """The step with its references renamed."""
    args = {name: map_texts(value, lambda text: renamed.get(text, text)) for name, value in step.args.items()}
    return step.model_copy(update={"args": args})


def _free(names: set[str]) -> str:
    number = next(n for n in range(1, 10_000) if f"s{n}" not in names)
    names.add(f"s{number}")
    return f"s{number}"
