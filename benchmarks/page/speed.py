"""How quick the page is: its start, its load, the reaction to Enter, the first plan and later ones."""

import time

from .browser import percentile, until
from .material import photographs, sample
from .suite import Suite

_REQUESTS = ("blur every face", "pixelate every person", "cut out the person", "blur the cat")


def start(suite: Suite) -> None:
    """Start to first page, page load to usable, and the first plan of all."""
    suite.server.stop()
    suite.table.timed("start to first page", 8, suite.server.start())
    began = time.perf_counter()
    walk = suite.visit().ready()
    suite.table.timed("page load to usable, the first visitor", 1.5, time.perf_counter() - began)
    # The planner is still being loaded.
    began = time.perf_counter()
    stage = walk.ask("blur every face", sample("astronaut.jpg"))
    suite.table.timed("first plan ever, asked before the planner is ready", 20, time.perf_counter() - began)
    suite.table.correct("the first plan waits for a person", "stage approval", [] if stage == "approval" else [stage])
    later = suite.visit().ready(new=False)
    said = later.page.locator("#header").inner_text()
    bad = ["the header says that the planner is being loaded after it has planned"] if "being loaded" in said else []
    suite.table.correct("the header says when the planner is ready", "once it has planned", bad)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        suite.visit().ready()
        times.append(time.perf_counter() - began)
    suite.table.timed("page load to usable, later visitors, median of 5", 1.5, sorted(times)[2])


def plans(suite: Suite) -> None:
    """Warm plans, and the first visible reaction to Enter, alone."""
    reactions, shown = [], []
    pictures = photographs(suite.folder / "plans", 12)
    for number, picture in enumerate(pictures):
        walk = suite.visit().ready()
        walk.attach(picture)
        began = time.perf_counter()
        walk.say(_REQUESTS[number % len(_REQUESTS)])
        reactions.append(walk.reaction())
        walk.settled()
        shown.append(time.perf_counter() - began)
    suite.table.timed("Enter to first visible reaction, alone, p95 of 12", 0.3, percentile(reactions))
    suite.table.timed("warm plan shown, p95 of 12", 3, percentile(shown))


def stop(suite: Suite) -> None:
    """Stop on a video of 60 s: idle soon, and what was done stays done."""
    from .material import video

    walk = suite.visit().ready()
    walk.ask("blur every face", video(suite.folder / "minute.mp4", 60))
    walk.page.locator("#run").click()
    before = int(until(lambda: (walk.progress > 40 and walk.progress) or walk.stage == "idle", "progress"))
    began = time.perf_counter()
    walk.page.locator("#stop").click()
    status = walk.done()
    suite.table.timed("Stop on a video of 60 s: idle", 2, time.perf_counter() - began)
    faults = [] if status == "Stopped" else [f"the status is {status}"]
    walk.page.locator("#repeat").click()
    until(lambda: walk.stage == "running" or walk.turns > 1, "it to run again")
    again = int(until(lambda: walk.progress or walk.stage == "idle", "progress"))
    if again < before:
        faults.append(f"it began again at frame {again} though {before} were done")
    walk.page.locator("#stop").click()
    walk.done()
    suite.table.correct(
        "Stop on a video of 60 s: finished frames kept", "goes on where it was", faults, f"{before} → {again}"
    )
