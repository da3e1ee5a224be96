"""Poses of people: angles of the limbs, with random variation."""

import random
from dataclasses import dataclass

VIEWS = ("front", "side", "back")
POSES = ("standing", "walking", "sitting", "reaching", "arms up", "dancing")


@dataclass(frozen=True)
class Pose:
    """Angles of the limbs in degrees from straight down, positive towards the right of the picture.

    Attributes:
        name: One of ``POSES``.
        view: "front", "side" (facing right) or "back".
        arms: Angles of upper and lower arm, of the arm at the picture's left, then of the other; in side view of the
            far arm, then of the near one.
        legs: Angles of upper and lower leg, in the same order.
        lean: Angle of the torso from straight up.
        thigh: Length factor of the thighs, below 1 for legs that point at the viewer.
        tilt: Angle of the head.
    """

    name: str
    view: str
    arms: tuple[float, float, float, float]
    legs: tuple[float, float, float, float]
    lean: float = 0.0
    thigh: float = 1.0
    tilt: float = 0.0


def draw_pose(name: str, rng: random.Random) -> Pose:
    """Draw a pose of a name, with random variation."""

    def j(middle: float, spread: float = 7.0) -> float:
        return middle + rng.uniform(-spread, spread)

    front = rng.choice(("front", "front", "back")) if name in ("standing", "arms up", "reaching") else "front"
    if name == "walking":
        step, swing = j(26, 6), j(30, 10)
        return Pose(
            name,
            "side",
            (-swing, -swing + j(18), swing - 4, swing + j(28)),
            (step, step - j(4, 3), -step + j(8, 4), -step - j(20, 8)),
            lean=j(4, 2),
        )
    if name == "sitting":
        if rng.random() < 0.55:
            lap = j(38, 12)
            return Pose(
                name, "side", (lap - 8, j(78, 8), lap, j(82, 8)), (j(86, 2), j(4, 5), j(86, 2), j(0, 6)), lean=j(-2, 3)
            )
        return Pose(
            name,
            "front",
            (j(-16, 5), j(14, 8), j(16, 5), j(-14, 8)),
            (j(-16, 4), j(0, 3), j(16, 4), j(0, 3)),
            thigh=0.4,
            tilt=j(0, 4),
        )
    if name == "reaching":
        if rng.random() < 0.5:
            up = j(118, 22)
            return Pose(
                name, "side", (j(8), j(24), up, up + j(12)), (j(5, 3), j(2, 3), j(-6, 3), j(-9, 3)), lean=j(5, 3)
            )
        up = j(140, 20)
        return Pose(
            name, front, (j(-14, 5), j(-8), up, up + j(12, 8)), (j(-6, 2), j(-4, 2), j(6, 2), j(4, 2)), lean=j(2, 2)
        )
    if name == "arms up":
        return Pose(
            name,
            front,
            (j(-142, 12), j(-164, 12), j(142, 12), j(164, 12)),
            (j(-7, 3), j(-4, 3), j(7, 3), j(4, 3)),
            tilt=j(0, 4),
        )
    if name == "dancing":
        if rng.random() < 0.5:
            return Pose(
                name,
                "front",
                (j(-75, 15), j(-150, 15), j(60, 15), j(120, 20)),
                (j(-10, 4), j(-2, 4), j(52, 8), j(-12, 8)),
                lean=j(-5, 3),
                tilt=j(6, 3),
            )
        return Pose(
            name,
            "front",
            (j(-125, 15), j(-90, 20), j(42, 10), j(-30, 15)),
            (j(-48, 8), j(8, 8), j(10, 4), j(3, 4)),
            lean=j(5, 3),
            tilt=j(-6, 3),
        )
    if name == "standing" and rng.random() < 0.3:
        return Pose(name, "side", (j(10), j(20), j(-6), j(8)), (j(4, 2), j(2, 2), j(-4, 2), j(-6, 2)))
    if rng.random() < 0.25:  # a hand on the hip
        return Pose(
            name, front, (j(-14, 4), j(-8), j(44, 4), j(-46, 5)), (j(-6, 2), j(-4, 2), j(6, 2), j(4, 2)), tilt=j(0, 4)
        )
    return Pose(name, front, (j(-15, 5), j(-8), j(15, 5), j(8)), (j(-6, 2), j(-4, 2), j(6, 2), j(4, 2)), tilt=j(0, 4))
