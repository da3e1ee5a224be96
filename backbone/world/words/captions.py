"""A sentence, or a few, about a picture."""

from backbone.world.paint.backgrounds import EVERY
from backbone.world.truth.relations import relation, shown
from backbone.world.truth.render import Rendered
from backbone.world.words.wording import article, counted, listed, many, noun

_DOING = {
    "standing": "standing",
    "walking": "walking",
    "sitting": "sitting",
    "reaching": "reaching out",
    "arms up": "holding both arms up",
    "dancing": "dancing",
}


def short_caption(picture: Rendered) -> str:
    """Counts and the place: ``Two dogs and a cat in a park.``"""
    counts = counted(shown(picture))
    where = EVERY[picture.scene.background].name
    if not counts:
        return f"A quiet view {where}."
    text = listed([article(name) if count == 1 else many(count, name) for name, count in counts.items()])
    return f"{text[0].upper()}{text[1:]} {where}."


def long_caption(picture: Rendered) -> str:
    """Every noticeable thing with its colour, what people do, what signs say, and who is where."""
    said = [short_caption(picture)]
    seen = shown(picture)
    for one in seen:
        name = f"The {noun(one.thing)}"
        if one.thing.pose:
            said.append(f"{name} is {_DOING[one.thing.pose.name]}.")
        if one.thing.text and one.visible > 0.95 and not one.truncated:
            said.append(f'{name} reads "{one.thing.text}".')
    for one, other in zip(seen, seen[1:], strict=False):
        how = relation(picture.scene, one, other)
        if how and noun(one.thing) != noun(other.thing):
            said.append(f"The {noun(one.thing)} is {how} the {noun(other.thing)}.")
    plain = [one for one in seen if not one.thing.pose and not any(noun(one.thing) in line for line in said)]
    said += [f"There is {article(noun(one.thing))}." for one in plain]
    return " ".join(dict.fromkeys(said))
