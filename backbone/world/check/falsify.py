"""Changes a scene so that it breaks its specification in one respect."""

from dataclasses import replace

from backbone.world.paint.backgrounds import ALL_BACKGROUNDS, BACKGROUNDS
from backbone.world.paint.categories import CATEGORIES
from backbone.world.paint.palette import shade_of
from backbone.world.scene.compose import Composer
from backbone.world.scene.scene import Scene, Thing
from backbone.world.scene.splits import rng_for
from backbone.world.truth.relations import all_noticeable, noticeable, relation
from backbone.world.truth.render import Rendered, render
from backbone.world.words.specs import Spec

FAULTS = ("colour", "one more", "one less", "missing", "category", "relation", "place")


def falsify(picture: Rendered, specification: Spec, kind: str) -> Rendered | None:
    """Render a picture that breaks a specification in one respect.

    Args:
        picture: A picture that follows the specification.
        specification: The specification.
        kind: What is to be wrong, one of ``FAULTS``.

    Returns:
        A picture of the same size that differs from the specification in this respect only; None where there is no such
        picture, or where something in it would be too hidden to judge.
    """
    scene = picture.scene
    changed = _changed(scene, specification, kind)
    if changed is None:
        return None
    wrong = render(changed, picture.pixels.shape[0])
    if not all_noticeable(wrong) or len(wrong.instances) != len(changed.things):
        return None
    counts: dict[tuple[str, str], int] = {}
    for one in wrong.instances:
        key = (one.thing.category, one.thing.colour)
        counts[key] = counts.get(key, 0) + 1
    same = counts == {(category, colour): n for category, colour, n in specification.counts}
    if same != (kind in ("relation", "place")):
        return None
    return wrong if kind != "relation" or _contradicts(wrong, specification) else None


def _contradicts(picture: Rendered, specification: Spec) -> bool:
    first, how, second = specification.relations[0]
    by_name = {one.thing.category: one for one in noticeable(picture)}
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    now = relation(picture.scene, by_name[first], by_name[second])
    return now is not None and now == opposite.get(how, now) and now != how


def _changed(scene: Scene, specification: Spec, kind: str) -> Scene | None:
    rng = rng_for(scene.split, scene.seed, f"falsify/{kind}")
    supports = {thing.on for thing in scene.things}
    loose = [thing for thing in scene.things if thing.on is None and thing.id not in supports]
    if kind == "place":
        here = ALL_BACKGROUNDS[scene.background].kind
        others = [name for name, place in BACKGROUNDS.items() if place.kind == here and name != scene.background]
        return replace(scene, background=rng.choice(others)) if others else None
    if kind == "relation":
        return _swapped(scene, specification)
    if kind == "one more":
        composer = Composer(scene.seed, scene.split, scene.width, scene.height)
        composer.rng, composer.things = rng, list(scene.things)
        model = rng.choice([thing for thing in scene.things if thing.category != "chair"] or scene.things)
        new = composer.add(model.category)
        return (
            scene.with_things([*scene.things, replace(new, colour=model.colour, shade=model.shade)])
            if new and new.on is None
            else None
        )
    number = {name: sum(thing.category == name for thing in scene.things) for name in CATEGORIES}
    if kind == "colour":
        thing = rng.choice(scene.things)
        word = rng.choice([c for c in CATEGORIES[thing.category].colours if c != thing.colour])
        return _with(scene, thing, replace(thing, colour=word, shade=shade_of(word, rng)))
    if kind in ("one less", "missing"):
        loose = [thing for thing in loose if (number[thing.category] > 1) == (kind == "one less")]
        return _with(scene, rng.choice(loose), None) if loose and len(scene.things) > 1 else None
    loose = [thing for thing in loose if not thing.pose]
    if not loose:
        return None
    thing = rng.choice(loose)
    old = CATEGORIES[thing.category]
    fits = [
        k
        for k in CATEGORIES.values()
        if k.place == old.place and k is not old and k.draw and k.name != "sign" and thing.colour in k.colours
    ]
    if not fits:
        return None
    new_kind = rng.choice(fits)
    height = thing.height * new_kind.height / old.height
    return _with(
        scene,
        thing,
        replace(thing, category=new_kind.name, shape=rng.randrange(new_kind.shapes), text="", height=height),
    )


def _with(scene: Scene, old: Thing, new: Thing | None) -> Scene:
    rest = [thing for thing in scene.things if thing is not old]
    return scene.with_things([*rest, new] if new else rest)


def _swapped(scene: Scene, specification: Spec) -> Scene | None:
    if not specification.relations:
        return None
    first, how, second = specification.relations[0]
    one, other = (next(thing for thing in scene.things if thing.category == name) for name in (first, second))
    if how == "on":
        return _with(scene, one, replace(one, on=None, x=one.x - 0.45 if one.x > 0.5 else one.x + 0.45, y=0.94))
    if {one.id, other.id} & {thing.on for thing in scene.things} or one.on is not None or other.on is not None:
        return None
    if how in ("left of", "right of"):
        pair = [replace(one, x=other.x), replace(other, x=one.x)]
    else:
        pair = [replace(one, y=other.y), replace(other, y=one.y)]
    return scene.with_things([*(thing for thing in scene.things if thing not in (one, other)), *pair])
