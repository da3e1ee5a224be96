"""Draws animals, facing right."""

from backbone.world.paint.palette import Colour, dark, mix, pale
from backbone.world.paint.pen import Pen, Point

INK = (44, 36, 38)
WHITE = (246, 244, 240)


def _four_legs(
    pen: Pen, xs: tuple[float, float, float, float], top: float, width: float, hoof: Colour | None = None
) -> None:
    """Draw legs from ``top`` to the ground: the far pair at ``xs[0]`` and ``xs[1]`` first, darker."""
    for i, x in enumerate(xs):
        colour = dark(pen.main, 0.22) if i < 2 else pen.main
        pen.line([(x, top), (x, -width / 2)], colour, width, edge=True)
        if hoof:
            pen.line([(x, -width * 0.75), (x, -width / 2)], hoof, width)


def dog(pen: Pen, shape: int, text: str) -> None:
    """Draw a dog: long-legged, long-bodied, or small and fluffy."""
    legs, body = ((0.42, 0.0), (0.3, 0.12), (0.34, 0.0))[shape]
    long, main = 0.5 + body, pen.main
    _four_legs(pen, (-long + 0.2, long - 0.28, -long + 0.1, long - 0.16), -legs, 0.1)
    pen.line(
        [(-long + 0.06, -legs - 0.22), (-long - 0.1, -legs - 0.38), (-long - 0.08, -legs - 0.52)],
        main,
        0.075,
        smooth=True,
        edge=True,
    )
    pen.fill(
        pen.blob(
            [
                (-long, -legs - 0.12),
                (-long + 0.12, -legs - 0.28),
                (0, -legs - 0.25),
                (long - 0.12, -legs - 0.32),
                (long, -legs - 0.1),
                (long - 0.2, -legs + 0.06),
                (0, -legs + 0.01),
                (-long + 0.15, -legs + 0.05),
            ]
        ),
        textured=True,
    )
    hx, hy = long + 0.02, -0.76
    pen.line([(long - 0.14, -legs - 0.14), (hx - 0.03, hy)], main, 0.2, edge=True)
    pen.fill(
        pen.blob(
            [
                (hx - 0.17, hy - 0.08),
                (hx, hy - 0.19),
                (hx + 0.13, hy - 0.1),
                (hx + 0.32, hy - 0.04),
                (hx + 0.33, hy + 0.07),
                (hx + 0.12, hy + 0.14),
                (hx - 0.12, hy + 0.12),
            ]
        )
    )
    pen.fill(pen.oval(hx + 0.31, hy - 0.02, 0.05, 0.042), INK)
    pen.line([(hx + 0.3, hy + 0.06), (hx + 0.2, hy + 0.085), (hx + 0.13, hy + 0.06)], INK, 0.014, smooth=True)
    pen.eye(hx + 0.08, hy - 0.06, 0.032)
    if shape == 1:
        pen.fill(
            pen.poly([(hx - 0.15, hy - 0.1), (hx - 0.1, hy - 0.32), (hx + 0.03, hy - 0.15)], 0.03), dark(main, 0.2)
        )
    else:
        pen.fill(pen.oval(hx - 0.12, hy + 0.02, 0.085, 0.17, 8), dark(main, 0.22))
    pen.line(
        [(hx - 0.16, hy + 0.17), (hx + 0.0, hy + 0.2)], (206, 52, 50) if sum(main) > 300 else (90, 160, 220), 0.045
    )


