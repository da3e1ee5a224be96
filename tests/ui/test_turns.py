"""Turns of sessions without a browser: requests, decisions, queues, stops, and coming back."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")

from agents.examples.use import open_bank
from agents.plan.plan import Plan, PlanInvalid
from agents.plan.types import AnyTool
from agents.session.memory import close_saver, open_saver
from agents.session.session import SessionError
from tests.agents.fakes import TOOLS, Scripted, picture, plan
from tests.ui.test_models import Served, declare, entry
from tests.waiting import WAIT, until
from tools import Detections, Image, Store, Text, tool
from tools.core.abandon import Stopped
from tools.core.errors import MediaError, SuperlinkError
from tools.core.settings import settings
from tools.weights import weights
from tools.weights.needs import Need
from ui.access.visitors import Files
from ui.context import Context
from ui.turns.catalogue import TurnRow
from ui.turns.runner import Runner, Ticket, TooMany
from ui.turns.turns import NotFound, Turns
from ui.turns.view import QueuePlace, SessionView

Open = Callable[..., Turns]
DOGS = ("detect", {"labels": ["dog", "cat"]})
BLUR = plan(DOGS, ("blur", {}))
COUNT = plan(DOGS, ("count", {}))


@pytest.fixture
def open_turns(tmp_path: Path) -> Iterator[Open]:
    """Opens the page's sessions; each call is a server started anew on the same files."""
    opened: list[Turns] = []
    savers = []

    def open_(*plans: Plan | Exception, tools: Mapping[str, AnyTool] = TOOLS, start: bool = True) -> Turns:
        for turns in opened:
            turns.close()
        opened.clear()
        savers.append(open_saver(tmp_path / "threads.sqlite"))
        folder = tmp_path / "page"
        context = Context(dict(tools), Scripted(plans), Store(tmp_path / "store"), savers[-1], folder, Files(folder))
        opened.append(Turns(context))
        if start:
            opened[-1].start()
        return opened[-1]

    yield open_
    for turns in opened:
        turns.close()
    for saver in savers:
        close_saver(saver)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "Am Strand.png"
    file.write_bytes(picture(40, 30).to_bytes())
    return file


def rest(turns: Turns, thread: str, owner: str = "local") -> SessionView:
    """The view once nothing works any more."""
    *_, last = turns.follow(thread, owner, 0)
    return last


def asked(turns: Turns, request: str, *files: Path, thread: str = "") -> SessionView:
    thread = thread or turns.new_thread()
    turns.ask(thread, "local", request, files)
    return rest(turns, thread)


def test_from_request_to_files(open_turns: Open, photo: Path) -> None:
    turns = open_turns(BLUR)
    thread = turns.new_thread()
    assert turns.view(thread, "local").stage == "new"
    view = turns.ask(thread, "local", "blur the dogs", [photo])
    assert view.stage == "planning" and view.turn is not None and view.turn.status == "Planning …"
    assert [(file.name, file.kind) for file in view.turn.files] == [("Am Strand.png", "image")]
    view = rest(turns, thread)
    turn = view.turn
    assert turn is not None and (view.stage, turn.status, turn.colour) == ("approval", "Waits for you", "wait")
    assert turn.files[0].detail == "40 × 30" and list(turn.steps) == ["s1", "s2"]
    turns.decide(thread, "local", {"action": "accept"})
    turn = rest(turns, thread).turn
    assert turn is not None and (turn.status, turn.colour, turn.result) == ("Done", "good", "done")
    assert {name: step.state for name, step in turn.steps.items()} == {"s1": "finished", "s2": "finished"}
    final = next(one for one in turn.results if one.final)
    assert final.name == "s2" and final.files[0].read_bytes() and final.kind == "Image"
    assert turn.record is not None and turn.record.exists()


