"""The Review tab in a browser: by keyboard alone, and after the server was killed."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agents.examples.bank import Bank
from flows.batch.review import queue
from flows.ledger.ledger import Ledger
from superlink.cli import main
from tests.ui.reviews.conftest import make_run
from tests.ui.test_page import ROOT
from tests.waiting import WAIT, until

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Server:
    """The page in a process of its own, always at the same address."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.log = folder, folder / "log.txt"
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")}
        self._environment |= {"SUPERLINK_HOME": str(folder / "home"), "SUPERLINK_UI_ROOTS": str(folder)}
        self._environment["SUPERLINK_EXAMPLES"] = "similar"
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("wb") as out:
            self.child = subprocess.Popen(
                [sys.executable, str(ROOT / "tests/ui/serve.py"), str(self.port)],
                env=self._environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        until(lambda: "superlink is at" in self.log.read_text() or self.child.poll() is not None, "the page")
        assert self.child.poll() is None, self.log.read_text()

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait(WAIT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("review"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def page(home: Path, server: Server, browser: Any) -> Iterator["Page"]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})  # which keeps nothing of the test before
    page = context.new_page()
    page.set_default_timeout(WAIT * 1000)
    page.goto(f"http://127.0.0.1:{server.port}")
    page.get_by_role("tab", name="Review").click()
    yield page
    context.close()


def where(page: "Page") -> str:
    """The position in the queue; "" until the picture that belongs to it is shown."""
    item = page.locator("#review-head .rv-item").inner_text()
    shown = page.locator("#review-editor svg").get_attribute("aria-label") or ""
    return page.locator("#review-head .rv-where").inner_text() if shown.startswith(f"{item}: ") else ""


def press(page: "Page", *keys: str) -> None:
    """Press keys in the editor, whose keys work only while it has the focus."""
    for key in keys:
        until(lambda: page.evaluate("document.activeElement.closest('#review-editor') !== null"), "the focus")
        page.keyboard.press(key)


def verdicts(run: Path) -> dict[int, Any]:
    ledger = Ledger.open_existing(run)
    try:
        return {one.id: one for one in queue(ledger, everything=True) if one.verdict}
    finally:
        ledger.close()


@pytest.mark.walk
def test_twenty_by_keyboard_a_box_fixed_and_nothing_lost(server: Server, page: "Page") -> None:
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#review-begin").click()
    page.locator("#batch-new").wait_for()
    page.get_by_role("tab", name="Review").click()
    run = make_run(server.folder / "many", count=24)
    page.get_by_role("button", name="Filter, or another folder").click()
    page.locator("#review-folder").get_by_role("textbox").fill(str(run))
    page.locator("#review-open").click()
    page.locator("#review-editor .shape").first.wait_for()
    until(lambda: page.evaluate("document.activeElement.closest('#review-editor') !== null"), "the focus")
    assert not page.locator("#review-begin").is_visible()
    total = where(page).split()[-1]
    for number in range(1, 21):
        until(lambda: where(page) == f"{number} of {total}", f"find {number}")  # noqa: B023
        press(page, "a")
    until(lambda: where(page) == f"21 of {total}", "find 21")
    assert [one.verdict for one in verdicts(run).values()] == ["accepted"] * 20
    until(lambda: "20 of" in page.locator("#review-figures").inner_text(), "the figures")
    assert page.locator("#review-strip button").count() == 9 and page.locator("#review-strip img").count() >= 9

    # The find has the focus, so that the arrows move it; into its corners, and one of them moved.
    press(page, "Shift+ArrowRight", "Enter", "ArrowDown")
    head = page.locator("#review-head .rv-what")
    until(lambda: "Fixed" in head.inner_text(), "what was changed is kept")
    [fixed] = [one for one in verdicts(run).values() if one.verdict == "corrected"]
    box = until(lambda: json.loads(verdicts(run)[fixed.id].shape)["box"], "the box")
    server.kill()
    assert len(verdicts(run)) == 21

    complaints.clear()  # of the server that is gone
    server.start()
    page.reload()
    page.get_by_role("tab", name="Review").click()
    until(lambda: page.locator("#review-head .rv-where").count() and where(page) == f"21 of {total}", "the same find")
    assert "Fixed" in head.inner_text()
    page.locator("#review-editor svg").focus()
    press(page, "f")
    until(lambda: where(page) == f"22 of {total}", "the next find")
    press(page, "Control+z")
    until(lambda: where(page) == f"21 of {total}", "the find before")
    press(page, "Control+Shift+z")
    until(lambda: "Done again." in page.locator("#review-note").inner_text(), "what was done again")
    assert "Fixed" in head.inner_text()
    press(page, "j")
    until(lambda: where(page) == f"22 of {total}", "the next open find")
    assert main(["export", str(run), "coco"]) == 0
    found = json.loads((run / "coco" / "annotations.json").read_text())["annotations"]
    x0, y0, x1, y1 = box
    [human] = [one["bbox"] for one in found if one.get("source") == "human"]
    assert human == pytest.approx([x0, y0, x1 - x0, y1 - y0], abs=0.02)
    assert not [text for text in complaints if "ERR_" not in text]
    assert not [url for url in asked if not url.startswith((f"http://127.0.0.1:{server.port}", "data:", "blob:"))]


def test_keys_are_listed_and_changed_and_filters_say_what_is_left(server: Server, page: "Page") -> None:
    run = make_run(server.folder / "few")
    page.get_by_role("button", name="Filter, or another folder").click()
    folder = page.locator("#review-folder").get_by_role("textbox")
    folder.fill("/etc")
    page.locator("#review-open").click()
    note = page.locator("#review-note")
    until(lambda: "outside of the folders" in note.inner_text(), "a refusal")
    folder.fill(str(run))
    page.locator("#review-open").click()
    page.locator("#review-editor .shape").first.wait_for()
    first = where(page)
    bank, tick = Bank(server.folder / "home" / "examples.sqlite"), page.locator("#review-teach").get_by_role("checkbox")
    tick.check()
    until(lambda: [one.origin for one in bank.all()] == ["reviewed"], "the example")
    tick.uncheck()
    until(lambda: not bank.all(), "no example")
    bank.close()
    page.locator("#review-editor svg").focus()
    press(page, "?")
    page.locator("#review-keys").get_by_text("Accept: it is right").first.wait_for()
    page.locator("#review-key").get_by_role("textbox").fill("y")
    page.get_by_role("button", name="Change", exact=True).click()
    page.locator("#review-keys").get_by_text("Changed.").wait_for()
    page.locator("#review-editor svg").focus()
    press(page, "a")  # is no key any more
    until(lambda: where(page) == first, "the same find")
    assert not verdicts(run)
    press(page, "y")
    until(lambda: where(page) != first, "the next find")
    # Typing in a field is no key.
    folder.fill("")
    folder.press_sequentially("ry")
    assert len(verdicts(run)) == 1
    page.locator("#review-accept").click()
    until(lambda: len(verdicts(run)) == 2, "the button")