def cat(pen: Pen, shape: int, text: str) -> None:
    """Draw a cat: sitting, from the front, or walking."""
    main = pen.main
    if shape == 2:
        _four_legs(pen, (-0.32, 0.24, -0.4, 0.34), -0.34, 0.1)
        pen.line([(-0.44, -0.42), (-0.66, -0.56), (-0.62, -0.86)], main, 0.08, smooth=True, edge=True)
        pen.fill(
            pen.blob(
                [(-0.5, -0.4), (-0.36, -0.54), (0.1, -0.5), (0.4, -0.54), (0.46, -0.36), (0.3, -0.25), (-0.35, -0.25)]
            ),
            textured=True,
        )
        x, y, r = 0.48, -0.66, 0.21
    else:
        lean = 0.0 if shape == 0 else 0.06
        pen.line([(-0.2, -0.08), (-0.46, -0.1), (-0.5, -0.34)], main, 0.08, smooth=True, edge=True)
        pen.fill(
            pen.blob(
                [
                    (lean, -0.62),
                    (0.2 + lean, -0.42),
                    (0.28, -0.1),
                    (0.18, 0),
                    (-0.2, 0),
                    (-0.3, -0.12),
                    (-0.2 + lean, -0.42),
                ]
            ),
            textured=True,
        )
        pen.fill(pen.oval(lean, -0.34, 0.11, 0.16), pale(main, 0.55), edge=False)
        for paw in (-0.09, 0.1):
            pen.line([(paw, -0.22), (paw, -0.04)], main, 0.09, edge=True)
        x, y, r = lean, -0.7, 0.22
    for way in (-1, 1):
        pen.fill(
            pen.poly(
                [(x + way * r * 0.95, y - 0.02), (x + way * r * 0.92, y - r * 1.4), (x + way * r * 0.12, y - r * 0.8)],
                0.02,
            )
        )
        pen.plain(
            pen.poly(
                [
                    (x + way * r * 0.78, y - r * 0.5),
                    (x + way * r * 0.8, y - r * 1.12),
                    (x + way * r * 0.35, y - r * 0.78),
                ],
                0.02,
            ),
            (240, 160, 170),
        )
    pen.fill(pen.oval(x, y, r * 1.08, r * 0.92))
    for way in (-1, 1):
        pen.plain(pen.oval(x + way * r * 0.42, y - 0.02, 0.045, 0.052), (196, 220, 96))
        pen.dot(x + way * r * 0.42, y - 0.02, 0.026, INK)
        for slope in (-0.02, 0.03):
            pen.line(
                [(x + way * 0.08, y + 0.085 + slope * 0.3), (x + way * 0.27, y + 0.07 + slope)], pale(INK, 0.5), 0.008
            )
    pen.plain(pen.poly([(x - 0.03, y + 0.05), (x + 0.03, y + 0.05), (x, y + 0.085)]), (226, 110, 130))
    pen.line(
        [(x - 0.07, y + 0.1), (x - 0.035, y + 0.125), (x, y + 0.095), (x + 0.035, y + 0.125), (x + 0.07, y + 0.1)],
        INK,
        0.012,
    )


def horse(pen: Pen, shape: int, text: str) -> None:
    """Draw a horse, or a stockier pony."""
    mane = dark(pen.main, 0.5) if sum(pen.main) > 200 else (110, 100, 96)
    low = 0.0 if shape == 0 else 0.06
    _four_legs(pen, (-0.26, 0.26, -0.36, 0.34), -0.44, 0.075, INK)
    pen.line([(-0.42, -0.62), (-0.54, -0.5), (-0.52, -0.26)], mane, 0.075, smooth=True, edge=True)
    pen.fill(
        pen.blob(
            [
                (-0.45, -0.55),
                (-0.32, -0.69),
                (0, -0.64),
                (0.3, -0.68),
                (0.45, -0.52),
                (0.3, -0.37 + low),
                (0, -0.36 + low),
                (-0.32, -0.38 + low),
            ]
        ),
        textured=True,
    )
    pen.fill(
        pen.blob(
            [
                (0.18, -0.62),
                (0.34, -0.86 + low),
                (0.46, -0.93 + low),
                (0.56, -0.84 + low),
                (0.5, -0.68),
                (0.45, -0.46),
                (0.3, -0.46),
            ]
        )
    )
    pen.fill(
        pen.blob(
            [
                (0.4, -0.9 + low),
                (0.5, -0.96 + low),
                (0.6, -0.88 + low),
                (0.74, -0.72 + low),
                (0.7, -0.63 + low),
                (0.6, -0.65 + low),
                (0.46, -0.78 + low),
            ]
        )
    )
    pen.fill(pen.poly([(0.42, -0.92 + low), (0.43, -1.0 + low), (0.51, -0.94 + low)], 0.015))
    pen.line([(0.46, -0.97 + low), (0.33, -0.86 + low), (0.2, -0.66)], mane, 0.075, smooth=True, edge=True)
    pen.eye(0.54, -0.85 + low, 0.02)
    pen.dot(0.69, -0.69 + low, 0.012, INK)


