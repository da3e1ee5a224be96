"""Draws backgrounds: sky or wall, ground or floor, and clutter that has no label."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import skia

from backbone.world.paint.brush import Brush
from backbone.world.paint.palette import Colour, clamp, dark, mix, pale
from backbone.world.paint.pen import Pen


@dataclass(frozen=True)
class Background:
    """A place.

    Attributes:
        name: Its name in captions, with preposition.
        kind: "out", "in" or "water".
        horizon: Height at which the ground begins, as a share of the picture's height from the top.
        sky: Colours of sky or wall, at the top and at the horizon.
        ground: Colours of the ground, at the horizon and at the bottom.
        paint: Draws what is specific to the place.
        clutter: Small marks on the ground: "grass", "stones", "rug", "boards", "leaves", "waves" or "none".
    """

    name: str
    kind: str
    horizon: float
    sky: tuple[Colour, Colour]
    ground: tuple[Colour, Colour]
    paint: Callable[[Brush], None]
    clutter: str


def _meadow(b: Brush) -> None:
    b.clouds(3)
    b.hills(b.horizon + 0.02, 0.14, (150, 192, 140))
    b.hills(b.horizon + 0.04, 0.07, (132, 184, 112), 6)


def _park(b: Brush) -> None:
    b.clouds(2)
    b.hills(b.horizon + 0.03, 0.1, (140, 186, 140))
    for _ in range(4):
        b.tree(b.rng.uniform(0, b.wide), b.horizon + 0.04, b.rng.uniform(0.25, 0.4), (104, 164, 92))
    path = Pen.poly(
        [
            (b.wide * 0.42, b.horizon + 0.03),
            (b.wide * 0.5, b.horizon + 0.03),
            (b.wide * 0.8, 1.02),
            (b.wide * 0.2, 1.02),
        ]
    )
    b.shape(path, (226, 206, 168))


def _street(b: Brush) -> None:
    b.clouds(2)
    x = -0.05
    while x < b.wide + 0.1:
        half = b.rng.uniform(0.09, 0.14)
        b.house(
            x + half,
            b.horizon + 0.02,
            half,
            b.rng.uniform(0.2, 0.36),
            b.rng.choice(((226, 200, 172), (206, 178, 168), (190, 200, 206), (232, 216, 180), (200, 170, 150))),
            b.rng.random() < 0.5,
        )
        x += 2 * half
    b.shape(Pen.box(-0.1, b.horizon, b.wide + 0.1, b.horizon + 0.1), (206, 202, 196))
    b.shape(Pen.box(-0.1, b.horizon + 0.1, b.wide + 0.1, b.horizon + 0.112), (170, 168, 166))
    for i in range(6):
        b.shape(Pen.box(i * 0.3 + 0.02, 0.8, i * 0.3 + 0.16, 0.812), (226, 224, 216))


def _beach(b: Brush) -> None:
    b.clouds(2)
    b.fade(b.horizon - 0.1, b.horizon + 0.06, (70, 150, 196), (126, 200, 214))
    for i in range(4):
        y = b.horizon - 0.06 + i * 0.03
        b.shape(Pen.box(b.rng.uniform(0, b.wide), y, b.rng.uniform(0, b.wide) + 0.2, y + 0.004), (220, 240, 244), 0.7)
    b.shape(
        Pen.blob(
            [
                (-0.2, b.horizon + 0.05),
                (b.wide * 0.3, b.horizon + 0.075),
                (b.wide * 0.7, b.horizon + 0.05),
                (b.wide + 0.2, b.horizon + 0.07),
                (b.wide + 0.2, b.horizon + 0.1),
                (-0.2, b.horizon + 0.1),
            ]
        ),
        (250, 250, 246),
        0.9,
    )
    b.shape(
        Pen.blob(
            [
                (-0.2, b.horizon + 0.065),
                (b.wide * 0.3, b.horizon + 0.09),
                (b.wide * 0.7, b.horizon + 0.065),
                (b.wide + 0.2, b.horizon + 0.085),
                (b.wide + 0.2, 0.7),
                (-0.2, 0.7),
            ]
        ),
        (238, 216, 170),
    )


def _snow(b: Brush) -> None:
    b.hills(b.horizon + 0.02, 0.24, (196, 212, 230), 3)
    b.hills(b.horizon + 0.03, 0.1, (224, 234, 244), 5)
    for _ in range(4):
        b.tree(b.rng.uniform(0, b.wide), b.horizon + 0.04, b.rng.uniform(0.16, 0.3), (96, 140, 128), fir=True)


def _farm(b: Brush) -> None:
    b.clouds(2)
    b.hills(b.horizon + 0.02, 0.08, (190, 196, 120))
    b.house(b.wide * b.rng.uniform(0.15, 0.85), b.horizon + 0.04, 0.16, 0.17, (186, 104, 86))
    for i in range(18):
        x = i * 0.11
        b.shape(Pen.box(x, b.horizon, x + 0.018, b.horizon + 0.09, 0.005), (240, 232, 216))
    for y in (0.02, 0.055):
        b.shape(Pen.box(-0.1, b.horizon + y, b.wide + 0.1, b.horizon + y + 0.014), (240, 232, 216))


def _forest(b: Brush) -> None:
    b.hills(b.horizon + 0.02, 0.3, (150, 186, 150), 7)
    for k in range(9):
        b.tree(
            b.rng.uniform(-0.05, b.wide + 0.05),
            b.horizon + 0.01 + 0.004 * k,
            b.rng.uniform(0.3, 0.52),
            (84, 142, 94),
            fir=b.rng.random() < 0.6,
        )


def _town_square(b: Brush) -> None:
    b.clouds(3)
    for k in range(3):
        b.house(
            b.wide * (0.12 + 0.38 * k),
            b.horizon + 0.02,
            0.13,
            b.rng.uniform(0.22, 0.3),
            b.rng.choice(((240, 220, 186), (222, 190, 170), (204, 212, 200))),
        )
    for k in range(7):
        b.shape(
            Pen.box(-0.1, b.horizon + 0.02 + 0.012 * k * k, b.wide + 0.1, b.horizon + 0.024 + 0.012 * k * k),
            (196, 180, 164),
            0.7,
        )


def _lake(b: Brush) -> None:
    b.clouds(3)
    b.hills(b.horizon + 0.01, 0.14, (132, 172, 146), 5)


def _room(wall: Colour, picture: Colour) -> Callable[[Brush], None]:
    def paint(b: Brush) -> None:
        for i in range(10):
            b.shape(Pen.box(i * 0.16, 0, i * 0.16 + 0.06, b.horizon), pale(wall, 0.25), 0.5)
        x = b.rng.uniform(0.15, 0.4) * b.wide
        b.shape(Pen.box(x - 0.13, 0.1, x + 0.13, 0.4, 0.01), (250, 248, 242))
        b.shape(Pen.box(x - 0.11, 0.12, x + 0.11, 0.38), (184, 220, 240))
        b.shape(Pen.box(x - 0.008, 0.12, x + 0.008, 0.38), (250, 248, 242))
        for way in (-1, 1):
            b.shape(
                Pen.poly(
                    [(x + way * 0.17, 0.07), (x + way * 0.06, 0.07), (x + way * 0.13, 0.46), (x + way * 0.17, 0.46)],
                    0.01,
                ),
                picture,
            )
        for x in sorted(b.rng.uniform(0.55, 0.95) * b.wide for _ in range(b.rng.randint(0, 2))):
            y, half = b.rng.uniform(0.16, 0.26), b.rng.uniform(0.05, 0.08)
            b.shape(Pen.box(x - half, y - half * 0.8, x + half, y + half * 0.8, 0.004), (138, 108, 84))
            b.shape(Pen.box(x - half * 0.86, y - half * 0.66, x + half * 0.86, y + half * 0.66), (236, 232, 220))
            b.shape(
                Pen.poly([(x - half * 0.7, y + half * 0.6), (x, y - half * 0.3), (x + half * 0.7, y + half * 0.6)]),
                mix(wall, picture, 0.6),
            )
        b.shape(Pen.box(-0.1, b.horizon - 0.02, b.wide + 0.1, b.horizon), pale(wall, 0.6))

    return paint


def _kitchen(b: Brush) -> None:
    for row in range(6):
        for i in range(12):
            b.shape(
                Pen.box(i * 0.13 + 0.004, row * 0.1 + 0.004, i * 0.13 + 0.126, row * 0.1 + 0.096, 0.01),
                (226, 236, 232),
                0.8,
            )
    b.shape(Pen.box(-0.1, b.horizon - 0.22, b.wide + 0.1, b.horizon), (206, 178, 142))
    b.shape(Pen.box(-0.1, b.horizon - 0.25, b.wide + 0.1, b.horizon - 0.21), (150, 140, 134))
    for i in range(7):
        b.shape(Pen.box(i * 0.22 + 0.02, b.horizon - 0.18, i * 0.22 + 0.2, b.horizon - 0.03, 0.01), (220, 194, 160))
        b.shape(Pen.box(i * 0.22 + 0.16, b.horizon - 0.13, i * 0.22 + 0.18, b.horizon - 0.09, 0.005), (140, 120, 104))


def _moon(b: Brush) -> None:
    for _ in range(40):
        b.shape(
            Pen.oval(b.rng.uniform(0, b.wide), b.rng.uniform(0, b.horizon), b.rng.uniform(0.001, 0.004)),
            (255, 255, 240),
        )
    b.hills(b.horizon + 0.02, 0.1, (150, 148, 160), 3)
    for _ in range(6):
        b.shape(
            Pen.oval(b.rng.uniform(0, b.wide), b.rng.uniform(b.horizon + 0.06, 1), b.rng.uniform(0.04, 0.1), 0.02),
            (150, 148, 160),
        )


def _canyon(b: Brush) -> None:
    for k, colour in enumerate(((206, 134, 96), (190, 112, 80), (172, 94, 70))):
        step = 0.22
        x = -0.1 - 0.07 * k
        while x < b.wide + 0.2:
            tall = b.rng.uniform(0.1, 0.34) * (1 - 0.22 * k)
            b.shape(
                Pen.box(x, b.horizon + 0.02 - tall, x + step * b.rng.uniform(0.5, 0.95), b.horizon + 0.05, 0.012),
                colour,
            )
            x += step


def _night_city(b: Brush) -> None:
    x = -0.05
    while x < b.wide + 0.1:
        half, tall = b.rng.uniform(0.05, 0.1), b.rng.uniform(0.2, 0.48)
        b.shape(Pen.box(x, b.horizon - tall, x + 2 * half, b.horizon + 0.02), (62, 70, 104))
        for row in range(int(tall / 0.05)):
            for k in range(3):
                if b.rng.random() < 0.5:
                    b.shape(
                        Pen.box(
                            x + 0.02 + k * half * 0.6,
                            b.horizon - tall + 0.02 + row * 0.05,
                            x + 0.045 + k * half * 0.6,
                            b.horizon - tall + 0.04 + row * 0.05,
                        ),
                        (250, 220, 140),
                    )
        x += 2 * half + 0.01


_DAY: tuple[Colour, Colour] = ((136, 196, 236), (214, 236, 244))
BACKGROUNDS: dict[str, Background] = {
    "meadow": Background("in a meadow", "out", 0.5, _DAY, ((150, 196, 104), (116, 170, 84)), _meadow, "grass"),
    "park": Background("in a park", "out", 0.48, _DAY, ((156, 198, 116), (128, 178, 96)), _park, "grass"),
    "street": Background("on a street", "out", 0.5, _DAY, ((160, 160, 164), (140, 140, 146)), _street, "none"),
    "beach": Background(
        "on a beach",
        "out",
        0.46,
        ((120, 190, 236), (210, 238, 246)),
        ((240, 220, 176), (230, 204, 152)),
        _beach,
        "stones",
    ),
    "snow": Background(
        "in the snow", "out", 0.5, ((176, 202, 226), (228, 236, 244)), ((238, 244, 250), (218, 228, 240)), _snow, "none"
    ),
    "farm": Background("on a farm", "out", 0.48, _DAY, ((196, 192, 116), (170, 166, 92)), _farm, "grass"),
    "forest": Background(
        "in a forest",
        "out",
        0.52,
        ((180, 214, 210), (216, 234, 214)),
        ((132, 156, 92), (110, 128, 76)),
        _forest,
        "leaves",
    ),
    "town square": Background(
        "in a town square", "out", 0.48, _DAY, ((222, 208, 190), (204, 188, 168)), _town_square, "stones"
    ),
    "lake": Background("on a lake", "water", 0.42, _DAY, ((112, 176, 208), (64, 132, 184)), _lake, "waves"),
    "living room": Background(
        "in a living room",
        "in",
        0.58,
        ((226, 214, 190), (236, 226, 206)),
        ((196, 152, 106), (176, 130, 88)),
        _room((226, 214, 190), (196, 130, 110)),
        "rug",
    ),
    "bedroom": Background(
        "in a bedroom",
        "in",
        0.58,
        ((190, 206, 222), (206, 220, 232)),
        ((214, 190, 158), (196, 168, 134)),
        _room((190, 206, 222), (150, 160, 200)),
        "boards",
    ),
    "playroom": Background(
        "in a playroom",
        "in",
        0.57,
        ((204, 224, 196), (220, 234, 210)),
        ((222, 200, 160), (206, 180, 138)),
        _room((204, 224, 196), (240, 200, 110)),
        "rug",
    ),
    "kitchen": Background(
        "in a kitchen",
        "in",
        0.58,
        ((208, 222, 218), (220, 230, 226)),
        ((206, 196, 186), (186, 174, 164)),
        _kitchen,
        "boards",
    ),
}
SHIFTED_BACKGROUNDS: dict[str, Background] = {
    "moon": Background(
        "on the moon", "out", 0.5, ((24, 26, 52), (52, 50, 84)), ((176, 174, 182), (140, 138, 150)), _moon, "stones"
    ),
    "canyon": Background(
        "in a canyon",
        "out",
        0.5,
        ((246, 190, 130), (252, 224, 176)),
        ((216, 160, 112), (190, 128, 88)),
        _canyon,
        "stones",
    ),
    "night city": Background(
        "in a city at night",
        "out",
        0.54,
        ((30, 36, 74), (84, 80, 128)),
        ((104, 104, 124), (84, 84, 104)),
        _night_city,
        "none",
    ),
}
ALL_BACKGROUNDS = BACKGROUNDS | SHIFTED_BACKGROUNDS


def paint_background(canvas: skia.Canvas, place: Background, wide: float, rng: random.Random) -> None:
    """Draw a background over the whole canvas, in units of the picture's height."""
    b = Brush(canvas, wide, place.horizon, rng)
    drift = rng.uniform(-8, 8)
    sky, ground = ([clamp([p + drift for p in c]) for c in pair] for pair in (place.sky, place.ground))
    b.fade(-0.01, place.horizon, sky[0], sky[1])
    b.fade(place.horizon - 0.001, 1.01, ground[0], ground[1])
    place.paint(b)
    _clutter(b, place.clutter, ground)


