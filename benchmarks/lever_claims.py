"""Claims of Lever-LM (arXiv 2312.10104) in miniature, and whether examples matter to the planner at all.

    python benchmarks/claims.py gate0 [--items N]
    python benchmarks/claims.py lever [--small] [--grown FILE] [--out FOLDER]

Both use the 33 houses of ``house_requests.jsonl``, whose words nothing but an example explains, and the planner in
8 bits alone (`PlannerModel.decode`), without the check and its second questions. A plan is fully right when tools,
order and arguments are. Answers are kept in ``FOLDER/answers.jsonl``, so that a stopped run goes on.

gate0: whether demonstrations matter to this planner at all: none, the best two of the house's 32 by InfoScore (with
the right plan known), and five random pairs for each house. Holds if the best two gain ≥ 10 points and the pairs
differ by a standard deviation of ≥ 3 within a house.

lever: claims of Lever-LM (arXiv 2312.10104). Sequences are grown for 16 anchors of each house (`flows.lever`), and
models are trained on them with three seeds. Every row chooses K = 1, 2, 4 and 8 of the house's 32:

  random: five draws.  similar: the cosine of the requests, the likest one last.
  words: as similar, but word by word, and each next one for words that those before do not explain; nothing is trained.
  majority: for each house one list, of what helped its anchors most.
  oracle: grown for the test request itself, its plan known (K = 1 and 2, four requests of each house).
  lever: Lever-LM.  lever, new houses: each half of the houses is chosen for by a model of the other half.
  lever, closed: with one row of weights for each example, as in the paper.  lever, shuffled: the same sets as lever.

There are no pictures in the houses, so that the paper's rows of similar pictures (SIIR, SITR) are missing.

  L1: lever gains ≥ 3 points over random and ≥ 2 over similar on the mean of K = 1 and 2, and none are lost beside none.
  L2: its order is better than a shuffled one (K = 2, 4, 8).  L3: at K = 4 and 8 it is no worse than random.
  L4: InfoScore tells which pairs work: Spearman's correlation with fully right is > 0.3 (random and lever, K = 2).

``--small`` is a try with a few houses and short trainings; its rows are labelled so.
"""

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import houses
import numpy as np
from houses import HouseRow
from lever import DRAWS, Bench, House, at_random, bank_lines, by_words, majority, shuffled, similar
from verdicts import Shares, say, spearman, told

from agents.plan.types import AnyTool
from backbone.lever.data import GrownJson, lessons, read_grown, rows_of
from backbone.lever.model import LeverModel
from backbone.lever.train import Recipe, train
from backbone.retrieval.retriever import Retriever
from flows.lever import grow_file
from tools.core.hashing import sha256_of
from tools.runtime.registry import file_tools, load
from tools.storage import atomic

ROOT = Path(__file__).parent
SIZES = (1, 2, 4, 8)
SEEDS = (1, 2, 3)
ORACLE_SIZES, ORACLE_REQUESTS = (1, 2), 4
"""Of the oracle, and its requests of each house: it takes 160 scores for each."""

Choose = Callable[[House, HouseRow, int], list[int]]
"""Chooses K places of a house's pool for a test request."""


def read_tools() -> dict[str, AnyTool]:
    """Return the built-in tools and those of the houses."""
    return {**load(entry_points=False), **{tool.name: tool for tool in file_tools(ROOT / "house_tools.py")}}


def read_houses(small: bool) -> list[House]:
    """Return the houses; for a small try two of them, with some of their requests."""
    tools = read_tools()
    rows, words = houses.read(), Retriever.read().words
    names = list(dict.fromkeys(row["house"] for row in rows))
    if small:
        names, rows = names[:2], [row for row in rows if row["part"] == "pool" or int(row["id"][-2:]) % 3 == 0]
    return [House([row for row in rows if row["house"] == name], tools, words) for name in names]


def some(house: House, most: int | None) -> list[HouseRow]:
    """Return test requests of a house, drawn by its name; all without a number."""
    return random.Random(house.name).sample(house.tests, len(house.tests))[:most]


