"""Figures of a small model on the test, one for each item, so that they can be compared in pairs."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backbone.training.dataset import Row, pack
from backbone.training.dense_loss import iou
from backbone.training.phrasings import Phrasing
from backbone.training.seeing_data import Phrase, PictureRow
from backbone.training.trainer import Recipe as StageRecipe
from backbone.training.trainer import Trainer
from backbone.training.vision_data import normalised, targets
from backbone.vision.finds import Find, finds
from backbone.vision.model import BackboneModel
from backbone.vision.tokens import DECODERS, IMAGE, REGION, SeeingLayout
from backbone.world import Rendered
from common.masks import Mask
from seeing.asking import (
    QUESTIONS,
    Item,
    asked,
    blind,
    copied,
    fill,
    items,
    pairs,
    phrasings,
    planned,
    segments,
)
from seeing.small import PredictingModel

Figures = dict[str, list[float]]
"""For each figure its value of every item, from 0 to 1."""

LEAST = 0.001
NEAR = 0.2
"""A joint is right within this share of the longer side of the person's box (PCK@0.2)."""
ROWS = 16
FILLINGS = {"plans": 2, "routes": 3, "calls": 2}
"""How often a held-out phrasing is filled with other things, so that there are 400 requests of each figure."""


@torch.no_grad()
def finding(
    model: BackboneModel,
    layout: SeeingLayout,
    shown: Sequence[Rendered],
    said: Sequence[Sequence[Item]],
    sees: bool = True,
) -> Figures:
    """Return AP50 of boxes, mean IoU of masks and PCK of what segments find.

    Args:
        model: The model, in evaluation mode.
        layout: Its token layout.
        shown: The pictures.
        said: For each picture what is asked for.
        sees: Whether the segments see the picture.
    """
    found: defaultdict[str, list[float]] = defaultdict(list)
    trainer = Trainer(model, layout, StageRecipe())
    for at in range(0, len(shown), ROWS):
        batch, given = shown[at : at + ROWS], said[at : at + ROWS]
        made = [rows_of(layout, own, sees) for own in given]
        pixels = normalised(targets(batch, [one.meant for one in made]).pixels)
        features = model.eyes(pixels)
        read = trainer.read(_padded(made, layout), pixels, features)[-1]
        for decoder, links in read.links.items():
            dense, slots = model.decode(decoder, features, links)
            for row, (picture, own) in enumerate(zip(batch, given, strict=True)):
                wanted = [one for one in own if DECODERS[one.tool] == decoder]
                numbers = slots[row][slots[row] >= 0].tolist()
                results = list(finds(dense, row, LEAST, picture.pixels.shape[0]))[: len(wanted)]
                for one, number, result in zip(wanted, numbers, results, strict=True):
                    if isinstance(model, PredictingModel) and not model.spelled[decoder][number]:
                        result = nothing(result)
                    for name, value in judged(one, picture, result).items():
                        found[name].append(value)
    return dict(found)


def rows_of(layout: SeeingLayout, own: Sequence[Item], sees: bool = True) -> PictureRow:
    """Return the row of one picture with all that is asked for, which is as long as it takes."""
    ids = [layout.segment(one.tool, one.phrase.words) for one in own]
    length = 1 + layout.patches + sum(map(len, ids))
    row = segments(layout, [(one.tool, one.phrase) for one in own], length)
    return row if sees else blind(row)


def nothing(found: Find) -> Find:
    """Return a find without its finds."""
    return Find(*(None if part is None else part[:0] for part in found))  # type: ignore[arg-type]  # of one kind each


def judged(one: Item, picture: Rendered, found: Find) -> dict[str, float]:
    """Return the figures of one item."""
    things = [picture.instances[index] for index in one.phrase.meant]
    if one.kind == "joints":
        return {"joints": pck(found, things[0].keypoints, things[0].box)}
    boxes = np.array([thing.box for thing in things], np.float32)
    if one.kind == "classes":
        return {"boxes": precision(found.boxes, boxes), "classes": mask_iou(found, [thing.mask for thing in things])}
    return {one.kind: mask_iou(found, [thing.mask for thing in things])}


