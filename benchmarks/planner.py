"""Measure the planner.

    python benchmarks/planner.py [--adapter FOLDER] [--orders 5] [--misses]

Three tables from one run, of the model alone: the product also wires and checks its plans, and asks it again after a
faulty one (`agents.planners.repair`).

requests for the built-in tools by another hand than the training's (``requests.jsonl``);
requests for eight tools that the planner was never trained on (``unseen_tools.py``, ``unseen_requests.jsonl``), all built-in tools offered as well,
with the eight cards in several orders, which a planner should not care about, but does: the file's, then shuffled ones;
time for a plan, with the cards' cache warm, against ``transformers`` generating the same tokens from the same prompt.

A plan is right when its tools are those of an acceptable plan in order (exact) and so are its arguments (full): labels as sets of
singular words, choices and numbers equal, free text with a token F1 of at least 0.6.
"""

import argparse
import json
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM

from agents.planners.backbone import core_folder
from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.model import WEIGHTS, PlannerModel, load_planner
from common.kinds import KIND_OF_INPUT
from tools.runtime.registry import file_tools, load

ROOT = Path(__file__).parent


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def singular(label: str) -> str:
    parts = [w for w in words(label) if w not in ("the", "a", "an", "all", "every", "any")]
    if not parts:
        return ""
    last = {
        "people": "person",
        "men": "man",
        "women": "woman",
        "children": "child",
        "knives": "knife",
        "leaves": "leaf",
    }.get(parts[-1], parts[-1])
    if last.endswith("ies") and len(last) > 4:
        last = last[:-3] + "y"
    elif re.search(r"(ch|sh|x|ss|o)es$", last):
        last = last[:-2]
    elif last.endswith("s") and not last.endswith("ss") and len(last) > 3:
        last = last[:-1]
    return " ".join([*parts[:-1], last])


def overlap(a: str, b: str) -> float:
    x, y = Counter(words(a)), Counter(words(b))
    both = sum((x & y).values())
    return 2 * both / (sum(x.values()) + sum(y.values())) if both else 0.0


def same(gold: Any, got: Any) -> bool:
    """Whether an argument is as good as the expected one; an expected null accepts anything."""
    if gold is None:
        return True
    if isinstance(gold, list):
        return isinstance(got, list) and {singular(str(g)) for g in gold} == {singular(str(g)) for g in got}
    if isinstance(gold, bool) or isinstance(got, bool):
        return gold is got
    if isinstance(gold, int | float):
        return isinstance(got, int | float) and abs(gold - got) < 1e-6
    if isinstance(got, str) and gold.startswith("~"):
        return overlap(gold[1:], got) >= 0.6
    return isinstance(got, str) and words(gold) == words(got)


def right(plan: list[list[Any]], steps: list[dict[str, Any]]) -> tuple[bool, bool]:
    """Tools as expected, and arguments too. A plan is ``[[tool, {argument: expected}], …]``."""
    tools = [name for name, _ in plan] == [step["tool"] for step in steps]
    full = tools and all(
        same(value, step["args"].get(name))
        for (_, args), step in zip(plan, steps, strict=True)
        for name, value in (args or {}).items()
    )
    return tools, full


def score(
    model: PlannerModel, rows: list[dict[str, Any]], cards: list[dict[str, Any]], misses: bool
) -> tuple[float, float]:
    exact = full = 0
    for row in rows:
        steps = model.plan(row["request"], [KIND_OF_INPUT[kind] for kind in row["media"]], cards)
        verdicts = [right(plan, steps) for plan in row["plans"]]
        exact += any(tools for tools, _ in verdicts)
        full += any(both for _, both in verdicts)
        if misses and not any(both for _, both in verdicts):
            print(
                f"  {row['request']!r}\n    want {row['plans'][0]}\n    got  {[(s['tool'], s['args']) for s in steps]}"
            )
    return exact / len(rows), full / len(rows)


def latencies(
    model: PlannerModel, plain: LlamaForCausalLM, rows: list[dict[str, Any]], cards: list[dict[str, Any]]
) -> Iterator[tuple[float, float]]:
    """Seconds for a plan by the planner, and by plain generate of the same number of tokens, request by request."""
    layout, known = model.layout, {**BUILTIN_CARDS, **{card["name"]: card for card in cards}}
    prefix = layout.prefix(cards)
    for row in rows:
        have = [KIND_OF_INPUT[kind] for kind in row["media"]]
        began = time.perf_counter()
        steps = model.plan(row["request"], have, cards)
        ours = time.perf_counter() - began
        prompt = torch.tensor([prefix + layout.request(have, row["request"])])
        count = len(layout.calls(steps, known))
        began = time.perf_counter()
        with torch.inference_mode():
            plain.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                do_sample=False,
                min_new_tokens=count,
                max_new_tokens=count,
                pad_token_id=layout.end,
            )
        yield ours, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, help="another adapter than the shipped one")
    parser.add_argument("--orders", type=int, default=5, help="orders of the unseen tools' cards")
    parser.add_argument("--misses", action="store_true", help="print every plan that is not fully right")
    given = parser.parse_args()
    adapter = given.adapter or WEIGHTS
    model = PlannerModel(core_folder(), adapter)
    built_in = [tool.card() for tool in load(entry_points=False).values()]
    own = [tool.card() for tool in file_tools(ROOT / "unseen_tools.py")]
    unseen = built_in + own
    rows = read(ROOT / "requests.jsonl")
    exact, full = score(model, rows, built_in, given.misses)
    print(f"built-in  n={len(rows):<4} tools_exact={exact:.3f} full_match={full:.3f}", flush=True)
    rows = read(ROOT / "unseen_requests.jsonl")
    scores = []
    for order in range(given.orders):
        cards = random.Random(order).sample(own, len(own)) if order else own
        scores.append(score(model, rows, built_in + cards, given.misses))
        print(
            f"unseen    n={len(rows):<4} tools_exact={scores[-1][0]:.3f} full_match={scores[-1][1]:.3f}  order {order}",
            flush=True,
        )
    exact, full = (statistics.mean(column) for column in zip(*scores, strict=True))
    print(f"unseen    mean of {given.orders} orders: tools_exact={exact:.3f} full_match={full:.3f}")
    _, plain_model = load_planner(core_folder(), adapter)
    for title, name, cards in (("built-in", "requests.jsonl", built_in), ("unseen", "unseen_requests.jsonl", unseen)):
        pairs = list(latencies(model, plain_model, read(ROOT / name)[:30], cards))
        ours, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{title:<9} median s/plan: superlink {ours:.3f}  generate {plain:.3f}  ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
