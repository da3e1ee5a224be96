"""What the machine remembers between its nodes: plain JSON with references, never pixels or tensors."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, TypedDict, TypeVar

from agents.plan.plan import Plan, reference, references, unescaped
from agents.plan.problems import Problem
from agents.plan.types import Known, step_number
from tools.core import faults
from tools.core.errors import SuperlinkError, ToolError
from tools.storage.store import Ref

Refs = Ref | list[Ref]
V = TypeVar("V")


def listed(refs: Refs) -> list[Ref]:
    """References as a list, whether they are one or not."""
    return refs if isinstance(refs, list) else [refs]


class Given(TypedDict):
    """A value that a person gave: its reference (or a list of them) and what is `Known` of it."""

    refs: Refs
    known: dict[str, Any]


class Fault(TypedDict):
    """Why a step has no result; with the traceback, where the tool's code raised something that it did not foresee."""

    message: str
    hint: str
    traceback: NotRequired[str]


class Outcome(TypedDict):
    """How a step ended."""

    state: Literal["finished", "failed", "skipped"]
    tool: str
    seconds: float
    refs: NotRequired[Refs]
    known: NotRequired[dict[str, Any]]
    error: NotRequired[Fault]


class Decision(TypedDict):
    """What a person says to a plan."""

    action: Literal["accept", "edit", "reject"]
    plan: NotRequired[dict[str, Any]]
    reason: NotRequired[str]


def fault_of(error: Exception) -> Fault:
    """An error as an outcome keeps it."""
    if isinstance(error, SuperlinkError):
        fault: Fault = {"message": error.message, "hint": error.hint}
        traceback = error.traceback if isinstance(error, ToolError) else ""
    else:  # of superlink itself, or of the disk
        read = faults.Fault.of(error, "")
        fault, traceback = {"message": read.what, "hint": ""}, read.traceback
    if traceback:
        fault["traceback"] = traceback
    return fault


def merged(old: Mapping[str, V] | None, new: Mapping[str, V | None]) -> dict[str, V]:
    """Both, the new ones last; a name whose new value is None is dropped."""
    kept = {name: value for name, value in (old or {}).items() if name not in new}
    return kept | {name: value for name, value in new.items() if value is not None}


class Request(TypedDict, total=False):
    """What begins a turn.

    Attributes:
        request: in words.
        media: values that the person gives with it, by name.
        proposal: a plan that the person brings along instead of asking the planner.
    """

    request: str
    media: dict[str, Refs]
    proposal: dict[str, Any] | None


class State(Request, total=False):
    """State of one thread.

    Attributes:
        turn: from 1.
        given: values that a person gave, of all turns.
        outcomes: step id to how it ended, of all turns.
        plan: of this turn; None while there is none.
        attempts: how often the planner was asked in this turn.
        problems: of the plan.
        warnings: likewise, of a plan without problems.
        faulty: hash of the last plan that did not pass.
        decision: of a person; None before it, or when none was needed.
        answer: what was done, in words.
        result: how the turn came out, as of `agents.session.answer.Result`; "" before its end.
        began: ISO time of the request.
        ended: ISO time of the answer.
    """

    turn: int
    given: Annotated[dict[str, Given], merged]
    outcomes: Annotated[dict[str, Outcome], merged]
    plan: dict[str, Any] | None
    attempts: int
    problems: list[dict[str, str]]
    warnings: list[dict[str, str]]
    faulty: str
    decision: Decision | None
    answer: str
    result: str
    began: str
    ended: str


class Job(TypedDict):
    """One step that is ready: what the node `work` gets."""

    step: str
    tool: str
    args: dict[str, Any]
    known: dict[str, Any]


def plan_of(state: State) -> Plan | None:
    """The plan of this turn."""
    plan = state.get("plan")
    return None if plan is None else Plan.model_validate(plan)


def problems_of(state: State) -> list[Problem]:
    """The problems of the plan of this turn."""
    return [Problem(**problem) for problem in state.get("problems", [])]


def given_in(state: State) -> list[str]:
    """Names of the values that a person gave in this turn."""
    return [name for name, given in state.get("given", {}).items() if given["known"]["turn"] == state["turn"]]


def known_of(state: State) -> dict[str, Known]:
    """What is known of every value at hand, ordered from old to new."""
    found = {name: Known(**given["known"]) for name, given in state.get("given", {}).items()}
    outcomes = state.get("outcomes", {})
    found |= {step: Known(**outcome["known"]) for step, outcome in outcomes.items() if "known" in outcome}
    # Steps end in any order; the plan's order says which result is newer.
    return dict(sorted(found.items(), key=lambda item: (item[1].turn, item[1].made, step_number(item[0]))))


def refs_of(state: State) -> dict[str, Refs]:
    """References of every value at hand."""
    found = {name: given["refs"] for name, given in state.get("given", {}).items()}
    return found | {step: o["refs"] for step, o in state.get("outcomes", {}).items() if "refs" in o}


def taken(state: State) -> set[str]:
    """Names that no further step may have: of every value given and of every step that ended, however it ended."""
    return {*state.get("given", {}), *state.get("outcomes", {})}


def resolved(value: Any, refs: Mapping[str, Refs]) -> Any:
    """An argument as a tool takes it: references looked up, texts without their escape."""
    name = reference(value)
    if name is not None:
        return refs[name]
    if isinstance(value, list) and any(references(value)):
        return [refs[name] for name in references(value)]
    return unescaped(value)
