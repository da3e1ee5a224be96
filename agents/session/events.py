"""What a session reports while it works, and the record of a turn: plain JSON, typed.

The key "event" is the discriminator from which a type checker derives the other keys.
"""

from copy import deepcopy
from typing import Literal, NotRequired, TypedDict

from agents.plan.plan import Plan, PlanJson
from agents.plan.preflight import MissingJson
from agents.plan.problems import ProblemJson
from agents.planners.base import ConfidenceJson, DemonstrationJson
from agents.session.state import Decision, Fault, StepOutcome, TurnResult
from tools.storage.store import Refs


class PlanEvent(TypedDict):
    """A plan passed every check. ``tree`` is `Plan.tree`, ``hash`` is `Plan.hash`.

    ``missing`` are weights that it takes and this computer lacks; ``confidence`` is None for plans of people.
    """

    event: Literal["plan"]
    plan: PlanJson
    tree: str
    hash: str
    warnings: list[ProblemJson]
    missing: list[MissingJson]
    confidence: ConfidenceJson | None


class ProblemsEvent(TypedDict):
    """A plan was refused; ``plan`` is None if the planner gave none."""

    event: Literal["problems"]
    plan: PlanJson | None
    problems: list[ProblemJson]


class ApprovalEvent(TypedDict):
    """A plan waits for `Session.resume`."""

    event: Literal["approval"]
    plan: PlanJson
    tree: str
    hash: str
    problems: list[ProblemJson]
    warnings: list[ProblemJson]
    missing: list[MissingJson]
    confidence: ConfidenceJson | None


class StepEvent(TypedDict):
    """A step started or ended; ``seconds`` is how long it ran, ``refs`` its result."""

    event: Literal["step"]
    step: str
    tool: str
    state: Literal["started", "finished", "failed", "skipped"]
    seconds: float
    refs: NotRequired[Refs]
    error: NotRequired[Fault]


class ProgressEvent(TypedDict):
    """A running step has done so many of its frames, pictures or chunks."""

    event: Literal["progress"]
    step: str
    done: int
    total: int


class StepRecord(TypedDict):
    """How a step of the plan ended; "waiting" where it did not run. ``refs`` hold provenance."""

    id: str
    tool: str
    state: Literal["waiting", "finished", "failed", "skipped"]
    seconds: float
    refs: NotRequired[Refs]
    error: NotRequired[Fault]


class Record(TypedDict):
    """The record of a turn.

    Attributes:
        thread: name of the thread.
        turn: number of the turn, from 1; 0 before the first.
        request: in words; "" before the first turn.
        plan: None if there is no plan.
        hash: `Plan.hash`; "" where there is no plan.
        problems: of the plan.
        warnings: of the plan.
        confidence: of the planner in the plan; None where it has none, and for plans of people.
        demonstrations: examples that the planner saw.
        chooser: name of what chose them; "" where no planner was asked or examples are off.
        decision: of a person, the last one, if there was one; with `Policy.yes`, "accept" for a plan that would wait.
        decisions: all decisions of a person on the plans of the turn, in order.
        superseded: whether a new request took the place of the plan while it waited for a person.
        began: ISO time of the request.
        ended: ISO time of the answer; "" before it.
        answer: what was done, in words; "" before it.
        result: how the turn ended; "" before that.
        given: references of the values that a person gave in any turn, by name.
        steps: of the plan, in its order.
        outputs: references of the plan's outputs, by name.
    """

    thread: str
    turn: int
    request: str
    plan: PlanJson | None
    hash: str
    problems: list[ProblemJson]
    warnings: list[ProblemJson]
    confidence: ConfidenceJson | None
    demonstrations: list[DemonstrationJson]
    chooser: str
    decision: Decision | None
    decisions: list[Decision]
    superseded: bool
    began: str
    ended: str
    answer: str
    result: TurnResult | Literal[""]
    given: dict[str, Refs]
    steps: list[StepRecord]
    outputs: dict[str, Refs]


Stands = Literal["new", "working", "approval", "done"]
"""Where a thread stands: no request yet; cut short, so `Session.continue_` goes on; waits for a person; ended."""


class ThreadState(Record):
    """The record of the last turn, where the thread stands, and references of all values at hand, by name."""

    stands: Stands
    values: dict[str, Refs]


class SupersededEvent(TypedDict):
    """A new request took the place of a plan that waited; ``record`` is that of the turn that ended by it."""

    event: Literal["superseded"]
    record: Record


class DoneEvent(TypedDict):
    """The end of a turn."""

    event: Literal["done"]
    answer: str
    result: TurnResult | Literal[""]
    outputs: dict[str, Refs]
    record: Record


Event = PlanEvent | ProblemsEvent | ApprovalEvent | StepEvent | ProgressEvent | SupersededEvent | DoneEvent


def plan_event(
    plan: Plan, warnings: list[ProblemJson], missing: list[MissingJson], confidence: ConfidenceJson | None
) -> PlanEvent:
    """The event of a plan that passed every check."""
    data = deepcopy(plan.to_json())  # receivers of the event may edit it
    return {
        "event": "plan",
        "plan": data,
        "tree": plan.tree(),
        "hash": plan.hash,
        "warnings": warnings,
        "missing": missing,
        "confidence": confidence,
    }


def approval_event(
    plan: Plan,
    problems: list[ProblemJson],
    warnings: list[ProblemJson],
    missing: list[MissingJson],
    confidence: ConfidenceJson | None,
) -> ApprovalEvent:
    """The event of a plan that waits for a person."""
    return {**plan_event(plan, warnings, missing, confidence), "event": "approval", "problems": problems}


def step_event(step: str, outcome: StepOutcome) -> StepEvent:
    """The event of a step that ended."""
    event: StepEvent = {
        "event": "step",
        "step": step,
        "tool": outcome["tool"],
        "state": outcome["state"],
        "seconds": outcome["seconds"],
    }
    if "refs" in outcome:
        event["refs"] = outcome["refs"]
    if "error" in outcome:
        event["error"] = outcome["error"]
    return event


def step_record(step: str, tool: str, outcome: StepOutcome | None) -> StepRecord:
    """The record of a step; without an outcome it waits."""
    if outcome is None:
        return {"state": "waiting", "seconds": 0.0, "id": step, "tool": tool}
    record: StepRecord = {"state": outcome["state"], "seconds": outcome["seconds"], "id": step, "tool": tool}
    if "refs" in outcome:
        record["refs"] = outcome["refs"]
    if "error" in outcome:
        record["error"] = outcome["error"]
    return record
