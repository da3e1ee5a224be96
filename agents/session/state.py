"""State of a thread between the nodes of the machine: plain JSON with references, never pixels or tensors."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from typing_extensions import TypedDict

from agents.plan.plan import Plan, PlanJson
from agents.plan.problems import Problem, ProblemJson
from agents.plan.types import ValueType, ValueTypeJson, step_number
from agents.planners.base import Confidence, ConfidenceJson, Demonstration, DemonstrationJson
from tools.core import faults
from tools.core.errors import SuperlinkError, ToolError, ValueInvalid
from tools.storage.store import Refs, as_list

V = TypeVar("V")

TurnResult = Literal["done", "nothing", "partly", "failed", "refused"]
"""How a turn ended: as asked; nothing was found or changed; some steps failed; all failed; nothing was run."""


class Given(TypedDict):
    """A value that a person gave: its reference (or a list of them) and its type."""

    refs: Refs
    known: ValueTypeJson


class Fault(TypedDict):
    """Why a step has no result; with the traceback, where the tool raised an unexpected exception."""

    message: str
    hint: str
    traceback: NotRequired[str]


class StepOutcome(TypedDict):
    """How a step ended; with references to its result and their type, or with the error."""

    state: Literal["finished", "failed", "skipped"]
    tool: str
    seconds: float
    refs: NotRequired[Refs]
    known: NotRequired[ValueTypeJson]
    error: NotRequired[Fault]


class Decision(TypedDict):
    """A person's decision on a plan.

    "edit" comes with the edited plan, "change" with a remark from which the planner plans again, and "reject" may come
    with a reason.
    """

    action: Literal["accept", "edit", "change", "reject"]
    plan: NotRequired[PlanJson]
    reason: NotRequired[str]
    remark: NotRequired[str]


def fault_of(error: Exception) -> Fault:
    """An error as plain JSON."""
    if isinstance(error, SuperlinkError):
        fault: Fault = {"message": error.message, "hint": error.hint}
        traceback = error.traceback if isinstance(error, ToolError) else ""
    else:  # of superlink itself, or of the disk
        read = faults.Fault.of(error, "")
        fault, traceback = {"message": read.what, "hint": ""}, read.traceback
    if traceback:
        fault["traceback"] = traceback
    return fault


def merge(old: Mapping[str, V] | None, new: Mapping[str, V | None]) -> dict[str, V]:
    """Both mappings as one, the new entries last; a name whose new value is None is dropped."""
    unchanged = {name: value for name, value in (old or {}).items() if name not in new}
    return unchanged | {name: value for name, value in new.items() if value is not None}


class Request(TypedDict, total=False):
    """Input of a turn.

    Attributes:
        request: in words.
        media: values that come with the request, by name.
        proposal: a plan to run instead of asking the planner; None asks it.
    """

    request: str
    media: dict[str, Refs]
    proposal: PlanJson | None


class State(Request, total=False):
    """State of one thread.

    Attributes:
        turn: number of the turn, from 1.
        given: values that a person gave, of all turns.
        outcomes: step id to how it ended, of all turns.
        plan: of this turn; None while there is none.
        attempts: `Attempt.asked` of this turn; 0 for a plan that a person brought along.
        problems: of the plan.
        warnings: of a plan without problems.
        faulty: `Attempt.faulty` of this turn.
        confidence: of the planner in the plan; None where it has none, and for plans of people.
        kept: `Attempt.kept` of this turn.
        kept_confidence: `Attempt.kept_confidence` of this turn.
        demonstrations: examples that the planner saw for this turn; None before it was asked.
        chooser: name of what chose them; "" before that, and where examples are off.
        decision: of a person, the last one; None before it, or when none was needed.
        decisions: of a person on the plans of this turn, in order.
        changing: the plan that waited when a person asked for a change, while the planner plans again; else None.
        answer: what was done, in words.
        result: how the turn ended; "" before its end.
        began: ISO time of the request.
        ended: ISO time of the answer.
    """

    turn: int
    given: Annotated[dict[str, Given], merge]
    outcomes: Annotated[dict[str, StepOutcome], merge]
    plan: PlanJson | None
    attempts: int
    problems: list[ProblemJson]
    warnings: list[ProblemJson]
    faulty: str
    confidence: ConfidenceJson | None
    kept: PlanJson | None
    kept_confidence: ConfidenceJson | None
    demonstrations: list[DemonstrationJson] | None
    chooser: str
    decision: Decision | None
    decisions: list[Decision]
    changing: PlanJson | None
    answer: str
    result: TurnResult | Literal[""]
    began: str
    ended: str


class StepCall(TypedDict):
    """Input of the node `work`: a step that can run, its arguments, and the type of its result."""

    step: str
    tool: str
    args: dict[str, Any]
    known: ValueTypeJson


class PlanCache:
    """Reads plans from JSON, and parses the same object once.

    The machine hands the object that one node returned to the next. So a plan is parsed again only after it was read
    from the memory.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._last: tuple[PlanJson, Plan] | None = None

    def plan_of(self, state: State) -> Plan | None:
        """The plan of this turn."""
        data = state.get("plan")
        return None if data is None else self.parse(data)

    def parse(self, data: PlanJson) -> Plan:
        """A plan from JSON.

        Raises:
            PlanInvalid: it is no plan.
        """
        last = self._last  # steps run in several threads
        if last is None or last[0] is not data:
            self._last = last = data, Plan.load(data)
        return last[1]

    def to_json(self, plan: Plan) -> PlanJson:
        """The plan as JSON, which `parse` knows from then on."""
        self._last = plan.to_json(), plan
        return plan.to_json()


