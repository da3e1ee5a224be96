"""The page in light, dark and on a phone, in each state, as small pictures.

    python -m benchmarks.page.screenshots docs/screens [--home FOLDER] [--only STATE,STATE]

Each picture is looked at: one that is blank, or in which controls or words are cut off, is named, and the exit status
is 1. A state whose tab is empty is left out, and said.
"""

import argparse
import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from .batches import to_run
from .browser import PHONE, WIDE, Walk, open_browser, until
from .material import ROOT, photographs, prepare_home, sample
from .reviews import make_run, open_run
from .server import Server
from .suite import Suite
from .table import Table

LOOKS = {"light": (WIDE, False), "dark": (WIDE, True), "phone": (PHONE, False)}
MOST = 150_000
"""Bytes of a picture."""


def empty(suite: Suite) -> Walk:
    """A new session."""
    walk = suite.visit().ready()
    until(lambda: "being loaded" not in walk.page.locator("#header").inner_text(), "the planner")
    return walk


def plan(suite: Suite) -> Walk:
    """A plan that waits."""
    walk = suite.visit().ready()
    walk.ask("blur every face", sample("astronaut.jpg"))
    return walk


def result(suite: Suite) -> Walk:
    """A picture before and after."""
    walk = plan(suite)
    walk.page.locator("#run").click()
    walk.done()
    walk.page.locator("#result-downloads .sl-file").first.wait_for()
    walk.page.locator("#result-compare img").first.wait_for()
    return walk


def shapes(suite: Suite) -> Walk:
    """What was found, over the picture."""
    walk = suite.visit().ready()
    walk.ask("find the joints of every person", sample("photographer.jpg"))
    walk.done()
    walk.page.locator("#result-shapes svg").first.wait_for()
    return walk


def error(suite: Suite) -> Walk:
    """A request that cannot be done."""
    walk = suite.visit().ready()
    walk.ask("translate it into French", sample("astronaut.jpg"))
    return walk


def batch(suite: Suite) -> Walk | None:
    """A batch that is done."""
    walk = suite.visit()
    if not to_run(walk, _pictures(suite), "find every person"):
        return None
    until(lambda: "Done:" in walk.page.locator("#run-state").inner_text(), "the end of the run")
    return walk


def review(suite: Suite) -> Walk | None:
    """A find to judge."""
    walk = suite.visit().ready(new=False)
    if not walk.tab("Review"):
        return None
    open_run(walk, make_run(suite, _pictures(suite), labels=["person", "cat"]))
    return walk


def _pictures(suite: Suite) -> Path:
    folder = suite.folder / "photographs"
    if not folder.exists():
        photographs(folder, 24)
    return folder


def _tab(name: str) -> Callable[[Suite], Walk | None]:
    def visit(suite: Suite) -> Walk | None:
        walk = suite.visit().ready(new=False)
        return walk if walk.tab(name) else None

    return visit


STATES: dict[str, Callable[[Suite], Walk | None]] = {
    "empty": empty,
    "plan": plan,
    "result": result,
    "shapes": shapes,
    "error": error,
    "batch": batch,
    "review": review,
    "tools": _tab("Tools"),
    "models": _tab("Models"),
}


def take(walk: Walk, place: Path, size: tuple[int, int], dark: bool) -> Iterator[str]:
    """Write the picture of a look as WebP; yields what is wrong with it."""
    page = walk.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
    page.wait_for_timeout(1500)
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        picture = shot.convert("RGB")
    quality = 85
    while True:
        packed = io.BytesIO()
        picture.save(packed, "WEBP", quality=quality, method=6)
        if packed.tell() <= MOST or quality <= 40:
            break
        quality -= 10
    place.write_bytes(packed.getvalue())
    if packed.tell() > MOST:
        yield f"{place.name}: {packed.tell()} bytes"
    if blank(picture):
        yield f"{place.name} is blank"
    for one in walk.clipped():
        yield f"{place.name}: cut off: {one}"


def blank(picture: Image.Image) -> bool:
    """Return whether almost nothing is in a picture: nearly all pixels below the tabs have one colour."""
    body = picture.crop((0, picture.height // 8, picture.width, picture.height)).quantize(16)
    most = max(count for count, _ in body.getcolors() or [(0, 0)])
    return most > 0.985 * body.width * body.height


def main() -> int:
    """Take the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--home", type=Path, help="a SUPERLINK_HOME whose weights are used; default: they are pulled")
    parser.add_argument("--only", default="", help=f"states, separated by commas: {', '.join(STATES)}")
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name] or list(STATES)
    given.out.mkdir(parents=True, exist_ok=True)
    cache, folder = ROOT / "out" / "page", Path(tempfile.mkdtemp(prefix="superlink-screens-"))
    cache.mkdir(parents=True, exist_ok=True)
    server = Server(prepare_home(given.home, cache if given.home is None else folder), folder)
    faults: list[str] = []
    try:
        server.start()
        with sync_playwright() as playwright:
            browser = open_browser(playwright)
            suite = Suite(folder, cache, server, browser, Table(1), 1)
            for name in chosen:
                with suite.within(name):
                    walk = STATES[name](suite)
                    if walk is None:
                        print(f"{name}: its tab is empty")
                        continue
                    for look, (size, dark) in LOOKS.items():
                        faults += take(walk, given.out / f"{name}-{look}.webp", size, dark)
                print(name, flush=True)
            browser.close()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    for fault in faults:
        print(f"  {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
