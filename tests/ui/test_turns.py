"""Turns of sessions without a browser: requests, decisions, queues, stops, and coming back."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

pytest.importorskip("gradio")

from agents.plan.plan import Plan
from agents.plan.types import AnyTool
from agents.session.memory import close_saver, open_saver
from tests.agents.fakes import TOOLS, Scripted, picture, plan
from tools import Store
from ui.access.visitors import Files
from ui.context import Context
from ui.turns.turns import Turns
from ui.turns.view import SessionView

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