def problems_of(state: State) -> list[Problem]:
    """The problems of the plan of this turn."""
    return [Problem(**problem) for problem in state.get("problems", [])]


def warnings_of(state: State) -> list[Problem]:
    """The warnings about the plan of this turn."""
    return [Problem(**warning) for warning in state.get("warnings", [])]


def confidence_of(
    state: Mapping[str, Any], name: Literal["confidence", "kept_confidence"] = "confidence"
) -> Confidence | None:
    """How sure the planner is of a plan of a turn, from its state, its record or an event."""
    data = state.get(name)
    return None if data is None else Confidence.of_json(data)


def demonstrations_of(state: State) -> list[Demonstration]:
    """The examples that the planner sees in this turn."""
    return [Demonstration.of_json(shown) for shown in state.get("demonstrations") or ()]


def remarks_of(state: State) -> list[str]:
    """What a person asked to change in the plans of this turn, in order."""
    return [decision.get("remark", "") for decision in state.get("decisions", []) if decision["action"] == "change"]


def given_names(state: State) -> list[str]:
    """Names of the values that a person gave in this turn."""
    return [name for name, given in state.get("given", {}).items() if given["known"]["turn"] == state["turn"]]


def types_of(state: State) -> dict[str, ValueType]:
    """Types of the values at hand, by name, ordered from old to new."""
    found = {name: ValueType(**given["known"]) for name, given in state.get("given", {}).items()}
    outcomes = state.get("outcomes", {})
    found |= {step: ValueType(**outcome["known"]) for step, outcome in outcomes.items() if "known" in outcome}
    # Steps end in any order; the plan's order decides which result is newer.
    return dict(sorted(found.items(), key=lambda item: (item[1].turn, item[1].made, step_number(item[0]))))


def refs_of(state: State) -> dict[str, Refs]:
    """References of the values at hand, by name."""
    found = {name: given["refs"] for name, given in state.get("given", {}).items()}
    return found | {step: o["refs"] for step, o in state.get("outcomes", {}).items() if "refs" in o}


def used_names(state: State) -> set[str]:
    """Names that no further step may have: those of all values given, and ids of all steps that ended."""
    return {*state.get("given", {}), *state.get("outcomes", {})}


def name_media(media: Mapping[str, Refs], given: Mapping[str, Given], turn: int) -> dict[str, Given]:
    """The values that come with a request, under names that are free: a second "image" becomes "image_2".

    Args:
        media: name to reference, or to a list of references of one kind.
        given: the values of earlier turns; the same value under the same name keeps it.
        turn: number of the turn.

    Raises:
        ValueInvalid: a name is no identifier or looks like a step's, or a list is empty or of several kinds.
    """
    found: dict[str, Given] = {}
    for wish, refs in media.items():
        if not wish.isidentifier() or step_number(wish):
            raise ValueInvalid(f"a value cannot be called {wish!r}", 'Use letters, such as "image"; "s1" is a step')
        kinds = {ref["kind"] for ref in as_list(refs)}
        if len(kinds) != 1:
            raise ValueInvalid(f"the list {wish} holds {', '.join(sorted(kinds)) or 'nothing'}", "Give one kind")
        name, number = wish, 1
        while name in found or (name in given and given[name]["refs"] != refs):
            number += 1
            name = f"{wish}_{number}"
        many = isinstance(refs, list)
        what = ValueType(kinds.pop(), many, source=name if many else "", frame=name, turn=turn)
        found[name] = {"refs": refs, "known": what.to_json()}
    return found


def now() -> str:
    """The time as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