def cow(pen: Pen, shape: int, text: str) -> None:
    """Draw a cow: spotted, or plain with horns."""
    main = pen.main
    patch = INK if sum(main) > 330 else WHITE
    _four_legs(pen, (-0.46, 0.34, -0.58, 0.44), -0.36, 0.12, INK)
    pen.line([(-0.68, -0.7), (-0.78, -0.5), (-0.76, -0.3)], main, 0.045, smooth=True, edge=True)
    pen.fill(pen.oval(-0.3, -0.3, 0.12, 0.07), (244, 170, 180))
    body = pen.blob(
        [(-0.7, -0.6), (-0.6, -0.84), (0, -0.82), (0.5, -0.86), (0.62, -0.56), (0.45, -0.34), (0, -0.3), (-0.55, -0.34)]
    )
    pen.fill(body, textured=shape == 1)
    if shape == 0:
        pen.canvas.save()
        pen.canvas.clipPath(body, True)
        for x, y, rx, ry in ((-0.42, -0.7, 0.16, 0.13), (0.05, -0.48, 0.17, 0.12), (0.34, -0.78, 0.14, 0.11)):
            pen.plain(pen.oval(x, y, rx, ry, 20), patch)
        pen.canvas.restore()
    for way in (-1, 1):
        pen.fill(pen.oval(0.72 + way * 0.22, -0.84, 0.1, 0.05, way * 20))
        pen.line([(0.72 + way * 0.1, -0.94), (0.72 + way * 0.15, -1.0)], (232, 220, 190), 0.05, edge=True)
    pen.fill(
        pen.blob([(0.57, -0.92), (0.72, -0.98), (0.87, -0.92), (0.85, -0.7), (0.8, -0.56), (0.64, -0.56), (0.59, -0.7)])
    )
    pen.fill(pen.oval(0.72, -0.58, 0.14, 0.09), (244, 180, 184))
    for way in (-1, 1):
        pen.eye(0.72 + way * 0.07, -0.8, 0.028)
        pen.dot(0.72 + way * 0.05, -0.59, 0.018, (150, 80, 90))


def sheep(pen: Pen, shape: int, text: str) -> None:
    """Draw a sheep with a dark or a pale face."""
    face = INK if shape == 0 else (232, 206, 180)
    if sum(pen.main) < 200:
        face = (232, 206, 180)
    for i, x in enumerate((-0.28, 0.24, -0.4, 0.34)):
        pen.line([(x, -0.3), (x, -0.04)], dark(face, 0.2) if i < 2 else face, 0.085, edge=True)
    for wide in (True, False):
        for x, y in (
            (-0.46, -0.52),
            (-0.34, -0.74),
            (-0.08, -0.82),
            (0.2, -0.78),
            (0.42, -0.62),
            (0.42, -0.42),
            (0.16, -0.32),
            (-0.14, -0.32),
            (-0.4, -0.36),
        ):
            pen.fill(pen.oval(x, y, 0.19 if wide else 0.17), edge=wide)
    pen.fill(pen.oval(0, -0.56, 0.42, 0.26), edge=False, textured=True)
    pen.fill(pen.oval(0.46, -0.72, 0.1, 0.05, 30), face)
    pen.fill(pen.oval(0.62, -0.64, 0.15, 0.2, -25), face)
    pen.fill(pen.oval(0.52, -0.84, 0.14, 0.1))
    pen.plain(pen.oval(0.65, -0.68, 0.035), WHITE)
    pen.dot(0.66, -0.68, 0.02, (20, 20, 20))


