"""Claims of VisionLLM v2 (arXiv 2406.08394) in miniature.

    python benchmarks/claims.py seeing [--only V1,V3] [--small] [--seeds 3] [--out FOLDER]

Small models of the product's own classes (`small.py`) see pictures of 96 pixels with eight categories (`scenes.py`).
Their core of four layers begins with random weights and knows no words but those of the training. Eyes and decoders
are trained once, and all models begin with them; the rest is trained anew with each of three seeds. Who is compared has
the same pictures, steps and learning rates. Of the test's items everyone is asked the same.

  V1: separate queries of the decoders beat shared ones by 5 points of joints, and lose no more than 1 of boxes. The
      core is frozen; eight finds are trained for each pose.
  V2: so trained, 4 queries beat 1 by 5 points of joints, and 8 differ from 4 by a third of that at most.
  V3: the super link beats tokens that the core predicts, and a message in words, by 2 points of mask IoU on regions and
      on relations ("the dog left of the car"), and differs by 2 at most on class names. Each is trained jointly with
      the core. The message does not see the picture; a region is told in the words of the model.
  V4: three stages beat one by 5 points of plans and of answers, and lose no more than 1 of boxes and joints. One stage
      takes the same steps of each task, mixed: the decoders' data of stage 2 is seen thirteen times by both.
  V5: of held-out phrasings ≥ 98 % of requests go to the right decoder, and ≤ 1 % of those that no tool fits to any.
      The phrasings are the planner's own; a quarter is held out here. After stage 2 of V4.
  V6: the tests of gradients, of masked labels and of frozen parts pass.

Figures, from 0 to 1: boxes is the mean over class names in a picture of AP at an IoU of 0.5, so that it can be paired,
which COCO's AP over all pictures cannot. Masks are compared with the best finds, as many as there are things; no
threshold decides. Joints is PCK: within a fifth of the longer side of the person's box, for the best find. Plans are
exact to the last token.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from verdicts import Shares, alike, difference, say, told

from seeing import scores
from seeing.lab import PLAIN, ROOT, WAYS, Lab, Variant
from seeing.latency import latencies
from seeing.training import Recipe

SEEDS = 3
QUERIES = (1, 4, 8)
CHECKS = {
    "a decoder's loss reaches its own queries and the core, no others": "test_vision_model.py::"
    "test_the_loss_of_a_decoder_reaches_its_queries_and_the_core",
    "queries and patches are never predicted": "test_vision_model.py::test_queries_and_patches_are_never_predicted",
    "cached and uncached logits and links agree": "test_vision_model.py::"
    "test_queries_appended_to_a_cache_give_what_one_pass_gives",
    "a stage trains its parts alone, by hashes": "test_stages.py::test_a_stage_trains_its_parts_alone",
}
"""What V6 says, and the tests in ``tests/backbone`` that show it."""

SMALL = Recipe(
    pictures=32,
    tests=16,
    eyes=8,
    base={"answers": 3, "regions": 1, "words": 3},
    linked={"detect": 4, "pose": 1},
    joint={"answers": 1, "regions": 1, "detect": 1, "pose": 1, "words": 1},
    second={"answers": 1, "words": 1, "detect": 1, "pose": 1},
    third={"detect": 3, "pose": 3},
    warmup=2,
)
"""Of a try."""

compared = partial(say, paired=True)
"""Prints a claim about models of the same seeds."""


def table(rows: Mapping[str, Mapping[str, Shares]]) -> None:
    """Print mean figures, a line for each row."""
    names = list(dict.fromkeys(name for figures in rows.values() for name in figures))
    print(f"  {'':<26}" + "".join(f"{name:>11}" for name in names))
    for row, figures in rows.items():
        cells = [f"{figures[name].mean():11.3f}" if name in figures else " " * 11 for name in names]
        print(f"  {row:<26}" + "".join(cells), flush=True)
    counts = next(iter(rows.values()))
    print(f"  {'items':<26}" + "".join(f"{counts[name].shape[1]:11d}" for name in names if name in counts))


def found(lab: Lab, name: str, seed: int, variant: Variant) -> scores.Figures:
    """Return what a model with a new link to the frozen core finds."""
    if name == "untrained":
        model, layout = lab.untrained(seed)
    else:
        model, layout = lab.linked(seed, variant)
    return scores.finding(model, layout, lab.tests, lab.said)


def linked(lab: Lab, variants: Mapping[str, Variant]) -> dict[str, dict[str, Shares]]:
    """Return the figures of links to the frozen core, and print them beside those of an untrained link."""
    rows = {
        name: lab.figures(f"linked {name}", lambda seed, name=name, one=one: found(lab, name, seed, one))  # type: ignore[misc]  # bound now
        for name, one in {"untrained": PLAIN, **variants}.items()
    }
    table(rows)
    return rows


def separate_queries(lab: Lab) -> bool:
    """V1."""
    rows = linked(lab, {"4 queries": PLAIN, "4 shared queries": Variant(shared=True)})
    own, shared = rows["4 queries"], rows["4 shared queries"]
    return all(
        [
            compared("separate over shared queries: joints, by 5 points", own["joints"], shared["joints"], 5),
            compared("boxes, no worse by more than 1 point", own["boxes"], shared["boxes"], -1, losing=True),
        ]
    )


def number_of_queries(lab: Lab) -> bool:
    """V2."""
    rows = linked(lab, {f"{n} queries": Variant(queries=n) for n in QUERIES})
    one, four, eight = (rows[f"{n} queries"]["joints"] for n in QUERIES)
    gained = compared("4 queries over 1: joints, by 5 points", four, one, 5)
    most = max(0.0, difference(four, one)[0]) / 3
    return all([gained, alike(f"8 queries and 4: alike within a third of that ({most:.1f})", eight, four, most)])


def addressed(lab: Lab, way: str, seed: int) -> scores.Figures:
    """Return what a model finds that is addressed in one of ``WAYS``."""
    model, layout = lab.joint(seed, way)
    said = lab.said
    if way == "message":
        said = scores.in_words(model, layout, lab.tests, said)
    return scores.finding(model, layout, lab.tests, said, sees=way != "message")


def ways(lab: Lab) -> bool:
    """V3."""
    rows = {way: lab.figures(f"way {way}", lambda seed, way=way: addressed(lab, way, seed)) for way in WAYS}  # type: ignore[misc]  # bound now
    table(rows)
    link, verdicts = rows["link"], []
    for way in WAYS[1:]:
        other = rows[way]
        verdicts += [
            compared(f"link over {way}: masks of {kind}, by 2 points", link[kind], other[kind], 2)
            for kind in ("regions", "relations")
        ]
        verdicts.append(
            alike(f"link and {way}: masks of class names, alike within 2", link["classes"], other["classes"], 2)
        )
    times = latencies({way: lab.joint(lab.seeds[0], way) for way in WAYS}, lab.tests, lab.said)
    for kind in ("classes", "regions"):
        cells = ", ".join(f"{way} {times[way, kind]:.1f}" for way in WAYS)
        print(f"  milliseconds for one of {kind}, median, one thread, with the eyes: {cells}")
    return all(verdicts)


def stages(lab: Lab) -> bool:
    """V4."""

    def figures(three: bool, seed: int) -> scores.Figures:
        model, layout = (lab.third if three else lab.once)(seed)
        finds = scores.finding(model, layout, lab.tests, lab.said)
        return {**finds, **scores.understanding(model, layout, lab.tests)}

    rows = {
        name: lab.figures(name, lambda seed, three=three: figures(three, seed))  # type: ignore[misc]  # bound now
        for name, three in (("three stages", True), ("one stage", False))
    }
    table(rows)
    print(f"  answers without seeing: {scores.guesses(lab.pictures, lab.tests):.3f}")
    three, one = rows["three stages"], rows["one stage"]
    gained = [
        compared(f"three stages over one: {name}, by 5 points", three[name], one[name], 5)
        for name in ("plans", "answers")
    ]
    kept = [
        compared(f"{name}, no worse by more than 1 point", three[name], one[name], -1, losing=True)
        for name in ("boxes", "joints")
    ]
    return all([*gained, *kept])


def routing(lab: Lab) -> bool:
    """V5."""

    def figures(seed: int) -> scores.Figures:
        return scores.understanding(*lab.second(seed), lab.tests)

    found = lab.figures("second stage", figures)
    table({"after stage 2": found})
    verdicts = []
    for name, claim, holds in (
        ("routes", "requests go to the right decoder, 98 %", found["routes"].mean(1) >= 0.98),
        ("calls", "requests that no tool fits call one, 1 % at most", found["calls"].mean(1) <= 0.01),
    ):
        mean, low, high, _ = difference(found[name], np.zeros((1, found[name].shape[1])))
        verdicts.append(told(claim, f"{mean:6.1f} % [{low:.1f}, {high:.1f}]", bool(holds.all())))
    return all(verdicts)


def checks(lab: Lab) -> bool:
    """V6."""
    tests = [f"tests/backbone/{test}" for test in CHECKS.values()]
    command = [sys.executable, "-m", "pytest", "-q", "-rA", *tests]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    ends = [line.split() for line in ended.stdout.splitlines() if line.startswith(("PASSED ", "FAILED ", "ERROR "))]
    verdicts = []
    for claim, test in zip(CHECKS, tests, strict=True):
        own = [how for how, which, *_ in ends if which.partition("[")[0] == test]
        verdicts.append(told(claim, f"{own.count('PASSED')} of {len(own)} pass", set(own) == {"PASSED"}))
    if not all(verdicts):
        print(ended.stdout[-4000:] + ended.stderr[-2000:])
    return all(verdicts)


CLAIMS: Mapping[str, Callable[[Lab], bool]] = {
    "V1": separate_queries,
    "V2": number_of_queries,
    "V3": ways,
    "V4": stages,
    "V5": routing,
    "V6": checks,
}


def run(out: Path, only: Sequence[str], small: bool, seeds: int | None = None) -> None:
    """Print figures and verdicts.

    Args:
        out: Folder for all that is made.
        only: Some of ``CLAIMS``.
        small: Whether it is a try.
        seeds: Number of seeds.
    """
    torch.set_num_threads(1)
    began = time.process_time()
    lab = Lab(SMALL if small else Recipe(), range(1, 1 + (seeds or (2 if small else SEEDS))), out)
    label = " (small: a try, no result)" if small else ""
    if len(lab.seeds) < SEEDS and not small:
        label = f" ({len(lab.seeds)} of {SEEDS} seeds: no result)"
    verdicts = {}
    for name in only:
        print(f"{name}{label}", flush=True)
        verdicts[name] = CLAIMS[name](lab)
    for name, holds in verdicts.items():
        print(f"{name}: {'holds' if holds else 'not reproduced'}{label}")
    print(f"{time.process_time() - began:.0f} CPU seconds; all is kept in {lab.folder}")
