"""Measure the planner: as the product uses it, or the model alone.

    python benchmarks/planner.py [--adapter FOLDER] [--engine product|quantized|reference|both] [--orders 5]
        [--tables built-in wordy unseen chains] [--first N] [--misses]

``product`` is the path of every request (`agents.planners.repair`): the planner in 8 bits, its plan wired and checked,
and asked for again with its problems. ``quantized`` and ``reference`` are the model alone, in 8 bits and in float32,
``both`` one after the other; their plans are neither wired nor checked.

built-in: requests for the built-in tools by another hand than the training's (``requests.jsonl``).
wordy: requests for the built-in tools as people write to an assistant, with reasons and side remarks
(``wordy_requests.jsonl``).
unseen: requests for eight tools that the planner was never trained on (``unseen_tools.py``,
``unseen_requests.jsonl``), with all built-in tools offered as well. The eight cards are tried in several orders: that
of the file, then shuffled ones. A plan should not depend on the order, but does.
chains: requests for two to five steps that join sixteen further tools with built-in ones (``chain_tools.py``,
``chain_requests.jsonl``). First with these sixteen and all built-in tools offered, then in catalogues of 8, 16, 24 and
40 cards: the tools that a request needs, and others drawn from all three groups.

The columns are shares of all requests, but for the last two:

tools: the tools are those of an acceptable plan, in order.
full: the arguments are right, too: lists are compared as sets of singular words unless their order matters, choices and
numbers must be equal, free text needs a token F1 of at least 0.6 (all of its words where no "~" marks it), and a text
that an earlier step makes must not be written out. Inputs that wiring filled in are not compared.
wait: the planner doubts the plan, so that it runs only after a person has looked at it.
invalid: number of plans that still have problems after all rounds. They are wrong, and there should be none.
s/plan: the median. With catalogues it holds the reading of their cards, which differ from request to request.

The last line is about the product's confidence, over all tables, of the unseen tools in their first order and of chains
without catalogues: the expected calibration error over ten bins of equal mass, and how many of the wrong plans and of
the right ones wait.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np

from agents.plan.plan import ABOVE, Plan, references, unescape
from agents.plan.types import AnyTool, cards_of, planner_cards
from agents.planners.backbone import BackbonePlanner, model_file
from agents.planners.base import Confidence
from agents.planners.repair import plan_request
from agents.session.policy import doubtful
from backbone.planner.adapter import ADAPTER
from backbone.planner.layout import PlannedCall
from backbone.planner.model import PlannerModel
from backbone.training.calibrate import calibration_error
from backbone.training.scoring import right
from common.kinds import KIND_OF_INPUT
from tools.core.settings import settings
from tools.runtime.registry import file_tools, load
from tools.weights import weights

ROOT = Path(__file__).parent
TABLES = ("built-in", "wordy", "unseen", "chains")
CATALOGUES = (8, 16, 24, 40)


class Row(TypedDict):
    """A request with the plans that are right for it, each ``[[tool, {argument: expected value}], …]``."""

    request: str
    media: list[str]
    plans: list[list[tuple[str, dict[str, object] | None]]]


class Answer(NamedTuple):
    """A plan as the planner wrote it, whether it can run, and how sure the planner is."""

    calls: list[PlannedCall]
    valid: bool = True
    confidence: Confidence | None = None


class Verdict(NamedTuple):
    """An answer compared with the plans that are right for its request."""

    answer: Answer
    tools: bool
    full: bool
    seconds: float


Tools = Mapping[str, AnyTool]
Ask = Callable[[Row, Tools], Answer]
"""Plans a request with some tools."""


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def product(adapter: Path) -> Ask:
    """Plan as every request is planned."""
    planner = BackbonePlanner(adapter)

    def ask(row: Row, tools: Tools) -> Answer:
        values = {kind: KIND_OF_INPUT[kind] for kind in row["media"]}
        attempt = plan_request(row["request"], values, tools, planner)
        calls = [] if attempt.plan is None else written(attempt.plan, tools)
        return Answer(calls, not attempt.problems, attempt.confidence)

    return ask


def alone(model: PlannerModel) -> Ask:
    """Plan with the model alone."""

    def ask(row: Row, tools: Tools) -> Answer:
        have = [KIND_OF_INPUT[kind] for kind in row["media"]]
        return Answer(model.plan(row["request"], have, planner_cards(tools)))

    return ask


def written(plan: Plan, tools: Tools) -> list[PlannedCall]:
    """Return the calls of a wired plan as the planner wrote them: without the inputs that wiring filled in.

    An optional input is filled in only where the planner wrote `ABOVE`, so that is what stands there again.
    """
    cards, calls = cards_of(tools), list[PlannedCall]()
    for step in plan.steps:
        inputs = cards[step.tool]["inputs"] if step.tool in cards else {}
        args: dict[str, object] = {}
        for name, value in step.args.items():
            if name not in inputs or not any(references(value)):
                args[name] = unescape(value)
            elif inputs[name]["optional"] and not inputs[name].get("literal"):
                args[name] = ABOVE
        calls.append({"tool": step.tool, "args": args})
    return calls


def catalogue(row: Row, tools: Tools, size: int) -> dict[str, AnyTool]:
    """Return the tools of all acceptable plans and others, drawn and shuffled by the request as seed."""
    needed = {tool for plan in row["plans"] for tool, _ in plan}
    rng = random.Random(row["request"])
    drawn = [*sorted(needed), *rng.sample(sorted(tools.keys() - needed), size - len(needed))]
    return {name: tools[name] for name in rng.sample(drawn, size)}


def judged(ask: Ask, row: Row, tools: Tools) -> Verdict:
    """Plan a request, and compare the plan with those that are right."""
    began = time.perf_counter()
    answer = ask(row, tools)
    seconds = time.perf_counter() - began
    verdicts = [right(plan, answer.calls) for plan in row["plans"]] if answer.valid else []
    return Verdict(answer, any(exact for exact, _ in verdicts), any(full for _, full in verdicts), seconds)


def print_line(title: str, verdicts: Sequence[Verdict]) -> None:
    """Print a line of the table."""
    n = len(verdicts)
    shares = [
        sum(column) / n
        for column in zip(*((v.tools, v.full, doubtful(v.answer.confidence)) for v in verdicts), strict=True)
    ]
    invalid = sum(not verdict.answer.valid for verdict in verdicts)
    seconds = statistics.median(verdict.seconds for verdict in verdicts)
    print(f"{title:<28} {n:>4}", *(f"{share:>6.3f}" for share in shares), f"{invalid:>8} {seconds:>7.3f}", flush=True)


def print_confidence(verdicts: Sequence[Verdict]) -> None:
    """Print how far the confidence can be trusted; nothing where there is none."""
    known = [(v.answer.confidence, v.full) for v in verdicts if v.answer.confidence is not None]
    if not known:
        return
    confidences = np.array([confidence.plan for confidence, _ in known], np.float32)
    error = calibration_error(confidences, np.array([full for _, full in known], np.float32))
    wait = {of: [doubtful(confidence) for confidence, full in known if full == of] for of in (False, True)}
    print(
        f"confidence: mean {confidences.mean():.3f}, calibration error {error:.3f}; "
        f"{sum(wait[False])} of {len(wait[False])} wrong plans wait, {sum(wait[True])} of {len(wait[True])} right ones"
    )


def measure(name: str, ask: Ask, tables: Sequence[str], orders: int, first: int | None, misses: bool) -> None:
    """Print the table of one engine."""
    everything: list[Verdict] = []
    print(f"{name:<28}    n  tools   full   wait  invalid  s/plan")

    def show(title: str, rows: list[Row], offered: Callable[[Row], Tools], counts: bool = False) -> list[Verdict]:
        verdicts = [judged(ask, row, offered(row)) for row in rows[:first]]
        print_line(title, verdicts)
        for row, verdict in zip(rows, verdicts, strict=False):
            if misses and not verdict.full:
                got = [(call["tool"], call["args"]) for call in verdict.answer.calls]
                sure = "" if verdict.answer.confidence is None else f" ({verdict.answer.confidence.plan:.2f})"
                print(f"  {row['request']!r}\n    want {row['plans'][0]}\n    got  {got}{sure}")
        everything.extend(verdicts if counts else [])
        return verdicts

    built_in = {name: tool for name, tool in load(entry_points=False).items() if tool.planned}
    own, further = (
        {tool.name: tool for tool in file_tools(ROOT / f"{group}_tools.py")} for group in ("unseen", "chain")
    )
    rows, wordy, unseen, chains = (
        read(ROOT / f"{group}requests.jsonl") for group in ("", "wordy_", "unseen_", "chain_")
    )
    if "built-in" in tables:
        show("built-in", rows, lambda _: built_in, counts=True)
    if "wordy" in tables:
        show("wordy", wordy, lambda _: built_in, counts=True)
    if "unseen" in tables:
        tried: list[Verdict] = []
        for order in range(orders):
            names = random.Random(order).sample(list(own), len(own)) if order else list(own)
            tools = {**built_in, **{name: own[name] for name in names}}
            tried += show(f"unseen, order {order}", unseen, lambda _, tools=tools: tools, counts=not order)  # type: ignore[misc]  # bound now
        print_line(f"unseen, {orders} orders", tried)
    if "chains" in tables:
        show("chains", chains, lambda _: {**built_in, **further}, counts=True)
        every = {**built_in, **own, **further}
        for size in CATALOGUES:
            show(f"chains, {size} cards", chains, lambda row, size=size: catalogue(row, every, size))  # type: ignore[misc]  # bound now
    print_confidence(everything)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, default=ADAPTER, help="another adapter than the shipped one")
    parser.add_argument("--orders", type=int, default=5, help="orders of the unseen tools' cards")
    parser.add_argument("--engine", choices=["product", "quantized", "reference", "both"], default="product")
    parser.add_argument("--tables", choices=TABLES, nargs="+", default=TABLES, help="which tables; all by default")
    parser.add_argument("--first", type=int, help="only so many requests of each table")
    parser.add_argument("--misses", action="store_true", help="print every plan that is not fully right")
    given = parser.parse_args()
    engines: dict[str, Callable[[], Ask]] = {
        "product": lambda: product(given.adapter),
        "quantized": lambda: alone(PlannerModel.from_quantized(model_file(adapter=given.adapter))),
        "reference": lambda: alone(PlannerModel.reference(weights.use(settings().role("planner")), given.adapter)),
    }
    for name in ("quantized", "reference") if given.engine == "both" else (given.engine,):
        measure(name, engines[name](), given.tables, given.orders, given.first, given.misses)


if __name__ == "__main__":
    main()
