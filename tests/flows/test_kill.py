"""Killed at random moments and started again, a run ends as one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from flows.ledger import FILE, Ledger
from tests.flows.conftest import DARKEN, TOOLS, Run, make
from tests.flows.finding import seen
from tools import Image

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import json, sys
from pathlib import Path
from agents.plan import Plan
from flows.annotate import annotate
source, out, tools, plan = sys.argv[1:]
annotate("", source, Path(out), plan=Plan.load(json.loads(plan)), tools=[tools], pilot=0, shard=16,
         formats=["jsonl", "coco", "mirror"])
"""
ITEMS = int(os.environ.get("SUPERLINK_KILL_ITEMS", "60"))
KILLS = int(os.environ.get("SUPERLINK_KILLS", "5"))
STEPS = {"s1": "bright", "s2": "darken"}
BATCH = {"bright": 16, "darken": 1}

Call = tuple[str, str]
"""A tool and the picture that it worked on."""


def ended(log: Path) -> list[Call]:
    """The calls whose work ended, in order."""
    return [(tool, content) for tool, content in (line.split() for line in log.read_text().splitlines())]


def noted(folder: Path, contents: dict[str, str]) -> set[Call]:
    """The calls that the ledger has as finished."""
    if not (folder / FILE).exists():
        return set()
    ledger = Ledger(folder / FILE)
    rows = ledger.db.execute("SELECT name, step FROM steps JOIN items ON items.id = item WHERE steps.state = 'finished'").fetchall()
    ledger.close()
    return {(STEPS[step], contents[name]) for name, step in rows}


def test_killed_again_and_again(run: Run, tmp_path: Path, log: Path, home: Path) -> None:
    folder = make(tmp_path / "in", ITEMS, 3)
    contents = {str(file.relative_to(folder)): seen(Image.open(file)) for file in folder.rglob("p*.jpg")}
    assert len(set(contents.values())) == ITEMS
    killed = tmp_path / "killed"
    arguments = [sys.executable, "-c", CHILD, str(folder), str(killed), TOOLS, json.dumps(DARKEN)]
    rng = random.Random(7)
    lives: list[list[Call]] = []
    known: list[set[Call]] = []
    kills = before = 0
    while True:
        known.append(noted(killed, contents))
        child = subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        alive = kills < KILLS
        if kills == KILLS - 1:  # the last one while the results are exported
            while child.poll() is None and not ((killed / "coco").exists() and any(killed.glob(".superlink-*.part"))):
                time.sleep(0.001)
            alive = child.poll() is None
        elif alive:
            # Killed once so many more calls have ended, so that it strikes in the work and not in the imports.
            target = before + rng.randint(1, max(2, 3 * ITEMS // KILLS // 2))
            while child.poll() is None and len(ended(log)) < target:
                time.sleep(0.005)
            time.sleep(rng.random() * 0.02)
            alive = child.poll() is None
        if alive:
            child.send_signal(signal.SIGKILL)
            kills += 1
        else:
            assert child.wait(timeout=600) == 0
        child.wait()
        calls = ended(log)
        lives.append(calls[before:])
        before = len(calls)
        if not alive:
            break
    assert kills >= KILLS - 1  # an export may be over before it can be killed
    # What the ledger noted as finished is never run again.
    for calls, finished in zip(lives, known, strict=True):
        assert not finished & set(calls)
    # Nor is anything else run twice but what a kill cut off between its end and the note: a batch at most for each kill.
    assert set(Counter(call for calls in lives for call in calls)) == {(tool, one) for tool in BATCH for one in contents.values()}
    for calls, after in zip(lives, known[1:], strict=False):
        lost = Counter(tool for tool, _ in set(calls) - after)
        assert all(lost[tool] <= BATCH[tool] for tool in BATCH) and len(lost) <= 1
        assert len(calls) == len(set(calls))
    log.write_text("")
    run(folder, DARKEN, formats=["jsonl", "coco", "mirror"], shard=16, store=str(tmp_path / "store alone"))
    assert Counter(tool for tool, _ in ended(log)) == {"bright": ITEMS, "darken": ITEMS}
    ledger = Ledger(killed / FILE)
    assert ledger.counts() == {"done": ITEMS, "failed": 3}
    [(works, bases)] = ledger.db.execute("SELECT count(*), count(DISTINCT base) FROM works")
    assert works == bases == 2 * ITEMS
    ledger.close()
    files = [path.relative_to(killed) for name in ("jsonl", "coco", "mirror") for path in (killed / name).rglob("*.*")]
    assert len(files) >= ITEMS + 5
    for file in files:
        assert (killed / file).read_bytes() == (tmp_path / "out" / file).read_bytes(), file
