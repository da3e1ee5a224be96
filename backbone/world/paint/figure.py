"""Computes the joints and keypoints of a person from a pose and proportions."""

import math
from dataclasses import dataclass

from backbone.world.paint.poses import Pose
from common.skeleton import KEYPOINTS

Point = tuple[float, float]


@dataclass(frozen=True)
class Build:
    """Proportions of a person, as shares of the standing height."""

    head: float = 0.095
    torso: float = 0.29
    arm: float = 0.16
    leg: float = 0.235
    shoulders: float = 0.115
    hips: float = 0.06
    girth: float = 1.0


BUILDS = {
    "adult": Build(),
    "slim": Build(head=0.088, torso=0.28, leg=0.245, shoulders=0.102, hips=0.052, girth=0.86),
    "stout": Build(torso=0.3, leg=0.228, shoulders=0.13, hips=0.078, girth=1.22),
    "child": Build(head=0.125, torso=0.27, arm=0.145, leg=0.205, shoulders=0.11, hips=0.06, girth=1.05),
}
SHIFTED_BUILDS = {
    "lanky": Build(head=0.078, torso=0.25, arm=0.185, leg=0.27, shoulders=0.095, hips=0.048, girth=0.7),
    "toddler": Build(head=0.155, torso=0.27, arm=0.125, leg=0.17, shoulders=0.125, hips=0.07, girth=1.25),
}


@dataclass(frozen=True)
class Joints:
    """Positions of a person's joints in units of the standing height, feet at y = 0.

    Limbs ``a`` are at the picture's left, limbs ``b`` at its right; in side view ``a`` is far, ``b`` near.
    """

    head: Point
    neck: Point
    hip: Point
    arm_a: tuple[Point, Point, Point]
    arm_b: tuple[Point, Point, Point]
    leg_a: tuple[Point, Point, Point]
    leg_b: tuple[Point, Point, Point]
    up: Point
    build: Build
    pose: Pose


def _limb(start: Point, lengths: Point, angles: Point) -> tuple[Point, Point, Point]:
    points = [start]
    for length, angle in zip(lengths, angles, strict=True):
        x, y = points[-1]
        points.append((x + length * math.sin(math.radians(angle)), y + length * math.cos(math.radians(angle))))
    return points[0], points[1], points[2]


def joints(pose: Pose, build: Build) -> Joints:
    """Return the joints of a person of some proportions in a pose."""
    lean = math.radians(pose.lean)
    up = (math.sin(lean), -math.cos(lean))
    side = pose.view == "side"
    spread, hips = (0.012, 0.01) if side else (build.shoulders, build.hips)
    hip = (0.0, 0.0)
    neck = (hip[0] + up[0] * build.torso, hip[1] + up[1] * build.torso)
    across = (-up[1], up[0])
    drop = 0.022
    shoulder_a = (neck[0] - across[0] * spread - up[0] * drop, neck[1] - across[1] * spread - up[1] * drop)
    shoulder_b = (neck[0] + across[0] * spread - up[0] * drop, neck[1] + across[1] * spread - up[1] * drop)
    tilt = lean + math.radians(pose.tilt)
    crown = (math.sin(tilt), -math.cos(tilt))
    rise = build.head * 1.22
    head = (neck[0] + crown[0] * rise + (0.012 if side else 0.0), neck[1] + crown[1] * rise)
    thigh = build.leg * pose.thigh
    raw = (
        head,
        neck,
        hip,
        *_limb(shoulder_a, (build.arm, build.arm * 0.95), pose.arms[:2]),
        *_limb(shoulder_b, (build.arm, build.arm * 0.95), pose.arms[2:]),
        *_limb((hip[0] - hips, hip[1]), (thigh, build.leg), pose.legs[:2]),
        *_limb((hip[0] + hips, hip[1]), (thigh, build.leg), pose.legs[2:]),
    )
    ground = max(y for _, y in raw) + 0.035
    p = [(x, y - ground) for x, y in raw]
    return Joints(
        p[0],
        p[1],
        p[2],
        (p[3], p[4], p[5]),
        (p[6], p[7], p[8]),
        (p[9], p[10], p[11]),
        (p[12], p[13], p[14]),
        crown,
        build,
        pose,
    )


def face(j: Joints) -> dict[str, Point]:
    """Return positions of eyes, nose and ears; ``a`` and ``b`` as in ``Joints``."""
    radius, (x, y) = j.build.head, j.head
    ux, uy = j.up
    ax, ay = -uy, ux

    def at(across: float, above: float) -> Point:
        return x + radius * (ax * across + ux * above), y + radius * (ay * across + uy * above)

    if j.pose.view == "side":
        return {
            "nose": at(0.98, -0.1),
            "eye_a": at(0.72, 0.16),
            "eye_b": at(0.55, 0.14),
            "ear_a": at(0.0, -0.02),
            "ear_b": at(-0.1, -0.04),
        }
    return {
        "nose": at(0.0, -0.16),
        "eye_a": at(-0.36, 0.1),
        "eye_b": at(0.36, 0.1),
        "ear_a": at(-0.94, -0.04),
        "ear_b": at(0.94, -0.04),
    }


def keypoints(j: Joints, flipped: bool = False) -> list[tuple[float, float, bool]]:
    """Return COCO's 17 keypoints as (x, y, visible), in the units of the joints; not visible are those the body hides.

    A person seen from the front has its left side at the picture's right; one that walks to the right shows its right
    side. With ``flipped``, left and right are swapped, but x is not mirrored.
    """
    view, marks = j.pose.view, face(j)
    # The left limb is b from the front, a from the back, and a, the far one, from the side.
    left, right = ("b", "a") if view == "front" else ("a", "b")
    if flipped:
        left, right = right, left
    hidden: set[str] = set()
    if view == "back":
        hidden = {"nose", "eye_a", "eye_b"}
    if view == "side":
        hidden = {"eye_a", "ear_a", "shoulder_a", "hip_a"}
    marks |= dict(zip(("shoulder_a", "elbow_a", "wrist_a"), j.arm_a, strict=True))
    marks |= dict(zip(("shoulder_b", "elbow_b", "wrist_b"), j.arm_b, strict=True))
    marks |= dict(zip(("hip_a", "knee_a", "ankle_a"), j.leg_a, strict=True))
    marks |= dict(zip(("hip_b", "knee_b", "ankle_b"), j.leg_b, strict=True))
    if view == "side":
        hidden |= {name for name in ("elbow_a", "wrist_a") if _within_torso(j, marks[name])}
        if j.pose.name == "sitting":
            hidden |= {"knee_a"}
    found = []
    for name in KEYPOINTS:
        sided, _, part = name.partition("_")
        mark = name if not part else f"{part}_{left if sided == 'left' else right}"
        found.append((*marks[mark], mark not in hidden))
    return found


def _within_torso(j: Joints, point: Point) -> bool:
    (x0, y0), (x1, y1) = j.neck, j.hip
    if not y0 <= point[1] <= y1:
        return False
    share = (point[1] - y0) / (y1 - y0)
    return abs(point[0] - (x0 + (x1 - x0) * share)) < 0.075 * j.build.girth
