"""The Batch tab: from a folder to exports, and a large run that is open for minutes."""

import os
import subprocess
import sys
from pathlib import Path

from .browser import Walk, until
from .material import photographs
from .server import ROOT
from .suite import Suite

LARGE = 10_000


def batch(suite: Suite) -> None:
    """Source, plan, pilot, run and export, by mouse."""
    folder = suite.folder / "batch"
    photographs(folder, 20)
    (folder / "broken.jpg").write_bytes(b"no picture")
    walk = suite.visit()
    if not to_run(walk, folder, "find every person"):
        suite.table.not_built("batch: source → plan → pilot → run → export", "all done", "the Batch tab is not there")
        return
    page, faults = walk.page, list[str]()
    until(lambda: "Done:" in page.locator("#run-state").inner_text(), "the end of the run")
    if "broken.jpg" not in str(page.locator("#run-failures").text_content()):
        faults.append("the broken file is not named")
    page.locator("#run-export > button").click()
    page.locator("#run-zip").click()
    link = page.locator("#run-download a")
    link.wait_for()
    with page.expect_download() as download:
        link.first.click()
    if download.value.path().stat().st_size < 1000:
        faults.append("the export is empty")
    suite.table.correct(
        "batch: source → plan → pilot → run → export", "20 done, 1 failure named", faults, "20 pictures"
    )


def to_run(walk: Walk, folder: Path, request: str) -> bool:
    """Go through the steps of a batch until it runs; returns False where there is no such tab."""
    walk.ready(new=False)
    if not walk.tab("Batch"):
        return False
    page = walk.page
    page.locator("#batch-folder textarea, #batch-folder input").first.fill(str(folder))
    page.locator("#batch-use").click()
    _press(walk, "#batch-to-plan")
    page.locator("#batch-request textarea").fill(request)
    page.locator("#batch-make").click()
    _press(walk, "#batch-to-pilot")
    _press(walk, "#batch-run")
    page.locator("#run-state:visible").wait_for()
    return True


def _press(walk: Walk, selector: str) -> None:
    button = walk.page.locator(selector)
    until(lambda: button.is_visible() and button.is_enabled(), selector)
    button.click()


def large(suite: Suite) -> None:
    """A batch of 10,000 is open in the page while it runs, as `benchmarks/batch_page.py` measures it."""
    minutes = max(2, round(2 * suite.minutes))
    ran = subprocess.run(
        [sys.executable, "benchmarks/batch_page.py", "--items", str(LARGE), "--minutes", str(minutes)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    lines = [line.strip("| \n").split(" | ") for line in ran.stdout.splitlines() if line.startswith("| ")]
    watched = [line for line in lines if line[0].isdigit()]
    what = f"batch of 10,000 open for {minutes} min"
    if ran.returncode or len(watched) < 2:
        suite.table.correct(what, "can be watched", [ran.stderr.strip()[-300:] or "no figures"])
        return
    grown = float(watched[-1][2]) / float(watched[0][2]) - 1
    suite.table.correct(
        f"{what}: memory of the page", "≤ +20 %", [f"{grown:+.0%}"] if grown > 0.2 else [], f"{grown:+.0%}"
    )
    share = sum(float(line[4]) for line in watched) / len(watched)
    suite.table.timed(f"{what}: processor time of the server", 5, share, "% of a core")
