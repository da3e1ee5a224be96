"""One long walk through what a person does, and the tests of attacks and of wrong words."""

import subprocess
import sys

from .browser import until
from .material import sample
from .server import ROOT
from .suite import Suite

_ATTACKS = ("tests/ui/test_attacks.py", "tests/ui/test_guarded.py", "tests/ui/test_owners.py", "tests/ui/test_login.py")
_WRONG_WORDS = ("tests/ui/test_wrong_words.py",)


def story(suite: Suite) -> None:
    """Ask, change by forms, approve, see boxes, keep some, export, kill -9, open again: the same."""
    walk = suite.visit().ready()
    page, faults = walk.page, list[str]()
    walk.ask("blur every face", sample("astronaut.jpg"))
    page.locator("#edit").click()
    page.locator("#step-2").wait_for()
    was = walk.state()["forms"][1]
    page.locator("#step-2-how input").click()
    page.get_by_role("option", name="Fill").click()
    until(lambda: walk.state()["forms"][1] != was, "the change")
    page.locator("#run-edited").click()
    walk.done()
    if walk.record()["plan"]["steps"][1]["args"].get("how") != "fill":
        faults.append("what was changed in the form did not run")
    if walk.record()["decision"]["action"] != "edit":
        faults.append("the record does not say that a person edited the plan")
    if walk.ask("find every person") == "approval":
        page.locator("#run").click()
        walk.done()
    page.locator("#result-shapes .shape").first.wait_for()
    shapes = page.locator("#result-shapes .shape").count()
    page.locator("#result-keep").click()
    until(lambda: "Kept" in page.locator("#result-kept").inner_text(), "what is kept")
    with page.expect_download() as download:
        page.locator("#results a[href$='.zip']").first.click()
    packed = download.value.path().read_bytes()
    state, session = walk.state(), walk.session
    walk.excused = True
    suite.server.kill()
    suite.server.start()
    again = suite.visit(query=f"/?s={session}").ready(new=False)
    try:
        until(lambda: again.state() == state, "the same state", 20)
    except AssertionError:
        now = again.state()
        faults += [f"{name}: {now[name]!r}, not {was!r}" for name, was in state.items() if now[name] != was]
    try:
        until(lambda: again.page.locator("#result-shapes .shape").count() == shapes, "the shapes", 30)
    except AssertionError:
        faults.append(f"{again.page.locator('#result-shapes .shape').count()} shapes, not {shapes}")
    with again.page.expect_download() as download:
        again.page.locator("#results a[href$='.zip']").first.click()
    if download.value.path().read_bytes() != packed:
        faults.append("the zip file is not the same after kill -9")
    suite.table.correct(
        "ask → change by forms → approve → see boxes → keep → export → kill -9 → open again",
        "the same as before",
        faults,
        f"{shapes} shapes",
    )


def attacks(suite: Suite) -> None:
    """Run the tests of attacks and of requests that cannot be done."""
    for what, bar, files in (
        ("attacks", "refused or inert", _ATTACKS),
        ("wrong words", "never green", _WRONG_WORDS),
    ):
        ran = subprocess.run([sys.executable, "-m", "pytest", *files], cwd=ROOT, capture_output=True, text=True)
        said = ran.stdout.strip().splitlines()
        faults = [] if ran.returncode == 0 else [line for line in said if line.startswith("FAILED")] or said[-1:]
        suite.table.correct(what, bar, faults, said[-1] if said else "")