def gate0(bench: Bench, of: Sequence[House], most: int | None) -> None:
    """Print whether demonstrations matter; for at most so many requests of each house, if that is given."""
    asked = [
        random.Random(house.name).sample(house.tests, min(most or len(house.tests), len(house.tests))) for house in of
    ]
    items = [(house, row) for house, rows in zip(of, asked, strict=True) for row in rows]
    none = np.array([[bench.right(house, row, ()) for house, row in items]])
    best = np.array([[bench.right(house, row, bench.oracle(house, row, 2)) for house, row in items]])
    pairs = [[at_random(house, house.tests[0], 2, draw) for draw in range(DRAWS)] for house in of]
    drawn = np.array(
        [
            [[bench.right(house, row, pair) for row in rows] for pair in own]
            for house, rows, own in zip(of, asked, pairs, strict=True)
        ]
    )
    spread = 100 * float(drawn.mean(2).std(1, ddof=1).mean())
    print(f"{len(items)} requests of {len(of)} houses, fully right: {none.mean():.3f} with no demonstrations,")
    print(f"{best.mean():.3f} with the best two of 32, {drawn.mean():.3f} with random pairs ({DRAWS} a house)")
    gained = say("the best two beat none by 10 points", best, none, 10)
    apart = spread >= 3
    claim = "random pairs differ by 3 points (standard deviation) in a house"
    told(claim, f"{spread:6.1f} points", apart)
    print("gate 0 holds" if gained and apart else "gate 0 does not hold: train the planner on demonstrations first")


def trained(of: Sequence[House], grown: Sequence[GrownJson], recipe: Recipe, closed: bool, file: Path) -> LeverModel:
    """Train a model on what was grown for some houses; a file that is there is read."""
    if not file.exists():
        groups = {house.name: house.group for house in of}
        rows = rows_of(groups)
        own = [one for one in grown if one["group"] in groups]
        with atomic.replace_file(file) as partial:
            train(lessons(groups, own, of[0].words), partial, recipe, len(rows) if closed else 0)
    return LeverModel.read(file)


class Chooser:
    """A trained model that chooses for some houses; choices are kept."""

    def __init__(self, model: LeverModel, of: Sequence[House], closed: bool) -> None:
        self._model, self._kept = model, dict[str, list[int]]()
        rows = rows_of({house.name: house.group for house in of})
        self._banks = {
            house.name: model.bank(
                house.known.features, [rows[house.name, name] for name in house.ids] if closed else None
            )
            for house in of
        }

    def __call__(self, house: House, row: HouseRow, k: int) -> list[int]:
        """Choose as `Choose`: the first K of a sequence, so that longer ones go on from shorter ones."""
        if row["id"] not in self._kept:
            self._kept[row["id"]] = self._model.choose(house.asked(row), self._banks[house.name], max(SIZES))
        return self._kept[row["id"]][:k]


def choosers(
    of: Sequence[House], grown: Sequence[GrownJson], recipe: Recipe, seeds: Sequence[int], folder: Path
) -> dict[str, list[Choose]]:
    """Train the models of all seeds.

    Returns:
        For each kind of model what it chooses, seed by seed.
    """
    halves = [of[::2], of[1::2]]
    found: dict[str, list[Choose]] = {"lever": [], "lever, new houses": [], "lever, closed": []}
    for seed in seeds:
        own = replace(recipe, seed=seed)
        for name, closed in (("lever", False), ("lever, closed", True)):
            model = trained(of, grown, own, closed, folder / f"{name}-{seed}.safetensors")
            found[name].append(Chooser(model, of, closed))
        crossed: dict[str, Choose] = {}
        for number, half in enumerate(halves):
            other = trained(half, grown, own, False, folder / f"half {number}-{seed}.safetensors")
            chooser = Chooser(other, halves[1 - number], False)
            crossed |= {house.name: chooser for house in halves[1 - number]}
        found["lever, new houses"].append(lambda house, row, k, by=crossed: by[house.name](house, row, k))  # type: ignore[misc]  # bound now
    return found


