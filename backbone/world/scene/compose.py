"""Composes the scene of a seed: its things, their positions and their looks."""

from dataclasses import replace

from backbone.world.paint.backgrounds import ALL_BACKGROUNDS, BACKGROUNDS, SHIFTED_BACKGROUNDS
from backbone.world.paint.categories import CATEGORIES, WORDS, Category
from backbone.world.paint.figure import BUILDS, SHIFTED_BUILDS, joints
from backbone.world.paint.palette import COLOURS, HAIRS, SKINS, dark, shade_of
from backbone.world.paint.people import HAIR, WEAR, Looks
from backbone.world.paint.poses import POSES, draw_pose
from backbone.world.paint.texture import SHIFTED_TEXTURES, TEXTURES
from backbone.world.scene.scene import Scene, Thing
from backbone.world.scene.splits import HELD_OUT_COUNTS, HELD_OUT_RELATIONS, is_held_out_colour, rng_for

ALL_BUILDS = BUILDS | SHIFTED_BUILDS


def compose(seed: int, split: str = "train", width: int = 256, height: int = 256) -> Scene:
    """Return the scene of a seed.

    Args:
        seed: Any integer; each split has its own scenes.
        split: One of ``splits.SPLITS``.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
    """
    return Composer(seed, split, width, height).scene()


