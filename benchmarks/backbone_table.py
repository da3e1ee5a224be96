"""The model that sees beside its bars, in one table.

    python benchmarks/backbone_table.py [--seeing seeing.safetensors | --eyes eyes.safetensors] [--pictures 200]
        [--asked 60] [--split test compositions shifted] [--requests 148] [--failures FILE.png]

The model runs as it is shipped, its core in 8 bits. ``--seeing`` takes what a stage of the training wrote, or a folder
of packed weights; by default those that are shipped. ``--eyes`` takes what stage 0 wrote: decoders alone, with learned
embeddings of categories and colours in place of the link. What cannot be measured is "not trained".

AP50: COCO's, of boxes (`detect`), masks (`segment`), joints (`pose`), and boxes by colour, on pictures of 256 pixels
that were not trained on, beside the specialists (``specialists.py``): the same pictures, the same code.
absent: share of the categories that are not in a picture of which something is found at work.
referring: the best find of an expression for one thing ("the leftmost dog", "the dog left of the red car") has a box
with an IoU of 0.5 or more. region: mean IoU of the best mask, of things whose name is also that of others in the
picture, asked for by mask, box, point or scribble, and in words.
VQA: answers that are the same text, of all and of each kind of question; without the picture: the most frequent answer
of the training. captions: facts of a short and a long caption that are true, and facts of the true captions that are
stated. regions named: answers to "what is this?".
routing: requests for `detect`, `segment` and `pose` in phrasings that training holds out, whose plan begins with the
right tool, and requests that no tool fits, to which there is a plan; both by the model alone, text alone by that of
the shipped planner. planner: fully right plans (``planner.py``) with the adapter of this model, beside those of the
shipped planner.
look and plan: the median time to look at a picture and to plan a request; load: a new process that loads the model.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from backbone_failures import sheet
from backbone_figures import Ask as AskPicture
from backbone_figures import (
    Blind,
    Looking,
    Scores,
    describe,
    finders,
    guess,
    name_regions,
    point_out,
    question,
    refer,
)
from planner import ROOT, Ask, judged, product, read
from safetensors.torch import load_file
from specialists import measure, specialists

from agents.planners.backbone import model_file
from backbone.planner.adapter import ADAPTER
from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.model import PlannerModel
from backbone.training.as_planner import as_planner
from backbone.training.calibrate import expected
from backbone.training.dense_scores import LEAST
from backbone.training.eyes import DenseModel
from backbone.training.pack import pack
from backbone.training.phrasings import requests
from backbone.training.samples import fill, held_out
from backbone.training.vision_data import PHRASES, normalised, targets
from backbone.vision.config import BackboneConfig
from backbone.vision.finds import Find, finds
from backbone.vision.seer import LEAST as AT_WORK
from backbone.vision.seer import Seer
from backbone.vision.shipped import SEEING, write_core
from backbone.vision.tokens import DECODERS
from backbone.world import Rendered
from backbone.world.io.loader import pictures
from backbone.world.scene.splits import SPLITS
from tools.core.settings import settings
from tools.runtime.registry import load
from tools.weights import weights

SIZE = 256
KINDS = ("count", "colour", "relation", "exist", "compare", "read", "pose")
GUESSED = 300
"""Pictures of the training whose answers are known where there is no picture."""
WEIGHTS = ADAPTER.parent


class Line(NamedTuple):
    """A line of the table.

    Attributes:
        name: What is measured.
        values: The figure of each split; of none but ``""`` where there are no splits.
        bar: The least or the most that is asked for; None where nothing is.
        most: Whether the bar is the most.
        on: Splits for which the bar is meant.
    """

    name: str
    values: Mapping[str, float | None]
    bar: float | None = None
    most: bool = False
    on: tuple[str, ...] = ("test",)

    def verdict(self, missing: str = "not trained") -> str:
        """Return whether the bar is met where it is meant; ``missing`` where nothing was measured."""
        if all(value is None for value in self.values.values()):
            return missing
        if self.bar is None:
            return ""
        judged = [v for split, v in self.values.items() if v is not None and (split in self.on or not split)]
        if not judged:
            return ""
        met = all(value <= self.bar if self.most else value >= self.bar for value in judged)
        return "met" if met else "MISSED"

    def text(self, splits: Sequence[str], missing: str = "not trained") -> str:
        """Return the line of the table."""
        columns = [""] if "" in self.values else splits
        cells = [f"{_figure(self.values.get(split)):>14}" for split in columns]
        bar = "" if self.bar is None else f"{'≤' if self.most else '≥'} {self.bar:g}"
        return f"{self.name:<30}{''.join(cells):<{14 * len(splits)}}{bar:>9}  {self.verdict(missing)}".rstrip()


def say(what: str) -> None:
    """Tell on the terminal what is measured now."""
    print(f"\r{what:<40}", end="", file=sys.stderr, flush=True)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def packed(seeing: Path, folder: Path) -> Path:
    """Return the folder of weights as they are shipped: itself, or what is packed of a stage's weights."""
    if seeing.is_dir():
        return seeing
    pack(seeing, folder, 32, 16)  # how familiar a picture is, is not measured here
    return folder


