"""Draws food, vessels, and street furniture."""

from backbone.world.paint.palette import dark, pale
from backbone.world.paint.pen import Pen

LEAF = (96, 160, 70)
STEM = (110, 78, 48)
CREAM = (252, 246, 234)
STEEL = (84, 88, 96)


def apple(pen: Pen, shape: int, text: str) -> None:
    """Draw an apple, whole or bitten."""
    body = pen.blob(
        [
            (0, -0.76),
            (0.24, -0.84),
            (0.46, -0.62),
            (0.4, -0.22),
            (0.16, 0),
            (0, -0.04),
            (-0.16, 0),
            (-0.4, -0.22),
            (-0.46, -0.62),
            (-0.24, -0.84),
        ]
    )
    pen.line([(0, -0.76), (0.05, -0.97)], STEM, 0.06)
    pen.fill(pen.oval(0.2, -0.92, 0.15, 0.065, -20), LEAF)
    pen.fill(body)
    if shape == 1:
        pen.canvas.save()
        pen.canvas.clipPath(body, True)
        for y in (-0.62, -0.44, -0.27):
            pen.plain(pen.oval(0.46, y, 0.14), CREAM)
        pen.canvas.restore()
    pen.shine(body, -0.22, -0.6, 0.08, 0.14, 0.5)


def banana(pen: Pen, shape: int, text: str) -> None:
    """Draw a banana, or a bunch."""
    for turn in (0,) if shape == 0 else (2, 1, 0):
        d = 0.16 * turn
        pen.fill(
            pen.blob(
                [
                    (-0.74, -0.84 + d),
                    (-0.6, -0.5 + d * 0.4),
                    (-0.2, -0.26 - d * 0.3),
                    (0.3, -0.26 - d * 0.6),
                    (0.72, -0.5 - d * 0.4),
                    (0.8, -0.42 - d * 0.4),
                    (0.5, -0.1 - d),
                    (0.05, 0.0 - d),
                    (-0.45, -0.14 - d * 0.6),
                    (-0.76, -0.5 + d * 0.2),
                    (-0.86, -0.82 + d),
                ]
            )
        )
        pen.plain(pen.oval(0.77, -0.46 - d * 0.4, 0.055), STEM)
    pen.line([(-0.8, -0.84), (-0.84, -0.95)], STEM, 0.09)


def cake(pen: Pen, shape: int, text: str) -> None:
    """Draw a cake with candles, or a slice."""
    if shape == 0:
        for x in (-0.3, 0.0, 0.3):
            pen.line([(x, -0.66), (x, -0.84)], (250, 190, 90), 0.06)
            pen.plain(pen.oval(x, -0.93, 0.04, 0.07), (250, 140, 40))
        pen.fill(pen.oval(0, -0.06, 0.82, 0.06), (226, 228, 234))
        pen.fill(pen.box(-0.62, -0.66, 0.62, -0.06, 0.05), textured=True)
        icing = [
            (-0.64, -0.68),
            (0.64, -0.68),
            (0.62, -0.42),
            (0.42, -0.5),
            (0.24, -0.36),
            (0.04, -0.5),
            (-0.18, -0.38),
            (-0.4, -0.5),
            (-0.62, -0.42),
        ]
        pen.fill(pen.poly(icing, 0.06), CREAM if sum(pen.main) < 650 else (246, 170, 190))
        return
    pen.fill(pen.poly([(-0.7, -0.5), (0.6, -0.72), (0.6, 0), (-0.7, 0)], 0.03), (240, 206, 150))
    pen.fill(pen.poly([(-0.68, -0.3), (0.6, -0.4), (0.6, -0.28), (-0.68, -0.2)]), edge=False)
    pen.fill(pen.poly([(-0.78, -0.5), (0.5, -0.9), (0.66, -0.66), (0.62, -0.56), (-0.7, -0.4)], 0.03))
    pen.fill(pen.oval(0.2, -0.88, 0.12), (206, 40, 60))


def pizza(pen: Pen, shape: int, text: str) -> None:
    """Draw a pizza or a slice of it; the plate has the thing's colour."""
    crust, cheese, sausage = (214, 150, 82), (250, 208, 104), (196, 62, 46)
    if shape == 0:
        pen.fill(pen.oval(0, -0.5, 0.98, 0.5))
        pen.fill(pen.oval(0, -0.52, 0.84, 0.41), crust)
        pen.fill(pen.oval(0, -0.53, 0.74, 0.35), cheese, edge=False)
        for x, y in (
            (-0.4, -0.6),
            (0.05, -0.7),
            (0.44, -0.56),
            (0.16, -0.42),
            (-0.26, -0.38),
            (-0.02, -0.55),
            (0.42, -0.36),
        ):
            pen.fill(pen.oval(x, y, 0.11, 0.065), sausage)
        return
    pen.fill(pen.oval(0, -0.28, 0.98, 0.28))
    pen.fill(pen.poly([(-0.7, -0.86), (0.62, -0.98), (0.1, -0.12)], 0.05), cheese)
    for x, y in ((-0.28, -0.72), (0.28, -0.76), (0.04, -0.46)):
        pen.fill(pen.oval(x, y, 0.12, 0.1), sausage)
    pen.line([(-0.7, -0.86), (0.62, -0.98)], crust, 0.14, edge=True)


