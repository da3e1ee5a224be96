"""Nothing is lost: a reload, and kill -9, in each of five states."""

import json
import time
from pathlib import Path
from typing import Any

from .browser import Walk, until
from .material import sample, video
from .suite import Suite

_STATES = ("planning", "running", "editing", "waits", "done")


def lost(suite: Suite) -> None:
    """Bring five sessions into five states; load all pages again; then kill the server, and start it again."""
    walks = {state: suite.visit().ready() for state in _STATES}
    _bring(walks, suite)
    before = {state: _known(walk, state) for state, walk in walks.items()}
    faults = []
    for state, walk in walks.items():
        walk.excused = True  # what was still coming is aborted
        walk.page.reload()
        until(lambda: walk.turns > 0, f"{state} after a reload")  # noqa: B023 (called at once)
        walk.excused = False
        faults += _differences(state, before[state], walk, "reload")
    suite.table.correct("reload in each of 5 states", "the same state", faults, ", ".join(_STATES))

    # A plan is being made at the moment of the kill.
    planning = walks["planning"]
    planning.settled()
    if planning.stage == "approval":
        planning.page.locator("#reject").click()
        planning.done()
    turns = planning.turns
    planning.say("blur the cat")
    until(lambda: planning.turns > turns, "a plan to be made")
    before = {state: _known(walk, state) for state, walk in walks.items()}
    frames = int(until(lambda: walks["running"].progress, "progress"))
    for walk in walks.values():
        walk.excused = True
    suite.server.kill()
    # One page is open meanwhile, and comes back by itself. All others would load on the same processor at that moment.
    first, *others = walks
    for state in others:
        walks[state].page.goto("about:blank")
    walks[first].page.evaluate("window.old = true")
    suite.server.start()
    began, faults, taken = time.perf_counter(), [], []
    walks[first].page.wait_for_function("!window.old", polling=20)
    for state, walk in walks.items():
        if state != first:
            began = time.perf_counter()
            walk.page.goto(f"{suite.server.address}/?s={before[state]['session']}")
        until(lambda: walk.turns > 0 and not walk.page.locator("body.sl-away").count(), f"{state} after kill -9")  # noqa: B023
        taken.append(time.perf_counter() - began)
        faults += _differences(state, before[state], walk, "kill -9")
    suite.table.timed("kill -9: an open page shows its session again after the server's return", 2, taken[0])
    suite.table.timed("kill -9: a session is opened after the server's return, the longest of 4", 2, max(taken[1:]))
    running = walks["running"]
    if running.stage == "idle":
        faults.append(f"running: {running.status} after kill -9")
    else:
        # What was kept is passed over so fast that the page shows little of it; what was searched is on the disk.
        until(lambda: running.progress > frames or running.stage == "idle", "progress after kill -9")
        for searched in _searched(suite.server.home):
            if len(searched) != len(set(searched)):
                faults.append(f"running: frames were searched twice; parts begin at {searched}")
        running.page.locator("#stop").click()
        running.done()
    if planning.settled() not in ("approval", "idle") or planning.turns != turns + 1:
        faults.append(f"planning: {planning.stage} after kill -9")
    walks["waits"].page.locator("#run").click()
    if walks["waits"].done() != "Done":
        faults.append(f"waits: {walks['waits'].status} once it ran")
    steps = [step["id"] for step in walks["waits"].record()["steps"] if step["state"] == "finished"]
    if len(steps) != len(set(steps)):
        faults.append("a step ran twice")
    walks["editing"].page.locator("#run-edited").click()
    if walks["editing"].done() != "Done":
        faults.append(f"editing: {walks['editing'].status} once it ran")
    suite.table.correct("kill -9 in each of 5 states", "the same state, no step twice", faults, ", ".join(_STATES))


def _bring(walks: dict[str, Walk], suite: Suite) -> None:
    picture = sample("astronaut.jpg")
    walks["done"].ask("blur every face", picture)
    walks["done"].page.locator("#run").click()
    walks["done"].done()
    walks["waits"].ask("pixelate every face", picture)
    walks["editing"].ask("cut out the person", picture)
    walks["editing"].page.locator("#edit").click()
    walks["editing"].page.locator("#step-1").wait_for()
    walks["running"].ask("blur every face", video(suite.folder / "long.mp4", 180))
    walks["running"].page.locator("#run").click()
    until(lambda: walks["running"].progress > 10, "progress")
    walks["planning"].attach(sample("cat.jpg"))
    walks["planning"].say("pixelate the cat")
    until(lambda: walks["planning"].turns, "a turn")


def _searched(home: Path) -> list[list[int]]:
    """Return the first frames of the parts of each unfinished call, in the order in which they were searched."""
    files = (home / "store" / ".parts").iterdir()
    return [[json.loads(line.partition(" ")[2])[0] for line in file.read_text().splitlines()] for file in files]


def _known(walk: Walk, state: str) -> dict[str, Any]:
    found = {**walk.state(), "session": walk.session}
    if state in ("running", "planning"):  # these go on
        found = {name: found[name] for name in ("said", "session")}
    return found


def _differences(state: str, before: dict[str, Any], walk: Walk, after: str) -> list[str]:
    def wrong() -> list[str]:
        now = {**walk.state(), "session": walk.session}
        return [
            f"{state} after {after}: {name} {now[name]!r}, not {was!r}"
            for name, was in before.items()
            if now[name] != was
        ]

    try:
        until(lambda: not wrong(), state, 20)
    except AssertionError:
        return wrong()
    return []
