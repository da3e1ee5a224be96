"""What both servers for programs answer: a checked plan, and a run with how far it came."""

from typing import NotRequired

from typing_extensions import TypedDict

from agents.plan.plan import PlanJson
from agents.planners.base import ConfidenceJson, DemonstrationJson
from agents.session.events import Stands


class Planned(TypedDict):
    """A checked plan.

    Attributes:
        plan: None if the planner gave none.
        hash: `Plan.hash`; "" without a plan.
        tree: `Plan.tree`; "" without a plan.
        problems: why it cannot run, one sentence each.
        warnings: what a person should know before it runs.
        missing: weights that it takes and this computer lacks, with the commands that fetch them.
        confidence: how sure the planner is of it; None for plans of others.
        doubt: why it waits for a person, whatever else is allowed; "" where it does not.
        demonstrations: examples that the planner saw.
        works: whether there is something to run, and it can run.
        needs_approval: whether it runs only after a person approved it.
    """

    plan: PlanJson | None
    hash: str
    tree: str
    problems: list[str]
    warnings: list[str]
    missing: list[str]
    confidence: ConfidenceJson | None
    doubt: str
    demonstrations: list[DemonstrationJson]
    works: bool
    needs_approval: bool


class StepOutcome(TypedDict):
    """How a step ended; `error` is message and hint."""

    id: str
    tool: str
    state: str
    seconds: float
    error: NotRequired[str]


class Outcome(Planned):
    """A run: its plan, and how far it came.

    Attributes:
        thread: its name.
        request: in words.
        stands: "working", "approval" (waits for a person) or "done".
        result: how it ended: "done", "nothing", "partly", "failed", "refused"; "" before that.
        answer: what was done, in words; "" before the end.
        steps: of the plan.
        files: paths of the files that were written, the record last.
    """

    thread: str
    request: str
    stands: Stands
    result: str
    answer: str
    steps: list[StepOutcome]
    files: list[str]
