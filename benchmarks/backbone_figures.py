"""How the model that sees is judged: what it finds and answers, beside the renderer's truth."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from specialists import COLOUR_IDS, Finder, Found, overlap

from backbone.training.caption_facts import facts, true_facts
from backbone.training.dense_scores import LEAST
from backbone.training.seeing_data import WHOLE, drawn_region, related
from backbone.vision.finds import Find
from backbone.vision.tokens import REGION
from backbone.world import Instance, Rendered
from backbone.world.paint.categories import IDS
from backbone.world.truth.relations import noticeable
from backbone.world.words.questions import Question, questions, referring
from backbone.world.words.wording import noun
from common.masks import Mask, encode

SAME = 0.5
"""Least IoU with which a box is that of the thing that is meant."""
CAPTION_TOKENS = 240
"""Tokens of a caption, at most."""

Picture = NDArray[np.uint8]


class Sees(Protocol):
    """What is measured: `backbone.vision.seer.Seer`."""

    def look(self, images: Sequence[Picture]) -> Any:
        """Look at pictures."""

    def answer(self, look: Any, question: str, region: Mask | None = None, most: int = ...) -> str:
        """Answer a question."""

    def answers(self, look: Any, questions: Sequence[str], most: int = ...) -> list[str]:
        """Answer several questions, each as if it was the only one."""

    def find(self, look: Any, tool: str, asked: Sequence[str | Mask], least: float = ...) -> list[Find]:
        """Find what words or regions mean."""


Ask = Callable[[Rendered, str, Sequence[str]], Sequence[Find]]
"""Returns what each of some phrases finds in a picture by a tool, down to a score of `LEAST`."""


class Failure(NamedTuple):
    """Something that was wrong, to be drawn.

    Attributes:
        kind: Name of the figure that it counts for.
        picture: The picture.
        words: What was asked, what was given, and what is right.
        boxes: What was found and what was meant, with their names.
    """

    kind: str
    picture: Picture
    words: str
    boxes: Mapping[str, Sequence[float]] = {}


@dataclass
class Scores:
    """Values of named figures, whose means are the figures, and what was wrong."""

    values: dict[str, list[float]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, name: str, value: float) -> None:
        """Add a value of a figure."""
        self.values.setdefault(name, []).append(float(value))

    def mean(self, name: str) -> float | None:
        """Return a figure; None where nothing was measured."""
        values = self.values.get(name)
        return sum(values) / len(values) if values else None


class Looking:
    """Looks at pictures of the world with a model; each picture is looked at once, if it is asked about in a row."""

    def __init__(self, model: Sees) -> None:
        self.model = model
        self._kept: dict[int, tuple[Rendered, Any]] = {}

    def at(self, picture: Rendered) -> Any:
        """Return what the model saw in a picture."""
        if id(picture) not in self._kept:
            if len(self._kept) >= 64:
                self._kept.pop(next(iter(self._kept)))
            self._kept[id(picture)] = (picture, self.model.look([picture.pixels]))
        return self._kept[id(picture)][1]

    def find(self, picture: Rendered, tool: str, asked: Sequence[str | Mask]) -> list[Find]:
        """Find what words or regions mean; see `Ask`."""
        return self.model.find(self.at(picture), tool, asked, LEAST)


def finders(ask: Ask, scores: Scores, threshold: float) -> dict[str, Finder]:
    """Return linked decoders as finders for `specialists.measure`.

    The boxes of categories that are in no part of a picture's scene are counted too, as ``absent``: whether one has the
    score that finds need at work.

    Args:
        ask: The model.
        scores: Where ``absent`` is counted.
        threshold: The score that finds need at work.
    """

    def finder(tool: str, ids: Mapping[str, int], keep: Iterable[str], watch: bool = False) -> Finder:
        def find(shown: Sequence[Rendered]) -> list[Found]:
            results = []
            for picture in shown:
                every = dict(zip(ids, ask(picture, tool, list(ids)), strict=True))
                results.append([row for name, one in every.items() for row in coco_rows(one, ids[name], keep)])
                if watch:
                    count_absent(picture, every, scores, threshold)
            return results

        return find

    return {
        "detect": finder("detect", IDS, ("bbox",), watch=True),
        "segment": finder("segment", IDS, ("bbox", "segmentation")),
        "colours": finder("detect", COLOUR_IDS, ("bbox",)),
        "pose": finder("pose", {"person": 1}, ("keypoints",)),
    }


def coco_rows(one: Find, category: int, keep: Iterable[str]) -> Found:
    """Return finds as COCO results without their image, with some of ``bbox``, ``segmentation`` and ``keypoints``."""
    rows: Found = []
    for n, score in enumerate(one.scores):
        x0, y0, x1, y1 = map(float, one.boxes[n])
        row: dict[str, Any] = {"category_id": category, "score": float(score)}
        if "bbox" in keep:
            row["bbox"] = [x0, y0, x1 - x0, y1 - y0]
        if "segmentation" in keep and one.masks is not None:
            row["segmentation"] = encode(one.masks[n])
        if "keypoints" in keep and one.joints is not None:
            row["keypoints"] = one.joints[n].ravel().tolist()
        rows.append(row)
    return rows


def count_absent(picture: Rendered, found: Mapping[str, Find], scores: Scores, threshold: float) -> None:
    """Count the categories that are absent from a picture's scene, and whether something is found of them."""
    present = {thing.category for thing in picture.scene.things}
    for name, one in found.items():
        if name not in present:
            wrong = len(one.scores) > 0 and one.scores[0] >= threshold
            scores.add("absent", wrong)
            if wrong:
                words = f"{name}: found with a score of {one.scores[0]:.2f}; there is none"
                scores.failures.append(Failure("absent", picture.pixels, words, {name: one.boxes[0]}))