def _clutter(b: Brush, kind: str, ground: list[Colour]) -> None:
    rng, low = b.rng, b.horizon + 0.08
    if kind == "rug":
        b.shape(Pen.oval(b.wide / 2, 0.85, b.wide * 0.42, 0.12), (214, 176, 160))
        b.shape(Pen.oval(b.wide / 2, 0.85, b.wide * 0.36, 0.095), (228, 198, 180))
    if kind in ("boards", "rug"):
        for k in range(1, 5):
            y = b.horizon + (1 - b.horizon) * (k / 5) ** 1.6
            b.shape(Pen.box(-0.1, y, b.wide + 0.1, y + 0.003), dark(ground[1], 0.2), 0.5)
    marks = {"grass": 26, "stones": 14, "leaves": 24, "waves": 16}.get(kind, 0)
    for _ in range(rng.randint(marks // 2, marks) if marks else 0):
        x, y = rng.uniform(0, b.wide), rng.uniform(low, 0.99)
        size = 0.012 + 0.02 * (y - b.horizon)
        if kind == "grass" and rng.random() < 0.25:
            b.shape(Pen.oval(x, y, size * 0.5), rng.choice(((252, 250, 240), (250, 226, 120), (240, 180, 200))))
        elif kind == "grass":
            for lean in (-0.6, 0.0, 0.6):
                b.shape(
                    Pen.poly([(x - size * 0.2, y), (x + size * 0.2, y), (x + lean * size, y - size * 1.4)]),
                    dark(ground[1], 0.16),
                )
        elif kind == "waves":
            b.shape(Pen.oval(x, y, size * 3, size * 0.22), (214, 236, 244), 0.6)
        elif kind == "leaves":
            b.shape(
                Pen.oval(x, y, size * 0.7, size * 0.35, rng.uniform(0, 180)),
                rng.choice(((196, 140, 70), (170, 110, 60), (214, 170, 84))),
            )
        else:
            b.shape(Pen.oval(x, y, size * 0.8, size * 0.4), dark(ground[1], rng.uniform(0.05, 0.2)))