def cup(pen: Pen, shape: int, text: str) -> None:
    """Draw a mug, or a tea cup on a saucer."""
    if shape == 0:
        pen.line([(0.3, -0.76), (0.58, -0.7), (0.58, -0.34), (0.3, -0.26)], pen.main, 0.11, smooth=True, edge=True)
        pen.fill(pen.box(-0.4, -0.92, 0.36, 0, 0.1), textured=True)
        pen.fill(pen.oval(-0.02, -0.92, 0.38, 0.08), dark(pen.main, 0.35))
        return
    pen.fill(pen.oval(0, -0.07, 0.72, 0.08), pale(pen.main, 0.2))
    pen.line([(0.4, -0.72), (0.68, -0.66), (0.62, -0.4), (0.36, -0.36)], pen.main, 0.09, smooth=True, edge=True)
    pen.fill(
        pen.blob([(-0.52, -0.8), (-0.44, -0.36), (-0.2, -0.08), (0.2, -0.08), (0.44, -0.36), (0.52, -0.8)]),
        textured=True,
    )
    pen.fill(pen.oval(0, -0.8, 0.52, 0.12), pale(pen.main, 0.3))
    pen.plain(pen.oval(0, -0.79, 0.42, 0.08), (110, 66, 40))


def bottle(pen: Pen, shape: int, text: str) -> None:
    """Draw a bottle: slim or round."""
    wide = 0.17 if shape == 0 else 0.24
    pen.fill(pen.box(-0.07, -1.0, 0.07, -0.88, 0.02), (226, 196, 150))
    body = pen.blob(
        [
            (-0.065, -0.9),
            (0.065, -0.9),
            (0.075, -0.7),
            (wide, -0.52),
            (wide, -0.06),
            (wide * 0.8, 0),
            (-wide * 0.8, 0),
            (-wide, -0.06),
            (-wide, -0.52),
            (-0.075, -0.7),
        ]
    )
    pen.fill(body)
    pen.fill(pen.box(-wide, -0.42, wide, -0.16), CREAM, edge=False)
    pen.shine(body, -wide * 0.6, -0.5, 0.03, 0.16, 0.5)


def traffic_light(pen: Pen, shape: int, text: str) -> None:
    """Draw a traffic light with lamps one above the other or side by side; the lit one has the thing's colour."""
    pen.line([(0, -0.97 if shape else -0.5), (0, -0.03)], STEEL, 0.06, edge=True)
    lamps = ((-0.16, 0.0, 0.16), (-0.73, -0.73, -0.73)) if shape else ((0.0, 0.0, 0.0), (-0.89, -0.73, -0.57))
    if shape:
        pen.fill(pen.box(-0.1, -0.1, 0.1, 0, 0.03), STEEL)
        pen.fill(pen.box(-0.27, -0.87, 0.27, -0.59, 0.06), (52, 54, 60))
    else:
        pen.fill(pen.box(-0.14, -1.0, 0.14, -0.46, 0.06), (52, 54, 60))
    for x, y, colour in zip(*lamps, ((214, 48, 44), (248, 212, 66), (72, 160, 78)), strict=True):
        lit = max(abs(a - b) for a, b in zip(colour, pen.main, strict=True)) < 60
        pen.dot(x, y, 0.07, pale(colour, 0.15) if lit else dark(colour, 0.72))
        if lit:
            pen.plain(pen.oval(x, y, 0.1), colour, 0.35)


def fire_hydrant(pen: Pen, shape: int, text: str) -> None:
    """Draw a fire hydrant: stout, or a slim pillar."""
    pen.fill(pen.box(-0.34, -0.12, 0.34, 0, 0.04), dark(pen.main, 0.2))
    if shape == 1:
        pen.fill(pen.box(0.1, -0.6, 0.36, -0.44, 0.03), dark(pen.main, 0.12))
        pen.fill(pen.oval(0.38, -0.52, 0.05, 0.11), STEEL)
        pen.fill(pen.box(-0.19, -0.86, 0.19, -0.08, 0.05))
        pen.fill(pen.blob([(-0.2, -0.84), (-0.15, -0.95), (0, -1.0), (0.15, -0.95), (0.2, -0.84)]))
        for y in (-0.84, -0.36):
            pen.fill(pen.box(-0.24, y, 0.24, y + 0.07, 0.03), pale(pen.main, 0.25))
        return
    pen.fill(pen.box(-0.24, -0.76, 0.24, -0.08, 0.06))
    for way in (-1, 1):
        pen.fill(
            pen.box(min(way * 0.2, way * 0.42), -0.62, max(way * 0.2, way * 0.42), -0.42, 0.03), dark(pen.main, 0.12)
        )
    pen.fill(pen.oval(0, -0.5, 0.13), pale(pen.main, 0.25))
    pen.dot(0, -0.5, 0.05, STEEL)
    pen.fill(pen.blob([(-0.27, -0.76), (-0.2, -0.92), (0, -0.98), (0.2, -0.92), (0.27, -0.76)]))
    pen.fill(pen.box(-0.3, -0.8, 0.3, -0.72, 0.03), dark(pen.main, 0.15))


def bench(pen: Pen, shape: int, text: str) -> None:
    """Draw a bench with or without back; the seat is at 0.5."""
    for x in (-0.8, 0.8):
        pen.line([(x, -0.96 if shape == 0 else -0.5), (x, -0.03)], STEEL, 0.07, edge=True)
    if shape == 0:
        for y in (-0.94, -0.76):
            pen.fill(pen.box(-1.0, y, 1.0, y + 0.13, 0.03))
    pen.fill(pen.poly([(-1.0, -0.56), (1.0, -0.56), (1.06, -0.42), (-1.06, -0.42)], 0.03), textured=True)
    for x in (-0.92, 0.92):
        pen.line([(x, -0.42), (x, -0.03)], STEEL, 0.07, edge=True)
