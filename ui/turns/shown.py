"""What the events of a session change in the view of its turn."""

from collections.abc import Mapping, Sequence

from agents.plan.preflight import MissingJson
from agents.session.events import Event
from ui.turns.view import MissingWeights, StepView, TurnView
from ui.turns.words import MENDING


def take(turn: TurnView, event: Event) -> None:
    """Change the view of a turn by an event; the end of a turn is not handled here."""
    if event["event"] in ("plan", "approval"):
        turn.plan, turn.hash, turn.warnings = event["plan"], event["hash"], event["warnings"]
        turn.confidence = event["confidence"]
        turn.problems = event["problems"] if event["event"] == "approval" else []
        turn.missing = missing_views(event["missing"])
        turn.steps = {step["id"]: turn.steps.get(step["id"], StepView()) for step in event["plan"]["steps"]}
        if not turn.plan["steps"]:
            turn.plan = None
    elif event["event"] == "problems":
        turn.plan, turn.problems, turn.warnings = event["plan"], event["problems"], []
        turn.confidence = None
        turn.status, turn.colour = MENDING
    elif event["event"] == "step":
        step = turn.steps.setdefault(event["step"], StepView())
        step.state, step.seconds = event["state"], event["seconds"]
        step.refs, step.error = event.get("refs"), event.get("error")
    elif event["event"] == "progress":
        step = turn.steps.setdefault(event["step"], StepView())
        step.done, step.total = event["done"], event["total"]


def missing_views(lacks: Sequence[MissingJson]) -> list[MissingWeights]:
    """Return what steps lack, for the page."""
    return [
        MissingWeights(one["step"], one["weights"], one["licence"], one["size"], one["command"], one["what"])
        for one in lacks
    ]


def forget_unfinished(steps: Mapping[str, StepView]) -> None:
    """Let the steps that were running wait again, as the turn was stopped."""
    for step in steps.values():
        if step.state == "started":
            step.state, step.seconds, step.done, step.total = "waiting", 0.0, 0, 0