def refer(looking: Looking, picture: Rendered, scores: Scores) -> None:
    """Ask for each thing that one expression refers to; the best find has to be it."""
    kinds = {words: ("by name or place", index) for words, index in referring(picture)}
    kinds = {words: ("by relation", index) for words, index in related(picture)} | kinds
    for (words, (kind, index)), one in zip(kinds.items(), looking.find(picture, "detect", list(kinds)), strict=True):
        meant = picture.instances[index]
        hit = len(one.scores) > 0 and overlap(np.array(meant.box, float), one.boxes[0]) >= SAME
        scores.add("referring", hit)
        scores.add(f"referring {kind}", hit)
        if not hit:
            boxes = {"meant": meant.box, **({"found": one.boxes[0]} if len(one.scores) else {})}
            scores.failures.append(Failure("referring", picture.pixels, words, boxes))


def ambiguous(picture: Rendered) -> list[Instance]:
    """Return the noticeable things whose name with colour is also that of another thing in the picture."""
    names = [noun(one.thing) for one in picture.instances]
    return [one for one in noticeable(picture) if names.count(noun(one.thing)) > 1]


def point_out(looking: Looking, picture: Rendered, scores: Scores) -> None:
    """Ask for things of ambiguous names by a region and in words; count the IoU of the best find's mask."""
    rng = random.Random(f"regions:{picture.scene.split}:{picture.scene.seed}")
    for one in ambiguous(picture):
        region = drawn_region(one, rng)
        by_region, in_words = looking.find(picture, "segment", [region, noun(one.thing)])
        scores.add("by region", mask_iou(by_region, one.mask))
        scores.add("in words", mask_iou(in_words, one.mask))


def mask_iou(one: Find, truth: Mask) -> float:
    """Return the IoU of the best find's mask with the true one; 0 without finds."""
    if one.masks is None or not len(one.masks):
        return 0.0
    return float((one.masks[0] & truth).sum() / (one.masks[0] | truth).sum())


def question(looking: Looking, picture: Rendered, scores: Scores) -> None:
    """Ask all questions of the world about a picture; an answer is right if it is the same text."""
    asked = questions(picture)
    given = looking.model.answers(looking.at(picture), [one.question for one in asked]) if asked else []
    for one, answer in zip(asked, given, strict=True):
        right = answer.strip() == one.answer
        scores.add("VQA", right)
        scores.add(f"VQA {one.kind}", right)
        if not right:
            words = f"{one.question} {answer.strip() or 'nothing'} (right: {one.answer})"
            scores.failures.append(Failure(f"VQA {one.kind}", picture.pixels, words))


class Blind:
    """Answers without a picture: what is answered most often to a question, or else to its kind.

    Args:
        shown: Pictures of the training.
    """

    def __init__(self, shown: Iterable[Rendered]) -> None:
        self._known: dict[str, Counter[str]] = {}
        for picture in shown:
            for one in questions(picture):
                for name in (one.question, one.kind):
                    self._known.setdefault(name, Counter())[one.answer] += 1

    def answer(self, one: Question) -> str:
        """Return the likeliest answer to a question."""
        known = self._known.get(one.question) or self._known.get(one.kind)
        return known.most_common(1)[0][0] if known else ""


def guess(blind: Blind, picture: Rendered, scores: Scores) -> None:
    """Count the questions about a picture that are answered right without it."""
    for one in questions(picture):
        scores.add("without the picture", blind.answer(one) == one.answer)


def describe(looking: Looking, picture: Rendered, scores: Scores) -> None:
    """Ask for a short caption and a long one; compare the facts that they state."""
    look, true = looking.at(picture), true_facts(picture)
    for caption, request in WHOLE.items():
        given, wanted = facts(looking.model.answer(look, request, most=CAPTION_TOKENS)), facts(caption(picture))
        for fact in sorted(given):
            scores.add("caption precision", fact in true)
        for fact in sorted(wanted):
            scores.add("caption recall", fact in given)
        if wrong := sorted(given - true):
            words = "; ".join(" ".join(fact) for fact in wrong)
            scores.failures.append(Failure("captions", picture.pixels, f"wrong facts: {words}"))


def name_regions(looking: Looking, picture: Rendered, scores: Scores, most: int = 3) -> None:
    """Ask what is in regions, of ``most`` things at most; an answer is right if it is the name with its colour."""
    rng = random.Random(f"names:{picture.scene.split}:{picture.scene.seed}")
    seen = noticeable(picture)
    for one in rng.sample(seen, min(most, len(seen))):
        answer = looking.model.answer(looking.at(picture), REGION, region=drawn_region(one, rng)).strip()
        right = answer == noun(one.thing)
        scores.add("regions named", right)
        if not right:
            words = f"{REGION} {answer or 'nothing'} (right: {noun(one.thing)})"
            scores.failures.append(Failure("regions named", picture.pixels, words, {"asked": one.box}))
