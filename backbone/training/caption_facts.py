"""The facts that a caption of the world states, and those that are true of a picture.

A fact is a tuple of words: ``("count", "dog", "2")``, ``("place", "in a park")``, ``("thing", "red car")``,
``("doing", "person in a red shirt", "walking")``, ``("text", "white sign", "STOP")``,
``("relation", "red car", "left of", "dog")``. Captions follow a fixed grammar (``backbone.world.words.captions``); a
sentence that does not is the fact ``("unknown", sentence)``, which is true of no picture.
"""

import re
from collections.abc import Iterable, Iterator

from backbone.world import Rendered
from backbone.world.paint.backgrounds import ALL_BACKGROUNDS
from backbone.world.paint.categories import CATEGORIES
from backbone.world.paint.palette import COLOURS
from backbone.world.truth.relations import RELATIONS, noticeable, relation
from backbone.world.words.captions import long_caption
from backbone.world.words.wording import NUMBERS, article, noun

Fact = tuple[str, ...]

_PLACES = sorted({place.name for place in ALL_BACKGROUNDS.values()}, key=len, reverse=True)
_SINGULAR = {kind.plural: name for name, kind in CATEGORIES.items()}
_EMPTY = "a quiet view"
_NOUNS = frozenset(
    [f"{colour} {name}" for colour in COLOURS for name in CATEGORIES if name != "person"]
    + [f"person in {article(f'{colour} {wear}')}" for colour in COLOURS for wear in ("shirt", "dress")]
)


def facts(caption: str) -> frozenset[Fact]:
    """Return the facts that a caption states, short or long."""
    return frozenset(fact for sentence in _sentences(caption) for fact in _stated(sentence))


def true_facts(picture: Rendered) -> frozenset[Fact]:
    """Return all facts that are true of a picture: those of its long caption, all relations, all visible things."""
    seen = noticeable(picture)
    names = {one.thing.id: noun(one.thing) for one in picture.instances}
    relations = {
        ("relation", names[one.thing.id], how, names[other.thing.id])
        for one in seen
        for other in seen
        if one is not other and (how := relation(picture.scene, one, other))
    }
    things = {("thing", name) for name in names.values()}
    return facts(long_caption(picture)) | relations | things


def _sentences(caption: str) -> list[str]:
    """Split a caption after full stops; texts of signs have none."""
    return [sentence for sentence in re.split(r"(?<=\.)\s+", " ".join(caption.split())) if sentence]


def _stated(sentence: str) -> Iterable[Fact]:
    """Return the facts of a sentence."""
    found = list(_facts(sentence.removesuffix("."))) if sentence.endswith(".") else []
    return found or [("unknown", sentence)]


def _facts(words: str) -> Iterator[Fact]:
    """Yield the facts of a sentence without its full stop; none where it does not follow the grammar."""
    if match := re.fullmatch(r"There is an? (.+)", words):
        yield from _things(match[1])
    elif match := re.fullmatch(r'The (.+?) reads "(.+)"', words):
        yield from _about(("text", match[1], match[2]), match[1])
    elif match := re.fullmatch(rf"The (.+?) is ({'|'.join(RELATIONS)}) the (.+)", words):
        yield from _about(("relation", match[1], match[2], match[3]), match[1], match[3])
    elif match := re.fullmatch(r"The (.+?) is (.+)", words):
        yield from _about(("doing", match[1], match[2]), match[1])
    else:
        yield from _counts(words[:1].lower() + words[1:])


def _things(*names: str) -> Iterator[Fact]:
    """Yield that things are there, if all of them are named as the world names things."""
    if _NOUNS.issuperset(names):
        yield from (("thing", name) for name in names)


def _about(fact: Fact, *names: str) -> Iterator[Fact]:
    """Yield a fact about things, and that these are there."""
    if things := list(_things(*names)):
        yield from (fact, *things)


def _counts(words: str) -> Iterator[Fact]:
    """Yield place and counts of a short caption: ``two dogs and a cat in a park``."""
    place = next((name for name in _PLACES if words.endswith(f" {name}")), None)
    if place is None:
        return
    what = words.removesuffix(f" {place}")
    found = [] if what == _EMPTY else [_count(part) for part in re.split(r", | and ", what)]
    counts = [fact for fact in found if fact is not None]
    if len(counts) == len(found):
        yield from (("place", place), *counts)


def _count(part: str) -> Fact | None:
    """Return the fact of ``a dog`` or ``two dogs``."""
    number, _, name = part.partition(" ")
    if name in CATEGORIES and part == article(name):
        return "count", name, "1"
    count = str(NUMBERS.index(number)) if number in NUMBERS else number
    return ("count", _SINGULAR[name], count) if name in _SINGULAR and count.isdigit() and int(count) > 1 else None
