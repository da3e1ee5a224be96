"""Draws a person from joints: clothes, skin, hair and face."""

from dataclasses import dataclass

from backbone.world.paint.figure import Joints, Point, face
from backbone.world.paint.palette import Colour, dark, mix
from backbone.world.paint.pen import Pen

HAIR = ("short", "long", "bun", "curly", "cap")
WEAR = ("trousers", "shorts", "skirt", "dress")


@dataclass(frozen=True)
class Looks:
    """Clothes, skin and hair of a person; the shirt has the pen's main colour."""

    skin: Colour
    hair: Colour
    legs: Colour
    shoes: Colour
    hair_style: str = "short"
    wear: str = "trousers"
    long_sleeves: bool = True
    smile: bool = True


def draw_person(pen: Pen, j: Joints, looks: Looks) -> None:
    """Draw a person, from the farthest part to the nearest."""
    side = j.pose.view == "side"
    if looks.hair_style == "long":
        _long_hair(pen, j, looks.hair)
    if side:
        _arm(pen, j.arm_a, looks, j.build.girth, far=True)
        _leg(pen, j, j.leg_a, looks, far=True)
        _leg(pen, j, j.leg_b, looks)
    else:
        _leg(pen, j, j.leg_a, looks)
        _leg(pen, j, j.leg_b, looks)
    pen.line([j.neck, j.head], dark(looks.skin, 0.12), 0.06 * j.build.girth, edge=True)
    _torso(pen, j, looks)
    behind = j.pose.view == "back"
    if behind:
        _head(pen, j, looks)
    if not side:
        _arm(pen, j.arm_a, looks, j.build.girth)
    if not behind:
        _head(pen, j, looks)
    _arm(pen, j.arm_b, looks, j.build.girth)


def _leg(pen: Pen, j: Joints, leg: tuple[Point, Point, Point], looks: Looks, far: bool = False) -> None:
    hip, knee, ankle = leg
    girth = j.build.girth
    skin, cloth, shoe = looks.skin, looks.legs, looks.shoes
    if far:
        skin, cloth, shoe = dark(skin, 0.15), dark(cloth, 0.2), dark(shoe, 0.2)
    # The toes point where the person faces; seen from the front, a little outwards.
    toe = 0.035 if j.pose.view == "side" else (0.012 if hip[0] >= j.hip[0] else -0.012)
    x, y = ankle
    pen.fill(pen.oval(x + toe, y + 0.012, 0.052 if j.pose.view == "side" else 0.038, 0.026), shoe)
    if looks.wear == "trousers":
        pen.line([hip, knee, ankle], cloth, 0.088 * girth, edge=True)
        return
    pen.line([hip, knee, ankle], skin, 0.066 * girth, edge=True)
    if looks.wear == "shorts":
        pen.line([hip, knee], cloth, 0.094 * girth, edge=True)
    elif j.pose.name == "sitting":
        pen.line([hip, knee], pen.main if looks.wear == "dress" else cloth, 0.11 * girth, edge=True)


def _torso(pen: Pen, j: Joints, looks: Looks) -> None:
    girth = j.build.girth
    (nx, ny), (hx, hy) = j.neck, j.hip
    if j.pose.view == "side":
        half_top, half_mid, half_hip = 0.062 * girth, 0.074 * girth, 0.066 * girth
    else:
        half_top, half_mid, half_hip = (
            j.build.shoulders * 1.02,
            j.build.shoulders * 0.86 * max(1, girth * 0.95),
            j.build.hips + 0.042 * girth,
        )
    mx, my = (nx + hx) / 2, (ny + hy) / 2
    shirt = [
        (nx - half_top * 0.45, ny - 0.006),
        (nx + half_top * 0.45, ny - 0.006),
        (nx + half_top, ny + 0.03),
        (mx + half_mid, my),
        (hx + half_hip, hy + 0.03),
        (hx, hy + 0.045),
        (hx - half_hip, hy + 0.03),
        (mx - half_mid, my),
        (nx - half_top, ny + 0.03),
    ]
    seated = j.pose.name == "sitting"
    if looks.wear in ("skirt", "dress") and not seated:
        knee_y = (j.leg_a[1][1] + j.leg_b[1][1]) / 2
        hem = hy + (knee_y - hy) * 0.82
        low, high = min(j.leg_a[1][0], j.leg_b[1][0], hx - 0.07), max(j.leg_a[1][0], j.leg_b[1][0], hx + 0.07)
        skirt = pen.poly(
            [(hx - half_hip * 0.9, hy - 0.03), (hx + half_hip * 0.9, hy - 0.03), (high + 0.05, hem), (low - 0.05, hem)],
            0.02,
        )
        pen.fill(skirt, pen.main if looks.wear == "dress" else looks.legs, textured=looks.wear == "dress")
    elif looks.wear != "dress":
        pen.fill(pen.oval(hx, hy + 0.02, half_hip * 0.98, 0.05), looks.legs)
    pen.fill(pen.blob(shirt), textured=True)


def _arm(pen: Pen, arm: tuple[Point, Point, Point], looks: Looks, girth: float, far: bool = False) -> None:
    shoulder, elbow, wrist = arm
    skin, cloth = (dark(looks.skin, 0.15), dark(pen.main, 0.2)) if far else (looks.skin, dark(pen.main, 0.06))
    dx, dy = wrist[0] - elbow[0], wrist[1] - elbow[1]
    hand = (wrist[0] + dx * 0.14, wrist[1] + dy * 0.14)
    if looks.long_sleeves:
        pen.fill(pen.oval(*hand, 0.031), skin)
        pen.line([shoulder, elbow, wrist], cloth, 0.066 * girth, edge=True)
        return
    pen.line([shoulder, elbow, wrist], skin, 0.05 * girth, edge=True)
    pen.fill(pen.oval(*hand, 0.03), skin)
    middle = (shoulder[0] + (elbow[0] - shoulder[0]) * 0.6, shoulder[1] + (elbow[1] - shoulder[1]) * 0.6)
    pen.line([shoulder, middle], cloth, 0.07 * girth, edge=True)


