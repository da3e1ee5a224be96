"""Measure how long the first result takes: cold processes, and the planner's engine.

    python benchmarks/start.py PHOTO [--runs 3] [--llama]

`plan`, `run` and `annotate` (one picture, with a ready plan) run in a process of their own. Printed are wall time
(median), processor time (the least, user and system, with children) and peak memory. The weights of the roles planner
and detect have to be on this computer.
Of the engine: tokens a second in decoding (one token in a pass, with the scores of all tokens) and in prefill (256
tokens in a pass), beside the reference engine in float32. Last, the time of a plan in a process that is already up.
With --llama, llama.cpp reads the same core in 8 bits (Q8_0), in turns with ours; it has to be installed
(extra `llama`).
Where other processes run, only the figures of processor time can be compared.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.plan.types import planner_cards
from agents.planners.backbone import model_file
from backbone.planner.engine import Engine
from backbone.planner.model import PlannerModel
from tools.core.settings import settings
from tools.runtime.registry import load
from tools.weights import weights

SUPERLINK = [sys.executable, "-m", "superlink"]
REQUESTS = ("blur every face", "find the people", "how many dogs are in the picture?", "cut out the largest car")
PROMPT, DECODED = 256, 48


def cold(arguments: list[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak megabytes of one command."""
    began = time.perf_counter()
    process = subprocess.Popen([*SUPERLINK, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"superlink {' '.join(arguments)} failed")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def commands(photo: Path, runs: int) -> None:
    """Print the table of cold processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one").mkdir()
        (folder / "one" / photo.name).write_bytes(photo.read_bytes())
        plan = folder / "plan.json"
        with plan.open("w") as file:
            subprocess.run([*SUPERLINK, "plan", "find the people", "--json"], stdout=file, check=True)
        for title, line in (
            ("plan", ["plan", "blur every face"]),
            ("run", ["run", "find the people", str(photo), "--yes", "--fresh", "--out", "OUT"]),
            ("annotate", ["annotate", "", str(folder / "one"), "--plan", str(plan), "--yes", "--out", "OUT"]),
        ):
            measured = [cold([str(folder / f"{title}{n}") if a == "OUT" else a for a in line]) for n in range(runs)]
            wall, processor, peak = zip(*measured, strict=True)
            print(
                f"{title:<9} {statistics.median(wall):5.2f} s wall  {min(processor):5.2f} s processor  "
                f"{max(peak):4.0f} MB peak",
                flush=True,
            )


@contextmanager
def clocked(spent: list[tuple[float, float]]) -> Iterator[None]:
    """Append wall and processor seconds of the block."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    spent.append((time.perf_counter() - wall, time.process_time() - processor))


def median(spent: list[tuple[float, float]]) -> tuple[float, float]:
    """Medians of wall and of processor seconds."""
    wall, processor = zip(*spent, strict=True)
    return statistics.median(wall), statistics.median(processor)


def speed(name: str, engine: Engine) -> None:
    """Print tokens a second of an engine."""
    prefill: list[tuple[float, float]] = []
    decode: list[tuple[float, float]] = []
    ids = [1000 + 17 * n for n in range(PROMPT)]
    for _ in range(3):
        context = engine.new_context()
        context.read(ids)
        context.length = 0
        with clocked(prefill):
            context.read(ids)
        for token in ids[:DECODED]:
            with clocked(decode):
                engine.scores(context.read([token])[-1])
    for title, spent, tokens in (("prefill", prefill, PROMPT), ("decode", decode, 1)):
        wall, processor = (tokens / seconds for seconds in median(spent))
        print(f"{name:<9} {title:<7} {wall:5.0f} tokens/s ({processor:.0f} a processor second)", flush=True)


def speed_of_llama(gguf: Path, rounds: int = 3) -> None:
    """Print tokens a second of llama.cpp with the core in 8 bits, on the cores that this process has."""
    import llama_cpp  # type: ignore[import-not-found,unused-ignore]

    prefill: list[tuple[float, float]] = []
    decode: list[tuple[float, float]] = []
    ids = [1000 + 17 * n for n in range(PROMPT)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "core.Q8_0.gguf"
        parameters = llama_cpp.llama_model_quantize_default_params()
        parameters.ftype, parameters.allow_requantize = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, True
        if llama_cpp.llama_model_quantize(str(gguf).encode(), str(file).encode(), parameters):
            sys.exit("llama.cpp cannot quantise the core")
        threads = len(os.sched_getaffinity(0))
        model = llama_cpp.Llama(str(file), n_ctx=512, n_threads=threads, n_threads_batch=threads, verbose=False)
        for _ in range(rounds):
            model.reset()
            model.eval(ids)
            model.reset()
            with clocked(prefill):
                model.eval(ids)
            for token in ids[:DECODED]:
                with clocked(decode):
                    model.eval([token])
    for title, spent, tokens in (("prefill", prefill, PROMPT), ("decode", decode, 1)):
        wall, processor = (tokens / seconds for seconds in median(spent))
        print(f"{'llama.cpp':<9} {title:<7} {wall:5.0f} tokens/s ({processor:.0f} a processor second)", flush=True)


def warm(plan: Callable[[str], object]) -> None:
    """Print the time of a plan in this process."""
    spent: list[tuple[float, float]] = []
    for request in REQUESTS * 4:
        with clocked(spent):
            plan(request)
    wall, processor = median(spent)
    print(f"plan in a process that is up: {wall:.3f} s ({processor:.3f} s processor)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--runs", type=int, default=3, help="runs of each command")
    parser.add_argument("--llama", action="store_true", help="compare with llama.cpp")
    given = parser.parse_args()
    commands(given.photo, given.runs)
    model = PlannerModel.from_quantized(model_file())
    cards = planner_cards(load(entry_points=False))
    warm(lambda request: model.plan(request, ["Image"], cards))
    core = weights.use(settings().role("planner"))
    for _ in range(3 if given.llama else 1):
        speed("8 bits", model.engine)
        if given.llama:
            speed_of_llama(core)
    speed("float32", PlannerModel.reference(core).engine)


if __name__ == "__main__":
    main()