class Trained(NamedTuple):
    """The model that sees, as it is used.

    Attributes:
        seer: The model.
        folder: Its weights as they are shipped.
        core: Its core in 8 bits.
        adapter: Its adapter as the planner's.
    """

    seer: Seer
    folder: Path
    core: Path
    adapter: Path

    @classmethod
    def load(cls, seeing: Path, folder: Path) -> "Trained":
        """Load weights that a stage wrote, or a folder of shipped ones; what has to be made for it goes to a folder."""
        weighed, core = packed(seeing, folder / "weights"), folder / "core.safetensors"
        write_core(weights.use(settings().role("planner")), weighed, core)
        return cls(Seer.load(core, weighed), weighed, core, as_planner(weighed, folder / "adapter"))


def eyes_alone(file: Path) -> AskPicture:
    """Return what the decoders of stage 0 find by the phrases that they have embeddings of."""
    model = DenseModel(BackboneConfig())
    model.load_state_dict(load_file(file))
    model.eval().to(memory_format=torch.channels_last)
    kept: dict[int, tuple[Rendered, list[Find], list[Find]]] = {}

    @torch.inference_mode()
    def ask(picture: Rendered, tool: str, phrases: Sequence[str]) -> list[Find]:
        if id(picture) not in kept:
            pixels = normalised(targets([picture]).pixels).to(memory_format=torch.channels_last)
            things, people, _ = model(pixels)
            if len(kept) >= 32:
                kept.pop(next(iter(kept)))
            kept[id(picture)] = picture, list(finds(things, 0, LEAST, SIZE)), list(finds(people, 0, LEAST, SIZE))
        _, things_found, people_found = kept[id(picture)]
        return people_found if tool == "pose" else [things_found[PHRASES.index(phrase)] for phrase in phrases]

    return ask


PRECISIONS = {
    "boxes": "detect: boxes",
    "masks": "segment: masks",
    "joints": "pose: joints",
    "colours, boxes": "colours: boxes",
}
"""Names of lines, and of the figures of `measure`."""


def dense_lines(found: Mapping[str, Scores], splits: Sequence[str]) -> list[Line]:
    """Return the lines of the decoders, with the specialists."""
    lines = []
    for name in PRECISIONS:
        own, theirs = ({s: found[s].mean(f"{who}{name}") for s in splits} for who in ("", "specialist "))
        share = {s: o / t if (o := own[s]) is not None and (t := theirs[s]) else None for s in splits}
        bar = None if name.startswith("colours") else 0.9
        lines += [
            Line(f"{name}, AP50", own),
            Line("  specialist", theirs),
            Line("  share of the specialist's", share, bar),
        ]
    return [*lines, Line("absent, found at work", {s: found[s].mean("absent") for s in splits}, 0.05, most=True)]


