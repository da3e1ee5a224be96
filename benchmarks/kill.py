"""Commands killed at random moments (kill -9) and repeated: results lost, doubled, or incomplete.

    python benchmarks/kill.py [--kills N] [--pictures N] [--seed N]

A third of the kills strikes `superlink run`, a third `superlink annotate`, a third `superlink export`, the last in
and around the moment when an export takes the place of the one before. Each command is a process of its own, forked
from one that has the program loaded, so that a kill strikes in the work and not in the imports. The tools take no
weights; each call of them is written down when it ends. After every kill the exports must be those of before or the
new ones, byte for byte; at the end everything must be as it is after a command that was left alone. Ends with 1
when anything is not.

    lost      items or results that a command which ended has not
    doubled   calls of a tool that ran again although they had been recorded as finished
    half      exports or results that are neither the old ones nor the new ones
"""

import argparse
import hashlib
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from kill_bench import FORMATS, PICTURES, Bench, wait
from pictures import TOOLS
from PIL import Image as Pil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from agents.session.session import Session  # noqa: E402
from flows.ledger.ledger import Ledger  # noqa: E402
from tools import Image  # noqa: E402
from tools.runtime.registry import load  # noqa: E402
from tools.storage.store import Store, as_list  # noqa: E402

LOADED = (
    "cv2",
    "pycocotools.mask",
    "flows.annotate",
    "superlink.commands.annotate",
    "superlink.commands.export",
    "superlink.commands.run",
    *(f"flows.exports.{name}" for name in ("coco", "jsonl", "mirror", "yolo")),
)
STEPS = {"s1": "bright", "s2": "darken"}

Tree = dict[str, bytes]


@dataclass
class Tally:
    """Counts of the kills of one command and of what was wrong afterwards."""

    kills: int = 0
    ended: int = 0
    lost: int = 0
    doubled: int = 0
    half: int = 0
    other: int = 0
    left: int = 0
    moments: Counter[str] = field(default_factory=Counter)


def read_tree(folder: Path, skip: str = "") -> Tree:
    """Content of every file below a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != skip
    }


def count_temporary(folder: Path) -> int:
    """Number of temporary files and folders."""
    return sum(".superlink-" in path.name or path.name.endswith((".tmp", ".part")) for path in folder.rglob("*"))


def pixel_hash(file: Path) -> str:
    """Hash of a picture's pixels, by which the tools log it."""
    return hashlib.sha256(Image.open(file).pixels.tobytes()).hexdigest()


