"""The state machine of a session, as a LangGraph graph: plan → check → approve → run → answer."""

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agents.session.memory import Saver
from agents.session.nodes import Nodes
from agents.session.state import Request, State
from tools.storage.store import Store

Machine = CompiledStateGraph[State, None, Request, State]


def build(nodes: Nodes, saver: Saver | None) -> Machine:
    """Compile the machine.

    Args:
        nodes: the nodes.
        saver: where threads are kept; None leaves this to the server that runs the machine.
    """
    graph = StateGraph(State, input_schema=Request)
    graph.add_node("begin", nodes.begin)
    graph.add_node("plan", nodes.plan)
    graph.add_node("check", nodes.check)
    graph.add_node("approve", nodes.approve)
    graph.add_node("schedule", nodes.schedule)
    graph.add_node("work", nodes.work)
    graph.add_node("answer", nodes.answer)
    graph.add_edge(START, "begin")
    # A plan that a person brought along is checked like any other.
    graph.add_conditional_edges("begin", lambda state: "check" if state["plan"] else "plan", ["plan", "check"])
    graph.add_edge("plan", "check")
    graph.add_conditional_edges("check", nodes.after_check, ["plan", "approve", "schedule", "answer"])
    graph.add_conditional_edges("approve", nodes.after_approve, ["approve", "check", "plan", "schedule", "answer"])
    graph.add_conditional_edges("schedule", nodes.ready, ["work", "answer"])
    graph.add_edge("work", "schedule")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=saver)


def machine() -> Machine:
    """The machine with all tools and default settings, for a LangGraph server, which keeps the threads itself."""
    from agents.examples.use import open_examples
    from agents.planners.backbone import BackbonePlanner
    from tools.core.settings import settings
    from tools.runtime.registry import load

    return build(Nodes(load(), BackbonePlanner(), Store(settings().store_url), examples=open_examples()), None)
