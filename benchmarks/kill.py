"""Commands killed at random moments (kill -9) and repeated: results lost, doubled, or incomplete.

    python benchmarks/kill.py [--kills N] [--pictures N] [--seed N]

A third of the kills strikes `superlink run`, a third `superlink annotate`, a third `superlink export`, the last in
and around the moment when an export takes the place of the one before. Each command is a process of its own, forked
from one that has the program loaded, so that a kill strikes in the work and not in the imports. The tools take no
weights; each call of them is written down when it ends. After every kill the exports must be those of before or the
new ones, byte for byte; at the end everything must be as it is after a command that was left alone. Ends with 1
when anything is not.

    lost      items or results that a command which ended has not
    doubled   calls of a tool that ran again although they had been noted as finished
    half      exports or results that are neither the old ones nor the new ones
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
from pictures import DARKEN, TOOLS
from PIL import Image as Pil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from agents.session.session import Session  # noqa: E402
from flows.ledger.ledger import Ledger  # noqa: E402
from superlink.cli import main as command  # noqa: E402
from tools import Image  # noqa: E402
from tools.core.settings import settings  # noqa: E402
from tools.runtime.registry import load  # noqa: E402
from tools.storage import swap  # noqa: E402
from tools.storage.store import Store  # noqa: E402

LOADED = (
    "cv2",
    "pycocotools.mask",
    "flows.annotate",
    "superlink.commands.annotate",
    "superlink.commands.export",
    "superlink.commands.run",
    *(f"flows.exports.{name}" for name in ("coco", "jsonl", "mirror", "yolo")),
)
FORMATS = ["jsonl", "coco", "mirror", "yolo"]
PICTURES = 4
STEPS = {"s1": "bright", "s2": "darken"}

Tree = dict[str, bytes]


@dataclass
class Tally:
    """What came of the kills of one command."""

    kills: int = 0
    ended: int = 0
    lost: int = 0
    doubled: int = 0
    half: int = 0
    other: int = 0
    left: int = 0
    moments: Counter[str] = field(default_factory=Counter)


class Bench:
    """A folder with pictures, and the commands in it as processes to be killed.

    Args:
        folder: for everything.
        rng: draws the moments.
        count: how many pictures.
    """

    def __init__(self, folder: Path, rng: random.Random, count: int) -> None:
        """Draw the pictures."""
        self.folder, self.rng, self.count = folder, rng, count
        self.log = folder / "calls.txt"
        (folder / "in").mkdir()
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
            Pil.fromarray(noise).resize((160, 120), Pil.Resampling.BICUBIC).save(folder / "in" / f"p{number:03}.jpg")
        (folder / "plan.json").write_text(json.dumps(DARKEN))

    def annotate(self, out: Path, *more: str) -> list[str]:
        """Arguments of a run over all pictures."""
        formats = [part for name in FORMATS for part in ("--format", name)]
        return [
            "annotate",
            "",
            str(self.folder / "in"),
            "--out",
            str(out),
            "--plan",
            str(self.folder / "plan.json"),
            "--tools",
            str(TOOLS),
            "--yes",
            "--pilot",
            "0",
            "--shard",
            "16",
            *formats,
            *more,
        ]

    def run(self, out: Path) -> list[str]:
        """Arguments of the same for four pictures, one by one."""
        pictures = [str(self.folder / "in" / f"p{number:03}.jpg") for number in range(PICTURES)]
        return [
            "run",
            "darken the bright parts",
            *pictures,
            "--plan",
            str(self.folder / "plan.json"),
            "--tools",
            str(TOOLS),
            "--yes",
            "--out",
            str(out),
        ]

    def begun(self, home: Path, arguments: list[str], notify_fd: int | None = None) -> int:
        """Begin a command in a process of its own; return its id."""
        child = os.fork()
        if child:
            return child
        try:
            os.setsid()
            with (self.folder / "output.txt").open("ab") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            os.environ |= {"SUPERLINK_HOME": str(home), "FINDING_LOG": str(self.log)}
            settings.cache_clear()
            if notify_fd is not None:
                flush = swap.flush_tree

                def notify(folder: Path) -> None:  # what comes next is the exchange
                    flush(folder)
                    os.write(notify_fd, b"s")

                swap.flush_tree = notify
            status = command(arguments)
            sys.stdout.flush()
        except BaseException:
            status = 70
        os._exit(status)

    def alone(self, home: Path, arguments: list[str]) -> float:
        """Let a command come to its end; return its seconds."""
        began = time.perf_counter()
        _, status = os.waitpid(self.begun(home, arguments), 0)
        if status:
            raise SystemExit(
                f"superlink {arguments[0]} ended with {status}:\n{(self.folder / 'output.txt').read_text()[-3000:]}"
            )
        return time.perf_counter() - began

    def killed(self, child: int, after: float) -> bool:
        """Kill a process after so many seconds; False when it had ended by then."""
        time.sleep(after)
        os.kill(child, signal.SIGKILL)  # until it is waited for its id is its own
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise SystemExit(f"A command ended with {status}:\n{(self.folder / 'output.txt').read_text()[-3000:]}")
        return os.WIFSIGNALED(status)

    def strike(self, child: int, seconds: float) -> bool:
        """Kill a process at a random moment of so many seconds, or let one in four live; False when it had ended."""
        return self.killed(child, self.rng.random() * seconds) if self.rng.random() < 0.75 else _ended(child)

    def calls(self) -> list[tuple[str, str]]:
        """Tool and picture of every call that ended."""
        if not self.log.exists():
            return []
        return [(tool, content) for tool, content in map(str.split, self.log.read_text().splitlines())]


def tree(folder: Path, skip: str = "") -> Tree:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != skip
    }


def drafts(folder: Path) -> int:
    """Temporary files and folders that were left."""
    return sum(".superlink-" in path.name or path.name.endswith((".tmp", ".part")) for path in folder.rglob("*"))


def pixels(file: Path) -> str:
    return hashlib.sha256(Image.open(file).pixels).hexdigest()


def kill_annotate(bench: Bench, kills: int) -> Tally:
    """Kill runs over all pictures, in a folder that has the exports of a run over a few."""
    tally = Tally()
    seconds = 60.0
    for number in range(2):  # the first is slower
        alone = bench.folder / f"annotate alone {number}"
        bench.alone(alone / "home", bench.annotate(alone / "out", "--limit", str(bench.count // 5)))
        old = {name: tree(alone / "out" / name) for name in FORMATS}
        seconds = min(seconds, bench.alone(alone / "home", bench.annotate(alone / "out")))
        new = {name: tree(alone / "out" / name) for name in FORMATS}
    contents = {file.name: pixels(file) for file in (bench.folder / "in").iterdir()}
    rounds = 0
    while tally.kills < kills:
        rounds += 1
        folder = bench.folder / f"annotate {rounds}"
        bench.log.write_text("")
        bench.alone(folder / "home", bench.annotate(folder / "out", "--limit", str(bench.count // 5)))
        before = len(bench.calls())
        while True:
            ledger = Ledger.open_existing(folder / "out")
            noted = {(STEPS[step], contents[name]) for name, step in ledger.finished_steps()}
            ledger.close()
            child = bench.begun(folder / "home", bench.annotate(folder / "out"))
            working = 2 * bench.count - len(set(bench.calls()))
            if tally.kills >= kills:
                alive = _ended(child)
            elif working > 1 and bench.rng.random() < 0.5:  # at one of the calls
                wanted, late = before + bench.rng.randint(1, working // 2), time.monotonic() + 60
                while len(bench.calls()) < wanted and time.monotonic() < late:
                    time.sleep(0.0005)
                alive = bench.killed(child, bench.rng.random() * 0.02)
            else:
                alive = bench.strike(child, seconds)
            calls = bench.calls()
            tally.doubled += len(noted & set(calls[before:]))
            before = len(calls)
            states = {name: tree(folder / "out" / name) for name in FORMATS}
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
        tally.other += sum(tree(folder / "out" / name) != new[name] for name in FORMATS)
        tally.left += drafts(folder / "out")
        shutil.rmtree(folder)
    return tally


def _ended(child: int) -> bool:
    os.waitpid(child, 0)
    return False


def kill_export(bench: Bench, kills: int) -> Tally:
    """Kill exports of two runs in turn, into the same folder."""
    tally = Tally()
    home = bench.folder / "export home"
    bench.alone(home, bench.annotate(bench.folder / "few", "--limit", str(bench.count // 5)))
    bench.alone(home, bench.annotate(bench.folder / "all"))
    trees = {run: {name: tree(bench.folder / run / name) for name in FORMATS} for run in ("few", "all")}
    to = bench.folder / "exports"
    commands = {run: ["export", str(bench.folder / run), *FORMATS, "--to", str(to)] for run in ("few", "all")}
    seconds = {run: bench.alone(home, commands[run]) for run in ("few", "all")}
    old, new = "all", "few"
    number = 0
    while tally.kills < kills:
        number += 1
        reading, writing = os.pipe()
        aimed = number % 4 != 0
        child = bench.begun(home, commands[new], writing if aimed else None)
        os.close(writing)
        if aimed:  # at one of the exchanges
            for _ in range(bench.rng.randint(1, len(FORMATS))):
                os.read(reading, 1)
            alive = bench.killed(child, bench.rng.random() * 0.006)
        else:
            alive = bench.killed(child, bench.rng.random() * seconds[new])
        os.close(reading)
        states = {name: tree(to / name) for name in FORMATS}
        tally.half += sum(states[name] not in (trees[old][name], trees[new][name]) for name in FORMATS)
        if alive:
            tally.kills += 1
            litter = any(path.name.startswith(".superlink-") for path in to.iterdir())
            tally.moments["exchange" if litter else "elsewhere"] += 1
            bench.alone(home, commands[new])
        tally.ended += 1
        states = {name: tree(to / name) for name in FORMATS}
        tally.other += sum(states[name] != trees[new][name] for name in FORMATS)
        tally.lost += sum(len(trees[new][name].keys() - states[name].keys()) for name in FORMATS)
        tally.left += drafts(to)
        old, new = new, old
    return tally


def kill_run(bench: Bench, kills: int) -> Tally:
    """Kill one plan over a few pictures, whose results are written to a folder."""
    tally = Tally()
    alone = bench.folder / "run alone"
    seconds = min(
        bench.alone(bench.folder / "first", bench.run(bench.folder / "first")),
        bench.alone(alone / "home", bench.run(alone / "results")),
    )
    whole = tree(alone / "results", "record.json")
    contents = {pixels(bench.folder / "in" / f"p{number:03}.jpg") for number in range(PICTURES)}
    rounds = 0
    while tally.kills < kills:
        rounds += 1
        folder = bench.folder / f"run {rounds}"
        bench.log.write_text("")
        before = 0
        while True:
            noted = _noted(folder / "home")
            child = bench.begun(folder / "home", bench.run(folder / "results"))
            alive = bench.strike(child, seconds) if tally.kills < kills else _ended(child)
            calls = bench.calls()
            tally.doubled += len(noted & Counter(calls[before:]).keys())
            before = len(calls)
            state = tree(folder / "results", "record.json")
            tally.half += sum(whole.get(name) != data for name, data in state.items() if ".superlink-" not in name)
            if not alive:
                break
            tally.kills += 1
            tally.moments[
                "work" if len(set(calls)) < 2 * PICTURES else "results" if len(state) < len(whole) else "rerun"
            ] += 1
        tally.ended += 1
        tally.lost += len({(tool, content) for tool in STEPS.values() for content in contents} - set(bench.calls()))
        tally.other += tree(folder / "results", "record.json") != whole
        tally.left += drafts(folder / "results")
        shutil.rmtree(folder)
    return tally


def _noted(home: Path) -> set[tuple[str, str]]:
    """Tool and picture of the steps that the threads have as finished."""
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
        for ref in record["given"].values():
            picture = store.get(ref)
            assert isinstance(picture, Image)
            seen = hashlib.sha256(picture.pixels).hexdigest()
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
