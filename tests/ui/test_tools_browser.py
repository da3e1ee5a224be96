"""The Tools and Models tabs in a browser: a file is loaded and its tool tried; weights are found, fetched, verified."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")

from tests.ui.serve import RULES
from tests.ui.served import served
from tests.ui.test_models import Served, declare, entry
from tests.waiting import WAIT
from tools import Text, tool
from tools.weights import weights
from tools.weights.needs import Need

HUM = '''
import numpy as np
from superlink import Audio, Text, tool

@tool(examples=["hum a tune", "hum badly"])
def hum(text: Text) -> Audio:
    """Hum a text <b>loudly</b>."""
    if text.text == "bad":
        raise ValueError("there is no tune")
    return Audio(np.zeros((800, 1), np.float32), 8000)
'''
NAMELESS = """() => [...document.querySelectorAll('[role=tabpanel] :is(input, textarea, button, summary)')]
    .filter((each) => each.checkVisibility() && each.type != 'file' && !(each.getAttribute('aria-label')
        || each.labels?.length || each.textContent.trim()))
    .map((each) => each.outerHTML.slice(0, 200))"""


def test_a_file_is_loaded_and_its_tool_tried_and_weights_are_fetched(
    browser: Any, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT * 1000)
    monkeypatch.setitem(RULES, "tune", [("hum", {"text": "good"})])
    monkeypatch.setitem(RULES, "badly", [("hum", {"text": "bad"})])
    home.mkdir()
    declare(home, entry("tiny"))
    own, broken = tmp_path / "own.py", tmp_path / "broken.py"
    own.write_text(HUM)
    broken.write_text("x = 1\n1 / 0\n")

    @tool(needs=lambda _: [Need("tiny")])
    def fine(text: Text) -> Text:
        """Say it finely."""
        return text

    monkeypatch.setitem(RULES, "finely", [("fine", {"text": "la"})])
    with served(tmp_path / "page", more={"fine": fine}) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(WAIT * 1000)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        tab, said, card = page.locator("#tabs [role=tab]"), page.locator("#tools-said"), page.locator("#tool-hum")

        # A file is shown first, and its fault is a sentence.
        tab.filter(has_text="Tools").click()
        page.get_by_role("button", name="Load a Python file with tools").click()
        file = page.locator("#tools-file input[type=file]")
        file.set_input_files(broken)
        page.locator("#tools-load").click()
        expect(said).to_contain_text("broken.py cannot be loaded: ZeroDivisionError: division by zero.")
        expect(said).to_contain_text("broken.py, line 2")
        expect(said.locator("pre")).to_be_hidden()
        said.locator("summary").click()
        expect(said.locator("pre")).to_contain_text("Traceback (most recent call last)")
        page.locator("#tools-no").click()
        expect(page.locator("#tools-load")).to_be_hidden()
        file.set_input_files(own)
        page.locator("#tools-load").click()
        expect(said).to_contain_text("Loaded: hum.")
        expect(card).to_contain_text("Hum a text <b>loudly</b>.")
        assert not page.evaluate(NAMELESS)

        # Its tool is used at once; the same button works twice, and what failed is told at the tool.
        for _ in range(2):
            card.get_by_role("button", name="hum a tune").click()
            page.locator("#run").click()
            expect(page.locator("#results audio")).to_be_attached()
            tab.filter(has_text="Tools").click()
        card.get_by_role("button", name="hum badly").click()
        page.locator("#run").click()
        expect(page.locator("#conversation")).to_contain_text("there is no tune")
        page.locator("#plan .sl-trace summary").click()
        expect(page.locator("#plan pre")).to_contain_text('raise ValueError("there is no tune")')
        tab.filter(has_text="Tools").click()
        expect(card).to_contain_text("Its last call failed")
        card.get_by_role("button", name="Take its file out").click()
        expect(said).to_contain_text("Out of the catalogue: hum.")
        expect(card).to_have_count(0)

        # A plan that lacks weights leads to them.
        tab.filter(has_text="Session").click()
        box = page.get_by_placeholder("What should happen?")
        box.fill("say it finely")
        box.press("Enter")
        expect(page.locator("#plan")).to_contain_text("Needs tiny, MIT")
        expect(page.locator("#run")).to_be_disabled()
        page.get_by_role("button", name="Get tiny").click()
        expect(page.locator("#models tbody tr.focus")).to_contain_text("tiny")

        # Weights are found by words; a fetch can be stopped, and what is here be verified.
        answers = Served(monkeypatch)
        tab.filter(has_text="Models").click()
        page.locator("#models-search").locator("textarea, input").fill("tiny tests")
        rows = page.locator("#models tbody tr")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("For <b>tests</b>")
        page.get_by_role("button", name="Get tiny").click()
        page.get_by_role("progressbar", name="Fetching tiny").wait_for()
        page.get_by_role("button", name="Stop tiny").click()
        expect(rows).to_contain_text("stopped")
        answers.go_on.set()
        page.get_by_role("button", name="Get tiny").click()
        expect(rows).to_contain_text("here, hash pinned")
        page.get_by_role("button", name="Verify tiny").click()
        expect(rows).to_contain_text("is right")
        # The answer stands above the table, and comes into view.
        size = page.viewport_size
        assert size is not None
        page.set_viewport_size({"width": size["width"], "height": 180})
        page.get_by_role("button", name="Remove tiny").click()
        expect(page.locator("#models-no")).to_be_in_viewport()
        expect(page.locator("#models-no")).to_be_focused()
        page.locator("#models-no").click()
        page.get_by_role("button", name="Use for detect: tiny").click()
        expect(page.locator("#models-note")).to_contain_text("tiny is used for detect from now on.")
        expect(page.locator("#models-note")).to_be_in_viewport()
        page.set_viewport_size(size)
        expect(rows).to_contain_text("detect (chosen)")

        # The plan that waited for them can run.
        tab.filter(has_text="Session").click()
        expect(page.locator("#run")).to_be_enabled()
        expect(page.locator("#plan")).not_to_contain_text("Needs tiny")

        # So can one that is being changed.
        weights.remove("tiny")
        page.locator("#edit").click()
        expect(page.locator("#step-1")).to_contain_text("Needs tiny")
        expect(page.locator("#run-edited")).to_be_disabled()
        tab.filter(has_text="Tools").click()
        weights.pull("tiny")
        tab.filter(has_text="Session").click()
        expect(page.locator("#run-edited")).to_be_enabled()
        expect(page.locator("#step-1")).not_to_contain_text("Needs tiny")
        assert not page.evaluate(NAMELESS)
        page.close()
        assert not complaints
