"""What a picture is asked to show, in words and as data that a program can check."""

from dataclasses import dataclass

from backbone.world.paint.backgrounds import EVERY
from backbone.world.truth.relations import clearly_all, relation, shown
from backbone.world.truth.render import Rendered
from backbone.world.words.wording import NUMBERS, article, counted, listed, noun


@dataclass(frozen=True)
class Spec:
    """A prompt, and what a picture that follows it holds.

    Attributes:
        prompt: in words.
        counts: exactly how many, by ``(category, colour)``.
        relations: ``(category, relation, category)``.
        background: the place.
    """

    prompt: str
    counts: tuple[tuple[str, str, int], ...]
    relations: tuple[tuple[str, str, str], ...]
    background: str


def spec(picture: Rendered) -> Spec | None:
    """The specification that a picture fulfils; None where something in it is too hidden to ask for."""
    seen = shown(picture)
    if not seen or not clearly_all(picture):
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
    single = [one for one in seen if counted(seen)[one.thing.category] == 1]
    relations = [
        (a.thing.category, how, b.thing.category)
        for a, b in zip(single, single[1:], strict=False)
        if (how := relation(picture.scene, a, b))
    ][:1]
    text = f"{listed(parts)} {EVERY[picture.scene.background].name}"
    for first, how, second in relations:
        text += f", the {first} {how} the {second}"
    return Spec(text, tuple((c, k, n) for (c, k), n in kinds.items()), tuple(relations), picture.scene.background)
