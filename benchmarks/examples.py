"""Measure what examples do to plans: they teach what was corrected, and leave other requests alone.

    python benchmarks/examples.py [--adapter FOLDER]

corrected: requests in the words of somebody's house (``corrections.jsonl``). The right plan of the first one enters the
bank, as when a person corrects it; then the like is asked in other words. All share one bank.
others: the requests of `planner.py` for built-in tools and for unseen ones (``requests.jsonl``,
``unseen_requests.jsonl``), without examples and with those of a bank that has nothing to do with them: the
demonstrations of the houses in ``house_requests.jsonl``.

A plan is fully right as in `planner.py`; all take the product's own path.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import houses
from planner import Row, read, written

from agents.examples.bank import Bank, Example
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, default=ADAPTER)
    parser.add_argument("--misses", action="store_true", help="print the requests that were wrong after a correction")
    given = parser.parse_args()
    planner, builtin = BackbonePlanner(given.adapter), load(entry_points=False)
    with tempfile.TemporaryDirectory() as folder:
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
        unseen = {tool.name: tool for tool in file_tools(ROOT / "unseen_tools.py")}
        own = {tool.name for tool in file_tools(ROOT / "house_tools.py")}
        pool = [row for row in houses.read() if row["part"] == "pool"]
        shown = [example(row["media"], row["request"], row["plans"][0]) for row in pool if not own & {*row["tools"]}]
        other.bank.add(shown)
        print(f"other requests, with a bank of {len(other.bank.all())} examples that have nothing to do with them:")
        tables: list[tuple[str, list[Row], Mapping[str, AnyTool]]] = [
            ("built-in tools", read(ROOT / "requests.jsonl"), builtin),
            ("unseen tools", read(ROOT / "unseen_requests.jsonl"), {**builtin, **unseen}),
        ]
        for name, rows, tools in tables:
            without, with_ = (
                sum(is_right(row["request"], row["media"], row["plans"], tools, planner, bank) for row in rows)
                for bank in (None, other)
            )
            shares = f"fully right without {without / len(rows):.3f}, with {with_ / len(rows):.3f}"
            print(f"  {name:<16} n {len(rows):>3}  {shares}")


if __name__ == "__main__":
    main()