def _long_hair(pen: Pen, j: Joints, hair: Colour) -> None:
    if j.pose.view == "back":
        return
    (x, y), r = j.head, j.build.head
    shift = -0.25 * r if j.pose.view == "side" else 0.0
    pen.fill(
        pen.blob(
            [
                (x + shift, y - r * 1.1),
                (x + shift + r * 1.08, y),
                (x + shift + r * 0.95, y + r * 1.7),
                (x + shift, y + r * 1.85),
                (x + shift - r * 0.95, y + r * 1.7),
                (x + shift - r * 1.08, y),
            ]
        ),
        dark(hair, 0.1),
    )


def _head(pen: Pen, j: Joints, looks: Looks) -> None:
    (x, y), r, view = j.head, j.build.head, j.pose.view
    marks, hair = face(j), looks.hair
    if view != "side":
        for ear in ("ear_a", "ear_b"):
            pen.fill(pen.oval(*marks[ear], r * 0.17, r * 0.22), looks.skin)
    if looks.hair_style == "bun":
        pen.fill(pen.oval(x - (r * 0.75 if view == "side" else 0), y - r * 1.12, r * 0.42), hair)
    if looks.hair_style == "curly":
        for dx, dy in ((-0.85, -0.3), (0.85, -0.3), (-0.55, -0.85), (0.55, -0.85), (0, -1.02)):
            pen.fill(pen.oval(x + dx * r, y + dy * r, r * 0.42), hair)
    pen.fill(pen.oval(x, y, r * 0.96, r), looks.skin)
    if view == "back":
        low = 1.75 if looks.hair_style == "long" else 0.72
        pen.fill(
            pen.blob(
                [
                    (x, y - r * 1.08),
                    (x + r * 1.02, y - r * 0.3),
                    (x + r * 0.85, y + r * low),
                    (x, y + r * (low + 0.12)),
                    (x - r * 0.85, y + r * low),
                    (x - r * 1.02, y - r * 0.3),
                ]
            ),
            hair,
        )
        return
    ink = (48, 36, 36)
    if view == "side":
        pen.fill(pen.oval(*marks["nose"], r * 0.14, r * 0.12), looks.skin)
        pen.plain(pen.oval(*marks["nose"], r * 0.13, r * 0.11), looks.skin)
        pen.dot(*marks["eye_b"], r * 0.11, ink)
        pen.fill(
            pen.blob(
                [
                    (x + r * 0.8, y - r * 0.62),
                    (x + r * 0.45, y - r * 1.04),
                    (x - r * 0.35, y - r * 1.08),
                    (x - r * 1.04, y - r * 0.3),
                    (x - r * 0.82, y + r * 0.62),
                    (x - r * 0.4, y + r * 0.5),
                    (x - r * 0.32, y - r * 0.25),
                    (x + r * 0.3, y - r * 0.5),
                ]
            ),
            hair,
        )
        pen.fill(pen.oval(*marks["ear_b"], r * 0.15, r * 0.2), looks.skin)
        pen.line(
            [(x + r * 0.5, y + r * 0.44), (x + r * 0.64, y + r * 0.5), (x + r * 0.78, y + r * 0.4)],
            (150, 60, 60),
            r * 0.09,
            smooth=True,
        )
    else:
        for eye in ("eye_a", "eye_b"):
            pen.dot(*marks[eye], r * 0.12, ink)
        nx, ny = marks["nose"]
        pen.line([(nx - r * 0.06, ny), (nx + r * 0.06, ny + r * 0.02)], dark(looks.skin, 0.3), r * 0.1)
        for cheek in (-0.52, 0.52):
            pen.plain(pen.oval(x + cheek * r, ny + r * 0.16, r * 0.17), mix(looks.skin, (232, 90, 90), 0.4), 0.6)
        sag = 0.14 if looks.smile else 0.0
        pen.line(
            [(nx - r * 0.24, ny + r * 0.4), (nx, ny + r * (0.4 + sag)), (nx + r * 0.24, ny + r * 0.4)],
            (150, 60, 60),
            r * 0.09,
            smooth=True,
        )
        pen.fill(
            pen.blob(
                [
                    (x - r * 0.98, y - r * 0.05),
                    (x - r * 0.86, y - r * 0.72),
                    (x, y - r * 1.12),
                    (x + r * 0.86, y - r * 0.72),
                    (x + r * 0.98, y - r * 0.05),
                    (x + r * 0.74, y - r * 0.42),
                    (x + r * 0.2, y - r * 0.58),
                    (x - r * 0.45, y - r * 0.46),
                ]
            ),
            hair,
        )
    if looks.hair_style == "cap":
        pen.fill(
            pen.blob(
                [
                    (x - r * 0.98, y - r * 0.4),
                    (x - r * 0.8, y - r * 1.0),
                    (x, y - r * 1.24),
                    (x + r * 0.8, y - r * 1.0),
                    (x + r * 0.98, y - r * 0.4),
                ]
            ),
            looks.shoes,
        )
        reach = 1.5 if view == "side" else 1.05
        pen.fill(
            pen.box(x - (r * 0.2 if view == "side" else r), y - r * 0.52, x + r * reach, y - r * 0.34, r * 0.08),
            dark(looks.shoes, 0.2),
        )
