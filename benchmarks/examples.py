"""Measure what examples do to plans: they teach what was corrected, and leave other requests alone.

    python benchmarks/examples.py [--adapter FOLDER] [--time]

corrected: requests in the words of somebody's house (``corrections.jsonl``). The right plan of the first one enters the
bank, as when a person corrects it; then the like is asked in other words. All share one bank.
others: the requests of `planner.py` for built-in tools and for unseen ones (``requests.jsonl``,
``unseen_requests.jsonl``), without examples and with those of a bank that has nothing to do with them: the
demonstrations of the houses in ``house_requests.jsonl``.

A plan is fully right as in `planner.py`; all take the product's own path.

--time measures what two examples cost instead: medians of the processor seconds of a plan, over all requests, and of
their ratios to the same request without examples, in one run. The wall clock says little where other programs run.

again: two examples that were just shown. new pair: of a bank of 32, of which each was shown before, but not these two.
new examples: neither was shown before.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import houses
from planner import Row, read, written

from agents.examples.bank import Bank, Example, Pool
from agents.examples.choose import Similar
from agents.examples.use import Examples
from agents.plan.types import AnyTool
from agents.planners.backbone import BackbonePlanner, RequestEncoder
from agents.planners.base import Demonstration
from agents.planners.repair import plan_request
from backbone.planner.adapter import ADAPTER
from backbone.training.scoring import right
from common.kinds import KIND_OF_INPUT
from tools.runtime.registry import file_tools, load

ROOT = Path(__file__).parent
TIMED, BANK = 48, 32
"""Requests of each kind that are timed, and examples in the bank from which new pairs are drawn."""

Tables = Sequence[tuple[str, list[Row], Mapping[str, AnyTool]]]
"""Name, requests and tools of each kind of request."""


def is_right(
    request: str, media: Sequence[str], plans: Any, tools: Mapping[str, AnyTool], planner: BackbonePlanner, bank: Any
) -> bool:
    """Plan a request with the examples of a bank, None for none; return whether the plan is fully right."""
    values = {medium: KIND_OF_INPUT[medium] for medium in media}
    attempt = plan_request(request, values, tools, planner, examples=bank)
    calls = [] if attempt.plan is None else written(attempt.plan, tools)
    return not attempt.problems and any(right(plan, calls)[1] for plan in plans)


def example(media: Sequence[str], request: str, plan: Sequence[tuple[str, Any]]) -> Example:
    """Return an example of the bank."""
    calls = [{"tool": tool, "args": dict(args)} for tool, args in plan]
    return Example(Demonstration([KIND_OF_INPUT[one] for one in media], request, calls), "edited", "benchmark")  # type: ignore[arg-type]


class Given:
    """A chooser that takes its time as `Similar` does, and then gives `shown`."""

    name = "given"
    shown: Sequence[Demonstration] = ()

    def choose(self, request: str, have: Sequence[str], bank: Pool, k: int) -> list[Demonstration]:
        """As of `Chooser`."""
        Similar().choose(request, have, bank, k)
        return list(self.shown)


def pairs_of(pool: Sequence[Demonstration], count: int, rng: random.Random) -> list[tuple[Demonstration, ...]]:
    """Draw pairs in order, of which no two are equal; each example is about as often the first as any other."""
    firsts = [one for _ in range(-(-count // len(pool))) for one in rng.sample(pool, len(pool))][:count]
    drawn: list[tuple[Demonstration, ...]] = []
    for first in firsts:
        drawn.append((first, rng.choice([one for one in pool if one != first and (first, one) not in drawn])))
    return drawn


def print_times(tables: Tables, pool: Sequence[Example], planner: BackbonePlanner, folder: Path) -> None:
    """Print what two examples cost."""
    rng = random.Random(0)
    shown = [one.demonstration for one in rng.sample(pool, BANK + 2 * TIMED * len(tables))]
    known, fresh = shown[:BANK], iter(shown[BANK:])
    bank, given = Bank(folder / "known.sqlite"), Given()
    bank.add([Example(one, "edited", "benchmark") for one in known])
    examples = Examples(bank, given, RequestEncoder())
    print(f"{'':<16}{'':<14}  processor ms  times without  requests")
    for name, rows, tools in tables:
        rows = rng.sample(rows, min(TIMED, len(rows)))

        def seconds(row: Row, pair: Sequence[Demonstration], tools: Mapping[str, AnyTool] = tools) -> float:
            values = {medium: KIND_OF_INPUT[medium] for medium in row["media"]}
            given.shown, began = pair, time.process_time()
            plan_request(row["request"], values, tools, planner, examples if pair else None)
            return time.process_time() - began

        for one in known:
            seconds(rows[0], [one])
        spent: dict[str, list[float]] = {"without": [], "again": [], "new pair": [], "new examples": []}
        for row, pair in zip(rows, pairs_of(known, len(rows), rng), strict=True):
            seconds(row, ())  # the cards of its tools may be new
            spent["without"].append(seconds(row, ()))
            spent["new pair"].append(seconds(row, pair))
            spent["again"].append(seconds(row, pair))
            spent["new examples"].append(seconds(row, (next(fresh), next(fresh))))
        for what, each in spent.items():
            ratio = statistics.median(one / base for one, base in zip(each, spent["without"], strict=True))
            print(f"{name:<16}{what:<14}{statistics.median(each) * 1000:>14.0f}{ratio:>15.2f}{len(each):>10}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, default=ADAPTER)
    parser.add_argument("--misses", action="store_true", help="print the requests that were wrong after a correction")
    parser.add_argument("--time", action="store_true", help="measure what examples cost instead")
    given = parser.parse_args()
    planner, builtin = BackbonePlanner(given.adapter), load(entry_points=False)
    unseen = {tool.name: tool for tool in file_tools(ROOT / "unseen_tools.py")}
    tables: Tables = [
        ("built-in tools", read(ROOT / "requests.jsonl"), builtin),
        ("unseen tools", read(ROOT / "unseen_requests.jsonl"), {**builtin, **unseen}),
    ]
    own = {tool.name for tool in file_tools(ROOT / "house_tools.py")}
    pool = [row for row in houses.read() if row["part"] == "pool"]
    shown = [example(row["media"], row["request"], row["plans"][0]) for row in pool if not own & {*row["tools"]}]
    with tempfile.TemporaryDirectory() as folder:
        if given.time:
            print_times(tables, shown, planner, Path(folder))
            return
        taught = Examples(Bank(Path(folder) / "taught.sqlite"), Similar(), RequestEncoder())
        pairs = [json.loads(line) for line in (ROOT / "corrections.jsonl").read_text().splitlines()]
        before = after = 0
        for pair in pairs:
            before += is_right(pair["request"], pair["media"], pair["plans"], builtin, planner, None)
            taught.bank.add([example(pair["media"], pair["corrected"], pair["plan"])])
            good = is_right(pair["request"], pair["media"], pair["plans"], builtin, planner, taught)
            after += good
            if given.misses and not good:
                print(f"  {pair['request']!r}")
        print(f"corrected once, asked in other words: {after} of {len(pairs)} right (uncorrected: {before})")

        other = Examples(Bank(Path(folder) / "other.sqlite"), Similar(), RequestEncoder())
        other.bank.add(shown)
        print(f"other requests, with a bank of {len(other.bank.all())} examples that have nothing to do with them:")
        for name, rows, tools in tables:
            without, with_ = (
                sum(is_right(row["request"], row["media"], row["plans"], tools, planner, bank) for row in rows)
                for bank in (None, other)
            )
            shares = f"fully right without {without / len(rows):.3f}, with {with_ / len(rows):.3f}"
            print(f"  {name:<16} n {len(rows):>3}  {shares}")


if __name__ == "__main__":
    main()
