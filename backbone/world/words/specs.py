"""Specifications of pictures: a prompt in words, and data that a program can check."""

from dataclasses import dataclass

from backbone.world.paint.backgrounds import ALL_BACKGROUNDS
from backbone.world.truth.relations import all_noticeable, noticeable, relation
from backbone.world.truth.render import Rendered
from backbone.world.words.wording import NUMBERS, article, count_by_category, enumeration, noun


@dataclass(frozen=True)
class Spec:
    """A prompt, and the content of pictures that follow it.

    Attributes:
        prompt: The prompt in words.
        counts: (category, colour, exact count).
        relations: (category, relation, category).
        background: Name of the background.
    """

    prompt: str
    counts: tuple[tuple[str, str, int], ...]
    relations: tuple[tuple[str, str, str], ...]
    background: str


def spec(picture: Rendered) -> Spec | None:
    """Return the specification that a picture follows; None where something in it is mostly hidden."""
    seen = noticeable(picture)
    if not seen or not all_noticeable(picture):
        return None
    kinds: dict[tuple[str, str], int] = {}
    for one in seen:
        key = (one.thing.category, one.thing.colour)
        kinds[key] = kinds.get(key, 0) + 1
    names = {(one.thing.category, one.thing.colour): noun(one.thing) for one in seen}
    parts = [
        article(names[key]) if count == 1 else f"{NUMBERS[min(count, 10)]} times {article(names[key])}"
        for key, count in kinds.items()
    ]
    single = [one for one in seen if count_by_category(seen)[one.thing.category] == 1]
    relations = [
        (a.thing.category, how, b.thing.category)
        for a, b in zip(single, single[1:], strict=False)
        if (how := relation(picture.scene, a, b))
    ][:1]
    text = f"{enumeration(parts)} {ALL_BACKGROUNDS[picture.scene.background].name}"
    for first, how, second in relations:
        text += f", the {first} {how} the {second}"
    return Spec(text, tuple((c, k, n) for (c, k), n in kinds.items()), tuple(relations), picture.scene.background)