def precision(found: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Return the average precision at an IoU of 0.5 of the boxes of one item.

    Args:
        found: (N, 4), from the best on.
        truth: (K, 4), K ≥ 1.
    """
    free, hits, total = np.ones(len(truth), bool), 0, 0.0
    overlaps = iou(torch.from_numpy(found)[:, None], torch.from_numpy(truth)[None]).numpy()
    for rank, row in enumerate(overlaps, 1):
        best = int(np.where(free, row, -1).argmax())
        if free[best] and row[best] >= 0.5:
            free[best], hits = False, hits + 1
            total += hits / rank
    return total / len(truth)


def mask_iou(found: Find, truth: Sequence[Mask]) -> float:
    """Return the IoU of the true masks with the best finds, as many as there are, so that no threshold decides."""
    assert found.masks is not None
    whole = np.any(truth, 0)
    best = found.masks[: len(truth)].any(0) if len(found.masks) else np.zeros_like(whole)
    return float((best & whole).sum() / (best | whole).sum())


def pck(found: Find, joints: Sequence[tuple[float, float, int]], box: Sequence[int]) -> float:
    """Return the share of a person's joints that the best find has within ``NEAR``."""
    assert found.joints is not None
    truth = np.array(joints)
    marked = truth[:, 2] > 0
    if not len(found.joints):
        return 0.0
    far = np.hypot(*(found.joints[0, marked, :2] - truth[marked, :2]).T)
    return float((far <= NEAR * max(box[2] - box[0], box[3] - box[1])).mean())


def said_of(shown: Sequence[Rendered]) -> list[list[Item]]:
    """Return what the pictures of the test are asked for."""
    return [items(picture, random.Random(f"items:{number}")) for number, picture in enumerate(shown)]


@torch.no_grad()
def understanding(model: BackboneModel, layout: SeeingLayout, shown: Sequence[Rendered]) -> Figures:
    """Return which answers, plans and routes are right, as greedy decoding writes them.

    Returns:
        ``answers``, of questions about pictures; ``plans``, of as many requests for the few things as for no tool;
        ``routes``, of all requests for a tool; ``calls``, whether a tool is called where none fits.
    """
    right: list[float] = []
    trainer = Trainer(model, layout, StageRecipe())
    for at in range(0, len(shown), ROWS):
        batch = shown[at : at + ROWS]
        made = [
            _answers(layout, pairs(picture, random.Random(f"asked:{at + number}"))[:QUESTIONS])
            for number, picture in enumerate(batch)
        ]
        pixels = normalised(targets(batch, [()] * len(batch)).pixels)
        ids, target, read = trainer.read(_padded(made, layout), pixels, model.eyes(pixels))
        likeliest = model.logits(read.states).argmax(-1)
        for row, one in enumerate(_padded(made, layout)):
            right += _blocks(one, target[row], ids[row], likeliest[row])
    return {"answers": right, **_planning(model, layout)}


def _answers(layout: SeeingLayout, given: Sequence[tuple[str, str]]) -> PictureRow:
    written = asked(layout, given)
    length = 1 + layout.patches + sum(len(question) + len(answer) for question, answer in written)
    return PictureRow(pack(layout, layout.picture(), written, length), ())


def _blocks(one: PictureRow, target: Tensor, ids: Tensor, likeliest: Tensor) -> list[float]:
    """Return for each block of a row whether all its targets are the likeliest tokens."""
    missed = (target[1:] & (likeliest[:-1] != ids[1:])).tolist()
    wrong = {block for block, miss in zip(one.row.block[1:], missed, strict=True) if miss}
    return [float(block not in wrong) for block in range(1, max(one.row.block) + 1)]


def _planning(model: BackboneModel, layout: SeeingLayout) -> Figures:
    asking = [one for one in phrasings(test=True) if one.calls]
    nothing_asked = [one for one in phrasings(test=True) if not one.calls]
    # As many requests that no tool fits, so that calling none is no way to a high share.
    plain = [one for one in asking if copied(one)] * FILLINGS["plans"]
    plain += random.Random(0).sample(nothing_asked, min(len(plain), len(nothing_asked)))
    plans = _planned(model, layout, plain, "plan")
    routes = _planned(model, layout, asking * FILLINGS["routes"], "route")
    chat = _planned(model, layout, nothing_asked * FILLINGS["calls"], "call")
    tools = set(layout.tool_tokens.values())
    return {
        "plans": [float(likeliest == plan) for likeliest, plan in plans],
        "routes": [float(likeliest[0] == plan[0]) for likeliest, plan in routes],
        "calls": [float(likeliest[0] in tools) for likeliest, _ in chat],
    }


def _planned(
    model: BackboneModel, layout: SeeingLayout, of: Sequence[Phrasing], seed: str
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the likeliest token at each place of a plan, and the right ones, for each phrasing."""
    pairs = [planned(layout, fill(one, random.Random(f"{seed}:{number}"))) for number, one in enumerate(of)]
    for at in range(0, len(pairs), 2 * ROWS):
        batch = pairs[at : at + 2 * ROWS]
        # What follows a row is not seen by it.
        rows = [torch.tensor([*request, *plan]) for request, plan in batch]
        likeliest = model(nn.utils.rnn.pad_sequence(rows, batch_first=True)).logits.argmax(-1)
        for (request, plan), row in zip(batch, likeliest.tolist(), strict=True):
            start = len(request) - 1
            yield row[start : start + len(plan)], plan


def guesses(pictures: Sequence[Rendered], shown: Sequence[Rendered]) -> float:
    """Return the share of questions that are right without seeing: the most frequent answer to the same question."""
    known: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for number, picture in enumerate(pictures):
        for question, answer in pairs(picture, random.Random(number)):
            known[question][answer] += 1
    right = [
        known[question].most_common(1)[0][0] == answer if question in known else False
        for number, picture in enumerate(shown)
        for question, answer in pairs(picture, random.Random(f"asked:{number}"))[:QUESTIONS]
    ]
    return sum(right) / len(right)


def in_words(
    model: BackboneModel, layout: SeeingLayout, shown: Sequence[Rendered], said: Sequence[Sequence[Item]]
) -> list[list[Item]]:
    """Return what pictures are asked for, regions in the words of the model."""

    def worded(picture: Rendered, one: Item) -> Item:
        if one.phrase.region is None:
            return one
        words = told(model, layout, picture, one.phrase.region)
        return replace(one, phrase=Phrase(one.phrase.meant, words))

    return [[worded(picture, one) for one in own] for picture, own in zip(shown, said, strict=True)]


@torch.no_grad()
def told(model: BackboneModel, layout: SeeingLayout, picture: Rendered, region: Mask, most: int = 12) -> str:
    """Return what the model says is in a region, decoded greedily."""
    pixels = normalised(targets([picture], [()]).pixels)
    ids = [*layout.picture(), *layout.question(IMAGE, REGION, region=True), layout.say]
    read = model.read(
        torch.tensor([ids]),
        pixel_values=pixels,
        region_masks=torch.from_numpy(region)[None],
        region_pictures=torch.tensor([0]),
        use_cache=True,
    )
    said: list[int] = []
    while len(said) < most:
        token = int(model.logits(read.states[:, -1]).argmax())
        if token >= layout.first:
            break
        said.append(token)
        read = model.read(torch.tensor([[token]]), cache=read.cache)
    return str(layout.tokenizer.decode(said)).strip()


def _padded(made: Sequence[PictureRow], layout: SeeingLayout) -> list[PictureRow]:
    """Return rows of one length."""
    length = max(len(one.row.ids) for one in made)
    found = []
    for one in made:
        row, rest = one.row, length - len(one.row.ids)
        padded = Row(
            row.ids + [layout.end] * rest,
            row.block + [-1] * rest,
            row.position + [0] * rest,
            row.target + [False] * rest,
        )
        found.append(PictureRow(padded, one.regions, one.meant))
    return found
