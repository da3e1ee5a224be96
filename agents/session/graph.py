"""The machine: plan → check → approve → run → answer, and where it remembers."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agents.session.nodes import Nodes
from agents.session.state import Request, State
from tools.core.errors import SettingsInvalid, SuperlinkError, shortened
from tools.storage.database import Database, connect
from tools.storage.store import Store

Machine = CompiledStateGraph[State, None, Request, State]


def build(nodes: Nodes, saver: BaseCheckpointSaver[Any] | None) -> Machine:
    """Compile the machine.

    Args:
        nodes: what each node does.
        saver: where it remembers; None leaves this to the server that runs the machine.
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
    graph.add_conditional_edges("approve", nodes.after_approve, ["approve", "check", "schedule", "answer"])
    graph.add_conditional_edges("schedule", nodes.ready, ["work", "answer"])
    graph.add_edge("work", "schedule")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=saver)


def open_saver(where: Path | str) -> BaseCheckpointSaver[Any]:
    """Open the memory of threads.

    Args:
        where: an SQLite file (made when missing), or "postgresql://user@host/database".

    Raises:
        SettingsInvalid: it cannot be opened, or the package for Postgres is missing. An SQLite file raises it later, too,
            when it cannot be read or written: it is locked, damaged or read-only, or the disk is full.
    """
    if str(where).startswith(("postgres://", "postgresql://")):
        return _postgres(str(where))
    # Survives the death of the process at any point at a tenth of the cost of a full sync per step; only a power cut may lose
    # the last steps, which then run again.
    file = Path(where)
    connection = connect(
        file,
        "The memory of sessions",
        f"superlink repair {file.parent}",
        SettingsInvalid,
        timeout=30,
        isolation_level="",
    )
    saver = _Saver(connection, serde=Summed())
    try:
        saver.setup()
    except BaseException:
        connection.close()
        raise
    return saver


class Summed(JsonPlusSerializer):
    """Writes every value with a checksum, as SQLite does not notice a changed byte; values without one are read as well."""

    _MARK = "+crc32"

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """As of `JsonPlusSerializer`."""
        kind, data = super().dumps_typed(obj)
        return kind + self._MARK, data + crc32(data).to_bytes(4)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """As of `JsonPlusSerializer`.

        Raises:
            ValueError: the checksum differs.
        """
        kind, content = data
        if kind.endswith(self._MARK):
            kind, content, found = kind.removesuffix(self._MARK), content[:-4], content[-4:]
            if crc32(content).to_bytes(4) != found:
                raise ValueError("its checksum differs")
        return super().loads_typed((kind, content))


class _Saver(SqliteSaver):
    """Tells a damaged file as such where SQLite can read it, but what it holds is no checkpoint."""

    conn: Database

    def setup(self) -> None:
        with self._damage_told():
            super().setup()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        with self._damage_told():
            found = super().get_tuple(config)
            if found is not None and not whole(found.checkpoint):
                raise ValueError("a checkpoint lacks its parts")
        return found

    def put(self, *given: Any, **more: Any) -> RunnableConfig:
        with self._damage_told():
            return super().put(*given, **more)

    def put_writes(self, *given: Any, **more: Any) -> None:
        with self._damage_told():
            super().put_writes(*given, **more)

    def delete_thread(self, thread_id: str) -> None:
        with self._damage_told():
            super().delete_thread(thread_id)

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        """What is read and written here is always the same: what goes wrong is what the file holds."""
        try:
            yield
        except (SuperlinkError, sqlite3.ProgrammingError):  # of a connection that was closed
            raise
        except Exception as error:
            raise self.conn.damaged(f"{type(error).__name__}: {shortened(str(error))}") from error


def whole(checkpoint: Any) -> bool:
    """Whether what was decoded is a checkpoint: SQLite does not notice a changed byte in it."""
    return isinstance(checkpoint, dict) and {"channel_values", "channel_versions", "versions_seen"} <= checkpoint.keys()


def machine() -> Machine:
    """The machine with every tool and default, for a LangGraph server, which does the remembering itself."""
    from agents.planners.backbone import BackbonePlanner
    from tools.core.settings import settings
    from tools.runtime.registry import load

    return build(Nodes(load(), BackbonePlanner(), Store(settings().store_url)), None)


def close_saver(saver: BaseCheckpointSaver[Any]) -> None:
    """Close what `open_saver` opened."""
    connection = getattr(saver, "conn", None)
    if connection is not None:
        with saver.lock:  # type: ignore[attr-defined]  # a thread of the machine may still be writing
            connection.close()


def _postgres(url: str) -> BaseCheckpointSaver[Any]:
    try:
        from langgraph.checkpoint.postgres import PostgresSaver  # type: ignore[import-not-found,unused-ignore]
        from psycopg import Connection, Error  # type: ignore[import-not-found,unused-ignore]
        from psycopg.rows import dict_row  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise SettingsInvalid(
            "threads should be kept in Postgres, but its packages are missing",
            "Run: pip install 'superlink[postgres]'",
        ) from error
    try:
        connection = Connection.connect(url, autocommit=True, prepare_threshold=0, row_factory=dict_row)
        saver = PostgresSaver(connection)
        saver.setup()
    except Error as error:
        raise SettingsInvalid(
            f"Postgres cannot hold the threads: {error}", "Check the address and the server"
        ) from error
    return saver  # type: ignore[no-any-return,unused-ignore]
