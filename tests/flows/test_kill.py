"""Killed at random moments and started again, a run ends as one that was left alone."""

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


def test_killed_again_and_again(run: Run, tmp_path: Path, log: Path, home: Path) -> None:
    import json

    folder = make(tmp_path / "in", ITEMS, 3)
    killed = tmp_path / "killed"
    arguments = [sys.executable, "-c", CHILD, str(folder), str(killed), TOOLS, json.dumps(DARKEN)]
    rng = random.Random(7)
    kills = 0
    while True:
        child = subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        if kills < KILLS:
            # Killed once so many more calls have ended, so that it strikes in the work and not in the imports.
            target = len(log.read_text().splitlines()) + rng.randint(1, max(2, 2 * ITEMS // KILLS))
            while child.poll() is None and len(log.read_text().splitlines()) < target:
                time.sleep(0.005)
            time.sleep(rng.random() * 0.02)
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
                child.wait()
                kills += 1
                continue
        assert child.wait(timeout=300) == 0
        break
    assert kills
    calls = Counter(log.read_text().split())
    log.write_text("")
    run(folder, DARKEN, formats=["jsonl", "coco", "mirror"], shard=16, store=str(tmp_path / "store alone"))
    alone = Counter(log.read_text().split())
    # What was noted is never run again; only what a kill cut off before it could be noted is: of the step that maps one
    # by one a single call, of the batched one a batch.
    assert alone == {"bright": ITEMS, "darken": ITEMS}
    assert calls["darken"] - ITEMS <= kills and calls["bright"] - ITEMS <= kills * 16
    ledger = Ledger(killed / FILE)
    assert ledger.counts() == {"done": ITEMS, "failed": 3}
    [(works, bases)] = ledger.db.execute("SELECT count(*), count(DISTINCT base) FROM works")
    assert works == bases == 2 * ITEMS
    ledger.close()
    files = [path.relative_to(killed) for name in ("jsonl", "coco", "mirror") for path in (killed / name).rglob("*.*")]
    assert len(files) >= ITEMS + 5
    for file in files:
        assert (killed / file).read_bytes() == (tmp_path / "out" / file).read_bytes(), file
