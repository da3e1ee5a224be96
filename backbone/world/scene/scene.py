"""A scene as symbols: what there is, where, and how it looks. Plain data, the same on every machine."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from backbone.world.paint.palette import Colour
from backbone.world.paint.people import Looks
from backbone.world.paint.poses import Pose


@dataclass(frozen=True)
class Thing:
    """One thing in a scene.

    Attributes:
        id: unique within the scene; kept through edits and clips.
        category: its name.
        colour: its colour word; for people, of the shirt.
        shade: the colour itself.
        x: middle, as a share of the picture's width.
        y: where it stands (its lowest point), as a share of the picture's height.
        height: as a share of the picture's height.
        shape: which of its category's shapes.
        texture: its pattern.
        flipped: whether it faces left.
        text: what a sign says.
        on: the id of the thing that it stands or sits on.
        pose, build, looks: of people.
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
    """One picture, before it is drawn.

    Attributes:
        seed: what it was drawn from.
        split: ``train``, ``val``, ``test``, ``compositions`` or ``shifted``.
        background: its name.
        light: ``day``, ``evening``, ``overcast`` or ``night``.
        light_left: whether light comes from the left.
        edge, soft: the manner of painting.
        noise: of the camera, in grey levels.
        things: from the farthest to the nearest.
        width, height: the shape of the picture in pixels; it can be rendered at any scale.
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
        """The same scene with other things, sorted from the farthest to the nearest."""
        return replace(self, things=in_order(things))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def digest(self) -> str:
        """A hash of everything in it."""
        text = json.dumps(self.to_json(), sort_keys=True, default=lambda value: value)
        return hashlib.sha256(text.encode()).hexdigest()


def in_order(things: list[Thing]) -> tuple[Thing, ...]:
    """Farthest first; what stands on something comes right after it."""
    by_id = {thing.id: thing for thing in things}

    def depth(thing: Thing) -> tuple[float, int, int]:
        below = by_id.get(thing.on) if thing.on is not None else None
        return (below.y, below.id, 1 + thing.id) if below else (thing.y, thing.id, 0)

    return tuple(sorted(things, key=depth))
