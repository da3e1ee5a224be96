"""Sessions: one thread of requests, as the command line, the page and the Python API use it."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command

from agents.examples.use import Examples
from agents.plan.check import MAX_STEPS
from agents.plan.plan import Plan, reference
from agents.plan.preflight import MissingJson, missing_weights
from agents.plan.types import AnyTool, ValueType
from agents.planners.base import Planner
from agents.session.events import (
    DoneEvent,
    Event,
    Record,
    Stands,
    ThreadState,
    approval_event,
    plan_event,
    step_event,
    step_record,
)
from agents.session.gate import Gate, OpenGate
from agents.session.graph import build
from agents.session.memory import Saver, close_saver, open_saver
from agents.session.nodes import Nodes
from agents.session.policy import Policy
from agents.session.reuse import unusable
from agents.session.state import Decision, Given, Request, State, name_media, now, refs_of, types_of
from tools.core.errors import SuperlinkError
from tools.storage.store import Refs, Store
from tools.values import Value


class SessionError(SuperlinkError):
    """A call does not fit where the thread stands, such as a decision when nothing waits for approval."""


class Session:
    """One thread of requests. Methods that run something return an iterator of events, and run while it is read.

    Args:
        thread: name of the thread; the same name continues it, also in another process.
        tools: what can be called, by name.
        planner: the planner.
        store: where values are.
        memory: an SQLite file or "postgresql://…" where threads are kept, or an open saver to share.
        policy: what runs without approval.
        examples: chooses the examples that the planner sees, and keeps plans that a person approves; None for none.
        parallel: most steps that run side by side.
        gate: where the planner and steps wait before they begin.
    """

    def __init__(
        self,
        thread: str,
        *,
        tools: Mapping[str, AnyTool],
        planner: Planner,
        store: Store,
        memory: Path | str | Saver,
        policy: Policy | None = None,
        examples: Examples | None = None,
        parallel: int = 4,
        gate: Gate | None = None,
    ) -> None:
        """Open the thread; nothing runs yet.

        Raises:
            SettingsInvalid: the memory cannot be opened.
        """
        self.thread, self.store = thread, store
        self._running = False
        self._own = not isinstance(memory, BaseCheckpointSaver)
        self._saver = memory if isinstance(memory, BaseCheckpointSaver) else open_saver(memory)
        self._nodes = Nodes(tools, planner, store, policy or Policy(), examples, gate or OpenGate())
        self._machine = build(self._nodes, self._saver)
        self._config: RunnableConfig = {
            "configurable": {"thread_id": thread},
            "max_concurrency": parallel,
            # Two rounds for each step of the longest chain, and the way there and back.
            "recursion_limit": 2 * MAX_STEPS + 50,
        }

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        self.close()

    def close(self) -> None:
        """Close the memory, unless it is shared."""
        if self._own:
            close_saver(self._saver)

    def start(
        self,
        request: str,
        media: Mapping[str, Refs | Value | list[Value]] | None = None,
        plan: Plan | None = None,
    ) -> Iterator[Event]:
        """Begin a turn. A turn that waits for approval or was cut short is dropped.

        The first event is ``superseded``, with the record of the dropped turn, where a plan waited for approval.

        Args:
            request: in words.
            media: values that come with it, by name: references, values (they are stored), or lists of either.
            plan: run this instead of asking the planner; it is checked and approved like any other.

        Raises:
            ValueInvalid: a value has a bad name, or is a list of several kinds or of nothing.
            SuperlinkError: the planner cannot work (weights missing, endpoint away); `continue_` tries again.
        """
        given = {name: self._store_value(value) for name, value in (media or {}).items()}
        proposal = None if plan is None else self._nodes.plans.to_json(plan)
        return self._start(Request(request=request, media=given, proposal=proposal))

    def _start(self, request: Request) -> Iterator[Event]:
        if self._waiting() is not None:
            yield {
                "event": "superseded",
                "record": {
                    **self.record(),
                    "superseded": True,
                    "answer": "Replaced by a new request, so nothing was run.",
                    "result": "refused",
                    "ended": now(),
                },
            }
        yield from self._run(request)

    def resume(self, decision: Decision) -> Iterator[Event]:
        """Answer an ``approval`` event.

        Args:
            decision: ``{"action": "accept"}``, ``{"action": "edit", "plan": {…}}`` (checked again, and run
                when it passes), ``{"action": "change", "remark": "…"}`` (the planner plans again, and the new plan
                waits) or ``{"action": "reject", "reason": "…"}``.

        Raises:
            SessionError: nothing waits for approval, or a plan with problems is accepted.
            PlanInvalid: what was edited is no plan; the approval still waits.
        """
        waiting = self._waiting()
        if waiting is None:
            raise SessionError(f"nothing waits for approval in the thread {self.thread}", "Start a request")
        action = decision.get("action")
        if action == "edit":
            decision = {"action": "edit", "plan": self._nodes.plans.to_json(Plan.load(decision.get("plan") or {}))}
        elif action == "accept" and waiting["problems"]:
            raise SessionError("this plan has problems, it cannot be accepted", "Edit or reject it")
        elif action == "change" and not decision.get("remark", "").strip():
            raise SessionError("there is no remark on what should change", 'Add it, such as {"remark": "…"}')
        elif action not in ("accept", "change", "reject"):
            raise SessionError(f"{action!r} is no decision", "Say accept, edit, change or reject")
        return self._run(Command(resume=decision))

    def continue_(self) -> Iterator[Event]:
        """Go on after the process ended. Finished steps are not run again.

        A turn that waits for approval, or that has ended, only gives its last event again.

        Raises:
            SessionError: the thread has no request yet.
        """
        stands = self._stands()
        if stands == "new":
            raise SessionError(f"there is nothing to continue in the thread {self.thread}", "Start a request")
        return iter([self._done()]) if stands == "done" else self._run(None)

    def again(self) -> Iterator[Event]:
        """Go on after the turn ended: run the steps that have no usable result (`agents.session.reuse.unusable`).

        Where there are none, the turn only gives its last event again. The plan is not approved a second time.

        Raises:
            SessionError: the turn has not ended, or its plan was never run.
        """
        state = self._state()
        plan, outcomes = self._nodes.plans.plan_of(state), state.get("outcomes", {})
        if plan is None or self._stands() != "done" or not any(step.id in outcomes for step in plan.steps):
            raise SessionError(f"no plan has run to its end in the thread {self.thread}", "Start a request")
        stale = unusable(plan, outcomes, self._nodes.tools, self.store)
        if not stale:
            return iter([self._done()])
        update = {"outcomes": dict.fromkeys(stale), "answer": "", "ended": ""}
        self._machine.update_state(self._config, update, as_node="work")
        return self._run(None)

    def keep(self, name: str, refs: Refs) -> str:
        """Add what a person chose or corrected in a value, as if it came with the next request.

        It belongs to the same picture as that value, and the next request finds it before all older values.

        Args:
            name: of the value at hand that it was chosen from.
            refs: of the stored choice; a list where the value is one.

        Returns:
            The name of the choice, such as "kept".

        Raises:
            SessionError: the last turn has not ended, or there is no such value.
        """
        state = self._state()
        before = types_of(state).get(name)
        if before is None or self._stands() != "done":
            raise SessionError(f"nothing can be kept of {name} now", "Wait until the request has ended")
        if before.many != isinstance(refs, list):
            raise SessionError(f"{name} is {before}, and what is kept of it is not", "Keep a list of a list")
        known = replace(before, turn=state["turn"] + 1, made=False).to_json()
        # A later choice takes the place of an earlier one, as two would be equally new.
        given: dict[str, Given | None] = {
            other: None for other, one in state["given"].items() if one["known"] == known and other != name
        }
        others = {other: one for other, one in state["given"].items() if other not in given}
        [kept] = name_media({"kept": refs}, others, known["turn"])
        given[kept] = {"refs": refs, "known": known}
        self._machine.update_state(self._config, {"given": given}, as_node="answer")
        return kept

    def stop(self) -> bool:
        """Abandon the steps that are running; the iterator of events then raises `tools.core.abandon.Stopped`.

        May be called from a signal handler. Finished steps are kept: `continue_` goes on.

        Returns:
            Whether anything was running.
        """
        if self._running:
            self._nodes.stop.set()
        return self._running

    def forget(self) -> None:
        """Delete the thread. Values stay in the store."""
        self._saver.delete_thread(self.thread)

    def state(self) -> ThreadState:
        """Where the thread stands, the values at hand, and the record of the last turn."""
        return {**self.record(), "stands": self._stands(), "values": refs_of(self._state())}

    def types(self) -> dict[str, ValueType]:
        """Types of the values at hand, by name, ordered from old to new."""
        return types_of(self._state())

    def record(self) -> Record:
        """The record of the last turn: what was asked, planned and decided, and how each step ended."""
        state = self._state()
        plan, refs, outcomes = self._nodes.plans.plan_of(state), refs_of(state), state.get("outcomes", {})
        names = [name for name in map(reference, plan.outputs if plan else ()) if name is not None]
        return {
            "thread": self.thread,
            "turn": state.get("turn", 0),
            "request": state.get("request", ""),
            "plan": state.get("plan"),
            "hash": plan.hash if plan else "",
            "problems": state.get("problems", []),
            "warnings": state.get("warnings", []),
            "confidence": state.get("confidence"),
            "demonstrations": state.get("demonstrations") or [],
            "chooser": state.get("chooser", ""),
            "decision": state.get("decision"),
            "decisions": state.get("decisions", []),
            "superseded": False,
            "began": state.get("began", ""),
            "ended": state.get("ended", ""),
            "answer": state.get("answer", ""),
            "result": state.get("result", ""),
            "given": {name: given["refs"] for name, given in state.get("given", {}).items()},
            "steps": [step_record(s.id, s.tool, outcomes.get(s.id)) for s in (plan.steps if plan else ())],
            "outputs": {name: refs[name] for name in names if name in refs},
        }

    def _run(self, given: Request | Command[str] | None) -> Iterator[Event]:
        """Run the machine. With "sync", the result of a step is on disk before the next step begins."""
        chunks = self._machine.stream(given, self._config, stream_mode=["updates", "custom"], durability="sync")
        last: Event | None = None
        self._nodes.stop.clear()
        self._running = True
        try:
            for mode, chunk in chunks:
                for event in self._events(mode, chunk):
                    # The reader may stop at the last event: the machine must have written its memory by then.
                    if event["event"] == "approval":
                        last = event
                    else:
                        yield event
        finally:
            chunks.close()  # type: ignore[attr-defined]
            self._running = False
        # The end is read from the memory, which is complete only now that the machine has stopped.
        yield last or self._done()

    def _events(self, mode: str, chunk: Any) -> Iterator[Event]:
        """The events in a chunk of the stream: the node `work` writes events, other nodes update the state."""
        if mode == "custom":
            yield chunk
            return
        for node, update in chunk.items():
            if node == "__interrupt__":
                waiting = update[0].value
                plan = self._nodes.plans.plan_of(waiting)
                assert plan is not None
                yield approval_event(
                    plan, waiting["problems"], waiting["warnings"], self._missing(plan), waiting.get("confidence")
                )
            elif node == "check" and update["kept"] is not None:
                continue  # it could run; the planner is asked for a better one
            elif node == "check" and update["problems"]:
                yield {"event": "problems", "plan": deepcopy(update["plan"]), "problems": update["problems"]}
            elif node == "check":
                plan = self._nodes.plans.plan_of(update)
                assert plan is not None
                yield plan_event(plan, update["warnings"], self._missing(plan), update["confidence"])
            elif node == "schedule":
                for step, outcome in update["outcomes"].items():
                    yield step_event(step, outcome)

    def _missing(self, plan: Plan) -> list[MissingJson]:
        return missing_weights(plan, self._nodes.tools)

    def _done(self) -> DoneEvent:
        record = self.record()
        return {
            "event": "done",
            "answer": record["answer"],
            "result": record["result"],
            "outputs": record["outputs"],
            "record": record,
        }

    def _stands(self) -> Stands:
        snapshot = self._machine.get_state(self._config)
        if self._waiting():
            return "approval"
        # After a kill between two rounds, all tasks have ended and the next round has none yet.
        if snapshot.next or snapshot.tasks:
            return "working"
        return "done" if snapshot.values else "new"

    def _state(self) -> State:
        values: State = self._machine.get_state(self._config).values  # type: ignore[assignment]
        return values

    def _waiting(self) -> State | None:
        """The plan that waits for a person, its problems and its warnings."""
        for task in self._machine.get_state(self._config).tasks:
            for waiting in task.interrupts:
                return cast(State, waiting.value)
        return None

    def _store_value(self, value: Refs | Value | list[Value]) -> Refs:
        if isinstance(value, Value):
            return self.store.put(value)
        if isinstance(value, list):
            return [self.store.put(item) if isinstance(item, Value) else item for item in value]
        return value
