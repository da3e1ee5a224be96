"""How many tools that a request needs are among the eight cards that the planner reads, and what that costs.

    python benchmarks/retrieval.py [--tables unseen chains held-out time] [--misses]

unseen: requests for one of eight tools that nothing was trained on (``unseen_tools.py``, ``unseen_requests.jsonl``).
chains: requests that join sixteen further tools with built-in ones (``chain_tools.py``, ``chain_requests.jsonl``), by
how many tools with a card they need.
Both among 24 (these tools alone), 40 and 100 cards; the others are drawn from made-up tools that are held out from
training, and differ from request to request.
held-out: requests for one to four made-up tools that are held out from training, among 100 of them. Their words are
far harder: many say neither what the tool does nor what it works on ("which of the 52 is it").
time: milliseconds for a request once the cards have been prepared, for their preparation, and for the whole plan behind
40 registered tools, with the shortlist and with all cards read.

All of the tools of an acceptable plan have to be among the eight. The retriever alone is measured in the first three
tables; the shortlist also keeps makers of what a chosen tool needs.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from planner import Row, read

from agents.plan.types import planner_cards
from agents.planners.backbone import BackbonePlanner, model_file
from agents.planners.shortlist import LIMIT
from backbone.planner.layout import BUILTIN_TOOLS
from backbone.planner.model import PlannerModel
from backbone.retrieval.retriever import Retriever
from backbone.training.retrieval_data import RetrievalDataset
from common.card import Card
from common.kinds import KIND_OF_INPUT
from tools.runtime.registry import file_tools, load

ROOT = Path(__file__).parent
TABLES = ("unseen", "chains", "held-out", "time")
SIZES = (24, 40, 100)
SEED = 101


def among(own: Sequence[Card], others: Sequence[Card], size: int, request: str) -> list[Card]:
    """Return cards of a catalogue: all own ones, and others drawn and shuffled by the request as seed."""
    rng = random.Random(request)
    names = {card["name"] for card in own}
    others = [card for card in others if card["name"] not in names]
    drawn = [*own, *rng.sample(others, max(0, size - len(own)))]
    return rng.sample(drawn, len(drawn))


def place(retriever: Retriever, row: Row, cards: list[Card], built_in: list[Card]) -> int:
    """Return the worst place of the tools of the plan that does best, from 1; 0 where it needs no card."""
    have = [KIND_OF_INPUT[kind] for kind in row["media"]]
    scores = retriever.scores(row["request"], have, cards, built_in)
    order = [cards[at]["name"] for at in np.argsort(-scores, kind="stable")]
    plans = [[tool for tool, _ in plan if tool not in BUILTIN_TOOLS] for plan in row["plans"]]
    return min(max((order.index(tool) + 1 for tool in plan), default=0) for plan in plans)


def show(title: str, places: Sequence[int]) -> None:
    kept, first = (sum(at <= most for at in places) / len(places) for most in (LIMIT, 1))
    print(f"{title:<44} n={len(places):<5} recall@{LIMIT}={kept:.3f}  first={first:.3f}")


def requests_table(
    title: str,
    retriever: Retriever,
    rows: list[Row],
    own: list[Card],
    others: list[Card],
    built_in: list[Card],
    misses: bool,
) -> None:
    """Print the recall of the requests of a file, by catalogue and by the number of tools with a card."""
    for size in SIZES:
        by_count: dict[int, list[int]] = {}
        for row in rows:
            count = min(sum(tool not in BUILTIN_TOOLS for tool, _ in plan) for plan in row["plans"])
            if count:
                at = place(retriever, row, among(own, others, size, row["request"]), built_in)
                by_count.setdefault(count, []).append(at)
                if misses and at > LIMIT:
                    print(f"  place {at} of {size}: {row['request']!r} {[tool for tool, _ in row['plans'][0]]}")
        for count, places in sorted(by_count.items()):
            show(f"{title}, {count} with a card, of {size} cards", places)
        show(f"{title}, all, of {size} cards", [at for places in by_count.values() for at in places])


def held_out_table(retriever: Retriever, built_in: list[Card], catalogues: int = 25) -> None:
    data = RetrievalDataset(SEED, validation=True)
    by_count: dict[int, list[int]] = {}
    for index in range(catalogues):
        example = data.example(index, 100, 40)
        for sample, right in zip(example.samples, example.right, strict=True):
            scores = retriever.scores(sample.request, sample.have, example.cards, built_in)
            by_count.setdefault(int(right.sum()), []).append(int((scores > scores[right].min()).sum()) + 1)
    for count, places in sorted(by_count.items()):
        show(f"held out, {count} with a card, of 100 cards", places)


def median(work: Callable[[Row], object], rows: Sequence[Row]) -> float:
    """Return the median seconds of some work on each row."""
    seconds = []
    for row in rows:
        began = time.perf_counter()
        work(row)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def time_table(rows: list[Row], own: list[Card], others: list[Card], built_in: list[Card]) -> None:
    """Print times; the plans are those of requests that need three or four calls."""
    retriever = Retriever.read()
    for size in SIZES:
        cards = among(own, others, size, "time")
        began = time.perf_counter()
        retriever.scores("find the dog", ["Image"], cards, built_in)
        first = time.perf_counter() - began
        each = median(lambda row, cards=cards: retriever.scores(row["request"], ["Image"], cards, built_in), rows)  # type: ignore[misc]  # bound now
        print(f"{size} cards: {1000 * first:.1f} ms to prepare, {1000 * each:.1f} ms a request")
    long = [row for row in rows if min(map(len, row["plans"])) >= 3][:20]
    cards = [*built_in, *among(own, others, 40, "time")]
    planner, model = BackbonePlanner(), PlannerModel.from_quantized(model_file())

    def values(row: Row) -> dict[str, str]:
        return {kind: KIND_OF_INPUT[kind] for kind in row["media"]}

    planner.load(cards)
    chosen = median(lambda row: planner.plan(row["request"], values(row), cards), long)
    again = median(lambda row: planner.plan(row["request"], values(row), cards), long[:1] * 5)
    model.plan("find the dog", ["Image"], cards)
    every = median(lambda row: model.plan(row["request"], [*values(row).values()], cards), long)
    print(
        f"a plan of 3 to 5 calls behind 40 registered tools: {chosen:.2f} s with the shortlist ({again:.2f} s where the"
    )
    print(f"cards were the same before), {every:.2f} s with all cards, which have been read before")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", choices=TABLES, nargs="+", default=TABLES, help="which tables; all by default")
    parser.add_argument("--misses", action="store_true", help="print every request whose tools are not all kept")
    given = parser.parse_args()
    built_in = [card for card in planner_cards(load(entry_points=False)) if card["name"] in BUILTIN_TOOLS]
    unseen, chain = ([tool.card() for tool in file_tools(ROOT / f"{group}_tools.py")] for group in ("unseen", "chain"))
    others = RetrievalDataset(SEED, validation=True).example(0, 120, 1).cards
    retriever = Retriever.read()
    for title, group in (("unseen", "unseen"), ("chains", "chain")):
        if title in given.tables:
            rows = read(ROOT / f"{group}_requests.jsonl")
            requests_table(title, retriever, rows, [*unseen, *chain], others, built_in, given.misses)
    if "held-out" in given.tables:
        held_out_table(retriever, built_in)
    if "time" in given.tables:
        time_table(read(ROOT / "chain_requests.jsonl"), [*unseen, *chain], others, built_in)


if __name__ == "__main__":
    main()
