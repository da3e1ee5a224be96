"""The Review tab: pace by the keyboard, and a long queue."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from .browser import Walk, percentile, until
from .material import TOOLS, many
from .server import ROOT
from .suite import Suite

FINDS, JUDGED = 10_000, 30


def make_run(suite: Suite, folder: Path, tool: str = "detect", **args: object) -> Path:
    """Make a run over a folder by the command line, with all finds to review; returns its folder."""
    out, plan, tools = suite.folder / f"{folder.name}-run", suite.folder / f"{tool}.json", suite.folder / "grid.py"
    tools.write_text(TOOLS)
    step = {"id": "s1", "tool": tool, "args": {"image": "$image", **args}}
    plan.write_text(json.dumps({"request": "", "steps": [step], "outputs": ["$s1"]}))
    command = ["annotate", "", str(folder), "--out", str(out), "--plan", str(plan), "--yes", "--audit", "1"]
    made = subprocess.run(
        [sys.executable, "-m", "superlink", *command, "--tools", str(tools)],
        env={**os.environ, "SUPERLINK_HOME": str(suite.server.home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise RuntimeError(f"the run to review cannot be made: {made.stderr[-600:]}")
    return out


def open_run(walk: Walk, run: Path) -> None:
    """Open a run in the Review tab, and wait until its first find is shown."""
    page = walk.page
    page.locator("#review-filter > button").click()
    folder = page.locator("#review-folder textarea, #review-folder input").first
    folder.fill(str(run))
    page.locator("#review-open").click()
    page.locator("#review-editor svg .shape").first.wait_for()
    page.locator("#review-filter > button").click()


def review(suite: Suite) -> None:
    """Open a queue of 10,000, accept finds by the keyboard, and go on after a reload."""
    walk = suite.visit().ready(new=False)
    if not walk.tab("Review"):
        for what, bar in (("accepted by the keyboard", "≥ 20 items/min"), ("10,000 in the queue: opens", "≤ 1 s")):
            suite.table.not_built(f"review: {what}", bar, "the Review tab is empty")
        return
    run, page = make_run(suite, many(suite.folder / "reviewed", FINDS // 100), "grid"), walk.page
    head = page.locator("#review-head")
    began = time.perf_counter()
    open_run(walk, run)
    suite.table.timed("review: 10,000 finds in the queue, opens", 1, time.perf_counter() - began)
    shown = head.inner_text().replace("\n", " ")
    whole = [] if "10,000" in shown or "10000" in shown else [shown]
    suite.table.correct("review: the whole queue is there", "10,000 finds", whole, shown[:80])
    times, faults, began = list[float](), list[str](), time.perf_counter()
    page.locator("#review-editor svg").first.focus()
    for number in range(JUDGED):
        before, pressed = head.inner_text(), time.perf_counter()
        page.keyboard.press("a")
        try:
            until(lambda: head.inner_text() != before, "the next find", 20)  # noqa: B023 (called at once)
        except AssertionError:
            faults.append(f"nothing happens after the {number + 1}th A")
            break
        times.append(time.perf_counter() - pressed)
    pace = len(times) / (time.perf_counter() - began) * 60
    suite.table.timed("review: accepted by the keyboard", 20, pace, "items/min", least=True)
    if times:
        suite.table.timed("review: key to next picture, p95", 0.25, percentile(times))
    suite.table.correct("review: every A accepts one find", f"{JUDGED} accepted", faults, f"{len(times)} accepted")
