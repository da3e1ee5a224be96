"""A page in the browser, what a person does in it, and what it complains of."""

import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Response

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
WAIT = 300
"""Seconds, for what comes in a few on an idle machine."""
WIDE, PHONE = (1280, 860), (390, 844)
_SCRIPT = (Path(__file__).parent / "walk.js").read_text(encoding="utf-8")


def open_browser(playwright: Playwright) -> Browser:
    """Start chromium; ends the program where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed: apt-get install chromium fonts-dejavu-core")
    return playwright.chromium.launch(executable_path=chromium, args=FLAGS)


def until(holds: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    """Return what `holds` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not after {seconds:g} s")


class Walk:
    """A visitor with a browser profile of their own.

    Args:
        browser: Chromium.
        address: Of the server.
        size: Width and height of the window.
        dark: Whether the system prefers dark colours.
        query: Behind the address, such as "/?s=…".

    Attributes:
        page: Of Playwright.
        complaints: What the page complained of so far.
        excused: Whether faults are expected, as while the server is away.
    """

    def __init__(
        self, browser: Browser, address: str, size: tuple[int, int] = WIDE, dark: bool = False, query: str = ""
    ) -> None:
        self.address, self.complaints = address, list[str]()
        self.excused = False
        phone = size == PHONE
        self._context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            has_touch=phone,
            is_mobile=phone,
            accept_downloads=True,
        )
        self._context.add_init_script(_SCRIPT)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(WAIT * 1000)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._complain(f"page error: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("response", self._answered)
        self.page.goto(address + query)

    def close(self) -> list[str]:
        """Leave; returns what the page complained of."""
        self.excused = True
        self._context.close()
        return self.complaints

    # What a person does

    def ready(self, new: bool = True) -> "Walk":
        """Wait until the page can be used; with `new`, on a session without turns."""
        self.page.locator("#conversation section").wait_for(state="attached")
        if new:
            self.page.locator("#samples h2").wait_for()
        return self

    def attach(self, *files: Path) -> None:
        """Add files to the box, and wait until each has its chip."""
        self.page.locator("#request input[type=file]").set_input_files(list(files))
        self.page.locator("#chips li").nth(len(files) - 1).wait_for()

    def say(self, words: str) -> None:
        """Type a request, and send it with Enter."""
        box = self.page.locator("#request textarea")
        box.fill(words)
        box.press("Enter")

    def ask(self, words: str, *files: Path) -> str:
        """Send a request with files, and wait until the turn waits or has ended; returns the stage."""
        if files:
            self.attach(*files)
        turns = self.turns
        self.say(words)
        return self.settled(turns + 1)

    def settled(self, turns: int = 1, seconds: float = WAIT) -> str:
        """Wait until there are so many turns and the last one waits or has ended; returns the stage."""
        return str(until(lambda: self.turns >= turns and self._resting(), "a plan or an end", seconds))

    def done(self, seconds: float = WAIT) -> str:
        """Wait until nothing is at work; returns the status of the last turn."""
        until(lambda: self.stage == "idle", "the end of the turn", seconds)
        return self.status

    def _resting(self) -> str:
        return self.stage if self.stage in ("approval", "editing", "idle") else ""

    def tab(self, name: str) -> bool:
        """Go to a tab; returns whether there is something in it."""
        found = self.page.locator("#tabs").get_by_role("tab", name=re.compile(name))
        if found.count() == 0:
            return False
        found.first.click()
        panel = self.page.locator("#tabs [role=tabpanel]:visible")
        return panel.count() > 0 and bool(panel.first.inner_text().strip())

    # What a person sees

    @property
    def stage(self) -> str:
        """The stage of the session that is shown."""
        section = self.page.locator("#conversation section")
        return str(section.get_attribute("data-stage")) if section.count() else ""

    @property
    def status(self) -> str:
        """The status of the last turn."""
        return self.page.locator("#conversation .sl-status").last.inner_text()

    @property
    def note(self) -> str:
        """What is said above the box; "" for nothing."""
        note = self.page.locator("#note")
        return note.inner_text() if note.is_visible() else ""

    @property
    def turns(self) -> int:
        """Number of turns that the server has answered."""
        return self.page.locator("#conversation .sl-turn:not([data-echo])").count()

    @property
    def session(self) -> str:
        """Name of the session, from the address."""
        return str(parse_qs(urlsplit(self.page.url).query).get("s", [""])[0])

    @property
    def progress(self) -> int:
        """Number of parts of the running step that are done; 0 where none is told."""
        bars = self.page.locator("#plan progress")
        return int(float(bars.last.get_attribute("value") or 0)) if bars.count() else 0

    def counted(self) -> tuple[int, int]:
        """Return the clicks and the keys besides text, since the page was loaded."""
        walk = self.page.evaluate("window.walk")
        return int(walk["clicks"]), int(walk["keys"])

    def reaction(self) -> float:
        """Return the seconds from the last Enter to the first frame that shows a new turn."""
        until(lambda: self.page.evaluate("window.walk.reaction"), "a reaction")
        return float(self.page.evaluate("window.walk.reaction")) / 1000

    def state(self) -> dict[str, Any]:
        """Return what tells one state of a session from another: stage, turns, plan, forms."""
        found: dict[str, Any] = self.page.evaluate("walk.state()")
        return found

    def record(self) -> dict[str, Any]:
        """Return the record of the turn whose results are shown."""
        link = self.page.locator("#results a[href$='record.json']").first
        link.wait_for(state="attached")
        # As a page does, it asks again where the server closes an idle connection at that moment.
        answer = self.page.request.get(self.address + str(link.get_attribute("href")), max_retries=2)
        found: dict[str, Any] = answer.json()
        return found

    def clipped(self) -> list[str]:
        """Return the controls and words that are cut off or stick out of the window."""
        found: list[str] = self.page.evaluate("walk.clipped()")
        wide = int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))
        return [*found, *([f"the page is {wide} pixels wider than the window"] if wide > 1 else [])]

    # What it complains of

    def _complain(self, words: str) -> None:
        # What is still coming when a page is left is aborted.
        if not self.excused and not re.match(
            r"page error: AbortError|console: AbortError|page error: \(aborted\)", words
        ):
            self.complaints.append(words[:300])

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" or "WebGL" in message.text:
            self._complain(f"console: {message.text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.address + "/", "data:", "blob:")):
            self._complain(f"foreign request: {url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._complain(f"HTTP {response.status}: {response.url}")


def percentile(values: Sequence[float], share: float = 0.95) -> float:
    """Return the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]