def lever(bench: Bench, of: Sequence[House], grown_file: Path | None, small: bool) -> None:
    """Print the table of Lever-LM and the verdicts."""
    bank, out = bench.out / "bank.jsonl", grown_file or bench.out / "grown.jsonl"
    lines = [json.dumps(line) for house in of for line in bank_lines(house)]
    atomic.write(bank, "".join(line + "\n" for line in lines).encode())
    grow_file(
        bank, out, read_tools(), on_progress=lambda done, n: print(f"{done} of {n} anchors", end="\r", flush=True)
    )
    grown = read_grown(out)
    seeds = SEEDS[:2] if small else SEEDS
    recipe = Recipe(steps=60) if small else Recipe()
    made_of = hashlib.sha256(f"{sha256_of(out)} {recipe}".encode()).hexdigest()[:12]
    models = choosers(of, grown, recipe, seeds, bench.out / f"models-{made_of}")
    own: dict[str, list[Choose]] = {
        "none": [lambda house, row, k: []],
        "random": [lambda house, row, k, draw=draw: at_random(house, row, k, draw) for draw in range(DRAWS)],  # type: ignore[misc]  # bound now
        "similar": [similar],
        "words": [by_words],
        "majority": [lambda house, row, k: majority(house, grown, k)],
        "oracle": [lambda house, row, k: bench.oracle(house, row, k)],
        **models,
        "lever, shuffled": [
            lambda house, row, k, by=by: shuffled(by(house, row, k), row["id"])  # type: ignore[misc]  # bound now
            for by in models["lever"]
        ],
    }
    items = [(house, row) for house in of for row in house.tests]
    label = " (small: a try, no result)" if small else ""
    print(f"{len(items)} requests of {len(of)} houses, {len(grown)} anchors, {len(seeds)} seeds{label}")
    print(f"{'':<20}" + "".join(f"   K={k}  " for k in SIZES) + "  1~2")
    shares: dict[tuple[str, int], Shares] = {}
    for name, ways in own.items():
        cells = []
        for k in SIZES if name != "oracle" else ORACLE_SIZES:
            tried = [(h, row) for h in of for row in some(h, ORACLE_REQUESTS)] if name == "oracle" else items
            shares[name, k] = np.array(
                [[bench.right(house, row, way(house, row, k)) for house, row in tried] for way in ways]
            )
            cells.append(f"  {shares[name, k].mean():.3f} ")
        shares[name, 0] = (shares[name, 1] + shares[name, 2]) / 2
        cells += ["    –   "] * (len(SIZES) - len(cells))
        print(f"{name + ('*' if small else ''):<20}" + "".join(cells) + f" {shares[name, 0].mean():.3f}", flush=True)
    verdicts(shares, [name for name in models if name != "lever, closed"], label)
    pairs = [(way, item) for way in (*own["random"], *own["lever"]) for item in items]
    chosen = [(house, row, way(house, row, 2)) for way, (house, row) in pairs]
    rank = spearman([bench.score(*one) for one in chosen], [bench.right(*one) for one in chosen])
    print(
        f"  L4: InfoScore ranks what works: Spearman {rank:.2f}, {'holds' if rank > 0.3 else 'not reproduced'}{label}"
    )


def verdicts(shares: Mapping[tuple[str, int], Shares], levers: Sequence[str], label: str) -> None:
    """Print L1 to L3, and the bars of the houses, of each pointer model."""
    print(f"claims{label}:")
    for name in levers:
        print(f" {name}")
        say("L1: over random, K = 1 and 2, by 3 points", shares[name, 0], shares["random", 0], 3)
        say("L1: over similar, K = 1 and 2, by 2 points", shares[name, 0], shares["similar", 0], 2)
        say("L1: no worse than none", shares[name, 0], shares["none", 0], 0, losing=True)
        say("    over none by 15 points", shares[name, 0], shares["none", 0], 15)
        say("    over word by word, which is not trained, by 0", shares[name, 0], shares["words", 0], 0)
        say(
            "    over the majority list, by 0",
            shares[name, 0],
            shares["majority", 0],
            0,
        )
        for k in SIZES[2:]:
            say(f"L3: no worse than random at K = {k}", shares[name, k], shares["random", k], 0, losing=True)
    kept, mixed = (sum(shares[name, k] for k in SIZES[1:]) / 3 for name in ("lever", "lever, shuffled"))
    say("L2: its order over a shuffled one", np.asarray(kept), np.asarray(mixed), 0)


def run(claim: str, out: Path, most: int | None, grown_file: Path | None, small: bool) -> None:
    """Print the verdicts of ``gate0`` or ``lever``.

    Args:
        claim: Which of both.
        out: Folder of answers and models.
        most: Requests of each house, for ``gate0``.
        grown_file: The file of sequences, for ``lever``.
        small: Whether it is a try.
    """
    bench, of = Bench(out / ("small" if small else "")), read_houses(small)
    if claim == "gate0":
        gate0(bench, of, most)
    else:
        lever(bench, of, grown_file, small)
