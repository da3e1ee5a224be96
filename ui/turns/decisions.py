"""Decisions of a person on a plan that waits."""

from agents.plan.plan import Plan
from agents.session.session import SessionError
from agents.session.state import Decision
from ui.turns.view import TurnView


def checked(decision: Decision, turn: TurnView) -> tuple[Decision, tuple[str, ...]]:
    """Return a decision that fits the plan that waits, and the tools of the plan that it lets run.

    Args:
        decision: Of a person.
        turn: Whose plan waits.

    Raises:
        SessionError: when it does not fit.
        PlanInvalid: when the edited plan is no plan.
    """
    match decision.get("action"):
        case "edit":
            plan = Plan.load(decision.get("plan") or {})
            return {"action": "edit", "plan": plan.to_json()}, plan.tools
        case "accept":
            if turn.problems or turn.plan is None:
                raise SessionError("this plan has problems, it cannot be accepted", "Edit, change or reject it")
            return {"action": "accept"}, Plan.load(turn.plan).tools
        case "change":
            remark = decision.get("remark", "").strip()
            if not remark:
                raise SessionError("the remark is empty", "Say what should be different")
            return {"action": "change", "remark": remark}, ()
        case "reject":
            return {"action": "reject", "reason": decision.get("reason", "").strip()}, ()
        case other:
            raise SessionError(f"{other!r} is no decision", "Say accept, edit, change or reject")
