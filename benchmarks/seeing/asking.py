"""What the small models are asked: questions, segments for the decoders, and requests for the planner."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.training.dataset import Row, pack
from backbone.training.phrasings import Phrasing, requests
from backbone.training.samples import Sample, called, frame, held_out, put, slots_for
from backbone.training.seeing_data import Phrase, PictureRow, drawn_region, phrases, related
from backbone.vision.tokens import CAPTION, IMAGE, SeeingLayout
from backbone.world import Rendered
from backbone.world.paint.categories import CATEGORIES
from backbone.world.truth.relations import all_noticeable, noticeable
from backbone.world.words.captions import short_caption
from backbone.world.words.questions import questions, referring
from backbone.world.words.wording import article
from seeing.scenes import FEW

TOOLS = ("detect", "segment", "pose")
"""The tools that are linked to a decoder."""
SHARE = 0.25
"""Share of the phrasings that are held out for the test."""
VOCABULARY = 1536
KINDS = ("classes", "relations", "regions", "joints")
"""Kinds of segment that a test asks for: categories, relations, regions, and the joints of one person."""
MOST = {"classes": 3, "relations": 3, "regions": 2, "joints": 2}
"""Of each kind in a test picture."""
QUESTIONS = 4
"""Questions on a test picture."""


# Pictures


def pairs(picture: Rendered, rng: random.Random) -> list[tuple[str, str]]:
    """Return questions about a picture with their answers, in an order of chance; absent things are of the few."""
    found = [(one.question, one.answer) for one in questions(picture) if (one.kind, one.answer) != ("exist", "no")]
    if all_noticeable(picture):
        present = {one.thing.category for one in picture.instances}
        missing = [name for name in FEW if name not in present]
        absent = rng.sample(missing, min(2, len(missing)))
        found += [(f"Can you see any {CATEGORIES[name].plural}?", "no") for name in absent]
    rng.shuffle(found)
    return found


def asked(layout: SeeingLayout, given: Iterable[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
    """Return the ids of questions with their answers; [SAY] is given, as in ``seeing_data.py``."""
    written = [(layout.question(IMAGE, question), layout.answer(answer)) for question, answer in given]
    return [([*question, answer[0]], answer[1:]) for question, answer in written]


def answers(layout: SeeingLayout, picture: Rendered, rng: random.Random, length: int) -> PictureRow:
    """Pack questions about a picture, and a short caption, as many as fit."""
    given = [*pairs(picture, rng), (CAPTION, short_caption(picture))]
    return PictureRow(pack(layout, layout.picture(), asked(layout, given), length), ())


def segments(layout: SeeingLayout, given: Sequence[tuple[str, Phrase]], length: int) -> PictureRow:
    """Pack a picture and segments.

    Args:
        layout: The token layout.
        given: The tool and what is asked for, each.
        length: Tokens of the row; segments that do not fit are left out.
    """
    kept, room = [], length - 1 - layout.patches
    for tool, phrase in given:
        ids = layout.segment(tool, phrase.words)
        if len(ids) <= room:
            kept.append((ids, phrase))
            room -= len(ids)
    row = pack(layout, layout.picture(), [(ids, []) for ids, _ in kept], length)
    regions = tuple(phrase.region for _, phrase in kept if phrase.region is not None)
    return PictureRow(row, regions, tuple(phrase.meant for _, phrase in kept))


def blind(row: PictureRow) -> PictureRow:
    """Return a row whose segments do not see the picture: their words alone reach the queries."""
    ids, block, position, target = row.row.ids, row.row.block, row.row.position, row.row.target
    # A block of its own, which no other sees, instead of the one that all see.
    own = max(block) + 1
    return PictureRow(Row(ids, [number or own for number in block], position, target), row.regions, row.meant)


def finds(layout: SeeingLayout, picture: Rendered, rng: random.Random, length: int) -> PictureRow:
    """As `seeing_data.finds`, of the few categories."""
    found = phrases(picture, rng, FEW)
    return segments(layout, [(rng.choice(TOOLS[:2]), phrase) for phrase in found], length)


def blind_finds(layout: SeeingLayout, picture: Rendered, rng: random.Random, length: int) -> PictureRow:
    """As `finds`, asked for by a message in words alone; there are no regions, which it cannot hold."""
    found = [(rng.choice(TOOLS[:2]), phrase) for phrase in phrases(picture, rng, FEW)]
    return blind(segments(layout, [(tool, phrase) for tool, phrase in found if phrase.region is None], length))


def blind_poses(layout: SeeingLayout, picture: Rendered, rng: random.Random, length: int) -> PictureRow:
    """As `seeing_data.poses`, asked for by a message in words alone."""
    found = [phrase for phrase in phrases(picture, rng, ("person",)) if phrase.region is None]
    return blind(segments(layout, [("pose", phrase) for phrase in found], length))


@dataclass(frozen=True)
class Item:
    """A segment of the test.

    Attributes:
        kind: One of ``KINDS``.
        tool: One of ``TOOLS``.
        phrase: What is asked for; at least one thing is meant.
    """

    kind: str
    tool: str
    phrase: Phrase


def items(picture: Rendered, rng: random.Random) -> list[Item]:
    """Return the segments that a test picture is asked for."""
    seen = noticeable(picture)
    groups: dict[str, list[int]] = {}
    for index, one in enumerate(picture.instances):
        groups.setdefault(one.thing.category, []).append(index)
    visible = [index for index, one in enumerate(picture.instances) if any(one is two for two in seen)]
    people = [
        one
        for one in phrases(picture, rng, ("person",))
        if len(one.meant) == 1 and sum(v > 0 for *_, v in picture.instances[one.meant[0]].keypoints) >= 5
    ]
    found: dict[str, list[Phrase]] = {
        "classes": [Phrase(tuple(meant), CATEGORIES[name].plural) for name, meant in groups.items()],
        "relations": [Phrase((index,), words) for words, index in related(picture)],
        "regions": [Phrase((index,), region=drawn_region(picture.instances[index], rng)) for index in visible],
        "joints": people,
    }
    tools = {"classes": "detect", "relations": "segment", "regions": "segment", "joints": "pose"}
    return [
        Item(kind, tools[kind], phrase)
        for kind in KINDS
        for phrase in rng.sample(found[kind], min(MOST[kind], len(found[kind])))
    ]


# Requests


def routed(phrasing: Phrasing) -> bool:
    """Return whether a phrasing asks for one linked decoder of a picture, or for no tool."""
    if not phrasing.calls:
        return True
    (tool, _, options), *rest = phrasing.calls
    return not rest and tool in TOOLS and phrasing.have == IMAGE and not options


def phrasings(test: bool) -> list[Phrasing]:
    """Return the hand-written phrasings that the small planner learns, or those that are held out."""
    return [one for one in requests() if routed(one) and held_out(one, SHARE) == test]


def copied(phrasing: Phrasing) -> bool:
    """Return whether the labels of a plan are the things that fill the slots."""
    return all(label.startswith("{") for _, labels, _ in phrasing.calls for label in labels)


def fill(phrasing: Phrasing, rng: random.Random) -> Sample:
    """Fill a phrasing with things of the few categories."""
    slots = slots_for(phrasing.request, rng)
    for number in ("", "2", "3"):
        name = rng.choice(FEW)
        slots |= {f"o{number}": name, f"os{number}": CATEGORIES[name].plural, f"a{number}": article(name)}
    words = frame(put(phrasing.request, slots), rng, bool(phrasing.calls))
    return Sample(phrasing.have, words, tuple(called(call, slots) for call in phrasing.calls))


def planned(layout: SeeingLayout, sample: Sample) -> tuple[list[int], list[int]]:
    """Return the ids of a request and of its plan."""
    return layout.request(sample.have, sample.request), layout.calls(sample.calls, BUILTIN_CARDS)


class Requests:
    """Rows of requests, each of the three decoders and of no tool as often as the others.

    Args:
        layout: The token layout.
        seed: Seed of the rows.
    """

    def __init__(self, layout: SeeingLayout, seed: int) -> None:
        self.layout, self.seed = layout, seed
        self.groups: dict[str, list[Phrasing]] = {}
        for one in phrasings(test=False):
            self.groups.setdefault(one.calls[0][0] if one.calls else "", []).append(one)

    def row(self, index: int, length: int) -> Row:
        """Return a row."""
        rng = random.Random(f"{self.seed}:requests:{index}")
        drawn = [fill(rng.choice(self.groups[rng.choice(sorted(self.groups))]), rng) for _ in range(length // 8)]
        return pack(self.layout, [], [planned(self.layout, one) for one in drawn], length)


# Words


def train_tokenizer(pictures: Iterable[Rendered]) -> Tokenizer:
    """Train a byte-level BPE, as the core's is, on all that is asked and answered in the training."""
    rng = random.Random(0)
    lines = [fill(one, rng).request for one in phrasings(test=False) for _ in range(2)]
    for picture in pictures:
        for question, answer in pairs(picture, rng):
            lines += [f"image: {question}", answer]
        lines += [words for words, _ in (*referring(picture), *related(picture))]
        lines += [short_caption(picture), CAPTION, *(one.words or "" for one in phrases(picture, rng, FEW))]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([f" {line}" for line in lines], trainer)
    return tokenizer
