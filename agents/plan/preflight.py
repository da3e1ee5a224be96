"""Weights that the steps of a plan take and this computer lacks, known before anything runs."""

from collections.abc import Mapping

from typing_extensions import TypedDict

from agents.plan.interpreter import labels_sought
from agents.plan.plan import Plan, Step, reference
from agents.plan.types import AnyTool
from tools.core.errors import WeightsMissing
from tools.weights.needs import Missing, missing
from tools.weights.requirements import in_words


class MissingJson(TypedDict):
    """Weights that a step lacks; see `tools.weights.needs.Missing` for the other fields."""

    step: str
    weights: str
    what: str
    licence: str
    size: int
    command: str


def missing_weights(plan: Plan, tools: Mapping[str, AnyTool]) -> list[MissingJson]:
    """Return the weights that each step takes and this computer lacks, in the plan's order.

    Labels that the chosen engines do not know count as missing weights: those that would know them.

    Args:
        plan: The plan; steps without a tool, or whose arguments are faulty, are left out.
        tools: Tools by name.
    """
    found: list[MissingJson] = []
    steps = {step.id: step for step in plan.steps}
    for step in plan.steps:
        tool = tools.get(step.tool)
        for lack in () if tool is None else missing_of(tool, _with_labels(step, steps, tool)):
            found.append(
                {
                    "step": step.id,
                    "weights": lack.weights,
                    "what": lack.what,
                    "licence": lack.licence,
                    "size": lack.size,
                    "command": lack.command,
                }
            )
    return found


def _with_labels(step: Step, steps: Mapping[str, Step], tool: AnyTool) -> dict[str, object]:
    """The arguments of a step; for detections the labels that they were looked for by, where the plan says them."""
    args: dict[str, object] = dict(step.args)
    for name, value in step.args.items():
        source = steps.get(reference(value) or "")
        if source is not None and tool.accepts(name, "Detections"):
            args[name] = labels_sought(source, steps) or value
    return args


def missing_of(tool: AnyTool, args: Mapping[str, object]) -> list[Missing]:
    """Return the weights that one call takes and this computer lacks.

    Args:
        tool: The tool.
        args: Arguments of the call, as `tools.weights.needs.Needs` takes them.
    """
    return [] if tool.needs is None else missing(tool.needs(args))


def in_sentence(lack: MissingJson) -> str:
    """Return what a step lacks as one line."""
    facts = ", ".join(part for part in (in_words(lack["size"]) if lack["size"] else "", lack["licence"]) if part)
    for_what = f" for {lack['what']!r}" if lack["what"] else ""
    about = f" ({facts})" if facts else ""
    return f"{lack['step']} needs {lack['weights']}{about}{for_what}, which is not ready on this computer"


def with_remedy(lack: MissingJson) -> str:
    """Return what a step lacks, and the command that gets it, as one line."""
    return f"{in_sentence(lack)}. Get it: {lack['command']}"


def error_of(lacks: list[MissingJson]) -> WeightsMissing:
    """Return the error that steps lack weights; its hint says how to get them."""
    commands = dict.fromkeys(lack["command"] for lack in lacks)
    return WeightsMissing("; ".join(map(in_sentence, lacks)), "Get them: " + "; ".join(commands))