def bird(pen: Pen, shape: int, text: str) -> None:
    """Draw a bird: standing, or flying with spread wings."""
    main = pen.main
    if shape == 1:
        pen.fill(pen.poly([(-0.3, -0.42), (-0.85, -0.56), (-0.8, -0.34)], 0.03), dark(main, 0.2))
        pen.fill(pen.blob([(0.1, -0.5), (-0.05, -0.9), (-0.4, -1.0), (-0.25, -0.6)]), dark(main, 0.25))
        pen.fill(
            pen.blob([(-0.45, -0.44), (0, -0.58), (0.4, -0.52), (0.5, -0.36), (0.3, -0.24), (-0.1, -0.26)]),
            textured=True,
        )
        pen.fill(pen.blob([(0.12, -0.46), (-0.1, -0.02), (-0.42, 0.0), (-0.28, -0.4)]), dark(main, 0.1))
        x, y = 0.48, -0.5
    else:
        for leg in (-0.04, 0.12):
            pen.line([(leg, -0.24), (leg, -0.02), (leg + 0.1, -0.02)], (232, 140, 50), 0.04)
        pen.fill(pen.poly([(-0.32, -0.4), (-0.78, -0.34), (-0.74, -0.2), (-0.3, -0.24)], 0.03), dark(main, 0.25))
        pen.fill(pen.blob([(-0.42, -0.36), (-0.1, -0.62), (0.28, -0.72), (0.42, -0.5), (0.26, -0.22), (-0.1, -0.16)]))
        pen.fill(pen.oval(0.18, -0.34, 0.17, 0.15), pale(main, 0.5), edge=False)
        pen.fill(
            pen.blob([(-0.46, -0.32), (-0.1, -0.56), (0.14, -0.44), (-0.02, -0.28)]), dark(main, 0.18), textured=True
        )
        x, y = 0.3, -0.76
    pen.fill(pen.poly([(x + 0.16, y - 0.07), (x + 0.42, y + 0.03), (x + 0.15, y + 0.1)], 0.02), (244, 166, 50))
    pen.fill(pen.oval(x, y, 0.22))
    pen.eye(x + 0.08, y - 0.05, 0.045)


def duck(pen: Pen, shape: int, text: str) -> None:
    """Draw a duck: swimming or standing."""
    if shape == 1:
        for leg in (-0.1, 0.08):
            pen.line([(leg, -0.2), (leg, -0.03), (leg + 0.12, -0.03)], (238, 140, 40), 0.05)
    up = 0.0 if shape == 0 else -0.12
    pen.fill(
        pen.blob(
            [
                (-0.66, -0.44 + up),
                (-0.4, -0.36 + up),
                (0, -0.4 + up),
                (0.32, -0.44 + up),
                (0.44, -0.22 + up),
                (0.24, up),
                (-0.3, up),
                (-0.54, -0.18 + up),
            ]
        )
    )
    pen.fill(
        pen.blob([(-0.48, -0.26 + up), (-0.1, -0.36 + up), (0.16, -0.24 + up), (-0.08, -0.1 + up)]),
        dark(pen.main, 0.15),
        textured=True,
    )
    pen.line([(0.26, -0.3 + up), (0.3, -0.6)], pen.main, 0.2, edge=True)
    pen.fill(pen.blob([(0.46, -0.74), (0.76, -0.7), (0.74, -0.61), (0.46, -0.6)]), (244, 150, 40))
    pen.fill(pen.oval(0.32, -0.74, 0.23))
    pen.eye(0.4, -0.8, 0.042)


