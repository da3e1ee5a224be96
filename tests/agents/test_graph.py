"""The machine itself: its memory, and the way in for a LangGraph server."""

import json
import os
import random
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from starlette.testclient import TestClient

from agents.session import serving
from agents.session.graph import build, machine
from agents.session.memory import close_saver, open_saver
from agents.session.memory_repair import repair_threads
from agents.session.nodes import Nodes
from agents.session.session import Session
from tests.agents.fakes import TOOLS, Scripted, picture, plan
from tools import Store
from tools.core.errors import SettingsInvalid

ROOT = Path(__file__).resolve().parents[2]


def test_the_memory_is_quick_and_survives_a_kill(tmp_path: Path) -> None:
    saver = open_saver(tmp_path / "new" / "threads.sqlite")
    connection = saver.conn  # type: ignore[attr-defined]
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
    close_saver(saver)
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("select 1")


def test_a_memory_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database " * 100)
    with pytest.raises(
        SettingsInvalid,
        match="memory of sessions .*file is damaged, or is no|memory of sessions .*file is damaged .*superlink repair",
    ):
        open_saver(tmp_path / "file")
    with pytest.raises(SettingsInvalid, match="cannot be opened"):
        open_saver(tmp_path / "file" / "threads.sqlite")


def test_damage_anywhere_in_the_memory_is_reported(tmp_path: Path) -> None:
    memory, rng = tmp_path / "threads.sqlite", random.Random(7)
    calls = plan(("shout", {"text": "a"}), ("shout", {"text": "$s1"}))

    def message() -> str:
        try:
            with Session("t", tools=TOOLS, planner=Scripted([]), store=Store(tmp_path / "s"), memory=memory) as session:
                if session.state()["stands"] == "done":
                    list(session.again())
                list(session.start("go", plan=calls))
        except SettingsInvalid as error:
            return str(error)
        return ""

    assert message() == ""
    whole, damaged = memory.read_bytes(), 0
    for number in range(24):
        content = bytearray(whole)
        if number % 2:
            page = rng.randrange(len(whole) // 4096) * 4096
            content[page : page + 4096] = rng.randbytes(4096)
        else:
            for _ in range(20):
                content[rng.randrange(100, len(content))] = rng.randrange(256)
        memory.write_bytes(content)
        said = message()
        damaged += "is damaged" in said
        if said:
            assert str(memory) in said and f"superlink repair {tmp_path}" in said
            repair_threads(memory)
            assert message() == ""
    assert damaged > 5


def test_a_locked_memory_is_reported_as_such(tmp_path: Path) -> None:
    saver = open_saver(tmp_path / "threads.sqlite")
    saver.conn.execute("PRAGMA busy_timeout = 0")  # type: ignore[attr-defined]
    with closing(sqlite3.connect(tmp_path / "threads.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SettingsInvalid, match="is locked by another process .*Wait until that one has ended"):
            saver.delete_thread("t")
    close_saver(saver)


def test_postgres_without_its_packages_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langgraph.checkpoint.postgres", None)
    with pytest.raises(SettingsInvalid, match=r"pip install 'superlink\[postgres\]'"):
        open_saver("postgresql://localhost/superlink")


def test_a_shared_memory_stays_open(tmp_path: Path) -> None:
    saver = open_saver(tmp_path / "threads.sqlite")
    for thread in ("a", "b"):
        with Session(
            thread, tools=TOOLS, planner=Scripted([plan()]), store=Store(tmp_path / "s"), memory=saver
        ) as session:
            assert list(session.start("go"))[-1]["event"] == "done"
    close_saver(saver)


def test_a_server_needs_no_more_than_a_request(tmp_path: Path) -> None:
    calls = [plan(("detect", {"labels": ["dog"]}), ("count", {})), plan(("count", {}))]
    graph = build(Nodes(TOOLS, Scripted(calls), store := Store(tmp_path)), InMemorySaver())
    config = {"configurable": {"thread_id": "t"}}
    done = graph.invoke({"request": "count the dogs", "media": {"image": store.put(picture())}}, config)  # type: ignore[arg-type]
    assert done["answer"] == "count: 1 (dog)."
    done = graph.invoke({"request": "count again"}, config)  # type: ignore[arg-type]
    assert done["turn"] == 2 and done["plan"]["steps"][0]["id"] == "s3"


def test_a_server_can_show_the_schemas_of_its_input_and_state(tmp_path: Path) -> None:
    graph = build(Nodes(TOOLS, Scripted([]), Store(tmp_path)), InMemorySaver())
    assert graph.get_input_jsonschema()["properties"].keys() == {"request", "media", "proposal"}
    assert {"plan", "outcomes", "answer"} <= graph.get_output_jsonschema()["properties"].keys()


def test_langgraph_json_names_the_machine(home: Path) -> None:
    (place,) = json.loads((ROOT / "langgraph.json").read_text())["graphs"].values()
    assert place == "./agents/session/graph.py:machine"
    assert {"plan", "check", "approve", "schedule", "work", "answer"} <= machine().nodes.keys()


def test_a_langgraph_server_refuses_other_sites() -> None:
    name = json.loads((ROOT / "langgraph.json").read_text())["http"]["app"]
    assert name == f"./{Path(serving.__file__).relative_to(ROOT)}:app"
    browser = TestClient(serving.app, base_url="http://127.0.0.1:2024")
    assert browser.get("/").status_code == 404  # it adds no page of its own
    assert browser.get("/", headers={"Origin": "http://evil.example"}).status_code == 403
    assert browser.get("/", headers={"Host": "evil.example"}).status_code == 403


def test_threads_in_postgres(tmp_path: Path) -> None:
    """Runs where SUPERLINK_TEST_POSTGRES names a database that may be written to, and the packages are there."""
    url = os.environ.get("SUPERLINK_TEST_POSTGRES")
    if not url:
        pytest.skip("SUPERLINK_TEST_POSTGRES names no database")
    pytest.importorskip("langgraph.checkpoint.postgres")
    blur = plan(("detect", {"labels": ["dog"]}), ("blur", {}))
    thread, store = str(tmp_path), Store(tmp_path)
    with Session(thread, tools=TOOLS, planner=Scripted([blur]), store=store, memory=url) as session:
        assert list(session.start("blur the dogs", {"image": picture()}))[-1]["event"] == "approval"
    with Session(thread, tools=TOOLS, planner=Scripted([]), store=store, memory=url) as session:
        assert session.state()["stands"] == "approval"
        done = list(session.resume({"action": "accept"}))[-1]
    assert done["answer"] == "Made with blur: a picture, 12×10 pixels."
    with pytest.raises(SettingsInvalid, match="Postgres cannot hold the threads"):
        open_saver("postgresql://127.0.0.1:9/nowhere?connect_timeout=2")