class Composer:
    """Composes one scene, thing by thing."""

    def __init__(self, seed: int, split: str, width: int, height: int) -> None:
        self.rng = rng_for(split, seed)
        self.seed, self.split, self.width, self.height = seed, split, width, height
        self.wide = width / height
        self.things: list[Thing] = []
        names = list(SHIFTED_BACKGROUNDS if split == "shifted" else BACKGROUNDS)
        self.background = self.rng.choice(names)
        self.place = ALL_BACKGROUNDS[self.background]

    def scene(self) -> Scene:
        """Draw things, light and style, and return the scene."""
        rng = self.rng
        for _ in range(rng.choice((0, 1, 1, 2, 2, 3)) if self.place.kind != "water" else 0):
            self.add("person")
        usual = [k for k in CATEGORIES.values() if k.name != "person" and self.belongs(k)]
        fewest, most = (3, 5) if self.place.kind == "in" else (2, 4)
        chosen = rng.sample(usual, min(len(usual), rng.randint(fewest, most)))
        table = CATEGORIES["dining table"]
        if self.place.kind == "in" and table not in chosen and rng.random() < 0.35:
            chosen[0] = table  # small things are placed on it
        if self.split == "compositions" and rng.random() < 0.4:
            again = [k for k in usual if k.name in HELD_OUT_COUNTS]
            if again:
                kind = rng.choice(again)
                chosen = [kind] + [k for k in chosen if k is not kind]
                for _ in range(4):
                    self.add(kind.name)
                chosen = chosen[1:3]
        for kind in sorted(chosen, key=lambda k: k.place == "small"):
            for _ in range(rng.choice((1, 1, 1, 2, 2, 3) if kind.height < 0.25 else (1, 1, 1, 2))):
                self.add(kind.name)
        if not self.things:
            self.add("duck" if self.place.kind == "water" else "person")
        if self.split != "compositions":
            self._thin_out()
        lights = (
            ("day", "night", "night", "evening", "overcast")
            if self.split == "shifted"
            else ("day", "day", "day", "evening", "overcast")
        )
        light = rng.choice(lights)
        scene = Scene(
            self.seed,
            self.split,
            self.background,
            light,
            rng.random() < 0.5,
            rng.choice((0.0, 7.0, 10.0, 12.0)),
            rng.uniform(0.3, 1.0),
            rng.choice((0.0, 1.5, 3.0, 5.0)),
            (),
            self.width,
            self.height,
        )
        return scene.with_things(self.things)

    def belongs(self, kind: Category) -> bool:
        """Return whether things of this category occur in this place."""
        where = self.place.kind
        if where == "water":
            return kind.name in ("boat", "duck", "fish", "bird", "kite", "balloon", "airplane")
        return kind.scenes == "any" or kind.scenes == where

    def _thin_out(self) -> None:
        for name in HELD_OUT_COUNTS:
            same = [thing for thing in self.things if thing.category == name]
            if len(same) == 4:
                self.things.remove(same[-1])

    def _colour(self, kind: Category) -> str:
        held_out = [c for c in kind.colours if is_held_out_colour(kind.name, c)]
        if self.split == "compositions" and held_out and self.rng.random() < 0.6:
            return self.rng.choice(held_out)
        return self.rng.choice([c for c in kind.colours if c not in held_out])

    def add(self, name: str) -> Thing | None:
        """Add a thing where it hides little of the others; returns None where there is no room."""
        rng, kind = self.rng, CATEGORIES[name]
        colour = self._colour(kind)
        shifted = self.split == "shifted"
        texture = (
            rng.choice(SHIFTED_TEXTURES if shifted else TEXTURES)
            if rng.random() < (0.7 if shifted else 0.3)
            else "plain"
        )
        thing = Thing(
            self._next(),
            name,
            colour,
            shade_of(colour, rng),
            0,
            0,
            0,
            rng.randrange(kind.shapes),
            texture,
            kind.flips and rng.random() < 0.5,
            rng.choice(WORDS) if name == "sign" else "",
        )
        if name == "bird" and self.place.kind == "water":
            thing = replace(thing, shape=1)  # flying, as it cannot stand on water
        for _ in range(12):
            found = self._place(thing, kind)
            if self._free(found):
                if name == "person":
                    found = self._person(found)
                self.things.append(found)
                return found
        return None

    def _next(self) -> int:
        return max((thing.id for thing in self.things), default=0) + 1

    def _place(self, thing: Thing, kind: Category) -> Thing:
        rng, horizon = self.rng, self.place.horizon
        if kind.place == "air" or (thing.category == "bird" and thing.shape == 1):
            height = kind.height * rng.uniform(0.75, 1.15)
            if thing.category == "fish":
                return self._at(thing, kind, rng.uniform(horizon + 0.3, 0.97), height)
            return self._at(thing, kind, rng.uniform(height + 0.03, max(height + 0.06, horizon - 0.02)), height)
        tables = [t for t in self.things if t.category == "dining table"]
        held_out = (thing.category, "dining table") in HELD_OUT_RELATIONS
        may_stand = self.split == "compositions" if held_out else kind.place == "small"
        if may_stand and tables and rng.random() < 0.75:
            table = rng.choice(tables)
            top = table.y - table.height * (0.93 if table.shape else 0.96)
            reach = table.height * 0.6 / self.wide
            return replace(
                thing,
                x=table.x + rng.uniform(-reach, reach),
                y=top + table.height * rng.uniform(-0.02, 0.04),
                height=kind.height * rng.uniform(0.75, 1.0),
                on=table.id,
            )
        near = rng.uniform(0.0, 1.0)
        y = horizon + 0.1 + (0.97 - horizon - 0.1) * near
        height = kind.height * (0.62 + 0.42 * near) * rng.uniform(0.88, 1.12)
        return self._at(thing, kind, y, height)

    def _at(self, thing: Thing, kind: Category, y: float, height: float) -> Thing:
        half = kind.wide * height / self.wide
        edge = -0.45 * half if self.rng.random() < 0.15 else half + 0.01
        return replace(thing, x=self.rng.uniform(min(edge, 0.5), max(1 - edge, 0.5)), y=y, height=height)

    def _free(self, new: Thing) -> bool:
        for old in self.things:
            if new.on == old.id:
                continue
            a, b = self._span(new), self._span(old)
            across = min(a[2], b[2]) - max(a[0], b[0])
            down = min(a[3], b[3]) - max(a[1], b[1])
            if across <= 0 or down <= 0:
                continue
            shared = across * down
            smaller = min((s[2] - s[0]) * (s[3] - s[1]) for s in (a, b))
            if shared > (0.12 if new.on is not None or old.on is not None else 0.38) * smaller:
                return False
        return True

    def _span(self, thing: Thing) -> tuple[float, float, float, float]:
        half = CATEGORIES[thing.category].wide * thing.height / self.wide
        return thing.x - half, thing.y - thing.height, thing.x + half, thing.y

    def _person(self, thing: Thing) -> Thing:
        rng = self.rng
        build = rng.choice(list(SHIFTED_BUILDS if self.split == "shifted" else BUILDS))
        height = thing.height * (0.74 if build in ("child", "toddler") else 1.0)
        pose = draw_pose(rng.choice(POSES), rng)
        trousers = shade_of(rng.choice([c for c in COLOURS if c not in (thing.colour, "white")]), rng)
        looks = Looks(
            rng.choice(SKINS),
            rng.choice(HAIRS),
            dark(trousers, 0.1),
            shade_of(rng.choice(("black", "brown", "red", "white", "blue")), rng),
            rng.choice(HAIR),
            rng.choice(WEAR),
            rng.random() < 0.55,
            rng.random() < 0.8,
        )
        thing = replace(thing, build=build, height=height, pose=pose, looks=looks, shape=0)
        if pose.name != "sitting":
            return thing
        seat = -joints(pose, ALL_BUILDS[build]).hip[1] - 0.05
        colour = self._colour(CATEGORIES["chair"])
        chair = Thing(
            self._next(),
            "chair",
            colour,
            shade_of(colour, rng),
            thing.x,
            thing.y,
            height * seat / 0.54,
            0 if pose.view == "side" else 1,
            "plain",
            thing.flipped,
        )
        self.things.append(chair)
        return replace(thing, id=chair.id + 1, y=thing.y - 0.001, on=chair.id)
