"""Short clips: the things of a scene move and keep their ids."""

from dataclasses import replace

from backbone.world.paint.poses import Pose
from backbone.world.scene.scene import Scene, Thing
from backbone.world.scene.splits import rng_for

_MOVES = {
    "person",
    "dog",
    "cat",
    "horse",
    "cow",
    "sheep",
    "bird",
    "duck",
    "elephant",
    "rabbit",
    "fish",
    "car",
    "bus",
    "truck",
    "bicycle",
    "boat",
    "airplane",
    "ball",
    "kite",
    "balloon",
}


def clip(scene: Scene, frames: int = 16) -> list[Scene]:
    """Return the scene at each frame; things move where they face, walkers swing their legs."""
    rng = rng_for(scene.split, scene.seed, "clip")
    below = {thing.on for thing in scene.things}
    speeds: dict[int, float] = {}
    for thing in scene.things:
        still = thing.category not in _MOVES or thing.on is not None or thing.id in below
        still = still or (thing.pose is not None and thing.pose.name not in ("walking", "dancing"))
        still = still or (thing.pose is None and rng.random() < 0.3)
        dancing = thing.pose is not None and thing.pose.name == "dancing"
        speeds[thing.id] = 0.0 if still or dancing else (-1 if thing.flipped else 1) * rng.uniform(0.006, 0.02)
    found = []
    for frame in range(frames):
        moved = [
            replace(thing, x=thing.x + speeds[thing.id] * frame, pose=_swing(thing, frame)) for thing in scene.things
        ]
        found.append(scene.with_things(moved))
    return found


def _swing(thing: Thing, frame: int) -> Pose | None:
    pose = thing.pose
    if pose is None or pose.name not in ("walking", "dancing"):
        return pose
    share = abs((frame + thing.id) % 8 - 4) / 4 * 2 - 1  # back and forth, one stride in eight frames
    if pose.name == "dancing":
        a, b, c, d = pose.arms
        return replace(pose, arms=(a + 12 * share, b + 12 * share, c - 12 * share, d - 12 * share))
    a, b, c, d = pose.arms
    e, f, g, h = pose.legs
    mid_a, mid_l = (a + c) / 2, (e + g) / 2
    swing, step = (a - c) / 2 * share, (e - g) / 2 * share
    return replace(
        pose,
        arms=(mid_a + swing, mid_a + swing + (b - a), mid_a - swing, mid_a - swing + (d - c)),
        legs=(mid_l + step, mid_l + step + (f - e), mid_l - step, mid_l - step + (h - g)),
    )
