"""One conversation: the one way in which every door asks, approves and gets results."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command

from agents.plan.check import MAX_STEPS
from agents.plan.plan import Plan, reference
from agents.plan.types import AnyTool
from agents.planners.base import Demonstration, Planner
from agents.session.graph import build, close_saver, open_saver
from agents.session.nodes import Nodes
from agents.session.policy import Policy
from agents.session.reuse import unusable
from agents.session.state import Decision, Refs, Request, State, plan_of, refs_of
from tools.core.errors import SuperlinkError
from tools.storage.store import Store
from tools.values import Value

Event = dict[str, Any]
"""What a session tells while it works; plain JSON, told apart by "event":

- ``plan``: ``plan``, ``tree``, ``hash``, ``warnings``: a plan that passed every check
- ``problems``: ``problems`` (step, argument, message, hint each), ``plan`` (or None): one that did not
- ``approval``: ``plan``, ``tree``, ``hash``, ``problems``, ``warnings``: waits for `Session.resume`
- ``step``: ``step``, ``tool``, ``state`` (started, finished, failed, skipped), ``seconds``, ``error`` if any
- ``done``: ``answer``, ``result`` (as of `agents.session.answer.Result`), ``outputs`` (name to reference or list of these), ``record``:
  the end of the turn
"""


class SessionError(SuperlinkError):
    """A session was asked for something that does not fit where it stands."""


class Session:
    """One thread of requests. What works gives an iterator of events, and works while it is read.

    Args:
        thread: name of the thread; the same name finds it again, in another process too.
        tools: what can be called, by name.
        planner: who plans.
        store: where values are.
        memory: an SQLite file or "postgresql://…" where threads are remembered, or an open saver to share.
        policy: what runs without approval.
        demonstrations: shown to the planner.
        parallel: how many steps run side by side at most.
    """

    def __init__(
        self,
        thread: str,
        *,
        tools: Mapping[str, AnyTool],
        planner: Planner,
        store: Store,
        memory: Path | str | BaseCheckpointSaver[Any],
        policy: Policy | None = None,
        demonstrations: Sequence[Demonstration] = (),
        parallel: int = 4,
    ) -> None:
        """Open the thread; nothing runs yet.

        Raises:
            SettingsInvalid: the memory cannot be opened.
        """
        self.thread, self.store = thread, store
        self._running = False
        self._own = not isinstance(memory, BaseCheckpointSaver)
        self._saver = memory if isinstance(memory, BaseCheckpointSaver) else open_saver(memory)
        self._nodes = Nodes(tools, planner, store, policy or Policy(), demonstrations)
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
        """Begin a turn; what waits for approval or was cut short is given up.

        Args:
            request: in words.
            media: values that come with it, by name: references, values (they are stored), or lists of these.
            plan: run this instead of asking the planner; it is checked and approved like any other.

        Raises:
            ValueInvalid: something given has no good name or is no list of one kind.
            SuperlinkError: the planner cannot work (weights missing, endpoint away); `continue_` tries again.
        """
        given = {name: self._stored(value) for name, value in (media or {}).items()}
        proposal = None if plan is None else plan.model_dump(mode="json")
        return self._run(Request(request=request, media=given, proposal=proposal))

    def resume(self, decision: Decision) -> Iterator[Event]:
        """Answer an ``approval`` event.

        Args:
            decision: ``{"action": "accept"}``, ``{"action": "edit", "plan": {…}}`` (checked again, and run
                when it passes) or ``{"action": "reject", "reason": "…"}``.

        Raises:
            SessionError: nothing waits for approval, or a plan with problems is accepted.
            PlanInvalid: the edited plan is none; the approval still waits.
        """
        waiting = self._waiting()
        if waiting is None:
            raise SessionError(f"nothing waits for approval in the thread {self.thread}", "Start a request")
        action = decision.get("action")
        if action == "edit":
            decision = {
                "action": "edit",
                "plan": Plan.load(decision.get("plan") or {}).model_dump(mode="json"),
            }
        elif action == "accept" and waiting["problems"]:
            raise SessionError("this plan has problems, it cannot be accepted", "Edit or reject it")
        elif action not in ("accept", "reject"):
            raise SessionError(f"{action!r} is no decision", "Say accept, edit or reject")
        return self._run(Command(resume=decision))

    def continue_(self) -> Iterator[Event]:
        """Go on after the process ended: finished steps are not run again.

        A turn that waits for approval tells so again, and one that has ended tells its end again.

        Raises:
            SessionError: the thread has no request yet.
        """
        stands = self._stands()
        if stands == "new":
            raise SessionError(f"there is nothing to continue in the thread {self.thread}", "Start a request")
        return iter([self._done()]) if stands == "done" else self._run(None)

    def again(self) -> Iterator[Event]:
        """Go on after the turn ended: run the steps again that have no usable result.

        Finished steps whose results would come out the same today are not run. Where all are, the turn tells its end
        again. The plan is not approved a second time.

        Raises:
            SessionError: the turn has not ended, or its plan was never run.
        """
        state = self._state()
        plan, outcomes = plan_of(state), state.get("outcomes", {})
        if plan is None or self._stands() != "done" or not any(step.id in outcomes for step in plan.steps):
            raise SessionError(f"no plan has run to its end in the thread {self.thread}", "Start a request")
        stale = unusable(plan, outcomes, self._nodes.tools, self.store)
        if not stale:
            return iter([self._done()])
        update = {"outcomes": dict.fromkeys(stale), "answer": "", "ended": ""}
        self._machine.update_state(self._config, update, as_node="work")
        return self._run(None)

    def stop(self) -> bool:
        """Leave the steps that are running; the iterator of events then raises `tools.core.abandon.Stopped`.

        May be called from a signal handler. Finished steps are kept: `continue_` goes on.

        Returns:
            Whether anything was running.
        """
        if self._running:
            self._nodes.stop.set()
        return self._running

    def forget(self) -> None:
        """Remove everything that is remembered of the thread; values stay in the store."""
        self._saver.delete_thread(self.thread)

    def state(self) -> dict[str, Any]:
        """Where the thread stands, as plain JSON.

        Returns:
            ``stands``: "new", "working" (cut short: `continue_`), "approval" or "done"; ``values``: every
            value at hand, name to reference or list of these; and what `record` gives.
        """
        return {"stands": self._stands(), "values": refs_of(self._state()), **self.record()}

    def record(self) -> dict[str, Any]:
        """The record of the last turn: what was asked, planned and decided, and how each step came out.

        Returns:
            ``thread``, ``request``, ``plan``, ``hash``, ``problems``, ``warnings``, ``decision``, ``began``, ``ended``,
            ``answer``, ``result`` (as of `agents.session.answer.Result`), ``given`` (name to reference), ``steps`` (``id``, ``tool``, ``state``, ``seconds``,
            ``refs`` with their provenance, ``error``), ``outputs`` (name to reference).
        """
        state = self._state()
        plan, refs, outcomes = plan_of(state), refs_of(state), state.get("outcomes", {})
        steps = []
        for step in plan.steps if plan else ():
            outcome: dict[str, Any] = {**outcomes.get(step.id, {"state": "waiting", "seconds": 0.0})}
            outcome.pop("known", None)
            steps.append({**outcome, "id": step.id, "tool": step.tool})
        names = [name for name in map(reference, plan.outputs if plan else ()) if name is not None]
        return {
            "thread": self.thread,
            "request": state.get("request", ""),
            "plan": state.get("plan"),
            "hash": plan.hash if plan else "",
            "problems": state.get("problems", []),
            "warnings": state.get("warnings", []),
            "decision": state.get("decision"),
            "began": state.get("began", ""),
            "ended": state.get("ended", ""),
            "answer": state.get("answer", ""),
            "result": state.get("result", ""),
            "given": {name: given["refs"] for name, given in state.get("given", {}).items()},
            "steps": steps,
            "outputs": {name: refs[name] for name in names if name in refs},
        }

    def _run(self, given: Any) -> Iterator[Event]:
        """Run the machine. With "sync", what a step gave is on disk before the next one begins."""
        told = self._machine.stream(given, self._config, stream_mode=["updates", "custom"], durability="sync")
        last: Event | None = None
        self._nodes.stop.clear()
        self._running = True
        try:
            for mode, chunk in told:
                for event in self._events(mode, _mapping(chunk)):
                    # Who hears the last event stops listening: the machine must be done with its memory by then.
                    if event["event"] == "approval":
                        last = event
                    else:
                        yield event
        finally:
            told.close()  # type: ignore[attr-defined]
            self._running = False
        # The end is read from the memory, where all of it is only now that the machine has stopped.
        yield last or self._done()

    def _events(self, mode: str, chunk: Mapping[str, Any]) -> Iterator[Event]:
        if mode == "custom":
            yield {"event": "step", **chunk}
            return
        for node, update in chunk.items():
            if node == "__interrupt__":
                waiting = update[0].value
                told = {"problems": waiting["problems"], "warnings": waiting["warnings"]}
                yield {"event": "approval", **_shown(waiting["plan"]), **told}
            elif node == "check" and update["problems"]:
                yield {"event": "problems", "plan": update.get("plan"), "problems": update["problems"]}
            elif node == "check":
                yield {"event": "plan", **_shown(update["plan"]), "warnings": update["warnings"]}
            elif node == "schedule":
                for step, outcome in update["outcomes"].items():
                    told = {key: outcome[key] for key in ("tool", "state", "seconds", "error")}
                    yield {"event": "step", "step": step, **told}

    def _done(self) -> Event:
        record = self.record()
        return {
            "event": "done",
            "answer": record["answer"],
            "result": record["result"],
            "outputs": record["outputs"],
            "record": record,
        }

    def _stands(self) -> str:
        snapshot = self._machine.get_state(self._config)
        if self._waiting():
            return "approval"
        # A round whose tasks have all ended, cut short before the next began, has tasks but nothing next.
        if snapshot.next or snapshot.tasks:
            return "working"
        return "done" if snapshot.values else "new"

    def _state(self) -> State:
        values: State = self._machine.get_state(self._config).values  # type: ignore[assignment]
        return values

    def _waiting(self) -> dict[str, Any] | None:
        for task in self._machine.get_state(self._config).tasks:
            for waiting in task.interrupts:
                return dict(waiting.value)
        return None

    def _stored(self, value: Refs | Value | list[Value]) -> Refs:
        if isinstance(value, Value):
            return self.store.put(value)
        if isinstance(value, list):
            return [self.store.put(item) if isinstance(item, Value) else item for item in value]
        return value


def _mapping(chunk: Any) -> Mapping[str, Any]:
    assert isinstance(chunk, Mapping)
    return chunk


def _shown(plan: dict[str, Any]) -> dict[str, Any]:
    read = Plan.load(plan)
    return {"plan": plan, "tree": read.tree(), "hash": read.hash}
