"""Walk through the page, and print figures beside their bars.

    python -m benchmarks.page [--home FOLDER] [--only ROW,ROW] [--minutes 5]

A `superlink ui` process with a home of its own is driven in chromium. What must be right on any machine "holds" or
"FAILS"; a failure ends with exit status 1. Times are "within" or "over" their bar; on a machine that works on something
else they are "not measured", with the figure in brackets. What is not there says "not built".
"""

import argparse
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from playwright.sync_api import sync_playwright

from .accessibility import accessibility
from .batches import batch, large
from .browser import open_browser
from .jobs import by_keyboard, by_mouse, change, on_a_phone
from .lost import lost
from .material import ROOT, prepare_home
from .reviews import review
from .server import Server, busy
from .speed import plans, start, stop
from .story import attacks, story
from .suite import Suite
from .table import HEAD, Table
from .together import together

ROWS: Mapping[str, Callable[[Suite], None]] = {
    "start": start,
    "plans": plans,
    "mouse": by_mouse,
    "keyboard": by_keyboard,
    "phone": on_a_phone,
    "change": change,
    "stop": stop,
    "lost": lost,
    "story": story,
    "axe": accessibility,
    "batch": batch,
    "review": review,
    "large": large,
    "together": together,
    "attacks": attacks,
}


def main() -> int:
    """Run the rows; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="a SUPERLINK_HOME whose weights are used; default: they are pulled")
    parser.add_argument("--only", default="", help=f"rows, separated by commas: {', '.join(ROWS)}")
    parser.add_argument("--minutes", type=float, default=5, help="how long rows last that watch something")
    parser.add_argument("--cache", type=Path, default=ROOT / "out" / "page", help="where what is fetched is kept")
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name] or list(ROWS)
    if unknown := [name for name in chosen if name not in ROWS]:
        parser.error(f"there is no row {', '.join(unknown)}")
    given.cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="superlink-page-"))
    home = prepare_home(given.home, given.cache if given.home is None else folder)
    table = Table(busy())
    print(f"others use {table.busy:.0%} of the processor\n{HEAD}", flush=True)
    server = Server(home, folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # the server ends, too
    try:
        with sync_playwright() as playwright:
            browser = open_browser(playwright)
            suite = Suite(folder, given.cache, server, browser, table, given.minutes)
            server.start()
            for name in chosen:
                _run(name, suite)
            _complaints(suite)
            browser.close()
    finally:
        server.stop()
    if table.failed:
        print(f"\nlog and screens: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return int(table.failed)


def _run(name: str, suite: Suite) -> None:
    try:
        with suite.within(name):
            ROWS[name](suite)
    except Exception as error:  # one row that breaks says so; the others still run
        traceback.print_exc()
        suite.table.correct(name, "can be walked", [f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"])


def _complaints(suite: Suite) -> None:
    found = [f"{row}: {one}" for row, complaints in suite.complaints.items() for one in complaints]
    found += [f"log: {line}" for line in suite.server.faults()]
    for one in found:
        print(f"  {one}", flush=True)
    suite.table.correct(
        "console errors, page errors, foreign requests, HTTP errors, errors in the log", "0 in every walk", found, "0"
    )


if __name__ == "__main__":
    sys.exit(main())
