"""The work of each node of the machine: begin, plan, check, approve, schedule, work, answer."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from langgraph.runtime import Runtime
from langgraph.types import Send, interrupt

from agents.plan.check import examined
from agents.plan.plan import Plan, PlanInvalid
from agents.plan.problems import Problem
from agents.plan.types import AnyTool, Known, cards_of, result, step_number
from agents.plan.warnings import warnings
from agents.plan.wiring import uses
from agents.planners.base import ATTEMPTS, Demonstration, Planner, first_free
from agents.session.answer import compose
from agents.session.policy import Policy
from agents.session.state import (
    Decision,
    Given,
    Job,
    Outcome,
    Refs,
    State,
    fault_of,
    given_in,
    known_of,
    listed,
    plan_of,
    problems_of,
    refs_of,
    resolved,
    taken,
)
from common.card import Card
from tools.core.abandon import Stopped, TimeUp, abandonable
from tools.core.errors import ToolError, ValueInvalid
from tools.core.settings import settings
from tools.runtime.execute import call
from tools.storage.store import Store


@dataclass(frozen=True)
class Nodes:
    """The nodes and the ways between them, over what they work with.

    Attributes:
        tools: what can be called.
        planner: who plans.
        store: where values are.
        policy: what runs without approval.
        demonstrations: shown to the planner.
        stop: once set, planning and running steps are left, and the nodes raise `Stopped`.
    """

    tools: Mapping[str, AnyTool]
    planner: Planner
    store: Store
    policy: Policy = Policy()
    demonstrations: Sequence[Demonstration] = ()
    stop: threading.Event = field(default_factory=threading.Event)
    cards: dict[str, Card] = field(init=False)

    def __post_init__(self) -> None:
        """Make the cards once."""
        object.__setattr__(self, "cards", cards_of(self.tools))

    def begin(self, state: State) -> State:
        """Take a request: what the person gives gets its name, and the last turn's plan is put away.

        Raises:
            ValueInvalid: something given cannot be named or is no list of one kind.
            PlanInvalid: the plan that was brought along is none.
        """
        turn = state.get("turn", 0) + 1
        proposal = state.get("proposal")
        plan = None if proposal is None else Plan.load(proposal).model_copy(update={"request": state["request"]})
        given = received(state.get("media") or {}, state.get("given", {}), turn)
        if plan is not None and not taken(state).isdisjoint(step.id for step in plan.steps):
            plan = numbered(plan, state)
        return {
            "turn": turn,
            "given": given,
            "media": {},
            "proposal": None,
            "plan": None if plan is None else plan.model_dump(mode="json"),
            "attempts": 0,
            "problems": [],
            "warnings": [],
            "faulty": "",
            "decision": None,
            "answer": "",
            "result": "",
            "began": now(),
            "ended": "",
        }

    def plan(self, state: State) -> State:
        """Ask the planner."""
        values = known_of(state)
        kinds = {name: str(what) for name, what in values.items()}
        attempts = state["attempts"] + 1
        asked = (state["request"], kinds, list(self.cards.values()), self.demonstrations, problems_of(state))
        try:
            made = abandonable(lambda: self.planner.plan(*asked), self.stop)
        except PlanInvalid as error:
            problem = Problem("", "", error.message, error.hint)
            return {"plan": None, "attempts": attempts, "problems": [problem.to_dict()]}
        if state["plan"] and not made.steps:
            # A planner that gives up says less than what was wrong with its plan ("attach a picture").
            return {"attempts": attempts}
        made = made.model_copy(update={"request": state["request"]})
        # An id that is a value already is for the check to report: what "$s1" meant cannot be known.
        if values.keys().isdisjoint(step.id for step in made.steps):
            made = numbered(made, state)
        return {"plan": made.model_dump(mode="json"), "attempts": attempts, "problems": []}

    def check(self, state: State) -> State:
        """Wire the plan and check it."""
        draft = plan_of(state)
        if draft is None:
            return {"problems": state["problems"]}
        plan, problems = examined(draft, self.tools, known_of(state), taken(state))
        warned = [] if problems else warnings(plan, self.tools, given_in(state))
        update: State = {
            "plan": plan.model_dump(mode="json"),
            "problems": [p.to_dict() for p in problems],
            "warnings": [w.to_dict() for w in warned],
        }
        if problems:
            # A planner that gives the same plan again will go on doing so.
            update["attempts"] = ATTEMPTS if state.get("faulty") == plan.hash else state["attempts"]
            update["faulty"] = plan.hash
        return update

    def after_check(self, state: State) -> str:
        """Back to the planner, to a person, to work, or to the answer."""
        plan, decision = plan_of(state), state.get("decision")
        by_person = state["attempts"] == 0 or decision is not None
        if state["problems"] or plan is None:
            if by_person:
                return "answer" if self.policy.yes else "approve"
            return "plan" if state["attempts"] < ATTEMPTS else "answer"
        if not plan.steps:
            return "answer"
        edited = decision is not None and decision["action"] == "edit"
        return "schedule" if edited or self.policy.allows(plan, self.tools, bool(state["warnings"])) else "approve"

    def approve(self, state: State) -> State:
        """Wait for a person. Everything before the interrupt is done again when the answer comes."""
        decision: Decision = interrupt(
            {"plan": state["plan"], "problems": state["problems"], "warnings": state["warnings"]}
        )
        if decision["action"] == "edit":
            plan = Plan.load(decision["plan"]).model_copy(update={"request": state["request"]})
            return {"decision": decision, "plan": plan.model_dump(mode="json"), "problems": []}
        return {"decision": decision}

    def after_approve(self, state: State) -> str:
        """To the check, to work, to the answer, or back when a plan with problems was accepted."""
        decision = state["decision"]
        assert decision is not None
        if decision["action"] == "accept":
            return "approve" if state["problems"] else "schedule"
        return "check" if decision["action"] == "edit" else "answer"

    def schedule(self, state: State) -> State:
        """Skip the steps that need the result of one that failed."""
        plan, outcomes = plan_of(state), dict(state.get("outcomes", {}))
        skipped: dict[str, Outcome] = {}
        for step in plan.steps if plan else ():
            lost = [name for name in sorted(uses(step)) if _state(outcomes, name) in ("failed", "skipped")]
            if step.id not in outcomes and lost:
                message = f"it needs {' and '.join(lost)}, which {'has' if len(lost) == 1 else 'have'} no result"
                fault: Outcome = {
                    "state": "skipped",
                    "tool": step.tool,
                    "seconds": 0.0,
                    "error": {"message": message, "hint": ""},
                }
                outcomes[step.id] = skipped[step.id] = fault
        return {"outcomes": skipped}

    def ready(self, state: State) -> list[Send] | str:
        """Every step whose inputs are there, side by side; the answer when none is left."""
        plan, outcomes, refs, values = plan_of(state), state["outcomes"], refs_of(state), known_of(state)
        jobs: list[Send] = []
        for step in plan.steps if plan else ():
            if step.id not in outcomes and uses(step) <= refs.keys():
                what = result(step.id, step.args, self.cards[step.tool], values, state["turn"])
                args = {name: resolved(value, refs) for name, value in step.args.items()}
                job: Job = {"step": step.id, "tool": step.tool, "args": args, "known": asdict(what)}
                jobs.append(Send("work", job))
        return jobs or "answer"

    def work(self, state: Job, *, runtime: Runtime[None]) -> State:
        """Run one step; a failure is its outcome, and no reason to stop the others."""
        job = state
        place = {"step": job["step"], "tool": job["tool"]}
        runtime.stream_writer({**place, "state": "started", "seconds": 0.0})
        began = time.perf_counter()
        outcome: Outcome = {"state": "finished", "tool": job["tool"], "seconds": 0.0}
        try:
            outcome["refs"] = self._called(job)
            outcome["known"] = job["known"]
        except Stopped:  # not an outcome: the step runs when the thread is continued
            raise
        except Exception as error:
            outcome["state"] = "failed"
            outcome["error"] = fault_of(error)
        outcome["seconds"] = round(time.perf_counter() - began, 4)
        runtime.stream_writer(
            {**place, **{key: outcome[key] for key in ("state", "seconds", "error") if key in outcome}}
        )
        return {"outcomes": {job["step"]: outcome}}

    def _called(self, job: Job) -> Refs:
        tool, limit = self.tools[job["tool"]], settings().step_timeout
        try:
            return abandonable(lambda: call(tool, job["args"], self.store, job["step"]), self.stop, limit)
        except TimeUp as error:
            raise ToolError(
                f"{tool.name} (step {job['step']}): {error.message}, which is the limit for a step",
                "Give a smaller file, or more time: step_timeout in settings.toml, or SUPERLINK_STEP_TIMEOUT, in seconds",
                tool=tool.name,
                step=job["step"],
            ) from error

    def answer(self, state: State) -> State:
        """Say what was done."""
        made = compose(state, self.store, self.cards)
        return {"answer": made.text, "result": made.result, "ended": now()}


def received(media: Mapping[str, Refs], given: Mapping[str, Given], turn: int) -> dict[str, Given]:
    """What a person gives in a turn, under names that are free: a second "image" becomes "image_2"."""
    found: dict[str, Given] = {}
    for wanted, refs in media.items():
        if not wanted.isidentifier() or step_number(wanted):
            raise ValueInvalid(f"a value cannot be called {wanted!r}", 'Use letters, such as "image"; "s1" is a step')
        kinds = {ref["kind"] for ref in listed(refs)}
        if len(kinds) != 1:
            raise ValueInvalid(f"the list {wanted} holds {', '.join(sorted(kinds)) or 'nothing'}", "Give one kind")
        name, number = wanted, 1
        while name in found or (name in given and given[name]["refs"] != refs):
            number += 1
            name = f"{wanted}_{number}"
        many = isinstance(refs, list)
        what = Known(kinds.pop(), many, source=name if many else "", frame=name, turn=turn)
        found[name] = {"refs": refs, "known": asdict(what)}
    return found


def numbered(plan: Plan, state: State) -> Plan:
    """The plan with its steps numbered on from the last step of the thread."""
    first = first_free(taken(state))
    return plan.renamed({step.id: f"s{n}" for n, step in enumerate(plan.steps, first)})


def now() -> str:
    """The time as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _state(outcomes: Mapping[str, Outcome], step: str) -> str:
    return outcomes[step]["state"] if step in outcomes else ""