def elephant(pen: Pen, shape: int, text: str) -> None:
    """Draw an elephant with its trunk down or raised."""
    main = pen.main
    for i, x in enumerate((-0.24, 0.22, -0.4, 0.34)):
        pen.fill(pen.box(x - 0.1, -0.42, x + 0.1, 0, 0.05), dark(main, 0.2) if i < 2 else main)
    pen.line([(-0.52, -0.6), (-0.62, -0.4)], main, 0.035, edge=True)
    pen.fill(
        pen.blob(
            [(-0.56, -0.52), (-0.42, -0.84), (0, -0.92), (0.36, -0.86), (0.48, -0.5), (0.3, -0.28), (-0.4, -0.28)]
        ),
        textured=True,
    )
    trunk = (
        [(0.66, -0.64), (0.8, -0.44), (0.8, -0.14), (0.9, -0.08)]
        if shape == 0
        else [(0.66, -0.64), (0.88, -0.5), (1.0, -0.7), (0.96, -0.94)]
    )
    pen.line([(0.66, -0.5), (0.78, -0.36)], WHITE, 0.05, edge=True)
    pen.line(trunk, main, 0.12, smooth=True, edge=True)
    pen.fill(pen.oval(0.54, -0.7, 0.25, 0.27))
    pen.fill(pen.blob([(0.46, -0.94), (0.2, -0.96), (0.14, -0.62), (0.32, -0.42), (0.46, -0.6)]), dark(main, 0.12))
    pen.eye(0.62, -0.74, 0.028)


def rabbit(pen: Pen, shape: int, text: str) -> None:
    """Draw a rabbit with both ears up, or one down."""
    main = pen.main
    pen.fill(pen.oval(-0.4, -0.2, 0.12), WHITE if sum(main) < 650 else (226, 220, 220))
    for ear, turn in (((0.2, -0.8), -12.0), ((0.34, -0.8), 10.0 if shape == 0 else 62.0)):
        shift = (0.1, 0.12) if turn > 50 else (0.0, 0.0)
        pen.fill(pen.oval(ear[0] + shift[0], ear[1] + shift[1], 0.075, 0.22, turn))
        pen.plain(pen.oval(ear[0] + shift[0], ear[1] + shift[1], 0.035, 0.15, turn), (244, 176, 186))
    pen.fill(
        pen.blob([(-0.42, -0.2), (-0.28, -0.44), (0.04, -0.48), (0.26, -0.34), (0.26, -0.06), (0.1, 0), (-0.3, 0)]),
        textured=True,
    )
    pen.fill(pen.oval(-0.18, -0.08, 0.19, 0.09), mix(main, (255, 255, 255), 0.1))
    pen.fill(pen.oval(0.2, -0.05, 0.12, 0.055))
    pen.fill(pen.oval(0.28, -0.5, 0.2, 0.17))
    pen.eye(0.34, -0.54, 0.034)
    pen.dot(0.47, -0.49, 0.026, (226, 110, 130))


def fish(pen: Pen, shape: int, text: str) -> None:
    """Draw a fish: round or long."""
    tall, long = ((0.42, 0.62), (0.32, 0.8))[shape]
    pen.fill(
        pen.poly([(-long + 0.1, -0.5), (-long - 0.34, -0.86), (-long - 0.24, -0.5), (-long - 0.34, -0.14)], 0.06),
        dark(pen.main, 0.15),
    )
    fin: list[Point] = [(-0.2, -0.5 - tall * 0.85), (0.1, -0.56 - tall), (0.3, -0.5 - tall * 0.7)]
    pen.fill(pen.poly(fin, 0.03), dark(pen.main, 0.15))
    pen.fill(
        pen.blob(
            [
                (long, -0.5),
                (0.3, -0.5 - tall * 0.9),
                (-0.2, -0.5 - tall * 0.85),
                (-long, -0.5),
                (-0.2, -0.5 + tall * 0.85),
                (0.3, -0.5 + tall * 0.9),
            ]
        ),
        textured=True,
    )
    pen.fill(pen.oval(0, -0.42, 0.15, 0.09, 25), dark(pen.main, 0.2))
    pen.plain(pen.oval(long * 0.62, -0.58, 0.09), WHITE)
    pen.dot(long * 0.65, -0.58, 0.05, INK)
