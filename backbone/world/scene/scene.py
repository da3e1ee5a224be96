"""A scene as plain data: its things, their positions and their looks."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace

from backbone.world.paint.palette import Colour
from backbone.world.paint.people import Looks
from backbone.world.paint.poses import Pose


@dataclass(frozen=True)
class Thing:
    """One thing in a scene.

    Attributes:
        id: Unique within the scene; the same in edits and clips.
        category: Name of its category.
        colour: Its colour word; that of the shirt for people.
        shade: The exact colour.
        x: Its centre, as a share of the picture's width.
        y: Its lowest point, as a share of the picture's height.
        height: Its height, as a share of the picture's height.
        shape: Index of the shape, of those that its category has.
        texture: Name of its pattern.
        flipped: Whether it faces left.
        text: The text on a sign.
        on: Id of the thing that it stands or sits on; None for the ground.
        pose: Pose of a person.
        build: Proportions of a person.
        looks: Clothes, skin and hair of a person.
    """

    id: int
    category: str
    colour: str
    shade: Colour
    x: float
    y: float
    height: float
    shape: int = 0
    texture: str = "plain"
    flipped: bool = False
    text: str = ""
    on: int | None = None
    pose: Pose | None = None
    build: str = "adult"
    looks: Looks | None = None


@dataclass(frozen=True)
class Scene:
    """A picture before it is rendered.

    Attributes:
        seed: The seed that it was composed from.
        split: "train", "val", "test", "compositions" or "shifted".
        background: Name of the background.
        light: "day", "evening", "overcast" or "night".
        light_left: Whether the light comes from the left.
        edge: Width of outlines, as in ``pen.Style``.
        soft: Strength of shading, as in ``pen.Style``.
        noise: Camera noise in grey levels.
        things: From the farthest to the nearest.
        width: Width in pixels; the scene can be rendered at any scale.
        height: Height in pixels.
    """

    seed: int
    split: str
    background: str
    light: str
    light_left: bool
    edge: float
    soft: float
    noise: float
    things: tuple[Thing, ...] = field(default=())
    width: int = 256
    height: int = 256

    def with_things(self, things: list[Thing]) -> "Scene":
        """Return the scene with other things, sorted from the farthest to the nearest."""
        return replace(self, things=in_order(things))

    def to_json(self) -> dict[str, object]:
        """Return the scene as plain data."""
        return asdict(self)

    def digest(self) -> str:
        """Return a hash of all fields."""
        text = json.dumps(self.to_json(), sort_keys=True, default=lambda value: value)
        return hashlib.sha256(text.encode()).hexdigest()


def in_order(things: list[Thing]) -> tuple[Thing, ...]:
    """Return things from the farthest to the nearest; a thing comes right after the one that it stands on."""
    by_id = {thing.id: thing for thing in things}

    def depth(thing: Thing) -> tuple[float, int, int]:
        below = by_id.get(thing.on) if thing.on is not None else None
        return (below.y, below.id, 1 + thing.id) if below else (thing.y, thing.id, 0)

    return tuple(sorted(things, key=depth))