def test_weights_that_come_make_a_new_version(open_turns: Open, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    declare(home, entry("tiny"))

    @tool(needs=lambda _: [Need("tiny")])
    def hum(text: Text) -> Text:
        """Hum."""
        return text

    turns = open_turns(plan(("hum", {"text": "la"})), tools={"hum": hum})
    view = asked(turns, "hum la")
    assert view.stage == "approval" and view.turn is not None and [one.weights for one in view.turn.missing] == ["tiny"]
    assert turns.version(view.thread, "local") == turns.view(view.thread, "local").version == view.version
    Served(monkeypatch).go_on.set()
    weights.pull("tiny")
    now = turns.version(view.thread, "local")
    assert now > view.version  # so that pages show it
    view = turns.view(view.thread, "local")
    assert view.version == now and view.turn is not None and view.turn.missing == []


def test_approved_plans_are_examples_of_their_user_alone(
    open_turns: Open, photo: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERLINK_EXAMPLES", "similar")
    settings.cache_clear()
    turns = open_turns(*[BLUR] * 4)
    seen = []
    for owner in ("ada", "bob", "ada"):
        thread = turns.new_thread()
        turns.ask(thread, owner, "blur the dogs", [photo])
        view = rest(turns, thread, owner)
        assert view.stage == "approval", view
        seen.append(len(turns._context.planner.shown[-1]))  # type: ignore[attr-defined]  # a Scripted
        turns.decide(thread, owner, {"action": "accept"})
        rest(turns, thread, owner)
    assert seen == [0, 0, 1]
    kept = [(one.who, one.owner, one.demonstration.request) for one in open_bank().all()]
    assert kept == [("ada", "ada", "blur the dogs"), ("bob", "bob", "blur the dogs")]


def test_a_restart_gives_the_same_view(open_turns: Open, photo: Path) -> None:
    turns = open_turns(BLUR, COUNT, BLUR, plan(("crop", {})))
    view = asked(turns, "blur the dogs", photo)
    thread = view.thread
    turns.decide(thread, "local", {"action": "accept"})
    rest(turns, thread)
    asked(turns, "how many dogs and cats are there?", thread=thread)
    asked(turns, "blur again", thread=thread)
    before = asked(turns, "crop them", thread=thread)
    turns.set_draft(thread, "local", {"request": "", "steps": [], "outputs": []})
    after = open_turns().view(thread, "local")
    assert after.turns == before.turns
    assert after.version > before.version
    assert (after.stage, after.draft) == ("editing", {"request": "", "steps": [], "outputs": []})
    assert [turn.status for turn in after.turns] == ["Done", "Done", "Replaced by a new request", "Waits for you"]
    assert after.turns[2].superseded


@tool
def wait(text: Text) -> Text:
    """Wait until the test lets it end."""
    STARTED.release()
    GO.wait(WAIT)
    return text


STARTED, GO = threading.Semaphore(0), threading.Event()
HELD = plan(("wait", {"text": "a"}), ("shout", {"text": "$s1"}))


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What lets `wait` end."""
    GO.clear()
    while STARTED.acquire(blocking=False):
        pass
    yield GO
    GO.set()


def queue(turns: Turns, owner: str, threads: list[str]) -> list[str]:
    """The waiting sessions of these, in the order of their places."""
    views = [turns.view(thread, owner) for thread in threads]
    return [view.thread for view in sorted(views, key=lambda view: view.queue.place if view.queue else 99)]


def test_a_queue_is_fair_and_a_waiting_turn_can_be_withdrawn(open_turns: Open, held: threading.Event) -> None:
    turns = open_turns(*[HELD] * 7, tools={**TOOLS, "wait": wait})
    first = turns.new_thread()
    turns.ask(first, "ann", "wait", [])
    assert STARTED.acquire(timeout=WAIT)
    anns = [turns.new_thread() for _ in range(4)]
    for thread in anns:
        turns.ask(thread, "ann", "wait", [])
        until(lambda thread=thread: turns.view(thread, "ann").queue, "a place in the queue")
    assert [turns.view(thread, "ann").queue.place for thread in anns] == [1, 2, 3, 4]  # type: ignore[union-attr]
    assert turns.view(anns[0], "ann").turn.status == "Waits in line …"  # type: ignore[union-attr]
    with pytest.raises(TooMany, match="4 of your requests"):
        turns.ask(turns.new_thread(), "ann", "wait", [])
    with pytest.raises(SessionError, match="at work"):
        turns.ask(anns[0], "ann", "wait", [])
    bobs = turns.new_thread()
    turns.ask(bobs, "bob", "wait", [])  # who has waited for nothing yet comes before a second turn of ann's
    until(lambda: turns.view(bobs, "bob").queue, "a place in the queue")
    assert turns.view(bobs, "bob").queue.place == 1  # type: ignore[union-attr]
    seen = turns.follow(anns[1], "ann", turns.view(anns[1], "ann").version)
    turns.stop(anns[0], "ann")
    assert rest(turns, anns[0], "ann").turn.status == "Stopped"  # type: ignore[union-attr]
    assert until(lambda: (place := next(seen).queue) and place.place == 2, "a better place")
    held.set()
    for thread in (first, *anns[1:]):
        assert rest(turns, thread, "ann").turn.status == "Done"  # type: ignore[union-attr]
    assert rest(turns, bobs, "bob").turn.status == "Done"  # type: ignore[union-attr]
    assert turns.view(anns[0], "ann").turn.steps["s1"].state == "waiting"  # type: ignore[union-attr]


def test_what_was_stopped_can_go_on(open_turns: Open, held: threading.Event) -> None:
    turns = open_turns(HELD, plan(("shout", {"text": "b"})), tools={**TOOLS, "wait": wait})
    thread = turns.new_thread()
    turns.ask(thread, "local", "wait", [])
    assert STARTED.acquire(timeout=WAIT)
    assert turns.stop(thread, "local").turn.status == "Stopping …"  # type: ignore[union-attr]
    view = rest(turns, thread)
    turn = view.turn
    assert turn is not None and (view.stage, turn.status, turn.steps["s1"].state) == ("idle", "Stopped", "waiting")
    assert turn.answer == "Stopped before a step was finished."
    held.set()
    turns.again(thread, "local")
    turn = rest(turns, thread).turn
    assert turn is not None and (turn.status, turn.answer) == ("Done", "A") and turn.record is not None
    assert json.loads(turn.record.read_text())["result"] == "done"
    with pytest.raises(SessionError, match="neither stopped nor failed"):
        turns.again(thread, "local")
    assert asked(turns, "in capitals", thread=thread).turn.status == "Done"  # type: ignore[union-attr]


def test_what_finished_beside_a_stopped_step_stays(open_turns: Open, held: threading.Event) -> None:
    tools = {**TOOLS, "wait": wait}
    turns = open_turns(plan(("shout", {"text": "a"}), ("wait", {"text": "b"})), tools=tools)
    thread = turns.new_thread()
    turns.ask(thread, "local", "wait", [])
    until(lambda: turns.view(thread, "local").turn.results, "the first step")  # type: ignore[union-attr]
    assert STARTED.acquire(timeout=WAIT)
    turns.stop(thread, "local")
    before = rest(turns, thread)
    turn = before.turn
    assert turn is not None and {name: step.state for name, step in turn.steps.items()} == {
        "s1": "finished",
        "s2": "waiting",
    }
    assert [one.files[0].read_text() for one in turn.results] == ["A"]
    turns = open_turns(tools=tools)
    after = turns.view(thread, "local")
    assert after.turn is not None and (after.stage, after.turn.status) == ("idle", "Stopped")
    assert (after.turn.steps, after.turn.results) == (turn.steps, turn.results)
    held.set()
    turns.again(thread, "local")
    turn = rest(turns, thread).turn
    assert turn is not None and turn.status == "Done" and [one.name for one in turn.results] == ["s1", "s2"]


def test_the_planner_is_not_kept_by_running_tools(open_turns: Open, held: threading.Event, photo: Path) -> None:
    turns = open_turns(HELD, BLUR, tools={**TOOLS, "wait": wait})
    thread = turns.new_thread()
    turns.ask(thread, "local", "wait", [])
    assert STARTED.acquire(timeout=WAIT)
    assert asked(turns, "blur the dogs and cats", photo).stage == "approval"


def test_decisions(open_turns: Open, photo: Path) -> None:
    turns = open_turns(BLUR, plan(("crop", {}), request="x"), plan(DOGS, ("crop", {})), BLUR, BLUR)
    view = asked(turns, "blur the dogs and cats", photo)
    thread = view.thread
    with pytest.raises(SessionError, match="remark is empty"):
        turns.decide(thread, "local", {"action": "change", "remark": " "})
    with pytest.raises(PlanInvalid):
        turns.decide(thread, "local", {"action": "edit", "plan": {"steps": 3}})  # type: ignore[typeddict-item]
    assert turns.view(thread, "local").stage == "approval"
    turns.decide(thread, "local", {"action": "change", "remark": "cut them out instead"})
    turn = rest(turns, thread).turn
    assert turn is not None and turn.plan is not None
    assert [step["tool"] for step in turn.plan["steps"]] == ["detect", "crop"]
    wrong = {"steps": [{"id": "s1", "tool": "bleach", "args": {}}]}
    turns.decide(thread, "local", {"action": "edit", "plan": wrong})  # type: ignore[typeddict-item]
    view = rest(turns, thread)
    assert view.stage == "approval" and view.turn is not None and "bleach" in view.turn.problems[0]["message"]
    with pytest.raises(SessionError, match="has problems"):
        turns.decide(thread, "local", {"action": "accept"})
    turns.decide(thread, "local", {"action": "reject", "reason": "not today"})
    turn = rest(turns, thread).turn
    assert turn is not None and (turn.status, turn.answer) == ("Rejected", "Nothing was run: not today")
    assert turn.record is not None
    record = json.loads(turn.record.read_text())
    assert [one["action"] for one in record["decisions"]] == ["change", "edit", "reject"]
    assert record["request"] == "blur the dogs and cats" and record["decisions"][0]["remark"] == "cut them out instead"
    with pytest.raises(SessionError, match="no plan waits"):
        turns.decide(thread, "local", {"action": "accept"})


def test_plans_like_this_run_at_once(open_turns: Open, photo: Path) -> None:
    turns = open_turns(BLUR, BLUR, BLUR, plan(DOGS, ("crop", {})), BLUR)
    thread = asked(turns, "blur dogs and cats", photo).thread
    turns.decide(thread, "local", {"action": "accept"})
    rest(turns, thread)
    assert asked(turns, "blur the dogs and cats", thread=thread).stage == "approval"  # it is off at first
    assert turns.set_always(thread, "local", True).always
    assert asked(turns, "please blur dogs and cats", thread=thread).stage == "idle"
    assert asked(turns, "crop dogs and cats", thread=thread).stage == "approval"  # other tools
    view = asked(turns, "blur dogs and cats and email it", thread=thread)
    assert view.stage == "approval" and view.turn is not None and view.turn.warnings  # a warned plan never runs at once


def test_errors_are_said_and_nothing_is_lost(open_turns: Open, tmp_path: Path, photo: Path) -> None:
    bad = tmp_path / "holiday.png"
    bad.write_bytes(b"")
    turns = open_turns(SuperlinkError("the planner is away", "Start it"), COUNT)
    view = asked(turns, "count dogs and cats", bad)
    turn = view.turn
    assert turn is not None and (view.stage, turn.status, turn.colour) == ("idle", "Failed", "bad")
    assert turn.answer.startswith("holiday.png is empty")
    turn = asked(turns, "count dogs and cats", photo, thread=view.thread).turn
    assert turn is not None and (turn.status, turn.answer) == ("Failed", "The planner is away. Start it.")
    turns.again(view.thread, "local")
    turn = rest(turns, view.thread).turn
    assert turn is not None and (turn.number, turn.status, turn.answer) == (2, "Done", "count: 2 (dog 1, cat 1).")
    with pytest.raises(MediaError, match="^gone.png cannot be read"):
        turns.ask(view.thread, "local", "count", [tmp_path / "gone.png"])
    with pytest.raises(SessionError, match="is empty"):
        turns.ask(view.thread, "local", "  ", [photo])
    assert len(turns.view(view.thread, "local").turns) == 2


def test_a_plan_is_replaced_once(open_turns: Open, tmp_path: Path, photo: Path) -> None:
    bad = tmp_path / "empty.png"
    bad.write_bytes(b"")
    turns = open_turns(BLUR, COUNT)
    thread = asked(turns, "blur dogs and cats", photo).thread
    for request, file in (("count dogs and cats", bad), ("count dogs and cats", photo)):
        before = asked(turns, request, file, thread=thread)
    statuses = ["Replaced by a new request", "Failed", "Done"]
    assert [turn.status for turn in before.turns] == statuses
    assert [turn.superseded for turn in before.turns] == [True, False, False]
    assert before.turns[1].answer.startswith("empty.png is empty")
    assert open_turns().view(thread, "local").turns == before.turns


def test_sessions_belong_to_their_owners(open_turns: Open, photo: Path) -> None:
    turns = open_turns(COUNT, COUNT)
    mine = asked(turns, "count the dogs and cats", photo).thread
    for call in (turns.view, turns.stop, turns.again, turns.delete, turns.restore, turns.types):
        with pytest.raises(NotFound):
            call(mine, "ann")
    with pytest.raises(NotFound):
        turns.ask(mine, "ann", "count", [])
    with pytest.raises(NotFound):
        turns.view("../../etc", "local")
    assert turns.owner_of_thread(mine) == "local" and turns.sessions("ann") == []
    [row] = turns.sessions("local")
    assert (row.title, row.status, row.colour, row.stage) == ("count the dogs and cats", "Done", "good", "idle")
    turns.rename(mine, "local", "  Beach   dogs ")
    assert [one.title for one in turns.sessions("local", "beach")] == ["Beach dogs"]
    assert [one.thread for one in turns.sessions("local", "COUNT the")] == [mine]  # what was asked is found, too
    assert turns.sessions("local", "%") == []
    turns.delete(mine, "local")
    assert turns.sessions("local") == []
    with pytest.raises(NotFound):
        turns.view(mine, "local")
    turns.restore(mine, "local")
    assert turns.view(mine, "local").turn.status == "Done"  # type: ignore[union-attr]


def test_files_that_are_gone_come_back_from_the_store(open_turns: Open, tmp_path: Path, photo: Path) -> None:
    turns = open_turns(BLUR)
    thread = asked(turns, "blur dogs and cats", photo).thread
    turns.decide(thread, "local", {"action": "accept"})
    before = rest(turns, thread)
    written = {file: file.read_bytes() for file in (tmp_path / "page" / "results").rglob("*") if file.is_file()}
    assert {"record.json", "s2_blur.png", "1_Am Strand.png", "s1_detect.json"} <= {file.name for file in written}
    shutil.rmtree(tmp_path / "page" / "results")
    assert open_turns().view(thread, "local").turns == before.turns
    assert {file: file.read_bytes() for file in written} == written


def test_the_planner_is_loaded_at_start(open_turns: Open) -> None:
    class Slow(Scripted):
        def load(self, tools: Any) -> None:
            raise SuperlinkError("the planner's weights are missing", "Run: superlink models pull planner")

    turns = open_turns(start=False)
    turns._context = replace(turns._context, planner=Slow())
    assert turns.planner_state == "loading"
    turns.start()
    until(lambda: turns.planner_state != "loading", "the planner")
    assert turns.planner_state == "failed: The planner's weights are missing. Run: superlink models pull planner."


def test_nothing_found_is_not_green(open_turns: Open, photo: Path) -> None:
    @tool
    def seek(image: Image, labels: list[str]) -> Detections:
        """Find nothing."""
        return Detections.empty((image.height, image.width))

    looked = ("seek", {"labels": ["unicorn"]})
    plans = plan(looked), plan(looked, ("count", {})), plan(looked, ("blur", {})), plan(), plan(("read", {}))
    turns = open_turns(*plans, plan(("read", {})), tools={**TOOLS, "seek": seek})
    asked_of = {}
    for request in ("seek the unicorn", "count the unicorns", "blur the unicorn", "sing", "read it"):
        view = asked(turns, request, *([photo] if "unicorn" in request else []))
        if view.stage == "approval":
            turns.decide(view.thread, "local", {"action": "accept"})
            view = rest(turns, view.thread)
        assert view.turn is not None
        asked_of[request] = (view.turn.status, view.turn.colour)
    assert asked_of == {
        "seek the unicorn": ("Nothing found", "wait"),
        "count the unicorns": ("Nothing found", "wait"),
        "blur the unicorn": ("Nothing changed", "wait"),
        "sing": ("Nothing to run", "wait"),
        "read it": ("Nothing to run", "wait"),
    }


def test_a_turn_ends_although_its_end_cannot_be_kept(
    open_turns: Open, photo: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns, saves = open_turns(COUNT), []
    save = turns._catalogue.save

    def full(row: TurnRow) -> None:
        saves.append(row.state)
        if row.state != "active":
            raise SuperlinkError("the disk is full", "Free some space")
        save(row)

    monkeypatch.setattr(turns._catalogue, "save", full)
    turn = asked(turns, "count dogs and cats", photo).turn
    assert turn is not None and (turn.status, turn.answer) == ("Failed", "The disk is full. Free some space.")
    assert "could not be kept" in caplog.text
    monkeypatch.undo()
    [row] = turns.sessions("local")
    turn = rest(open_turns(), row.thread).turn
    assert turn is not None and turn.status == "Done"  # the next start goes on with it


def test_the_expected_wait_comes_from_recent_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("ui.turns.runner.time.monotonic", lambda: now[0])
    runner = Runner(waiting=9)
    tickets = [runner_ticket(runner, owner) for owner in ("ann", "ann", "bob", "cid")]
    line = runner.tools
    for seconds in (8, 12):
        line.enter(tickets[0], lambda: None)
        now[0] += seconds
        line.leave(tickets[0])
    line.enter(tickets[0], lambda: None)
    now[0] += 4

    def wait_in_line(ticket: Ticket) -> None:
        with suppress(Stopped):
            line.enter(ticket, lambda: None)

    waiting = [threading.Thread(target=wait_in_line, args=(one,)) for one in tickets[1:]]
    for thread, ticket in zip(waiting, tickets[1:], strict=True):
        thread.start()
        until(lambda ticket=ticket: line.place(ticket), "a place")
    places = [line.place(ticket) for ticket in tickets]
    # Ten seconds each; the one at work has been for four. Ann, who is served, comes after those who are not.
    assert places == [None, QueuePlace(3, 26.0), QueuePlace(1, 6.0), QueuePlace(2, 16.0)]
    for ticket in tickets:
        runner.withdraw(ticket)
    for thread in waiting:
        thread.join(WAIT)


def runner_ticket(runner: Runner, owner: str) -> Ticket:
    return Ticket(runner, owner, next(runner._numbers), lambda ticket, moment: None)


def test_a_plan_that_is_brought_along_needs_no_planner(open_turns: Open, photo: Path) -> None:
    turns = open_turns(SuperlinkError("the planner was asked"))
    thread = turns.new_thread()
    turns.ask(thread, "local", "Try: blur", [photo], plan(DOGS, ("blur", {})).to_json())
    turn = rest(turns, thread).turn
    assert turn is not None and (turn.status, turn.plan and turn.plan["request"]) == ("Waits for you", "Try: blur")
    turns.decide(thread, "local", {"action": "accept"})
    turn = rest(turns, thread).turn
    assert turn is not None and turn.status == "Done" and [one.tool for one in turn.results if one.final] == ["blur"]
    turns.ask(thread, "local", "Try: hear", [], plan(("hear", {})).to_json())  # there is no sound
    view = rest(turns, thread)
    assert view.turn is not None and view.stage == "approval" and view.turn.problems


@tool
def moody(text: Text) -> Text:
    """Work only if asked nicely."""
    if text.text != "please":
        raise ValueError(f"not {text.text}")
    return text


def test_the_last_call_of_a_tool_is_known(open_turns: Open) -> None:
    calls = [plan(("moody", {"text": said})) for said in ("now", "please")]
    turns = open_turns(plan(("fail", {"text": "x"})), *calls, tools={**TOOLS, "moody": moody})
    first = asked(turns, "fail")
    asked(turns, "be moody")
    assert set(turns.last_faults("local")) == {"fail", "moody"} and turns.last_faults("ann") == {}
    why, day = turns.last_faults("local")["moody"]
    assert "not now" in why and re.fullmatch(r"20\d\d-\d\d-\d\d", day)
    asked(turns, "be moody again")
    assert set(turns.last_faults("local")) == {"fail"}
    turns.delete(first.thread, "local")
    assert turns.last_faults("local") == {}


def test_a_tool_that_is_taken_out_fails_no_more_than_its_plan(open_turns: Open, photo: Path) -> None:
    turns = open_turns(BLUR)
    thread = asked(turns, "blur the dogs", photo).thread
    context = turns._context
    context.tools = {name: tool for name, tool in context.tools.items() if name != "blur"}
    assert turns.view(thread, "local").stage == "approval"
    turns.decide(thread, "local", {"action": "accept"})
    turn = rest(turns, thread).turn
    assert turn is not None and {name: step.state for name, step in turn.steps.items()} == {
        "s1": "finished",
        "s2": "failed",
    }
    assert turn.status in ("Failed", "Partly done") and "there is no tool 'blur' any more" in turn.answer