def word_lines(found: Mapping[str, Scores], splits: Sequence[str]) -> list[Line]:
    """Return the lines of what is meant and answered in words."""

    def line(name: str, figure: str = "", bar: float | None = None, on: tuple[str, ...] = ("test",)) -> Line:
        return Line(name, {split: found[split].mean(figure or name) for split in splits}, bar, on=on)

    both = ("test", "compositions")
    lines = [line("referring", bar=0.8)]
    lines += [line(f"  {kind}", f"referring {kind}") for kind in ("by name or place", "by relation")]
    lines += [line("region, mIoU", "by region"), line("  in words", "in words")]
    gain = {
        split: None if (one := found[split].mean("by region")) is None else one - (found[split].mean("in words") or 0)
        for split in splits
    }
    lines += [Line("  more than in words", gain, 0.02), line("VQA", bar=0.85, on=both)]
    lines += [line("  without the picture", "without the picture")]
    lines += [line(f"  {kind}", f"VQA {kind}") for kind in KINDS]
    lines += [line(f"captions, {side} of facts", f"caption {side}", 0.9, both) for side in ("precision", "recall")]
    return [*lines, line("regions named")]


def measure_pictures(split: str, seer: Seer | None, ask: AskPicture | None, count: int, asked: int) -> Scores:
    """Measure everything on the pictures of a split."""
    scores = Scores()
    say(f"{split}: specialists")
    for name, (half, _) in measure(split, count, SIZE, specialists()).items():
        scores.add(f"specialist {name}", half)
    looking = None if seer is None else Looking(seer)
    if looking is not None:
        ask = looking.find
    if ask is not None:
        say(f"{split}: linked decoders")
        for name, (half, _) in measure(split, count, SIZE, finders(ask, scores, AT_WORK)).items():
            scores.add(name, half)
    for name, figure in PRECISIONS.items():
        for who in ("", "specialist "):
            scores.values[f"{who}{name}"] = scores.values.pop(f"{who}{figure}", [])
    blind = Blind(pictures(range(GUESSED), "train", SIZE, workers=0))
    for picture in pictures(range(min(count, asked)), split, SIZE, workers=0):
        guess(blind, picture, scores)
    if looking is not None:
        for number, picture in enumerate(pictures(range(count), split, SIZE, workers=0)):
            say(f"{split}: picture {number + 1} of {count}")
            refer(looking, picture, scores)
            point_out(looking, picture, scores)
            if number < asked:
                question(looking, picture, scores)
                describe(looking, picture, scores)
                name_regions(looking, picture, scores)
    return scores


def measure_planner(adapter: Path | None, count: int) -> list[Line]:
    """Return the lines of the planner with an adapter, beside the shipped one.

    Args:
        adapter: Folder of the adapter of the model that sees.
        count: Requests of each set, at most.
    """
    tools = {name: tool for name, tool in load(entry_points=False).items() if tool.planned}
    rows = read(ROOT / "requests.jsonl")[:count]

    def full(ask: Ask) -> float:
        return sum(judged(ask, row, tools).full for row in rows) / len(rows)

    def routes(adapter: Path) -> tuple[float, float]:
        return route(PlannerModel.from_quantized(model_file(adapter=adapter)), count)

    before, alone_routed, alone_called = full(product(ADAPTER)), *routes(ADAPTER)
    after = routed = called = None
    if adapter is not None:
        after = full(product(adapter))
        routed, called = routes(adapter)
    return [
        Line("routing, right tool", {"": routed}, 0.98),
        Line("  text alone", {"": alone_routed}),
        Line("routing, calls on chat", {"": called}, 0.01, most=True),
        Line("  text alone", {"": alone_called}),
        Line("planner, text alone", {"": before}),
        Line("planner, model that sees", {"": after}),
        Line("  more than text alone", {"": None if after is None else after - before}, -0.01),
    ]


