"""What the model that sees is asked about pictures of the world: questions, regions, and segments for the decoders."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backbone.training.dataset import Row
from backbone.training.vision_data import PHRASES
from backbone.vision.prompts import point_mask, scribble_mask
from backbone.vision.tokens import CAPTION, IMAGE, LONG_CAPTION, REGION, SeeingLayout
from backbone.world import Instance, Rendered
from backbone.world.io.yolo import has_own_colour
from backbone.world.paint.categories import CATEGORIES
from backbone.world.truth.relations import noticeable, relation
from backbone.world.words.captions import long_caption, short_caption
from backbone.world.words.questions import questions, referring
from backbone.world.words.wording import noun
from common.masks import Mask, box_mask

WHOLE = {short_caption: CAPTION, long_caption: LONG_CAPTION}
"""Requests for captions."""
SEGMENTS = 8
"""Segments of a picture, at most."""
ABSENT = 2
"""Segments of a picture for what is not in it."""


@dataclass(frozen=True)
class Phrase:
    """What a segment asks for.

    Attributes:
        meant: Indices of the instances that are meant; none for what is not in the picture.
        words: What is asked for in words; None for a region.
        region: (S, S), the region.
    """

    meant: tuple[int, ...]
    words: str | None = None
    region: Mask | None = None


@dataclass(frozen=True)
class PictureRow:
    """A picture and what is asked about it, packed into one row.

    Attributes:
        row: The tokens; blocks see the picture and themselves.
        regions: The regions in the order of their places, (S, S) each.
        meant: The instances that each segment means, in the order of the segments.
        kinds: What kind of question each block asks: those of the world's questions, or ``region``; empty for others.
    """

    row: Row
    regions: tuple[Mask, ...]
    meant: tuple[tuple[int, ...], ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Block:
    asked: list[int]
    answer: list[int]
    region: Mask | None = None
    meant: tuple[int, ...] | None = None
    kind: str = ""


def answers(layout: SeeingLayout, picture: Rendered, rng: random.Random, length: int) -> PictureRow:
    """Pack questions about a picture and captions of it with their answers, as many as fit."""
    pairs = [(one.question, one.answer, one.kind) for one in questions(picture)]
    pairs += [(words, caption(picture), "") for caption, words in WHOLE.items()]
    rng.shuffle(pairs)
    blocks = [_Block(layout.question(IMAGE, asked), layout.answer(answer), kind=kind) for asked, answer, kind in pairs]
    return _packed(layout, blocks, length)


def regions(layout: SeeingLayout, picture: Rendered, rng: random.Random, length: int) -> PictureRow:
    """Pack questions about regions, whose answers are names with colours, as many as fit."""
    seen = noticeable(picture)
    rng.shuffle(seen)
    blocks = [
        _Block(
            layout.question(IMAGE, REGION, region=True),
            layout.answer(noun(one.thing)),
            drawn_region(one, rng),
            kind="region",
        )
        for one in seen
    ]
    return _packed(layout, blocks, length)


def finds(layout: SeeingLayout, picture: Rendered, rng: random.Random, length: int) -> PictureRow:
    """Pack segments for the decoder of boxes and masks, as many as fit."""
    return _segments(layout, phrases(picture, rng), rng, ("detect", "segment"), length)


def poses(layout: SeeingLayout, picture: Rendered, rng: random.Random, length: int) -> PictureRow:
    """Pack segments for the decoder of joints, as many as fit."""
    return _segments(layout, phrases(picture, rng, ("person",)), rng, ("pose",), length)


def everything(layout: SeeingLayout) -> PictureRow:
    """Pack a segment for each of ``PHRASES``, and one for the joints of people, all of them whatever they take."""
    blocks = [_Block(layout.segment("detect", words), []) for words in PHRASES]
    blocks.append(_Block(layout.segment("pose", "person"), []))
    length = layout.patches + 1 + sum(len(one.asked) for one in blocks)
    return _packed(layout, blocks, length)


Maker = Callable[[SeeingLayout, Rendered, random.Random, int], PictureRow]


def phrases(picture: Rendered, rng: random.Random, categories: Sequence[str] = tuple(CATEGORIES)) -> list[Phrase]:
    """Draw what segments ask for: categories, colours, references, relations, regions, and what is absent.

    Args:
        picture: The picture.
        rng: The source of chance.
        categories: Categories of what is asked for.
    """
    things = picture.instances
    spelled = {kind.name: rng.choice((kind.name, kind.plural)) for kind in CATEGORIES.values()}
    groups: dict[str, list[int]] = {}
    for index, one in enumerate(things):
        if one.thing.category not in categories:
            continue
        names = [spelled[one.thing.category]]
        if one.thing.category != "pizza":  # its colour is that of the plate
            names.append(noun(one.thing))
        if len(categories) > 1 and has_own_colour(one):
            names.append(f"{one.thing.colour} thing")
        for name in names:
            groups.setdefault(name, []).append(index)
    found = [Phrase(tuple(members), words) for words, members in groups.items()]
    references = (*referring(picture), *related(picture))
    found += [Phrase((index,), words) for words, index in references if things[index].thing.category in categories]
    seen = {id(one) for one in noticeable(picture)}
    found += [
        Phrase((index,), region=drawn_region(one, rng))
        for index, one in enumerate(things)
        if id(one) in seen and one.thing.category in categories
    ]
    present = {one.thing.category for one in things}
    missing = [spelled[name] for name in categories if name not in present]
    absent = [Phrase((), words) for words in rng.sample(missing, min(ABSENT, len(missing)))]
    rng.shuffle(found)
    drawn = found[: SEGMENTS - len(absent)] + absent
    rng.shuffle(drawn)
    return drawn


def related(picture: Rendered) -> list[tuple[str, int]]:
    """Return expressions for the only thing in a relation to another: ``the dog left of the red car``."""
    things, found = picture.instances, list[tuple[str, int]]()
    seen = [(index, one) for index, one in enumerate(things) if any(one is two for two in noticeable(picture))]
    names = [noun(one.thing) for one in things]
    for place, other in seen:
        anchor = names[place]
        if names.count(anchor) > 1:
            continue
        for index, one in seen:
            how = relation(picture.scene, one, other) if one is not other else None
            alike = [two for two in things if two.thing.category == one.thing.category and two is not other]
            # Where it is uncertain for another of its kind, it does not tell them apart.
            if how and all(two is one or _opposite(picture, two, other, how) for two in alike):
                found.append((f"the {one.thing.category} {how} the {anchor}", index))
    return found


def _opposite(picture: Rendered, one: Instance, other: Instance, how: str) -> bool:
    """Return whether a thing clearly stands in the opposite relation."""
    opposites = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    return relation(picture.scene, one, other) == opposites.get(how, "")


def drawn_region(one: Instance, rng: random.Random) -> Mask:
    """Draw a region prompt for a thing: its mask, its box, a point or a scribble on it."""
    kind = rng.choice(("mask", "box", "point", "scribble"))
    if kind == "mask":
        return one.mask
    if kind == "box":
        return box_mask(one.box, (one.mask.shape[0], one.mask.shape[1]))
    rows, columns = np.nonzero(one.mask)
    picked = [rng.randrange(len(rows)) for _ in range(1 if kind == "point" else 3)]
    points = [(float(columns[n]), float(rows[n])) for n in picked]
    size = (one.mask.shape[0], one.mask.shape[1])
    return point_mask(points[0], size) if kind == "point" else scribble_mask(points, size)


def _segments(
    layout: SeeingLayout, drawn: Sequence[Phrase], rng: random.Random, tools: Sequence[str], length: int
) -> PictureRow:
    blocks = [_Block(layout.segment(rng.choice(tools), one.words), [], one.region, one.meant) for one in drawn]
    return _packed(layout, blocks, length)


def _packed(layout: SeeingLayout, blocks: Sequence[_Block], length: int) -> PictureRow:
    """Pack blocks behind a picture; those that do not fit are left out."""
    ids = layout.picture()
    start = len(ids)
    block, position, target = [0] * start, list(range(start)), [False] * start
    kept = []
    for one in blocks:
        size = len(one.asked) + len(one.answer)
        if len(ids) + size > length:
            continue
        kept.append(one)
        ids += [*one.asked, *one.answer]
        block += [len(kept)] * size
        position += range(start, start + size)
        # [SAY] is given: who asks decides that an answer is wanted.
        target += [False] * (len(one.asked) + 1) + [True] * (len(one.answer) - 1) if one.answer else [False] * size
    rest = length - len(ids)
    row = Row(ids + [layout.end] * rest, block + [-1] * rest, position + [0] * rest, target + [False] * rest)
    masks = tuple(one.region for one in kept if one.region is not None)
    meant = tuple(one.meant for one in kept if one.meant is not None)
    return PictureRow(row, masks, meant, tuple(one.kind for one in kept))
