"""Measure the Review tab in a browser: how long it takes to open a queue of 10,000 finds, and from a key to the next.

    python benchmarks/review.py [--keys 60]

Needs chromium, playwright and scikit-image. A run of 40 pictures of 1600 x 1200 with 250 boxes each is made in a
temporary folder. A scripted keyboard presses A as soon as the next picture is shown. Printed are the seconds until
the first picture, the median and the 95th percentile of the milliseconds from a key to the next picture, and finds a
minute, beside the bars. The load of the computer is printed first: on a busy one, the figures say little.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image

TOOL = '''import numpy as np
from tools import Detections, Image, tool


@tool
def many(image: Image) -> Detections:
    """Find many things anywhere."""
    random, count = np.random.default_rng(int(image.pixels[:9, :9].sum())), 250
    start = random.random((count, 2)) * [image.width - 220, image.height - 220]
    boxes = np.hstack([start, start + 20 + random.random((count, 2)) * 180])
    labels = tuple(random.choice(["dog", "cat", "cow", "person"], count))
    return Detections(boxes, labels, random.random(count), image.size)
'''
PLAN = {"steps": [{"id": "s1", "tool": "many", "args": {"image": "$image"}}], "outputs": ["$s1"]}
# The time until another picture with its find is there and was painted.
PRESS = """() => new Promise((done) => {
  const name = () => document.querySelector('#review-head .rv-where').innerText;
  const svg = document.querySelector('#review-editor svg'), image = svg.querySelector('image');
  const before = name(), start = performance.now();
  const look = () => {
    const painted = name() !== before && svg.getAttribute('aria-label').startsWith(
      document.querySelector('#review-head .rv-item').innerText + ': ');
    if (!painted) { requestAnimationFrame(look); return; }
    const picture = new Image();
    picture.src = image.getAttribute('href');
    picture.decode().then(() => requestAnimationFrame(() => done(performance.now() - start)));
  };
  (svg.contains(document.activeElement) ? document.activeElement : svg).dispatchEvent(
    new KeyboardEvent('keydown', {key: 'a', bubbles: true, cancelable: true}));
  look();
})"""


def make_run(folder: Path) -> Path:
    """A run with 10,000 finds in the queue."""
    from skimage import data

    from agents.plan.plan import Plan
    from flows.annotate import annotate
    from flows.batch.review import ReviewRouting

    (folder / "pictures").mkdir()
    photos = [Image.fromarray(photo).resize((1600, 1200)) for photo in (data.astronaut(), data.cat(), data.coffee())]
    for number in range(40):
        photos[number % 3].rotate(number).save(folder / "pictures" / f"{number:02}.jpg", quality=88)
    (folder / "many.py").write_text(TOOL)
    routing = ReviewRouting(band=(0, 0.8), audit=1)
    source, tools = str(folder / "pictures"), [str(folder / "many.py")]
    annotate("", source, folder / "run", plan=Plan.load(PLAN), tools=tools, pilot=0, formats=[], routing=routing)
    return folder / "run"


def review(page: Any, run: Path, keys: int) -> tuple[float, list[float], float]:
    """Seconds until the first picture, milliseconds of each key, and finds a minute."""
    page.get_by_role("tab", name="Review").click()
    page.get_by_role("button", name="Filter, or another folder").click()
    page.locator("#review-folder").get_by_role("textbox").fill(str(run))
    began = time.perf_counter()
    page.locator("#review-open").click()
    page.locator("#review-editor .shape").first.wait_for()
    opened = time.perf_counter() - began
    page.locator("#review-editor svg").focus()
    page.wait_for_timeout(2000)  # as a person who looks at the first one
    began = time.perf_counter()
    times = [page.evaluate(PRESS) for _ in range(keys)]
    return opened, times, 60 * keys / (time.perf_counter() - began)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=60)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"SUPERLINK_HOME": str(folder / "home"), "SUPERLINK_UI_ROOTS": name}
        run = make_run(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
        command = [sys.executable, "-m", "superlink", "ui", "--port", address.rpartition(":")[2]]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    urlopen(address).close()
                    break
                except URLError:
                    time.sleep(0.2)
            print(f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
            with sync_playwright() as playwright:
                flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.set_default_timeout(120_000)
                page.goto(address)
                opened, times, rate = review(page, run, given.keys)
                browser.close()
        finally:
            server.terminate()
            server.wait()
    high = sorted(times)[max(0, round(0.95 * len(times)) - 1)]
    print("| what | measured | bar |\n|---|---|---|")
    print(f"| 10,000 finds open, s | {opened:.2f} | 1 |")
    print(f"| key to next picture, median, ms | {statistics.median(times):.0f} | |")
    print(f"| key to next picture, p95, ms | {high:.0f} | 250 |")
    print(f"| finds a minute | {rate:.0f} | 20 |")


if __name__ == "__main__":
    main()