def route(model: PlannerModel, count: int) -> tuple[float, float]:
    """Return how often a plan begins with the right decoder's tool, and how often there is one for chat.

    Args:
        model: The planner.
        count: Requests of each, at most.
    """
    cards, rng = list(BUILTIN_CARDS.values()), random.Random(7)
    unseen = [phrasing for phrasing in requests() if held_out(phrasing)]
    asking = [fill(one, rng) for one in unseen if one.calls and one.calls[0][0] in DECODERS][:count]
    chat = [fill(one, rng) for one in unseen if not one.calls][:count]
    right = []
    for sample in asking:
        calls = model.plan(sample.request, sample.have, cards)
        right.append(bool(calls) and calls[0]["tool"] in {plan[0][0] for plan in expected(sample, cards)})
    called = [bool(model.plan(sample.request, sample.have, cards)) for sample in chat]
    return sum(right) / len(right), sum(called) / len(called)


def load_seconds(core: Path, folder: Path) -> float:
    """Return the time that a new process takes to import and load the model."""
    command = (
        "import time; began = time.perf_counter(); from pathlib import Path; from backbone.vision.seer import Seer; "
        f"Seer.load(Path({str(core)!r}), Path({str(folder)!r})); print(time.perf_counter() - began)"
    )
    run = [sys.executable, "-c", command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    return float(subprocess.run(run, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure_cost(model: "Trained | None") -> list[Line]:
    """Return the lines of time and size."""
    both = loading = None
    if model is not None:
        planner = product(model.adapter)
        tools = {name: tool for name, tool in load(entry_points=False).items() if tool.planned}
        row = read(ROOT / "requests.jsonl")[0]
        seconds = []
        for picture in pictures(range(6), "val", SIZE, workers=0):
            began = time.perf_counter()
            model.seer.look([picture.pixels])
            planner(row, tools)
            seconds.append(time.perf_counter() - began)
        both = statistics.median(seconds[1:])
        loading = [load_seconds(model.core, model.folder) for _ in range(2)][-1]
    size = sum(one.stat().st_size for one in WEIGHTS.rglob("*") if one.is_file()) / 1e6
    return [
        Line("look and plan, s", {"": both}, 2, most=True),
        Line("load, s", {"": loading}, 3, most=True),
        Line("weights in the repository, MB", {"": size}, 60, most=True),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--seeing", type=Path, help="seeing.safetensors of a stage, or a folder as shipped")
    start.add_argument("--eyes", type=Path, help="eyes.safetensors of stage 0: decoders alone")
    parser.add_argument("--pictures", type=int, default=200, help="pictures of each split")
    parser.add_argument("--asked", type=int, default=60, help="pictures of each split that are asked about in words")
    parser.add_argument("--split", nargs="+", choices=SPLITS[1:], default=["test", "compositions", "shifted"])
    parser.add_argument("--requests", type=int, default=148, help="requests of the planner of each set; 0 for none")
    parser.add_argument("--failures", type=Path, metavar="FILE.png", help="draw a sheet of failures")
    given = parser.parse_args()
    for file in (given.seeing, given.eyes):
        if file is not None and not file.exists():
            parser.error(f"there is no {file}")
    seeing = given.seeing or (SEEING if SEEING.is_dir() and given.eyes is None else None)
    ask = None if given.eyes is None else eyes_alone(given.eyes)
    with tempfile.TemporaryDirectory() as folder:
        model = None if seeing is None else Trained.load(seeing, Path(folder))
        seer = None if model is None else model.seer
        found = {split: measure_pictures(split, seer, ask, given.pictures, given.asked) for split in given.split}
        lines = [*dense_lines(found, given.split), *word_lines(found, given.split)]
        if given.requests:
            say("planner")
            lines += measure_planner(None if model is None else model.adapter, given.requests)
        lines += measure_cost(model)
    print(file=sys.stderr)
    print(f"{seeing or given.eyes or 'nothing trained'}, {given.pictures} pictures of each split")
    print(f"{'':<30}" + "".join(f"{split:>14}" for split in given.split) + f"{'bar':>9}")
    for line in lines:
        print(line.text(given.split, "not trained" if model is None else "none asked"))
    if given.failures is not None:
        sheet(list(found.values()), given.failures)


if __name__ == "__main__":
    main()
