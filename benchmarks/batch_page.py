"""What a run of many items costs while it is open in the page: memory of the page, processor time of the server.

    python benchmarks/batch_page.py [--items 10000] [--minutes 10]

A short run: --items 600 --minutes 2. A tool that searches nothing but takes its time works on small pictures for as
long as the page is watched; one in twenty is damaged. The page is open in Chromium (playwright, from the extra dev)
on the step Run. Printed are, for each minute, the items that have ended, the JavaScript heap after a collection of
garbage, the elements of the page, and the server's processor time as a share of one core; the first line is of the
page with no run open. Where other processes run, only the shares of processor time can be compared.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from PIL import Image as Pil

from flows.batch.spec import RunSpec
from tools.core.settings import settings
from ui.batches.pilot import read_pilot
from ui.batches.process import approve_and_run, cancel, is_running, start_pilot
from ui.batches.runs import RunRecord, Runs

OWNER = "local"
TOOL = '''
import os, time
from tools import Batch, Detections, Image, tool

@tool
def find_slowly(image: Batch[Image]) -> Batch[Detections]:
    """Find one thing in each image, slowly."""
    time.sleep(float(os.environ["SLOW_SECONDS"]) * len(image))
    return [Detections([[4, 4, 40, 30]], ("thing",), [0.5], one.size) for one in image]
'''
PLAN = {"request": "find it", "steps": [{"id": "s1", "tool": "find_slowly", "args": {"image": "$image"}}]}


def make(folder: Path, count: int) -> None:
    """Write small pictures, each different, and one in twenty that cannot be read."""
    folder.mkdir()
    for number in range(count):
        file = folder / f"{number:06}.png"
        if number % 20 == 19:
            file.write_bytes(b"no picture")
        else:
            Pil.new("RGB", (64, 48), (number % 256, number // 256 % 256, 90)).save(file)


@contextmanager
def served(folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    """Yield the server of the page, and its address."""
    with (folder / "server.log").open("w+") as log:
        child = subprocess.Popen([sys.executable, "-m", "superlink", "ui", "--port", "0"], stdout=log, stderr=log)
        try:
            while "superlink is at" not in (text := (folder / "server.log").read_text()):
                assert child.poll() is None, text
                time.sleep(0.2)
            yield psutil.Process(child.pid), text.split("superlink is at ")[1].split()[0]
        finally:
            child.terminate()
            child.wait()


def begin(home: Path, source: Path, tool: Path) -> tuple[Runs, RunRecord]:
    """Begin a run as the page does, and wait until its items are worked on."""
    runs = Runs(home)
    record = runs.new(OWNER, "find it")
    spec = {"source": str(source), "out": record.folder, "plan": PLAN, "tools": [str(tool)], "pilot": 8, "shard": 16}
    start_pilot(runs, record.id, OWNER, RunSpec.load(spec))
    while is_running(runs.get(record.id, OWNER)):
        time.sleep(0.2)
    pilot = read_pilot(record.folder)
    assert pilot is not None, (record.folder / "run.log").read_text()
    return runs, approve_and_run(runs, record.id, OWNER, pilot.plan.hash)


class Watch:
    """Measures the page and its server over stretches of time."""

    def __init__(self, page: Any, server: psutil.Process) -> None:
        self._page, self._server = page, server
        self._debugger = page.context.new_cdp_session(page)
        self._debugger.send("Performance.enable")

    def stretch(self, seconds: float) -> tuple[float, float, int]:
        """Wait; return the share of one core, the heap in megabytes, and the number of elements."""
        began, spent = time.monotonic(), sum(self._server.cpu_times()[:2])
        self._page.wait_for_timeout(1000 * seconds)
        share = (sum(self._server.cpu_times()[:2]) - spent) / (time.monotonic() - began)
        self._debugger.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in self._debugger.send("Performance.getMetrics")["metrics"]}
        return share, found["JSHeapUsedSize"] / 1e6, int(found["Nodes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--minutes", type=int, default=10)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium, "chromium is not installed"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ |= {
            "SUPERLINK_HOME": str(folder / "home"),
            "SUPERLINK_UI_ROOTS": str(folder),
            "SLOW_SECONDS": str(60 * (given.minutes + 1) / given.items),
        }
        settings.cache_clear()
        make(folder / "pictures", given.items)
        (folder / "slow.py").write_text(TOOL)
        with served(folder) as (server, address), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.goto(address)
            page.get_by_role("tab", name="Batch").click()
            page.wait_for_timeout(5000)
            watch = Watch(page, server)
            print("| minute | items ended | heap, MB | elements | server, % of one core |\n|---|---|---|---|---|")
            share, heap, elements = watch.stretch(20)
            print(f"| no run open | | {heap:.1f} | {elements} | {100 * share:.1f} |", flush=True)
            runs, record = begin(folder / "home", folder / "pictures", folder / "slow.py")
            try:
                page.reload()
                page.get_by_role("tab", name="Batch").click()
                page.locator("#batch-runs label").first.click()
                page.locator("#run-latest img").first.wait_for()
                for minute in range(1, given.minutes + 1):
                    share, heap, elements = watch.stretch(60)
                    facts = page.locator("#run-state dd").all_inner_texts()
                    ended = int(facts[0]) + int(facts[1])
                    print(f"| {minute} | {ended} | {heap:.1f} | {elements} | {100 * share:.1f} |", flush=True)
            finally:
                cancel(runs, record.id, OWNER)
                while is_running(runs.get(record.id, OWNER)):
                    time.sleep(0.2)
            browser.close()


if __name__ == "__main__":
    main()
