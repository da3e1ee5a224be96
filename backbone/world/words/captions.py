"""Short and long captions of a picture."""

from backbone.world.paint.backgrounds import ALL_BACKGROUNDS
from backbone.world.truth.relations import noticeable, relation
from backbone.world.truth.render import Rendered
from backbone.world.words.wording import article, count_by_category, enumeration, noun, quantity

_DOING = {
    "standing": "standing",
    "walking": "walking",
    "sitting": "sitting",
    "reaching": "reaching out",
    "arms up": "holding both arms up",
    "dancing": "dancing",
}


def short_caption(picture: Rendered) -> str:
    """Return counts and the place: ``Two dogs and a cat in a park.``"""
    counts = count_by_category(noticeable(picture))
    where = ALL_BACKGROUNDS[picture.scene.background].name
    if not counts:
        return f"A quiet view {where}."
    text = enumeration([article(name) if count == 1 else quantity(count, name) for name, count in counts.items()])
    return f"{text[0].upper()}{text[1:]} {where}."


def long_caption(picture: Rendered) -> str:
    """Return sentences on all noticeable things: colours, poses, texts of signs, and spatial relations."""
    sentences = [short_caption(picture)]
    visible = noticeable(picture)
    for one in visible:
        name = f"The {noun(one.thing)}"
        if one.thing.pose:
            sentences.append(f"{name} is {_DOING[one.thing.pose.name]}.")
        if one.thing.text and one.visible > 0.95 and not one.truncated:
            sentences.append(f'{name} reads "{one.thing.text}".')
    for one, other in zip(visible, visible[1:], strict=False):
        how = relation(picture.scene, one, other)
        if how and noun(one.thing) != noun(other.thing):
            sentences.append(f"The {noun(one.thing)} is {how} the {noun(other.thing)}.")
    plain = [one for one in visible if not one.thing.pose and not any(noun(one.thing) in line for line in sentences)]
    sentences += [f"There is {article(noun(one.thing))}." for one in plain]
    return " ".join(dict.fromkeys(sentences))
