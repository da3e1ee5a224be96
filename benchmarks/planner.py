"""Measure the planner in 8 bits, as it is shipped, side by side with the reference in float32.

    python benchmarks/planner.py [--adapter FOLDER] [--orders 5] [--engine quantized|reference|both]
        [--tables built-in wordy unseen chains time] [--misses]

Five tables from one run, of the model alone: the product also wires and checks its plans, and asks it again after
a faulty one (`agents.planners.repair`).

built-in: requests for the built-in tools by another hand than the training's (``requests.jsonl``).
wordy: requests for the built-in tools as people write to an assistant, with reasons and side remarks
(``wordy_requests.jsonl``).
unseen: requests for eight tools that the planner was never trained on (``unseen_tools.py``,
``unseen_requests.jsonl``), with all built-in tools offered as well. The eight cards are tried in several orders: that
of the file, then shuffled ones. A plan should not depend on the order, but does.
chains: requests for two to five steps that join sixteen further tools with built-in ones (``chain_tools.py``,
``chain_requests.jsonl``). First with these sixteen and all built-in tools offered, then in catalogues of 8, 16, 24 and
40 cards: the tools that a request needs, and others drawn from all three groups.
time: for a plan once the cards have been read.

The tools of a plan are right (exact) when they are those of an acceptable plan, in order. The plan is right (full)
when its arguments are, too: lists are compared as sets of singular words unless their order matters, choices and
numbers must be equal, free text needs a token F1 of at least 0.6 (all of its words where no "~" marks it), and a text
that an earlier step makes must not be written out.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict

from agents.plan.types import planner_cards
from agents.planners.backbone import model_file
from backbone.planner.adapter import ADAPTER
from backbone.planner.model import PlannerModel
from backbone.training.scoring import right
from common.card import Card
from common.kinds import KIND_OF_INPUT
from tools.core.settings import settings
from tools.runtime.registry import file_tools, load
from tools.weights import weights

ROOT = Path(__file__).parent
TABLES = ("built-in", "wordy", "unseen", "chains", "time")
CATALOGUES = (8, 16, 24, 40)


class Row(TypedDict):
    """A request with the plans that are right for it, each ``[[tool, {argument: expected value}], …]``."""

    request: str
    media: list[str]
    plans: list[list[tuple[str, dict[str, object] | None]]]


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def catalogue(row: Row, cards: Mapping[str, Card], size: int) -> list[Card]:
    """Return cards of the tools of all acceptable plans and of others, drawn and shuffled by the request as seed."""
    needed = {tool for plan in row["plans"] for tool, _ in plan}
    rng = random.Random(row["request"])
    drawn = [*sorted(needed), *rng.sample(sorted(cards.keys() - needed), size - len(needed))]
    return [cards[name] for name in rng.sample(drawn, size)]


def score(
    model: PlannerModel, rows: list[Row], offered: Callable[[Row], list[Card]], misses: bool
) -> tuple[float, float]:
    """Return the shares of rows with the right tools, and with the right arguments, too."""
    exact = full = 0
    for row in rows:
        steps = model.plan(row["request"], [KIND_OF_INPUT[kind] for kind in row["media"]], offered(row))
        verdicts = [right(plan, steps) for plan in row["plans"]]
        exact += any(tools for tools, _ in verdicts)
        full += any(both for _, both in verdicts)
        if misses and not any(both for _, both in verdicts):
            print(
                f"  {row['request']!r}\n    want {row['plans'][0]}\n    got  {[(s['tool'], s['args']) for s in steps]}"
            )
    return exact / len(rows), full / len(rows)


def medians(model: PlannerModel, rows: list[Row], cards: list[Card]) -> float:
    """Median seconds for a plan, the cards having been read."""
    model.plan(rows[0]["request"], [KIND_OF_INPUT[kind] for kind in rows[0]["media"]], cards)
    seconds = []
    for row in rows:
        began = time.perf_counter()
        model.plan(row["request"], [KIND_OF_INPUT[kind] for kind in row["media"]], cards)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def measure(name: str, model: PlannerModel, tables: list[str], orders: int, misses: bool) -> None:
    """Print the tables of one engine."""

    def show(title: str, rows: list[Row], offered: Callable[[Row], list[Card]], note: str = "") -> tuple[float, float]:
        exact, full = score(model, rows, offered, misses)
        print(f"{name:<9} {title:<9} n={len(rows):<4} tools_exact={exact:.3f} full_match={full:.3f}{note}", flush=True)
        return exact, full

    built_in = planner_cards(load(entry_points=False))
    own, further = ([tool.card() for tool in file_tools(ROOT / f"{group}_tools.py")] for group in ("unseen", "chain"))
    groups = ("", "wordy_", "unseen_", "chain_")
    rows, wordy, unseen, chains = (read(ROOT / f"{group}requests.jsonl") for group in groups)
    if "built-in" in tables:
        show("built-in", rows, lambda _: built_in)
    if "wordy" in tables:
        show("wordy", wordy, lambda _: built_in)
    if "unseen" in tables:
        scores = []
        for order in range(orders):
            cards = built_in + (random.Random(order).sample(own, len(own)) if order else own)
            scores.append(show("unseen", unseen, lambda _, cards=cards: cards, f"  order {order}"))  # type: ignore[misc]  # bound now
        exact, full = (statistics.mean(column) for column in zip(*scores, strict=True))
        print(f"{name:<9} unseen    mean of {orders} orders: tools_exact={exact:.3f} full_match={full:.3f}")
    if "chains" in tables:
        show("chains", chains, lambda _: built_in + further)
        by_name = {card["name"]: card for card in built_in + own + further}
        for size in CATALOGUES:
            offered = {row["request"]: catalogue(row, by_name, size) for row in chains}
            show("chains", chains, lambda row, offered=offered: offered[row["request"]], f"  of {size} cards")  # type: ignore[misc]  # bound now
    if "time" in tables:
        timed = (("built-in", rows, built_in), ("wordy", wordy, built_in), ("unseen", unseen, built_in + own))
        for title, asked, cards in timed:
            print(f"{name:<9} {title:<9} median s/plan: {medians(model, asked[:30], cards):.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, default=ADAPTER, help="another adapter than the shipped one")
    parser.add_argument("--orders", type=int, default=5, help="orders of the unseen tools' cards")
    parser.add_argument("--engine", choices=["quantized", "reference", "both"], default="both")
    parser.add_argument("--tables", choices=TABLES, nargs="+", default=TABLES, help="which tables; all by default")
    parser.add_argument("--misses", action="store_true", help="print every plan that is not fully right")
    given = parser.parse_args()
    if given.engine != "reference":
        model = PlannerModel.from_quantized(model_file(adapter=given.adapter))
        measure("quantized", model, given.tables, given.orders, given.misses)
    if given.engine != "quantized":
        core = weights.use(settings().role("planner"))
        measure("reference", PlannerModel.reference(core, given.adapter), given.tables, given.orders, given.misses)


if __name__ == "__main__":
    main()
