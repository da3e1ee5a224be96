"""How many clicks and keys a person needs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from .browser import PHONE, Walk, until
from .material import sample
from .suite import Suite

_FOCUS = "document.activeElement?.closest('[id]')?.id ?? ''"


def by_mouse(suite: Suite) -> None:
    """From the person's own picture to the blurred one on the disk, by mouse."""
    walk = suite.visit().ready()
    page, picture = walk.page, sample("astronaut.jpg")
    with page.expect_file_chooser() as chooser:
        page.locator("#request .upload-button").click()
    chooser.value.set_files(picture)
    page.locator("#chips li").wait_for()
    page.keyboard.press("/")
    page.locator("#request textarea").focus()
    page.keyboard.type("blur every face")
    page.keyboard.press("Enter")
    page.locator("#run").click()
    walk.done()
    link = page.locator("#result-downloads .sl-file").first
    link.wait_for()
    with page.expect_download() as download:
        link.click()
    clicks, _ = walk.counted()
    faults = [] if clicks <= 4 else [f"{clicks} clicks"]
    if download.value.path().read_bytes() == picture.read_bytes():
        faults.append("the file is not changed")
    bar = "≤ 4 clicks + Enter"
    suite.table.correct("main job by mouse: own picture → blurred picture on disk", bar, faults, f"{clicks} clicks")


def by_keyboard(suite: Suite) -> None:
    """The same without a mouse."""
    walk = suite.visit().ready()
    page = walk.page
    page.locator("#request textarea").focus()
    page.keyboard.type("blur every face")
    with page.expect_file_chooser() as chooser:
        _tab_to(walk, ".upload-button", back=True)
        page.keyboard.press("Enter")
    chooser.value.set_files(sample("astronaut.jpg"))
    page.locator("#chips li").wait_for()
    page.keyboard.press("/") if not _in(walk, "#request textarea") else None
    until(lambda: _in(walk, "#request textarea"), "the focus in the box", 10)
    page.keyboard.press("Enter")
    until(lambda: _in(walk, "#run"), "the focus on Run")
    page.keyboard.press("Enter")
    walk.done()
    page.locator("#result-downloads .sl-file").first.wait_for()
    until(lambda: _in(walk, "#request textarea"), "the focus back in the box", 10)
    with page.expect_download():
        _tab_to(walk, "#result-downloads .sl-file", back=True)
        page.keyboard.press("Enter")
    clicks, keys = walk.counted()
    faults = [f"{clicks} clicks"] if clicks else []
    if keys + 1 > 8:  # "/" counts, too
        faults.append(f"{keys + 1} keys")
    suite.table.correct("main job by the keyboard alone", "≤ 8 keys besides text", faults, f"{keys + 1} keys")


def _in(walk: Walk, selector: str) -> bool:
    return bool(walk.page.evaluate("(selector) => !!document.activeElement?.closest(selector)", selector))


def _tab_to(walk: Walk, selector: str, back: bool, most: int = 40) -> None:
    for _ in range(most):
        if _in(walk, selector):
            return
        walk.page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"the Tab key does not reach {selector}")


def on_a_phone(suite: Suite) -> None:
    """The same on a phone: everything is in sight when it is needed."""
    walk = suite.visit(PHONE).ready()
    page, faults = walk.page, list[str]()

    @contextmanager
    def in_sight(selector: str) -> Iterator[None]:
        found = page.locator(selector).first
        found.wait_for()
        try:
            until(lambda: _visible(walk, selector), selector, 3)
        except AssertionError:
            faults.append(f"{selector} is out of sight when it is needed")
        yield

    with in_sight("#request .upload-button"), page.expect_file_chooser() as chooser:
        page.locator("#request .upload-button").tap()
    chooser.value.set_files(sample("astronaut.jpg"))
    page.locator("#chips li").wait_for()
    with in_sight("#request textarea"):
        page.locator("#request textarea").fill("blur every face")
    with in_sight("#request .submit-button"):
        page.locator("#request .submit-button").tap()
    with in_sight("#run"):
        page.locator("#run").tap()
    walk.done()
    with in_sight("#result-downloads .sl-file"), page.expect_download():
        page.locator("#result-downloads .sl-file").first.tap()
    clicks, _ = walk.counted()
    if clicks > 5:
        faults.append(f"{clicks} taps")
    faults += walk.clipped()
    suite.table.correct(
        "main job on 390×844", "≤ 4 taps + Send, nothing scrolled by hand, nothing cut off", faults, f"{clicks} taps"
    )


def _visible(walk: Walk, selector: str) -> bool:
    return bool(walk.page.evaluate("walk.visible", selector))


def change(suite: Suite) -> None:
    """Another label, another argument and one more step, without JSON."""
    walk = suite.visit().ready()
    walk.ask("blur every face", sample("astronaut.jpg"))
    page = walk.page
    before, _ = walk.counted()
    page.locator("#edit").click()
    page.locator("#step-1-labels input").click()
    for key in ("Backspace", "p", "e", "r", "s", "o", "n", "Enter"):
        page.keyboard.press(key)
    until(lambda: "person" in (walk.state()["forms"] or [""])[0], "the label")
    was = walk.state()["forms"][1]
    page.locator("#step-2-how input").click()
    page.get_by_role("option", name="Fill").click()
    until(lambda: walk.state()["forms"][1] != was, "the argument")
    page.locator("#add-step input").click()
    page.get_by_role("option", name=re.compile("^Count")).click()
    page.locator("#step-3").wait_for()
    clicks = walk.counted()[0] - before
    page.locator("#run-edited").click()
    status = walk.done()
    faults = [f"{clicks} clicks"] if clicks > 6 else []
    tools = [step["tool"] for step in walk.record()["plan"]["steps"]]
    if tools != ["detect", "redact", "count"] or status != "Done":
        faults.append(f"{status}: {tools}")
    suite.table.correct("a label, an argument and a step changed", "≤ 6 clicks, no JSON", faults, f"{clicks} clicks")
