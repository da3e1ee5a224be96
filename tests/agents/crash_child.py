"""Runs a plan of tiny tools, and kills its own process once, at the given place.

Usage: crash_child.py FOLDER PLACE PLAN, where PLACE is "plan", "answer", the number of a step, or "-".
"""

import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from agents.plan.plan import Plan, Step
from agents.session import nodes
from agents.session.session import Session
from tools import Store, Text, tool

FOLDER, PLACE, SHAPE = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


def die_once(place: str) -> None:
    """End without any chance to tidy up, the first time that this place is reached."""
    marker = FOLDER / f"died-{place}"
    if place == PLACE and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@tool
def work(text: Text, number: int) -> Text:
    """Note that it ran, and add to the text."""
    die_once(str(number))
    with (FOLDER / "log").open("a") as log:
        log.write(f"{number}\n")
    return Text(f"{text.text}>{number}")


@tool
def last(text: Text, number: int) -> Text:
    """Wait until the other step is on disk, die, and do the same the second time."""
    while not written():
        time.sleep(0.02)
    return work(text, number)


def written() -> int:
    """How many steps have their results in the memory, beside the checkpoint that waits for both."""
    with sqlite3.connect(FOLDER / "threads.sqlite") as memory:
        rows = memory.execute(
            "select count(*) from writes where channel = 'outcomes' and instr(value, cast('finished' as blob))"
        )
        count: int = rows.fetchone()[0]
        return count


class Planner:
    """Gives one plan."""

    def plan(self, request, values, tools, demonstrations=(), problems=()):  # type: ignore[no-untyped-def]
        die_once("plan")
        if SHAPE == "chain":
            texts = ["begin", "$s1", "$s2", "$s3"]
            steps = [Step(id=f"s{n}", tool="work", args={"text": t, "number": n}) for n, t in enumerate(texts, 1)]
        else:
            steps = [
                Step(id="s1", tool="work", args={"text": "one", "number": 1}),
                Step(id="s2", tool="last", args={"text": "two", "number": 2}),
            ]
        return Plan(steps=tuple(steps))


compose = nodes.compose


def dying_compose(*args):  # type: ignore[no-untyped-def]
    """Die between the last step and the answer."""
    die_once("answer")
    return compose(*args)


nodes.compose = dying_compose

if __name__ == "__main__":
    with Session(
        "t",
        tools={"work": work, "last": last},
        planner=Planner(),
        store=Store(FOLDER / "store"),
        memory=FOLDER / "threads.sqlite",
    ) as session:
        events = session.start("go") if session.state()["stands"] == "new" else session.continue_()
        done = list(events)[-1]
    result = {
        "answer": done["answer"],
        "plan": done["record"]["plan"],
        "hash": done["record"]["hash"],
        "steps": {step["id"]: [step["state"], step["refs"]["sha256"]] for step in done["record"]["steps"]},
        "outputs": {name: ref["sha256"] for name, ref in done["outputs"].items()},
    }
    (FOLDER / "result.json").write_text(json.dumps(result, sort_keys=True))
