"""The nodes of the machine: begin, plan, check, approve, schedule, work, answer."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from langgraph.runtime import Runtime
from langgraph.types import Send, interrupt

from agents.examples.use import Examples
from agents.plan.interpreter import ready_steps, resolve_arguments, result_type, skipped_steps
from agents.plan.plan import Plan
from agents.plan.preflight import missing_of, missing_weights
from agents.plan.problems import Problem
from agents.plan.types import AnyTool, cards_of
from agents.planners.base import ATTEMPTS, Planner, renumber
from agents.planners.repair import Asked, Attempt, PlanningTask, ask, choose_demonstrations, examine
from agents.session.answer import compose
from agents.session.events import ProgressEvent, StepEvent, step_event
from agents.session.gate import Gate, OpenGate
from agents.session.policy import BEFOREHAND, Policy
from agents.session.state import (
    Decision,
    PlanCache,
    State,
    StepCall,
    StepOutcome,
    confidence_of,
    demonstrations_of,
    fault_of,
    given_names,
    name_media,
    now,
    problems_of,
    refs_of,
    remarks_of,
    types_of,
    used_names,
    warnings_of,
)
from common.card import Card
from tools.core.abandon import Stopped, TimeUp, abandonable
from tools.core.errors import ToolError
from tools.core.progress import listening
from tools.core.settings import settings
from tools.runtime.execute import call
from tools.storage.store import Refs, Store

_PROGRESS_SECONDS = 0.2  # between two progress events of a step


@dataclass(frozen=True)
class Nodes:
    """The nodes, and the conditions of the edges between them.

    Attributes:
        tools: what can be called, by name.
        planner: the planner.
        store: where values are.
        policy: what runs without approval.
        examples: chooses the examples that the planner sees, and keeps plans that a person approves; None for none.
        gate: where the planner and steps wait before they begin.
        stop: when it is set, the planner and running steps are abandoned, and their nodes raise `Stopped`.
        plans: the plan of the state.
        cards: of the tools, by name.
    """

    tools: Mapping[str, AnyTool]
    planner: Planner
    store: Store
    policy: Policy = Policy()
    examples: Examples | None = None
    gate: Gate = OpenGate()
    stop: threading.Event = field(default_factory=threading.Event)
    plans: PlanCache = field(default_factory=PlanCache)
    cards: dict[str, Card] = field(init=False)

    def __post_init__(self) -> None:
        """Make the cards once."""
        object.__setattr__(self, "cards", cards_of(self.tools))

    def begin(self, state: State) -> State:
        """Begin a turn: name what came with the request, and remove the plan of the turn before.

        Raises:
            ValueInvalid: a value has a bad name, or is a list of several kinds or of nothing.
            PlanInvalid: what was brought along is no plan.
        """
        turn = state.get("turn", 0) + 1
        proposal = state.get("proposal")
        plan = None if proposal is None else self.plans.parse(proposal).with_request(state["request"])
        given = name_media(state.get("media") or {}, state.get("given", {}), turn)
        if plan is not None and not used_names(state).isdisjoint(step.id for step in plan.steps):
            plan = renumber(plan, used_names(state))
        return {
            "turn": turn,
            "given": given,
            "media": {},
            "proposal": None,
            "plan": None if plan is None else self.plans.to_json(plan),
            "attempts": 0,
            "problems": [],
            "warnings": [],
            "faulty": "",
            "confidence": None,
            "kept": None,
            "kept_confidence": None,
            "demonstrations": None,
            "chooser": "",
            "decision": None,
            "decisions": [],
            "changing": None,
            "answer": "",
            "result": "",
            "began": now(),
            "ended": "",
        }

    def plan(self, state: State) -> State:
        """Ask the planner."""
        with self.gate.planning():
            seen = self._demonstrations(state)
            state = {**state, **seen}
            update = self._update(ask(self._task(state), self._attempt(state), self.planner, self._run_planner))
            return {**update, **seen}

    def _demonstrations(self, state: State) -> State:
        """The examples that the planner sees, and what chose them; all plans of a turn are made with the same."""
        if state.get("demonstrations") is not None:
            return {}
        shown, chooser = choose_demonstrations(self.examples, state["request"], types_of(state), self.tools)
        return {"demonstrations": [one.to_json() for one in shown], "chooser": chooser}

    def check(self, state: State) -> State:
        """Wire the plan and check it."""
        task = self._task(state)
        attempt = examine(task, self._attempt(state))
        changing = state.get("changing")
        if changing is None or attempt.again:
            update: State = {**self._update(attempt), **self._beforehand(state, attempt)}
            decision = state.get("decision")
            if decision is not None and decision["action"] == "edit":
                checked: State = {**state, **update}
                if self.after_check(checked) == "schedule":
                    self._keep_example(checked)
            return update
        return {**self._update(self._changed(task, Plan.load(changing), attempt)), "changing": None}

    def _beforehand(self, state: State, attempt: Attempt) -> State:
        """The decision that `Policy.yes` makes on a plan that would wait for a person, unless a person has made one."""
        if not self.policy.yes or not attempt.works or attempt.plan is None or state.get("decision"):
            return {}
        warned = bool(attempt.warnings) or bool(missing_weights(attempt.plan, self.tools))
        given = attempt.plan, self.tools, warned, attempt.confidence
        if replace(self.policy, yes=False).allows(*given) or not self.policy.allows(*given):
            return {}
        decision: Decision = {"action": "accept", "reason": BEFOREHAND}
        return {"decision": decision, "decisions": [*state.get("decisions", []), decision]}

    def _changed(self, task: PlanningTask, before: Plan, attempt: Attempt) -> Attempt:
        """The new plan, or the one from before a remark that led to none that works; a warning says if it is that."""
        if attempt.works and attempt.plan is not None and attempt.plan.steps != before.steps:
            return attempt
        why = "it led to the same plan again"
        if not attempt.works:
            why = "; ".join(problem.message for problem in attempt.problems) or "no tool fits it"
            attempt = examine(task, Attempt(before, asked=ATTEMPTS))
        warning = Problem(
            "", "", f"the remark did not change the plan: {why}", "Say it in other words, or edit the plan"
        )
        return replace(attempt, warnings=(warning, *attempt.warnings))

    def after_check(self, state: State) -> str:
        """Back to the planner, to a person, to work, or to the answer."""
        attempt, decision = self._attempt(state), state.get("decision")
        action = decision["action"] if decision is not None else ""
        if attempt.problems or attempt.plan is None:
            by_person = attempt.asked == 0 or action == "edit"
            if by_person:
                return "answer" if self.policy.yes and action != "edit" else "approve"
            return "plan" if attempt.again else "answer"
        if not attempt.works:
            return "answer"
        if action == "change":  # the person waits to see what became of it
            return "approve"
        lacks = bool(missing_weights(attempt.plan, self.tools))
        warned = bool(attempt.warnings) or lacks
        allowed = (action == "edit" and not lacks) or self.policy.allows(
            attempt.plan, self.tools, warned, attempt.confidence
        )
        return "schedule" if allowed else "approve"

    def _run_planner(self, ask_planner: Callable[[], Asked]) -> Asked:
        return abandonable(ask_planner, self.stop)

    def _task(self, state: State) -> PlanningTask:
        return PlanningTask(
            state["request"],
            types_of(state),
            self.tools,
            given_names(state),
            used_names(state),
            # A tool may be gone since they were chosen.
            [shown for shown in demonstrations_of(state) if all(call["tool"] in self.tools for call in shown.calls)],
            remarks_of(state),
        )

    def _attempt(self, state: State) -> Attempt:
        plan, kept = self.plans.plan_of(state), state.get("kept")
        return Attempt(
            plan,
            problems_of(state),
            warnings_of(state),
            state["attempts"],
            state.get("faulty", ""),
            confidence_of(state),
            None if kept is None else Plan.load(kept),
            confidence_of(state, "kept_confidence"),
        )

    def _update(self, attempt: Attempt) -> State:
        kept, sure = attempt.kept, attempt.kept_confidence
        return {
            "plan": None if attempt.plan is None else self.plans.to_json(attempt.plan),
            "problems": [problem.to_json() for problem in attempt.problems],
            "warnings": [warning.to_json() for warning in attempt.warnings],
            "attempts": attempt.asked,
            "faulty": attempt.faulty,
            "confidence": None if attempt.confidence is None else attempt.confidence.to_json(),
            "kept": None if kept is None else kept.to_json(),
            "kept_confidence": None if sure is None else sure.to_json(),
        }

    def approve(self, state: State) -> State:
        """Wait for a person. Everything before the interrupt is done again when the answer comes."""
        decision: Decision = interrupt(
            {
                "plan": state["plan"],
                "problems": state["problems"],
                "warnings": state["warnings"],
                "confidence": state.get("confidence"),
            }
        )
        made: State = {"decision": decision, "decisions": [*state.get("decisions", []), decision]}
        if decision["action"] == "edit":
            plan = self.plans.parse(decision["plan"]).with_request(state["request"])
            edited: State = {"plan": self.plans.to_json(plan), "problems": [], "attempts": ATTEMPTS, "confidence": None}
            return {**made, **edited}
        if decision["action"] == "change":
            fresh: State = {
                "plan": None,
                "problems": [],
                "warnings": [],
                "attempts": 0,
                "faulty": "",
                "confidence": None,
                "kept": None,
                "kept_confidence": None,
            }
            return {**made, **fresh, "changing": state["plan"]}
        if decision["action"] == "accept" and not state["problems"]:
            self._keep_example({**state, **made})
        return made

    def _keep_example(self, state: State) -> None:
        """Keep the plan that a person has just approved or corrected, as an example for later plans."""
        plan = self.plans.plan_of(state)
        if self.examples is not None and plan is not None:
            edited = any(decision["action"] == "edit" for decision in state["decisions"])
            words = self._task(state).words
            self.examples.keep(plan, words, types_of(state), self.tools, "edited" if edited else "approved")

    def after_approve(self, state: State) -> str:
        """To the check, to the planner, to work, to the answer, or back when a plan with problems was accepted."""
        decision = state["decision"]
        assert decision is not None
        if decision["action"] == "accept":
            return "approve" if state["problems"] else "schedule"
        return {"edit": "check", "change": "plan", "reject": "answer"}[decision["action"]]

    def schedule(self, state: State) -> State:
        """Fail the steps whose tool is gone since the check, and skip those that need the result of one that failed."""
        plan = self.plans.plan_of(state)
        if plan is None:
            return {"outcomes": {}}
        done = state.get("outcomes", {})
        gone = {step.id: _gone(step.tool) for step in plan.steps if not (step.tool in self.tools or step.id in done)}
        outcomes = {**done, **gone}
        without_result = {name for name, outcome in outcomes.items() if outcome["state"] != "finished"}
        skipped: dict[str, StepOutcome] = {}
        tools = {step.id: step.tool for step in plan.steps}
        for step_id, reason in skipped_steps(plan, outcomes, without_result).items():
            skipped[step_id] = {
                "state": "skipped",
                "tool": tools[step_id],
                "seconds": 0.0,
                "error": {"message": reason, "hint": ""},
            }
        return {"outcomes": {**gone, **skipped}}

    def ready(self, state: State) -> list[Send] | str:
        """Every step that can run, side by side; the answer when there is none."""
        plan, refs, types = self.plans.plan_of(state), refs_of(state), types_of(state)
        calls: list[Send] = []
        for step in ready_steps(plan, state["outcomes"], refs) if plan else ():
            what = result_type(step.id, step.args, self.cards[step.tool], types, state["turn"])
            call: StepCall = {
                "step": step.id,
                "tool": step.tool,
                "args": resolve_arguments(step, refs),
                "known": what.to_json(),
            }
            calls.append(Send("work", call))
        return calls or "answer"

    def work(self, state: StepCall, *, runtime: Runtime[None]) -> State:
        """Run one step. Its failure is an outcome, and the other steps go on."""
        with self.gate.working():
            return self._work(state, runtime)

    def _work(self, state: StepCall, runtime: Runtime[None]) -> State:
        event: StepEvent = {
            "event": "step",
            "step": state["step"],
            "tool": state["tool"],
            "state": "started",
            "seconds": 0.0,
        }
        runtime.stream_writer(event)
        began = time.perf_counter()
        outcome: StepOutcome = {"state": "finished", "tool": state["tool"], "seconds": 0.0}

        def show_progress(done: int, total: int) -> None:
            progress: ProgressEvent = {"event": "progress", "step": state["step"], "done": done, "total": total}
            runtime.stream_writer(progress)

        try:
            with listening(show_progress, _PROGRESS_SECONDS):
                outcome["refs"] = self._call(state)
            outcome["known"] = state["known"]
        except Stopped:  # not an outcome: the step runs when the thread is continued
            raise
        except Exception as error:
            outcome["state"] = "failed"
            outcome["error"] = fault_of(error)
        outcome["seconds"] = round(time.perf_counter() - began, 4)
        runtime.stream_writer(step_event(state["step"], outcome))
        return {"outcomes": {state["step"]: outcome}}

    def _call(self, step: StepCall) -> Refs:
        tool, limit = self.tools[step["tool"]], settings().step_timeout
        try:
            return abandonable(lambda: call(tool, step["args"], self.store, step["step"]), self.stop, limit)
        except TimeUp as error:
            raise ToolError(
                f"{tool.name} (step {step['step']}): {error.message}, which is the limit for a step",
                "Give a smaller file, or more time: step_timeout in settings.toml, or SUPERLINK_STEP_TIMEOUT,"
                " in seconds",
                tool=tool.name,
                step=step["step"],
            ) from error

    def answer(self, state: State) -> State:
        """Say what was done."""
        plan = self.plans.plan_of(state)
        # What needs weights that are not here is not offered.
        offered = {} if plan is None or plan.steps else {n: c for n, c in self.cards.items() if self._works(n)}
        answer = compose(state, plan, self.store, self.cards, offered)
        return {"answer": answer.text, "result": answer.result, "ended": now()}

    def _works(self, tool: str) -> bool:
        return not missing_of(self.tools[tool], {})


def _gone(tool: str) -> StepOutcome:
    return {
        "state": "failed",
        "tool": tool,
        "seconds": 0.0,
        "error": {"message": f"there is no tool {tool!r} any more", "hint": "Load its file again, or ask anew"},
    }
