"""The results of a turn in a browser: chosen, filtered, kept for the next request; words of others are inert."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

import gradio as gr
from PIL import Image as Pil

from agents.session.memory import close_saver, open_saver
from tests.agents.fakes import TOOLS, Scripted, plan
from tests.ui.blocks import serve_blocks
from tests.waiting import WAIT
from tools import Image, Store, Transcript, tool
from tools.values.transcript import Segment
from ui.access.access import Access
from ui.context import Context
from ui.tabs.results import Results
from ui.turns.turns import Turns

WORDS = "<img src=x onerror=\"document.title='broken'\">"
FIND = ("detect", {"labels": ["dog", "cat"]})


@tool
def words(image: Image) -> Transcript:
    """Read what is written."""
    return Transcript((Segment(WORDS, box=(1, 1, 30, 9), score=0.8),))


def _run(turns: Turns, thread: str, request: str, *files: Path) -> None:
    turns.ask(thread, "local", request, files)
    while turns.view(thread, "local").stage != "idle":
        for _ in turns.follow(thread, "local", -1):
            pass
        if turns.view(thread, "local").stage == "approval":
            turns.decide(thread, "local", {"action": "accept"})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Turns, str]]:
    """Address of a page with the results of a session of four requests, its turns, and the session's name."""
    folder = tmp_path_factory.mktemp("results")
    street = folder / f"{WORDS.replace('/', '')}.png"
    Pil.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(street)
    saver, access = open_saver(folder / "threads.sqlite"), Access.open(folder / "page")
    planner = Scripted([plan(FIND), plan(FIND, ("blur", {})), plan(("words", {})), plan(FIND, ("crop", {}))])
    tools = {**TOOLS, "words": words}
    turns = Turns(Context(tools, planner, Store(folder / "store"), saver, folder / "page", access.files))
    thread = turns.new_thread()
    _run(turns, thread, "find", street)
    for request in ("blur", "what is written", "cut"):
        _run(turns, thread, request)

    def make() -> gr.Blocks:
        results = Results(turns._context, turns)
        with gr.Blocks(analytics_enabled=False) as blocks:
            number = gr.Number(1, precision=0, label="turn")
            results.lay_out()
            for event in (blocks.load, number.change):
                event(lambda n: results.update(turns.view(thread, "local"), int(n)), number, results.outputs)
        return blocks

    with serve_blocks(make, folder / "page") as address:
        yield address, turns, thread
    turns.close()
    close_saver(saver)
    access.close()


@pytest.fixture
def page(browser: Any, served: tuple[str, Turns, str]) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 900, "height": 1000})
    page.set_default_timeout(WAIT * 1000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(served[0])
    page.locator("#result-shapes .shape").first.wait_for()
    yield page
    assert page.title() != "broken" and page.locator("img[src=x]").count() == 0
    page.close()
    assert not complaints


def test_what_is_kept_is_a_value_of_the_session(page: Any, served: tuple[str, Turns, str]) -> None:
    from playwright.sync_api import expect

    _, turns, thread = served
    expect(page.locator("#result-note")).to_contain_text("2 found: 1 × dog, 1 × cat.")
    expect(page.locator("#result-shapes").get_by_role("img", name="dog, 0.90")).to_be_visible()
    page.get_by_role("button", name="cat 1").click()
    expect(page.locator("#result-shapes .count")).to_have_text("1 of 2")
    page.get_by_role("button", name="Keep only these").click()
    expect(page.locator("#result-kept")).to_contain_text("Kept 1 of 2. Your next request uses these.")
    kept = turns._sessions.open(thread).state()["values"]["kept"]
    assert isinstance(kept, dict) and kept["summary"]["labels"] == {"dog": 1}


def test_each_kind_of_result_is_shown_in_its_way(page: Any) -> None:
    from playwright.sync_api import expect

    turn = page.get_by_label("turn")
    turn.fill("2")
    turn.blur()
    expect(page.locator("#result-compare img").first).to_be_visible()
    expect(page.get_by_role("link", name="All as zip")).to_be_visible()
    expect(page.locator("#result-pick")).to_have_count(0)
    page.get_by_label("All steps").check()
    page.locator("#result-pick").get_by_text("Find things").click()
    expect(page.locator("#result-shapes .shape")).to_have_count(2)
    page.get_by_text("The same as one command").click()
    expect(page.get_by_role("region", name="Command")).to_contain_text("superlink run blur ")
    page.get_by_role("button", name="Copy: Command").click()
    expect(page.locator("#result-command [role=status]")).to_have_text("Copied")
    # Words that were read are a shape's name and a text.
    turn.fill("3")
    turn.blur()
    expect(page.locator("#result-shapes").get_by_role("img", name=f"“{WORDS}”, 0.80")).to_be_visible()
    expect(page.get_by_role("region", name="Text")).to_have_text(WORDS)
    # A list is a contact sheet; the chosen item is shown below.
    turn.fill("4")
    turn.blur()
    expect(page.locator("#result-sheet img")).to_have_count(2)
    page.locator("#result-sheet button img").nth(1).click()
    expect(page.locator("#result-downloads")).to_contain_text("_crop_2.png")