def kill_annotate(bench: Bench, kills: int) -> Tally:
    """Kill runs over all pictures, in a folder that has the exports of a run over a few."""
    tally = Tally()
    seconds = 60.0
    for number in range(2):  # the first is slower
        alone = bench.folder / f"annotate alone {number}"
        bench.complete(alone / "home", bench.annotate(alone / "out", "--limit", str(bench.count // 5)))
        old = {name: read_tree(alone / "out" / name) for name in FORMATS}
        seconds = min(seconds, bench.complete(alone / "home", bench.annotate(alone / "out")))
        new = {name: read_tree(alone / "out" / name) for name in FORMATS}
    contents = {file.name: pixel_hash(file) for file in (bench.folder / "in").iterdir()}
    rounds = 0
    while tally.kills < kills:
        rounds += 1
        folder = bench.folder / f"annotate {rounds}"
        bench.log.write_text("")
        bench.complete(folder / "home", bench.annotate(folder / "out", "--limit", str(bench.count // 5)))
        before = len(bench.calls())
        while True:
            ledger = Ledger.open_existing(folder / "out")
            recorded = {(STEPS[step], contents[name]) for name, step in ledger.finished_steps()}
            ledger.close()
            child = bench.start(folder / "home", bench.annotate(folder / "out"))
            working = 2 * bench.count - len(set(bench.calls()))
            if tally.kills >= kills:
                alive = wait(child)
            elif working > 1 and bench.rng.random() < 0.5:  # at one of the calls
                wanted, late = before + bench.rng.randint(1, working // 2), time.monotonic() + 60
                while len(bench.calls()) < wanted and time.monotonic() < late:
                    time.sleep(0.0005)
                alive = bench.kill(child, bench.rng.random() * 0.02)
            else:
                alive = bench.strike(child, seconds)
            calls = bench.calls()
            tally.doubled += len(recorded & set(calls[before:]))
            before = len(calls)
            states = {name: read_tree(folder / "out" / name) for name in FORMATS}
            tally.half += sum(states[name] not in (old[name], new[name]) for name in FORMATS)
            if not alive:
                break
            tally.kills += 1
            fresh = sum(states[name] == new[name] for name in FORMATS)
            tally.moments[
                "work" if len(set(calls)) < 2 * bench.count else "exports" if fresh < len(FORMATS) else "rerun"
            ] += 1
        tally.ended += 1
        ledger = Ledger.open_existing(folder / "out")
        works, bases = ledger.work_counts()
        tally.lost += bench.count - ledger.counts().get("done", 0) + 2 * bench.count - bases
        tally.doubled += works - bases
        ledger.close()
        tally.other += sum(read_tree(folder / "out" / name) != new[name] for name in FORMATS)
        tally.left += count_temporary(folder / "out")
        shutil.rmtree(folder)
    return tally


def kill_export(bench: Bench, kills: int) -> Tally:
    """Kill exports of two runs in turn, into the same folder."""
    tally = Tally()
    home = bench.folder / "export home"
    bench.complete(home, bench.annotate(bench.folder / "few", "--limit", str(bench.count // 5)))
    bench.complete(home, bench.annotate(bench.folder / "all"))
    trees = {run: {name: read_tree(bench.folder / run / name) for name in FORMATS} for run in ("few", "all")}
    to = bench.folder / "exports"
    commands = {run: ["export", str(bench.folder / run), *FORMATS, "--to", str(to)] for run in ("few", "all")}
    seconds = {run: bench.complete(home, commands[run]) for run in ("few", "all")}
    old, new = "all", "few"
    number = 0
    while tally.kills < kills:
        number += 1
        reading, writing = os.pipe()
        aimed = number % 4 != 0
        child = bench.start(home, commands[new], writing if aimed else None)
        os.close(writing)
        if aimed:  # at one of the exchanges
            for _ in range(bench.rng.randint(1, len(FORMATS))):
                os.read(reading, 1)
            alive = bench.kill(child, bench.rng.random() * 0.006)
        else:
            alive = bench.kill(child, bench.rng.random() * seconds[new])
        os.close(reading)
        states = {name: read_tree(to / name) for name in FORMATS}
        tally.half += sum(states[name] not in (trees[old][name], trees[new][name]) for name in FORMATS)
        if alive:
            tally.kills += 1
            litter = any(path.name.startswith(".superlink-") for path in to.iterdir())
            tally.moments["exchange" if litter else "elsewhere"] += 1
            bench.complete(home, commands[new])
        tally.ended += 1
        states = {name: read_tree(to / name) for name in FORMATS}
        tally.other += sum(states[name] != trees[new][name] for name in FORMATS)
        tally.lost += sum(len(trees[new][name].keys() - states[name].keys()) for name in FORMATS)
        tally.left += count_temporary(to)
        old, new = new, old
    return tally


def kill_run(bench: Bench, kills: int) -> Tally:
    """Kill one plan over a few pictures, whose results are written to a folder."""
    tally = Tally()
    alone = bench.folder / "run alone"
    seconds = min(
        bench.complete(bench.folder / "first", bench.run(bench.folder / "first")),
        bench.complete(alone / "home", bench.run(alone / "results")),
    )
    whole = read_tree(alone / "results", "record.json")
    contents = {pixel_hash(bench.folder / "in" / f"p{number:03}.jpg") for number in range(PICTURES)}
    rounds = 0
    while tally.kills < kills:
        rounds += 1
        folder = bench.folder / f"run {rounds}"
        bench.log.write_text("")
        before = 0
        while True:
            recorded = _recorded_calls(folder / "home")
            child = bench.start(folder / "home", bench.run(folder / "results"))
            alive = bench.strike(child, seconds) if tally.kills < kills else wait(child)
            calls = bench.calls()
            tally.doubled += len(recorded & Counter(calls[before:]).keys())
            before = len(calls)
            state = read_tree(folder / "results", "record.json")
            tally.half += sum(whole.get(name) != data for name, data in state.items() if ".superlink-" not in name)
            if not alive:
                break
            tally.kills += 1
            tally.moments[
                "work" if len(set(calls)) < 2 * PICTURES else "results" if len(state) < len(whole) else "rerun"
            ] += 1
        tally.ended += 1
        tally.lost += len({(tool, content) for tool in STEPS.values() for content in contents} - set(bench.calls()))
        tally.other += read_tree(folder / "results", "record.json") != whole
        tally.left += count_temporary(folder / "results")
        shutil.rmtree(folder)
    return tally


def _recorded_calls(home: Path) -> set[tuple[str, str]]:
    """Tool and picture of the steps that are finished in the threads."""
    memory = home / "threads.sqlite"
    if not memory.exists():
        return set()
    store = Store(home / "store")
    with sqlite3.connect(memory) as database:
        try:
            threads = [row[0] for row in database.execute("SELECT DISTINCT thread_id FROM checkpoints")]
        except sqlite3.OperationalError:  # killed before there was a table
            return set()
    database.close()
    found = set()
    for thread in threads:
        with Session(thread, tools=load([str(TOOLS)]), planner=None, store=store, memory=memory) as session:  # type: ignore[arg-type]
            record = session.record()
        for ref in (one for refs in record["given"].values() for one in as_list(refs)):
            picture = store.get(ref)
            assert isinstance(picture, Image)
            seen = hashlib.sha256(picture.pixels.tobytes()).hexdigest()
            found |= {(str(step["tool"]), seen) for step in record["steps"] if step["state"] == "finished"}
    return found


BENCHES: dict[str, Callable[[Bench, int], Tally]] = {"run": kill_run, "annotate": kill_annotate, "export": kill_export}


def shares(kills: int) -> Iterator[tuple[str, int]]:
    """How many kills each command gets."""
    for number, name in enumerate(BENCHES):
        yield name, kills // 3 + (number < kills % 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    for module in LOADED:  # once, before the forks
        import_module(module)
    load([str(TOOLS)])
    Pil.init()
    wrong = 0
    print(
        f"{'command':<10}{'kills':>6}{'ended':>6}{'lost':>6}{'doubled':>8}{'half':>6}{'other bytes':>12}{'litter':>7}"
        f"{'seconds':>9}  where"
    )
    for name, kills in shares(given.kills):
        folder = Path(tempfile.mkdtemp(prefix="superlink-kill-"))
        began = time.perf_counter()
        try:
            tally = BENCHES[name](Bench(folder, random.Random(f"{given.seed} {name}"), given.pictures), kills)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        where = ", ".join(f"{count} {what}" for what, count in sorted(tally.moments.items()))
        print(
            f"{name:<10}{tally.kills:>6}{tally.ended:>6}{tally.lost:>6}{tally.doubled:>8}{tally.half:>6}{tally.other:>12}"
            f"{tally.left:>7}{time.perf_counter() - began:>9.1f}  {where}",
            flush=True,
        )
        wrong += tally.lost + tally.doubled + tally.half + tally.other + tally.left
    print("as it should be" if not wrong else "NOT as it should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
