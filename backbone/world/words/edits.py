"""Edits of a scene: an instruction in words, and the scene after it."""

from dataclasses import dataclass, replace

from backbone.world.paint.backgrounds import ALL_BACKGROUNDS, BACKGROUNDS
from backbone.world.paint.categories import CATEGORIES
from backbone.world.paint.palette import shade_of
from backbone.world.scene.compose import compose
from backbone.world.scene.scene import Scene
from backbone.world.scene.splits import is_held_out_colour, rng_for
from backbone.world.truth.render import Rendered, render
from backbone.world.words.questions import referring

EDIT_KINDS = ("recolour", "add", "remove", "replace", "move", "background")


@dataclass(frozen=True)
class Edit:
    """An instruction.

    Attributes:
        kind: One of ``EDIT_KINDS``.
        before: The scene before the edit.
        instruction: The instruction in words.
        after: The scene after the edit.
        thing: Id of the thing that changes; None for the background.
    """

    kind: str
    before: Scene
    instruction: str
    after: Scene
    thing: int | None


def edit(picture: Rendered, kind: str, turn: int = 0) -> Edit | None:
    """Draw an edit of a kind; None where the picture allows none.

    Args:
        picture: The picture before the edit.
        kind: One of ``EDIT_KINDS``.
        turn: Number of the draw: other numbers give other edits.
    """
    scene = picture.scene
    rng = rng_for(scene.split, scene.seed, f"edit/{kind}/{turn}")
    if kind == "background":
        place = ALL_BACKGROUNDS[scene.background].kind
        others = [name for name, b in BACKGROUNDS.items() if b.kind == place and name != scene.background]
        if not others:
            return None
        name = rng.choice(others)
        return Edit(
            kind,
            scene,
            f"change the background so that it is {BACKGROUNDS[name].name}",
            replace(scene, background=name),
            None,
        )
    if kind == "add":
        return _add(scene, turn)
    supports = {thing.on for thing in scene.things}
    aims = [
        (words, picture.instances[i].thing)
        for words, i in referring(picture)
        if picture.instances[i].thing.id not in supports
    ]
    if kind in ("recolour", "replace"):
        aims = [(words, thing) for words, thing in aims if not thing.pose]
    if kind in ("move", "replace"):
        aims = [(words, thing) for words, thing in aims if thing.on is None]
    if not aims:
        return None
    words, thing = rng.choice(aims)
    rest = [other for other in scene.things if other is not thing]
    changed = thing
    if kind == "remove":
        return Edit(kind, scene, f"remove {words}", scene.with_things(rest), thing.id)
    if kind == "recolour":
        colours = [
            c
            for c in CATEGORIES[thing.category].colours
            if c != thing.colour and not is_held_out_colour(thing.category, c)
        ]
        colour = rng.choice(colours)
        changed = replace(thing, colour=colour, shade=shade_of(colour, rng))
        text = f"make {words} {colour}"
    elif kind == "replace":
        old = CATEGORIES[thing.category]
        fits = [
            k
            for k in CATEGORIES.values()
            if k.place == old.place and k.scenes in (old.scenes, "any") and k is not old and k.draw and k.name != "sign"
        ]
        if not fits:
            return None
        new = rng.choice(fits)
        colour = rng.choice([c for c in new.colours if not is_held_out_colour(new.name, c)])
        changed = replace(
            thing,
            category=new.name,
            colour=colour,
            shade=shade_of(colour, rng),
            shape=0,
            text="",
            height=thing.height * new.height / old.height,
        )
        text = f"replace {words} with a {colour} {new.name}"
    else:
        left = thing.x > 0.5
        changed = replace(thing, x=max(0.1, thing.x - 0.3) if left else min(0.9, thing.x + 0.3))
        text = f"move {words} to the {'left' if left else 'right'}"
    return Edit(kind, scene, text, scene.with_things([*rest, changed]), thing.id)


def _add(scene: Scene, turn: int) -> Edit | None:
    """Add a thing that occurs in this place, where there is room."""
    from backbone.world.scene.compose import Composer

    composer = Composer(scene.seed, scene.split, scene.width, scene.height)
    composer.rng = rng_for(scene.split, scene.seed, f"edit/add/{turn}")
    composer.things = list(scene.things)
    names = [k.name for k in CATEGORIES.values() if k.draw and composer.belongs(k) and k.name != "sign"]
    new = composer.add(composer.rng.choice(names))
    if new is None:
        return None
    return Edit(
        "add",
        scene,
        f"add a {new.colour} {new.category}".replace("a orange", "an orange"),
        scene.with_things(composer.things),
        new.id,
    )


def edits(seed: int, split: str = "train", size: int | None = None) -> list[Edit]:
    """Return an edit of each kind that the scene of a seed allows."""
    picture = render(compose(seed, split), size)
    return [found for kind in EDIT_KINDS if (found := edit(picture, kind))]
